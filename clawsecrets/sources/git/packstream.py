"""A large object straight out of a pack, read bit by bit (not a delta, so that nothing must be in memory)."""

from __future__ import annotations

import os
import zlib

from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.packs import Pack

_BLOCK = 256 << 10


class PackStream:
    """A BinaryIO as far as formats need one: forward only."""

    def __init__(self, pack: Pack, position: int) -> None:
        """OSError when the pack cannot be read."""
        self._fd = os.open(pack.path, os.O_RDONLY | os.O_CLOEXEC)
        self._at, self._end = pack.stream(position)
        self._left = int(pack.sizes[position])
        self._inflate = zlib.decompressobj()

    def read(self, limit: int = -1) -> bytes:
        """At most `limit` bytes, empty at the end. Damaged when it ends too early, too late, or not as it must."""
        parts, missing = [], self._left if limit < 0 else min(limit, self._left)
        try:
            while missing > 0:
                raw = self._inflate.unconsumed_tail
                if not raw:
                    raw = os.pread(self._fd, min(_BLOCK, self._end - self._at), self._at)
                    self._at += len(raw)
                got = self._inflate.decompress(raw, missing)
                if not got and not raw:
                    raise Damaged("it is cut off")
                parts.append(got)
                missing -= len(got)
                self._left -= len(got)
            if not self._left and not self._inflate.eof:
                self._finish()
        except zlib.error as error:
            raise Damaged("its zlib stream is damaged") from error
        return b"".join(parts)

    def _finish(self) -> None:
        """The checksum at the end."""
        tail = self._inflate.unconsumed_tail + os.pread(self._fd, min(64, self._end - self._at), self._at)
        if self._inflate.decompress(tail, 1) or not self._inflate.eof:
            raise Damaged("it has not the size that it says")

    def seekable(self) -> bool:
        """It is not."""
        return False

    def __enter__(self) -> PackStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
