"""`tmpfs-directory`: one file per secret, as `directory`, in a folder that is in memory only (/run/clawsecrets/…).

A folder that stands on a disk is refused, for that is what this kind is chosen to rule out. After the host was started
anew the folder is empty: let `clawsecrets inject` run before what reads it starts. Memory may be written to swap; a
host that must rule that out has its swap encrypted, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from clawsecrets.errors import Refused
from clawsecrets.injectors.answers import attempt
from clawsecrets.injectors.atomic import Access
from clawsecrets.injectors.directory import Directory
from clawsecrets.injectors.mounts import kind_of
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Entry, Injector, Reply

IN_MEMORY = frozenset({"tmpfs", "ramfs"})


HOLDS = "the file; refused where it would be on a disk"
NEEDS = "as directory; and `clawsecrets inject` after the host was started anew"


class TmpfsDirectory(Directory):
    """A folder of secret files in memory. Its parents below the file system's root are made (0755) when missing."""

    def __init__(self, target: str, path: Path, rights: Access | None = None,
                 kind: Callable[[Path], str] = kind_of) -> None:
        super().__init__(target, path, rights)
        self._kind = kind

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Write these entries' files, once it is sure that they are in memory."""
        checked = attempt(self._in_memory)
        return checked if checked.outcome is not Outcome.OK else super().deliver(entries)

    def could(self, entries: Sequence[Entry]) -> Reply:
        """As `directory`, and in memory."""
        checked = attempt(self._checked, Outcome.REFUSED)
        return checked if checked.outcome is not Outcome.OK else super().could(entries)

    def preflight(self) -> Reply:
        """As `directory`, and in memory."""
        checked = attempt(self._in_memory, Outcome.REFUSED)
        return checked if checked.outcome is not Outcome.OK else super().preflight()

    def describe(self) -> str:
        """One line."""
        return f"writes one file per secret into {self._path}, in memory only"

    def _checked(self) -> str:
        """Refused unless the folder, or the nearest one above it that is there, is in memory."""
        there = next(folder for folder in (self._path, *self._path.parents) if folder.exists())
        kind = self._kind(there)
        if kind not in IN_MEMORY:
            raise Refused(f"{self._path} is on {kind or 'an unknown file system'}, not in memory",
                          "give a folder below /run, or mount a tmpfs there")
        return kind

    def _in_memory(self) -> str:
        kind = self._checked()
        self._path.parent.mkdir(0o755, parents=True, exist_ok=True)
        return kind


def _conforms(injector: TmpfsDirectory) -> Injector:
    return injector
