"""Small readers: one that hashes as it reads, one that ends after so many bytes; compression by its first bytes."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO, Protocol

from clawsecrets.formats.errors import Unreadable

CHUNK = 1 << 20
_MAGIC = ((b"\x1f\x8b", "gz"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bz2"))


class Reads(Protocol):
    """Something that is read."""

    def read(self, size: int, /) -> bytes: ...


class Closes(Protocol):
    """Something that is closed."""

    def close(self) -> None: ...


def packed(head: bytes) -> str:
    """The compression of what begins so, as formats.streams calls it; empty for none that is known."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    skippable = head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50  # a frame of zstd that is passed over
    return "zstd" if skippable else ""


def passed(file: Reads, size: int) -> bytes:
    """So many bytes, fewer only at the end."""
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


class Tee:
    """Hashes what is read. `head`: bytes that were taken from the file before, and come first."""

    def __init__(self, file: Reads, algorithm: str, head: bytes = b"") -> None:
        self._file, self._head = file, head
        self._hash = hashlib.new(algorithm) if algorithm else None

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        else:
            data = self._file.read(size)
        if self._hash is not None:
            self._hash.update(data)
        return data

    def drain(self) -> None:
        """Read the rest."""
        while self.read(CHUNK):
            pass

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of all that was read; empty when it was not asked for."""
        return f"{self._hash.name}:{self._hash.hexdigest()}" if self._hash is not None else ""


class Limited(io.RawIOBase):
    """So many bytes (-1: all) of a stream that can be read only once, from a place on."""

    def __init__(self, inner: Reads, file: Closes, offset: int, size: int) -> None:
        self._inner, self._file, self._skip, self._left = inner, file, offset, size

    @classmethod
    def buffered(cls, inner: Reads, file: Closes, offset: int, size: int) -> BinaryIO:
        """With a buffer, as others expect files to be."""
        return io.BufferedReader(cls(inner, file, offset, size), CHUNK)

    def readinto(self, buffer: object, /) -> int:
        """OSError when it cannot be unpacked."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        try:
            while self._skip and (gone := self._inner.read(min(CHUNK, self._skip))):
                self._skip -= len(gone)
            data = self._inner.read(len(view) if self._left < 0 else min(len(view), self._left))
        except Unreadable as error:
            raise OSError(error.reason) from None
        view[:len(data)] = data
        if self._left > 0:
            self._left -= len(data)
        return len(data)

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file below."""
        if not self.closed:
            self._file.close()
        super().close()
