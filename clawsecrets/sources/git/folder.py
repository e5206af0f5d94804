"""What of a repository is no object: its config, hooks, names of refs, reflogs and the files that commands leave."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from clawsecrets.formats.pieces import cut
from clawsecrets.model.finding import Content, Kind, Place, Skipped
from clawsecrets.ports import Notes
from clawsecrets.sources.git.layout import Layout

_NOT_HERE = frozenset({"objects", "refs", "index", "lfs", "modules", "worktrees", "annex", "rr-cache"})
"""Of a gitdir: what is read elsewhere (objects, names of refs, the index's blobs are objects too) or below."""
_DEEPER = ("modules", "worktrees")
_LEVELS = 12
_SAMPLE = ".sample"
_ZEROS = re.compile(rb"^[0-9a-f]{40,64} [0-9a-f]{40,64} ", re.MULTILINE)


class Folder:
    """The files of a gitdir that belong to it and to its worktrees, and to submodules that stand in it."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def contents(self, notes: Notes) -> Iterator[Content]:
        """Each file once; paths are relative to what is scanned."""
        gitdirs = {self._layout.common, self._layout.gitdir}
        for gitdir in sorted(gitdirs):
            yield from self._files(gitdir, notes, 0)
        names = b"\n".join(os.fsencode(name) for name in self._refs(self._layout.common, notes))
        if names:
            yield Content(names, Place(Kind.GIT_NAME, "refs"))

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
            elif entry.is_dir():
                if level == 0 and entry.name in _NOT_HERE and entry.name not in _DEEPER:
                    if entry.name in ("lfs", "annex", "rr-cache"):
                        yield from self._files(path, notes, level + 1)
                elif _is_objects(path):
                    continue
                elif level < _LEVELS:
                    yield from self._files(path, notes, level + 1)
                else:
                    notes.skipped(Skipped(self._named(path), f"folders deeper than {_LEVELS} levels"))
            elif entry.is_file() and not (entry.name == "index" or entry.name.endswith(_SAMPLE)
                                          and path.parent.name == "hooks"):
                yield from self._file(path, notes)
            elif not entry.is_file():
                notes.skipped(Skipped(self._named(path), "is neither file nor folder"))

    def _file(self, path: Path, notes: Notes) -> Iterator[Content]:
        place = self._place(path)
        try:
            with path.open("rb") as file:
                for piece in cut(file.read):
                    yield Content(piece.data, place, 0, 0, None, *piece[1:], None if piece.offset else _opener(path))
        except OSError as error:
            notes.skipped(Skipped(self._named(path), f"cannot be read: {error.strerror}"))

    def _refs(self, common: Path, notes: Notes) -> Iterator[str]:
        """The names of loose refs (those of packed ones stand in `packed-refs`)."""
        def failed(error: OSError) -> None:
            notes.skipped(Skipped(f"{error.filename}", f"cannot be read: {error.strerror}"))

        for folder, folders, files in os.walk(common / "refs", onerror=failed):
            folders.sort()
            yield from (os.path.relpath(os.path.join(folder, name), common) for name in sorted(files))

    def _place(self, path: Path) -> Place:
        name = path.name
        kind = Kind.GIT_NAME if name == "packed-refs" else Kind.GIT_CONFIG
        return Place(kind, "file", self._named(path))

    def _named(self, path: Path) -> str:
        shown = os.path.relpath(path, self._layout.top)
        return shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _is_objects(path: Path) -> bool:
    """Whether it is the object folder or refs of a submodule's gitdir (told apart by what stands beside it)."""
    return path.name in ("objects", "refs") and (path.parent / "HEAD").exists()


def _opener(path: Path):  # type: ignore[no-untyped-def]
    def opened() -> BinaryIO:
        return cast(BinaryIO, path.open("rb"))

    return opened
