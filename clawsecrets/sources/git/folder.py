"""What of a repository is no object: its config, hooks, names of refs, reflogs and the files that commands leave."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from clawsecrets.data import regular
from clawsecrets.formats.pieces import cut
from clawsecrets.model.finding import Content, Kind, Place, Skipped
from clawsecrets.sources.git.layout import Layout, is_repository

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes

_LEVELS = 12
_SAMPLE = ".sample"


class Folder:
    """The files of a gitdir that belong to it and to its worktrees, and to submodules that stand in it."""

    def __init__(self, layout: Layout, names: Sequence[str]) -> None:
        """`names`: of all refs."""
        self._layout, self._names = layout, names

    def contents(self, notes: Notes) -> Iterator[Content]:
        """Each file once; paths are relative to what is scanned."""
        gitdirs = {self._layout.common, self._layout.gitdir}
        for gitdir in sorted(gitdirs):
            yield from self._files(gitdir, notes, 0)
        if self._names:
            yield Content(b"\n".join(map(os.fsencode, self._names)), Place(Kind.GIT_NAME, "refs", "refs"))

    def _files(self, folder: Path, notes: Notes, level: int) -> Iterator[Content]:
        try:
            found = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            notes.skipped(Skipped(self._named(folder), f"cannot be read: {error.strerror}"))
            return
        for entry in found:
            path = Path(entry.path)
            if entry.is_symlink():
                yield Content(os.fsencode(os.readlink(path)), self._place(path))
            elif entry.is_dir(follow_symlinks=False):
                yield from self._folder(path, notes, level)
            elif not entry.is_file():
                notes.skipped(Skipped(self._named(path), "is neither file nor folder"))
            elif entry.name != "index" and not (entry.name.endswith(_SAMPLE) and folder.name == "hooks"):
                yield from self._file(path, notes)

    def _folder(self, path: Path, notes: Notes, level: int) -> Iterator[Content]:
        """A folder in a gitdir: not objects and refs, of which others take care."""
        if path.name in ("objects", "refs") and (level == 0 or is_repository(path.parent)):
            return
        if level < _LEVELS:
            yield from self._files(path, notes, level + 1)
        else:
            notes.skipped(Skipped(self._named(path), f"folders deeper than {_LEVELS} levels are not looked into"))

    def _file(self, path: Path, notes: Notes) -> Iterator[Content]:
        place = self._place(path)
        try:
            with regular(path) as file:
                for piece in cut(file.read):
                    yield Content(piece.data, place, 0, 0, None, *piece[1:], None if piece.offset else _opener(path))
        except OSError as error:
            notes.skipped(Skipped(self._named(path), f"cannot be read: {error.strerror}"))

    def _place(self, path: Path) -> Place:
        name = path.name
        kind = Kind.GIT_NAME if name == "packed-refs" else Kind.GIT_CONFIG
        return Place(kind, "file", self._named(path))

    def _named(self, path: Path) -> str:
        shown = os.path.relpath(path, self._layout.top)
        return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _opener(path: Path) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        return regular(path)

    return opened
