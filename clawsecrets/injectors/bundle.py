"""`resolver-bundle`: writes the sealed bundle that `clawsecrets resolve` reads, and its key (FILE.key).

Both are 0600 and belong to the gateway's user. Only the names given are in it. The key is written before the first
bundle, and stays; `new_key` puts the new and the old key into the key file, then seals with the new one, then drops
the old one: after a kill at any instant the pair opens.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from clawsecrets.errors import ConfigError, Refused, StoreDamaged, StoreLocked
from clawsecrets.injectors import bundle_format, mapping
from clawsecrets.injectors.answers import attempt, text_of
from clawsecrets.injectors.atomic import Access, Folder, exposures, locked, make_folder, missing_folders, read_file
from clawsecrets.injectors.resolve import LARGEST_VALUE, encoded
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue, valid_name
from clawsecrets.ports import Entry, Injector, Reply

HOLDS = "the sealed file, opened with its key"
NEEDS = "a reload of the gateway's secrets"


class ResolverBundle:
    """A bundle file. Its folder is made (0700, the same owner) when it is missing, and its parents with it. ConfigError
    for a loose mode."""

    def __init__(self, target: str, path: Path, rights: Access | None = None) -> None:
        rights = rights or Access()
        if rights.mode is not None and rights.mode & 0o077:
            raise ConfigError(f"{target}: a resolver bundle is for one user only", "use mode 0600 or 0400")
        self._target = target
        self._path = path
        self._key_name = f"{path.name}.key"
        self._rights = Access(rights.uid, rights.gid, 0o600 if rights.mode is None else rights.mode)

    @property
    def target(self) -> str:
        """Its configured name."""
        return self._target

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Seal exactly these entries; what else was in the bundle is gone."""
        return attempt(lambda: self._deliver(entries))

    def could(self, entries: Sequence[Entry]) -> Reply:
        """Whether a bundle can hold them and the resolver answer with each. Writes nothing."""
        return attempt(lambda: self._could(entries), Outcome.REFUSED)

    def remove(self, bound: Mapping[str, str]) -> Reply:
        """Seal again without these names."""
        return attempt(lambda: self._remove(bound))

    def new_key(self) -> Reply:
        """Seal again under a new key; the old one opens nothing afterwards."""
        return attempt(self._rekey)

    def holds(self, entry: Entry) -> bool | None:
        """Whether the bundle gives that value and version. False when it does not open; None: not readable."""
        try:
            found = bundle_format.opened(read_file(self._path), read_file(self._key_path))
            value = found.open(entry.name)
        except (FileNotFoundError, StoreDamaged, StoreLocked):
            return False
        except (OSError, Refused):
            return None
        return value is not None and SecretValue(value) == entry.value and found.versions()[entry.name] == entry.version

    def kept(self, names: Sequence[str]) -> Sequence[Entry]:
        """ports.WrittenWhole. Refused when the bundle does not open; nothing where there is none."""
        if not self._path.exists():
            return ()
        try:
            found = bundle_format.opened(read_file(self._path), read_file(self._key_path))
            return [Entry(name, version, SecretValue(found.open(name) or b""))
                    for name, version in found.versions().items() if name in names]
        except (OSError, StoreDamaged, StoreLocked):
            pass
        raise Refused(f"{self._path} cannot be read", bundle_format.HINT)

    def preflight(self) -> Reply:
        """Whether both files can be written there for their owner. Leaves nothing."""
        return attempt(self._preflight, Outcome.REFUSED)

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        """Files of it with other owners or permissions than they were given."""
        return list(exposures([self._path, self._key_path], self._rights))

    def describe(self) -> str:
        """One line."""
        return f"seals values into {self._path}, for `clawsecrets resolve --bundle {self._path}`"

    @property
    def _key_path(self) -> Path:
        return self._path.with_name(self._key_name)

    def _could(self, entries: Sequence[Entry]) -> str:
        self._sealed(os.urandom(bundle_format.KEY_BYTES), 1, _contents(entries))
        return f"{self._path} could hold {len(entries)} secret(s)"

    def _deliver(self, entries: Sequence[Entry]) -> str:
        content = _contents(entries)
        make_folder(self._path.parent, self._rights, parents=True)
        with locked(self._path.parent) as folder:
            folder.check(self._path.name)  # before a key is made for it
            generation = self._write(folder, self._key(folder), content)
        return f"read back generation {generation}, {len(content)} secret(s)"

    def _remove(self, names: Collection[str]) -> str:
        if not self._path.exists():
            return "the bundle is not there"
        with locked(self._path.parent) as folder:
            content = [entry for entry in self._content(folder) if entry[0] not in names]
            generation = self._write(folder, self._key(folder), content)
        return f"read back generation {generation}, {len(content)} secret(s)"

    def _rekey(self) -> str:
        with locked(self._path.parent) as folder:
            content, old, new = self._content(folder), self._key(folder), os.urandom(bundle_format.KEY_BYTES)
            folder.replace(self._key_name, new + old, self._rights)
            generation = self._write(folder, new, content)
            folder.replace(self._key_name, new, self._rights)
        return f"read back generation {generation}, under a new key"

    def _write(self, folder: Folder, key: bytes, content: Sequence[tuple[str, int, bytes]]) -> int:
        generation = bundle_format.generation_of(folder.read(self._path.name) or b"") + 1
        folder.replace(self._path.name, self._sealed(key, generation, content), self._rights)
        return generation

    def _sealed(self, key: bytes, generation: int, content: Sequence[tuple[str, int, bytes]]) -> bytes:
        sealed = bundle_format.sealed(key, generation, content)
        if len(sealed) > bundle_format.LARGEST:
            raise Refused(f"{self._path}: a bundle holds at most {bundle_format.LARGEST} bytes", "bind fewer secrets")
        return sealed

    def _key(self, folder: Folder) -> bytes:
        """The key that the bundle is sealed with now; one that was never used is taken, a missing one made.

        A bundle whose key is lost cannot be opened by anybody, so a new key takes nothing away.
        """
        found = folder.read(self._key_name) or b""
        if len(found) == bundle_format.KEY_BYTES:
            return found
        if len(found) == 2 * bundle_format.KEY_BYTES:
            return self._settled(folder, found)
        key = os.urandom(bundle_format.KEY_BYTES)
        folder.replace(self._key_name, key, self._rights)
        return key

    def _settled(self, folder: Folder, both: bytes) -> bytes:
        """One key out of a change of keys that was killed: that which opens the bundle, else the new one."""
        new, old = both[: bundle_format.KEY_BYTES], both[bundle_format.KEY_BYTES :]
        key = new
        with suppress(StoreDamaged):
            bundle_format.opened(folder.read(self._path.name) or b"", old)
            key = old
        folder.replace(self._key_name, key, self._rights)
        return key

    def _content(self, folder: Folder) -> list[tuple[str, int, bytes]]:
        """What is in the bundle. Refused when it does not open."""
        fault = ""
        try:
            found = bundle_format.opened(folder.read(self._path.name) or b"", folder.read(self._key_name) or b"")
            return [(name, version, found.open(name) or b"") for name, version in found.versions().items()]
        except (StoreDamaged, StoreLocked) as error:
            fault = error.message
        raise Refused(f"{self._path}: {fault}", bundle_format.HINT)

    def _preflight(self) -> str:
        missing = missing_folders(self._path.parent)
        with locked(missing[-1].parent if missing else self._path.parent) as folder:
            for name in (".clawsecrets-preflight",) if missing else (self._path.name, self._key_name):
                folder.try_out(name, self._rights)
        return f"{self._path} can be written"


def _contents(entries: Sequence[Entry]) -> list[tuple[str, int, bytes]]:
    mapping.refuse_collisions((entry.name, entry.name) for entry in entries)
    return [_checked(entry) for entry in entries]


def _checked(entry: Entry) -> tuple[str, int, bytes]:
    """An entry as it is sealed. Refused when the resolver could never answer with it."""
    if not valid_name(entry.name):
        raise Refused(f"{entry.name!r} is not a secret's name")
    if len(encoded(text_of(entry.name, entry.value))) > LARGEST_VALUE:
        raise Refused(f"{entry.name}: the value is too long for OpenClaw's resolver contract (1 MiB an answer)")
    return entry.name, entry.version, entry.value.reveal()


def _conforms(injector: ResolverBundle) -> Injector:
    return injector
