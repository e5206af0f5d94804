"""Files and folders as they stand on disk: every regular file, ignored by git or not; no link is followed."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from clawsecrets.data import absent
from clawsecrets.errors import UsageError
from clawsecrets.formats.pieces import PIECE, Piece, cut
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped
from clawsecrets.sources.sizes import size_of, sizes

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes

WHOLE = 2 * PIECE
"""Bytes. Larger files are read in pieces."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW
_SPECIAL = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}

Chosen = Callable[[str], bool]
"""Whether a path relative to what is scanned is to be looked at (the operator's filters)."""


def everything(path: str) -> bool:
    """No filter."""
    return True


@dataclass(frozen=True)
class FileSource:
    """Files and folders. `roots` are paths as the person named them; what they lead to may be a link."""

    roots: Sequence[str]
    chosen: Chosen = everything
    listed: Sequence[str] | None = None
    """Paths relative to the one root: only these (git's list of what is not ignored)."""
    optional: bool = False
    """Roots that are not there are no fault (a list of usual places)."""
    kind: Kind = Kind.FILE
    label: str = "path"
    repositories: bool = False
    """Whether `.git` folders are walked as well (else they are told as left to `scan git`)."""
    beside: bool = False
    """Another source reads the one root's own `.git`: it is not told as left out."""

    def parts(self, workers: int) -> Sequence[FilePart]:
        """Files are dealt out by a hash of their path, so that no list of them is needed. UsageError."""
        if not self.optional:
            for root in self.roots:
                if absent(root):
                    raise UsageError(f"{root}: there is no such file or folder", "check the path")
        single = len(self.roots) == 1 and os.path.isfile(self.roots[0])
        count = 1 if single else workers
        return [FilePart(self, number, count) for number in range(count)]

    def work(self) -> Iterator[int]:
        """Every regular file of it that its parts open."""
        return sizes(self)

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """A file stands where it stands."""
        return {place: (Provenance(place.kind, path=place.path),) for place in places}

    def coverage(self) -> Coverage:
        """What was named."""
        return Coverage(tuple(f"{self.label} {root}" for root in self.roots))


@dataclass(frozen=True)
class FilePart:
    """The files whose path falls to one worker."""

    source: FileSource
    number: int
    count: int
    many: bool = field(default=False)

    def contents(self, notes: Notes) -> Iterable[Content]:
        """Every file of it, and the names in every folder of it."""
        for root in self.source.roots:
            yield from self._root(root, notes)

    def _root(self, root: str, notes: Notes) -> Iterator[Content]:
        try:
            mode = os.stat(root).st_mode
        except FileNotFoundError:
            if self.number == 0 and not self.source.optional:
                notes.skipped(Skipped(root, "it is gone, or a link that leads nowhere"))
            return
        except OSError as error:
            if self.number == 0:
                notes.skipped(Skipped(root, _why(error)))
            return
        many = len(self.source.roots) > 1
        if special := _SPECIAL.get(stat.S_IFMT(mode)):  # it was named: to leave it out is no choice of anybody's
            if self._mine(root):
                notes.skipped(Skipped(root, f"{special}: `clawsecrets scan stdin` reads what it is given there",
                                      by_choice=self.source.optional))
        elif not stat.S_ISDIR(mode):
            if self._mine(root):
                path = root if many else os.path.basename(root)
                yield from self._file(os.path.realpath(root), path, notes)
        elif self.source.listed is not None:
            yield from self._list(root, self.source.listed, notes)
        else:
            yield from self._walk(root, f"{root.rstrip('/')}/" if many else "", notes)

    def _list(self, root: str, paths: Sequence[str], notes: Notes) -> Iterator[Content]:
        """What git tracks may be a link, a folder (a submodule), or gone from the working tree."""
        if self.number == 0:
            yield Content(os.fsencode("\n".join(paths)), Place(self.source.kind, root, "./"))
        for path in filter(self.source.chosen, paths):
            full = os.path.join(root, path)
            try:
                mode = os.lstat(full).st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                if self._mine(path):
                    notes.skipped(Skipped(path, _why(error)))
                continue
            if stat.S_ISDIR(mode):
                yield from self._walk(full, path.rstrip("/") + "/", notes)
            elif self._mine(path):
                yield from (self._link if stat.S_ISLNK(mode) else self._file)(full, path, notes)

    def _walk(self, root: str, shown: str, notes: Notes) -> Iterator[Content]:
        """Depth first, folder by folder, without recursion."""
        folders = [(root, shown)]
        while folders:
            folder, path = folders.pop()
            names: list[str] = []
            try:
                entries = os.scandir(folder)
            except OSError as error:
                if self.number == 0:
                    notes.skipped(Skipped(path or folder, _why(error)))
                continue
            with entries:
                for entry in self._entries(entries, path or folder, notes):
                    names.append(entry.name)
                    inside = path + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if self._enters(entry.name, inside, notes):
                            folders.append((entry.path, inside + "/"))
                    elif self._mine(inside) and self.source.chosen(inside):
                        yield from self._entry(entry, inside, notes)
            if names and self._mine(path):
                yield Content(os.fsencode("\n".join(names)), Place(self.source.kind, folder, path or "./"))

    def _entries(self, entries: Iterator[os.DirEntry[str]], path: str, notes: Notes) -> Iterator[os.DirEntry[str]]:
        try:
            yield from entries
        except OSError as error:
            if self.number == 0:
                notes.skipped(Skipped(path, _why(error)))

    def _enters(self, name: str, path: str, notes: Notes) -> bool:
        if name == ".git" and not self.source.repositories:
            if self.number == 0 and not (self.source.beside and path == name):
                notes.skipped(Skipped(path, "a repository's own folder: `scan git` looks at it", by_choice=True))
            return False
        return self.source.chosen(path + "/")

    def _entry(self, entry: os.DirEntry[str], path: str, notes: Notes) -> Iterator[Content]:
        try:
            link = entry.is_symlink()
        except OSError as error:
            notes.skipped(Skipped(path, _why(error)))
            return
        yield from (self._link if link else self._file)(entry.path, path, notes)

    def _link(self, full: str, path: str, notes: Notes) -> Iterator[Content]:
        """Where it leads is text; nobody goes there."""
        try:
            target = os.readlink(full)
        except OSError as error:
            notes.skipped(Skipped(path, _why(error)))
            return
        notes.looked(1, len(target))
        yield Content(os.fsencode(target), Place(self.source.kind, full, path))

    def _file(self, full: str, path: str, notes: Notes) -> Iterator[Content]:
        try:
            handle = os.open(full, _FLAGS)
        except OSError as error:
            try:
                found = os.lstat(full)
                special = _SPECIAL.get(stat.S_IFMT(found.st_mode), "")
                notes.looked(0, 0, size_of(found))
            except OSError:
                special = ""
            notes.skipped(Skipped(path, special or _why(error), by_choice=bool(special)))
            return
        try:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                notes.skipped(Skipped(path, _SPECIAL.get(stat.S_IFMT(found.st_mode), "no regular file"),
                                      by_choice=not stat.S_ISDIR(found.st_mode)))
                return
            yield from self._content(handle, found.st_size, full, path, notes)
        except OSError as error:
            notes.skipped(Skipped(path, _why(error)))
        finally:
            os.close(handle)

    def _content(self, handle: int, size: int, full: str, path: str, notes: Notes) -> Iterator[Content]:
        place = Place(self.source.kind, full, path)
        if size <= WHOLE:
            data = os.read(handle, size + 1)
            if len(data) == size:  # it neither grew nor is it one of /proc's, whose size is no size
                notes.looked(1, size, size)
                yield Content(data, place)
                return
            os.lseek(handle, 0, os.SEEK_SET)
        left, number = size, -1
        for number, piece in enumerate(_pieces(handle, size)):
            looked = len(piece.data) - piece.overlap
            notes.looked(0 if number else 1, looked, min(looked, left))
            left -= min(looked, left)
            yield Content(piece.data, place, offset=piece.offset, line=piece.line, column=piece.column,
                          overlap=piece.overlap, whole=None if piece.offset else lambda: _opened(full))
        notes.looked(1 if number < 0 else 0, 0, left)

    def _mine(self, path: str) -> bool:
        return self.count == 1 or zlib.crc32(os.fsencode(path)) % self.count == self.number


def _pieces(handle: int, size: int) -> Iterator[Piece]:
    """A large file from its beginning; of one that is mostly holes (a virtual disk, `lastlog`), what is written in it:
    nothing stands in a hole, and there can be terabytes of them. OSError."""
    if os.fstat(handle).st_blocks * 512 >= size // 2:
        yield from cut(lambda n: os.read(handle, n))
        return
    end = line = column = 0
    while (begin := _next(handle, end, os.SEEK_DATA)) >= 0:
        column += begin - end
        end = _next(handle, begin, os.SEEK_HOLE)
        os.lseek(handle, begin, os.SEEK_SET)
        for piece in cut(_until(handle, end)):
            yield Piece(piece.data, begin + piece.offset, line + piece.line,
                        piece.column if piece.line else column + piece.column, piece.overlap)
        newlines = piece.data.count(b"\n")
        after = len(piece.data) - piece.data.rfind(b"\n") - 1
        column = after if newlines else len(piece.data) + (piece.column if piece.line else column + piece.column)
        line += piece.line + newlines


def _until(handle: int, end: int) -> Callable[[int], bytes]:
    """Reads up to there."""
    return lambda n: os.read(handle, min(n, end - os.lseek(handle, 0, os.SEEK_CUR)))


def _next(handle: int, offset: int, what: int) -> int:
    """Where the next data or the next hole begins; -1 behind the last data. OSError."""
    try:
        return os.lseek(handle, offset, what)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        raise


def _opened(path: str) -> BinaryIO:
    return os.fdopen(os.open(path, _FLAGS), "rb")


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "it could not be read"
