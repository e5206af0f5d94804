"""`directory`: one file per secret, named by mapping.file_name, with exactly the value's bytes (no line break added).

Each file is replaced atomically; a folder that is mounted into a container shows the new file there, unlike a single
mounted file. Files of other names are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from clawsecrets.errors import Refused
from clawsecrets.injectors import mapping
from clawsecrets.injectors.answers import attempt
from clawsecrets.injectors.atomic import Access, exposures, locked, make_folder, read_file
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue, valid_name
from clawsecrets.ports import Entry, Injector, Reply

HOLDS = "the file"
NEEDS = "the folder mounted into containers, never a single file of it; then nothing, for what reads it at every use"


class Directory:
    """A folder of secret files. It is made (0700, the files' owner) when it is missing."""

    def __init__(self, target: str, path: Path, rights: Access | None = None) -> None:
        self._target = target
        self._path = path
        self._rights = rights or Access()

    @property
    def target(self) -> str:
        """Its configured name."""
        return self._target

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Write these entries' files; all are checked before the first is written."""
        return attempt(lambda: self._deliver(entries))

    def could(self, entries: Sequence[Entry]) -> Reply:
        """Whether each can have a file there, in place of what stands there now. Writes nothing."""
        return attempt(lambda: self._could(entries), Outcome.REFUSED)

    def remove(self, bound: Mapping[str, str]) -> Reply:
        """Delete these secrets' files."""
        return attempt(lambda: self._remove(bound))

    def holds(self, entry: Entry) -> bool | None:
        """Whether its file holds exactly that value. None: not readable."""
        try:
            return SecretValue(read_file(self._path / mapping.file_name(entry.name))) == entry.value
        except FileNotFoundError:
            return False
        except (OSError, Refused):
            return None

    def preflight(self) -> Reply:
        """Whether files can be made there with the owner and mode asked for. Leaves no file."""
        return attempt(self._preflight, Outcome.REFUSED)

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        """Files of it with other owners or permissions than they were given."""
        return list(exposures([self._path / mapping.file_name(name) for name in names], self._rights))

    def describe(self) -> str:
        """One line."""
        return f"writes one file per secret into {self._path}"

    def _could(self, entries: Sequence[Entry]) -> str:
        files = _files(entries)
        if self._path.exists():
            with locked(self._path) as folder:
                for file in files:
                    folder.check(file)
        return f"{self._path} could hold {len(files)} secret(s)"

    def _deliver(self, entries: Sequence[Entry]) -> str:
        files = _files(entries)
        make_folder(self._path, self._rights)
        with locked(self._path) as folder:
            for file in files:
                folder.check(file)
            for file, entry in files.items():
                folder.replace(file, entry.value.reveal(), self._rights)
        return f"read back {', '.join(sorted(files))}" if files else "nothing is bound to it"

    def _remove(self, names: Iterable[str]) -> str:
        if not self._path.exists():
            return "the folder is not there"
        with locked(self._path) as folder:
            for name in names:
                folder.remove(mapping.file_name(name))
        return f"removed {', '.join(sorted(names))}"

    def _preflight(self) -> str:
        """Where the folder is missing, its parent is what must be writable."""
        existing = self._path if self._path.exists() else self._path.parent
        with locked(existing) as folder:
            folder.try_out(".clawsecrets-preflight", self._rights)
        if self._path.is_symlink():
            raise Refused(f"{self._path} is a symbolic link, which is not followed", "give the folder's real path")
        return f"{self._path} can be written"


def _files(entries: Sequence[Entry]) -> dict[str, Entry]:
    """By file name. Refused where one has none, or two have the same."""
    files = {mapping.file_name(_sound(entry).name): entry for entry in entries}
    mapping.refuse_collisions((entry.name, mapping.file_name(entry.name)) for entry in entries)
    return files


def _sound(entry: Entry) -> Entry:
    if not valid_name(entry.name):
        raise Refused(f"{entry.name!r} is not a secret's name")
    if not entry.value:
        raise Refused(f"{entry.name}: the value is empty")
    return entry


def _conforms(injector: Directory) -> Injector:
    return injector
