"""Loose objects: one file each, a zlib stream of `type size NUL content` (gitformat-loose). Their ids are verified."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from clawsecrets.data import regular, regular_handle
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.layout import listed

LARGE = 32 << 20
"""Content from this size on comes in pieces."""
_HEADER = re.compile(rb"(blob|commit|tag|tree) (0|[1-9][0-9]{0,18})\x00")


def ids(store: Path, width: int) -> Iterator[str]:
    """The ids (hexadecimal, ascending) of the loose objects of one object folder. OSError escapes."""
    rest = re.compile(rf"[0-9a-f]{{{2 * width - 2}}}")
    for folder in listed(store):
        if len(folder.name) == 2 and re.fullmatch("[0-9a-f]{2}", folder.name):
            yield from (folder.name + path.name for path in listed(folder) if rest.fullmatch(path.name))


def place(store: Path, name: str) -> Path:
    """The file of an object."""
    return store / name[:2] / name[2:]


class Large(Damaged):
    """It is larger than the caller takes at once."""


class Stream:
    """The content of a loose object, read bit by bit. A BinaryIO as far as formats need one: forward only."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """OSError when it cannot be read, Damaged when it is no object."""
        self._file = regular(path)  # closed by `close`
        self._inflate = zlib.decompressobj()
        try:
            head = self._more(4096)
            found = _HEADER.match(head)
            if found is None:
                raise Damaged("its header is damaged")
        except BaseException:
            self._file.close()
            raise
        self.kind, self.size = found[1].decode(), int(found[2])
        self._kept, self._given = head[found.end():], 0
        self._hashed = hashlib.sha1(found[0], usedforsecurity=False), hashlib.sha256(found[0])

    def _more(self, limit: int) -> bytes:
        try:
            while not self._inflate.eof:
                raw = self._inflate.unconsumed_tail or self._file.read(64 << 10)
                got = self._inflate.decompress(raw, limit)
                if got or not raw:
                    return got
        except zlib.error as error:
            raise Damaged("its zlib stream is damaged") from error
        return b""

    def read(self, limit: int = -1) -> bytes:
        """At most `limit` bytes, empty at the end."""
        limit = self.size - self._given + 1 if limit < 0 else limit
        parts, missing = [self._kept[:limit]], limit - len(self._kept[:limit])
        self._kept = self._kept[limit:]
        while missing > 0 and (got := self._more(missing)):
            parts.append(got)
            missing -= len(got)
        data = b"".join(parts)
        self._given += len(data)
        for one in self._hashed:
            one.update(data)
        return data

    def check(self, name: str) -> None:
        """After all was read: Damaged unless it is as long as it says and its id is `name`."""
        if self._given != self.size or not self._inflate.eof:
            raise Damaged("it is cut off")
        if self._hashed[len(name) > 40].hexdigest() != name:
            raise Damaged("its content is not what its id says")

    def seekable(self) -> bool:
        """It is not."""
        return False

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def stored(store: Path, name: str) -> int:
    """Bytes of the file of an object; 0 when it is gone."""
    try:
        return os.stat(place(store, name)).st_size
    except OSError:
        return 0


def read(store: Path, name: str, limit: int = LARGE) -> tuple[str, bytes]:
    """Type and content of an object that is not larger than `limit`, else Damaged; OSError."""
    return sized(store, name, limit)[:2]


def sized(store: Path, name: str, limit: int = LARGE) -> tuple[str, bytes, int]:
    """As `read`, and the bytes of its file."""
    raw, size = _whole(place(store, name))
    if raw is not None:
        found = _HEADER.match(raw)
        if found is None or int(found[2]) != len(raw) - found.end():
            raise Damaged("its header is damaged, or it is cut off")
        new = hashlib.sha1 if len(name) == 40 else hashlib.sha256
        if new(raw).hexdigest() != name:
            raise Damaged("its content is not what its id says")
        return found[1].decode(), raw[found.end():], size
    stream = Stream(place(store, name))
    try:
        if stream.size > limit:
            raise Large(f"it is larger than {limit >> 20} MiB")
        data = stream.read()
        stream.check(name)
        return stream.kind, data, stored(store, name)
    finally:
        stream.close()


def _whole(path: Path) -> tuple[bytes | None, int]:
    """All of a small file inflated, None when it is large; and the bytes of what is small."""
    fd = regular_handle(path)
    try:
        raw = os.read(fd, 64 << 10)
    finally:
        os.close(fd)
    if len(raw) == 64 << 10:
        return None, 0
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(raw, 4 << 20)
    except zlib.error as error:
        raise Damaged("its zlib stream is damaged") from error
    if len(data) == 4 << 20:
        return None, 0
    if not inflate.eof:
        raise Damaged("it is cut off")
    return data, len(raw)
