"""How many bytes a `FileSource` has to read: a walk that only asks for sizes, beside the scan. Follows files.py's: the
same roots, links and folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawsecrets.sources.files import FileSource


def size_of(found: os.stat_result) -> int:
    """Bytes of a regular file; what else there is has none."""
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def sizes(source: FileSource) -> Iterator[int]:
    """The size of each file. What cannot be asked for is left out: the scan tells of it."""
    for root in source.roots:
        with suppress(OSError):
            found = os.stat(root)
            if not stat.S_ISDIR(found.st_mode):
                yield size_of(found)
            elif source.listed is None:
                yield from _walk(source, root, f"{root.rstrip('/')}/" if len(source.roots) > 1 else "")
            else:
                yield from _list(source, root, source.listed)


def _list(source: FileSource, root: str, paths: Sequence[str]) -> Iterator[int]:
    for path in filter(source.chosen, paths):
        with suppress(OSError):
            found = os.lstat(full := os.path.join(root, path))
            if stat.S_ISDIR(found.st_mode):
                yield from _walk(source, full, path.rstrip("/") + "/")
            else:
                yield size_of(found)


def _walk(source: FileSource, root: str, shown: str) -> Iterator[int]:
    folders = [(root, shown)]
    while folders:
        folder, path = folders.pop()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                inside = path + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if (entry.name != ".git" or source.repositories) and source.chosen(inside + "/"):
                        folders.append((entry.path, inside + "/"))
                elif source.chosen(inside):
                    with suppress(OSError):
                        yield size_of(entry.stat(follow_symlinks=False))
