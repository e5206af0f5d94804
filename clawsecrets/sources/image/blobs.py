"""The files of an image archive or layout, readable in any order and by several processes at once. Nothing is written.

A name is a path relative to the archive's or folder's root. Links inside an archive (old engines' identical layers) are
followed inside of it only; links in a folder are not followed.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from clawsecrets.errors import Incomplete
from clawsecrets.formats import tar
from clawsecrets.formats.errors import Unreadable
from clawsecrets.model.finding import Skipped

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LINKS = 16
MOST_FILES = 200_000
"""Files of an archive or layout: more are no image."""


class Readable(Protocol):
    """What is read from its beginning to its end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end. OSError."""

    def close(self) -> None:
        """Free it."""


class Window(io.RawIOBase):
    """Bytes `start` to `start + size` of an open file. Its place is its own, however many share the file."""

    def __init__(self, handle: int, start: int, size: int, owned: bool = False) -> None:
        self._handle, self._start, self.size, self._at, self._owned = handle, start, size, 0, owned
        self._of: Window | None = None  # whose file it is: open for as long as this is read

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes (all of the rest: -1). OSError when the file ends before the window does."""
        left = self.size - self._at
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted <= 0:
            return b""
        data = os.pread(self._handle, wanted, self._start + self._at)
        if not data:
            raise OSError("the file is shorter than it says")
        self._at += len(data)
        return data

    def readinto(self, buffer: object, /) -> int:
        """For io.BufferedReader."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.read(len(view))
        view[:len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As files do."""
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def tell(self) -> int:
        """Where it reads next."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file, if it is its own."""
        if self._owned and not self.closed:
            os.close(self._handle)
        super().close()

    def part(self, offset: int, size: int) -> Window:
        """Bytes of this window as one of its own, which takes over the file."""
        inner = Window(self._handle, self._start + offset, min(size, max(0, self.size - offset)), self._owned)
        self._owned = False
        return inner

    def other(self, start: int, size: int) -> Window:
        """Other bytes of the same file, which stays this one's."""
        made = Window(self._handle, start, size)
        made._of = self
        return made

    def buffered(self) -> BinaryIO:
        """The same, with a buffer."""
        return io.BufferedReader(self)


class Blobs(Protocol):
    """An image's files."""

    remote: bool
    """Whether opening one costs a transfer."""

    def files(self) -> Mapping[str, int]:
        """Sizes by name, links left out."""

    def real(self, name: str) -> str:
        """The file that a name leads to; empty when there is none."""

    def open(self, name: str) -> Readable:
        """One file. OSError. A `Window` when any place of it can be read."""

    def document(self, name: str) -> Readable:
        """One file that is a manifest or a configuration. OSError."""

    def faults(self) -> list[Skipped]:
        """What of it could not be looked at."""

    def strings(self) -> Iterator[tuple[str, bytes]]:
        """(name, text): names, targets of links and remarks that stand around the files."""


@dataclass
class Folder:
    """A folder on disk."""

    root: str
    remote: bool = False
    _files: dict[str, int] = field(default_factory=dict)
    _faults: list[Skipped] = field(default_factory=list)
    _links: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        folders = [""]
        while folders and len(self._files) <= MOST_FILES:
            self._list(folders.pop(), folders)
        if len(self._files) > MOST_FILES:
            raise Incomplete(f"{self.root}: more than {MOST_FILES} files", "`scan path` looks at folders of any size")

    def _list(self, folder: str, folders: list[str]) -> None:
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                for entry in entries:
                    name = posixpath.join(folder, entry.name)
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(found.st_mode):
                        folders.append(name)
                    elif stat.S_ISREG(found.st_mode):
                        self._files[name] = found.st_size
                    else:
                        self._faults.append(Skipped(name, "it is a link or no regular file"))
                        if stat.S_ISLNK(found.st_mode):
                            self._links.append((name, os.fsencode(os.readlink(entry.path))))
        except OSError as error:
            self._faults.append(Skipped(folder or self.root, _why(error)))

    def files(self) -> Mapping[str, int]:
        """Regular files."""
        return self._files

    def real(self, name: str) -> str:
        """Itself."""
        return name if name in self._files else ""

    def open(self, name: str) -> Readable:
        """OSError when it is not there, or a link."""
        if name not in self._files:
            raise FileNotFoundError(name)
        handle = os.open(os.path.join(self.root, name), _FLAGS)
        return Window(handle, 0, os.fstat(handle).st_size, owned=True)

    def document(self, name: str) -> Readable:
        """The same."""
        return self.open(name)

    def faults(self) -> list[Skipped]:
        """Links, and folders that may not be read."""
        return self._faults

    def strings(self) -> Iterator[tuple[str, bytes]]:
        """Names, and where links lead."""
        yield "", os.fsencode("\n".join(self._files))
        yield from self._links


class Archive:
    """An uncompressed tar file. The file is closed when nobody holds a window on it."""

    remote = False

    def __init__(self, file: Window, name: str) -> None:
        self.file, self.size, self.name = file, file.size, name
        self._where: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._faults: list[Skipped] = []
        self._notes: list[tuple[str, bytes]] = []
        window = file.other(0, file.size)
        try:
            for member in tar.walk(window.read, lambda step: window.seek(step, 1)):
                self._take(member)
        except Unreadable as error:
            if not self._where:
                raise Incomplete(f"{name}: {error.reason}", "give an archive of `docker save` or an OCI layout") \
                    from None
            self._faults.append(Skipped(name, error.reason))
        except OSError as error:
            raise Incomplete(f"{name}: {_why(error)}", "check the file") from None

    def _take(self, member: tar.Member) -> None:
        if len(self._where) + len(self._links) > MOST_FILES:
            raise Incomplete(f"{self.name}: more than {MOST_FILES} files", "this is no image archive: `scan path`")
        name = inside(member.name)
        if member.notes:
            self._notes.append((name, member.notes))
        if member.type in (tar.SYMLINK, tar.HARD):
            base = posixpath.dirname(name) if member.type == tar.SYMLINK else ""
            self._links[name] = inside(posixpath.normpath(posixpath.join(base, member.linkname)))
            self._notes.append((name, os.fsencode(member.linkname)))
        size = self.size - member.offset if member.size < 0 else member.size
        if size or member.type == tar.FILE:
            name = name or "(behind the end of the archive)"
            while name in self._where:  # a later one hides it from others, not from us
                name += " (again)"
            self._where[name] = (member.offset, size)

    def files(self) -> Mapping[str, int]:
        """Every file in it."""
        return {name: size for name, (_, size) in self._where.items()}

    def real(self, name: str) -> str:
        """The file behind links."""
        return behind(name, self._where, self._links)

    def open(self, name: str) -> Readable:
        """OSError when it is not there."""
        if not (real := self.real(name)):
            raise FileNotFoundError(name)
        return self.file.other(*self._where[real])

    def document(self, name: str) -> Readable:
        """The same."""
        return self.open(name)

    def faults(self) -> list[Skipped]:
        """Where the archive itself is damaged."""
        return self._faults

    def strings(self) -> Iterator[tuple[str, bytes]]:
        """Names, targets of links, pax records."""
        yield "", os.fsencode("\n".join((*self._where, *self._links)))
        yield from self._notes


def behind(name: str, files: Mapping[str, object], links: Mapping[str, str]) -> str:
    """The file that a name leads to over links inside the archive; empty when there is none."""
    for _ in range(_LINKS):
        if name in files:
            return name
        if name not in links:
            break
        name = links[name]
    return ""


def inside(name: str) -> str:
    """A member's name without what would lead out of the archive: for showing and comparing only."""
    while name.startswith(("./", "/", "../")):
        name = name[name.index("/") + 1:]
    return name


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
