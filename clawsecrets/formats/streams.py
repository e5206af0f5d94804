"""Compressed streams: gzip, bzip2, xz, lzma, Zstandard, read piece by piece.

Several streams one after another (gzip members, zstd frames, skippable ones among them) are one content, as their
tools read them; padding of zeros behind them is ignored.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.errors import Damaged, TooLarge, Unreadable

if TYPE_CHECKING:
    from clawsecrets.formats.bounds import Limits

KINDS = ("gz", "bz2", "xz", "lzma", "zstd")
"""Files that `decompressed` reads, by the names that `sniff` gives. It reads two more, which are parts of other
formats: `deflate` and `zlib`, each a single stream; what stands behind it is left over."""
_PACKED = 128 << 10
_CHUNK = 1 << 20
_MEMORY = 160 << 20
"""Bytes that a decoder's window may take: xz -9 asks for 65 MiB, zstd --ultra for 128."""
_WINDOW = 27
"""log2 of the largest zstd window: what its own tool reads without being asked for more."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Decoder(Protocol):
    """One stream."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


_GZIP, _ZLIB, _DEFLATE = 31, 15, -15


class _Inflater:
    """zlib's object with the words of the others. Checks what the wrapping carries: RFC 1952 a length and a CRC."""

    def __init__(self, wrapping: int) -> None:
        self._inner = zlib.decompressobj(wbits=wrapping)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        left = self._inner.unconsumed_tail
        got = self._inner.decompress(left + data if data else left, max_length)
        self.needs_input = len(got) < max_length and not self._inner.unconsumed_tail
        return got


def _zstd() -> tuple[Callable[[], _Decoder], type[Exception]]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options = {int(zstd.DecompressionParameter.window_log_max): _WINDOW}
    return lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError


_ZLIBS = {"gz": _GZIP, "zlib": _ZLIB, "deflate": _DEFLATE}


def _maker(kind: str) -> tuple[Callable[[], _Decoder], type[Exception]]:
    """What decodes one stream, and what it raises for a damaged one."""
    if kind in _ZLIBS:
        wrapping = _ZLIBS[kind]
        return lambda: _Inflater(wrapping), zlib.error
    if kind == "bz2":
        return bz2.BZ2Decompressor, OSError
    if kind in ("xz", "lzma"):
        form = lzma.FORMAT_XZ if kind == "xz" else lzma.FORMAT_ALONE
        return lambda: lzma.LZMADecompressor(form, memlimit=_MEMORY), lzma.LZMAError
    if kind == "zstd":
        return _zstd()
    raise ValueError(f"no compression is called {kind}")


class Decompressed:
    """The content of a compressed stream, once, from its beginning. `read` raises Damaged and TooLarge; what the file
    raises escapes. Everything that could be unpacked before a fault is given by the reads before."""

    def __init__(self, file: _Readable, kind: str, budget: Budget) -> None:
        self._read, self._kind, self._budget = file.read, kind, budget
        self._make, self._error = _maker(kind)
        self._decoder: _Decoder | None = None
        self._packed = b""
        self.taken = self.given = 0
        """Bytes read from the file, bytes given."""
        self._begun = False
        self._fault: Unreadable | None = None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all of the rest when negative; empty at the end."""
        if self._fault is not None:
            raise type(self._fault)(self._fault.reason)
        parts: list[bytes] = []
        missing = size if size >= 0 else sys.maxsize
        try:
            while missing and (data := self._some(min(missing, _CHUNK))):
                parts.append(data)
                missing -= len(data)
        except Unreadable as fault:
            self._fault = type(fault)(fault.reason)  # a raised one holds its frames, and so us and all that they hold
            if not parts or size < 0:
                raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, most: int) -> bytes:
        """At least one byte, but at the end."""
        while True:
            if self._decoder is None and not self._next():
                return b""
            decoder = self._decoder
            assert decoder is not None
            if decoder.needs_input and not self._packed and not self._fill():
                raise Damaged("it ends too early")
            data, self._packed = self._packed, b""
            got = self._decode(decoder, data, most)
            if decoder.eof:
                self._packed, self._decoder, self._begun = decoder.unused_data, None, True
            if got:
                self.given += len(got)
                self._budget.spend(len(got))
                self._budget.compare(self.given, self.taken)
                return got

    def _decode(self, decoder: _Decoder, data: bytes, most: int) -> bytes:
        try:
            return decoder.decompress(data, most)
        except self._error as error:
            said = str(error)
        except (EOFError, ValueError, MemoryError) as error:
            said = str(error)
        if "memory" in said.lower():
            raise TooLarge("unpacking it takes too much memory")
        raise Damaged(f"what is compressed ({self._kind}) is damaged")

    def _fill(self) -> bool:
        data = self._read(_PACKED)
        self.taken += len(data)
        self._packed += data
        return bool(data)

    def _next(self) -> bool:
        """Begin the next stream, if there is one."""
        if self._begun:
            if self._kind in ("deflate", "zlib"):
                return False
            self._packed = self._packed.lstrip(b"\0")
            while not self._packed:
                if not self._fill():
                    return False
                self._packed = self._packed.lstrip(b"\0")
            if self._kind == "lzma":
                raise Damaged("something stands behind its end")
            while len(self._packed) < _MAGIC and self._fill():
                pass
            if not self._packed.startswith(_FIRST[self._kind]) and not _skippable(self._kind, self._packed):
                raise Damaged("something stands behind its end")
        elif not self._packed and not self._fill():
            raise Damaged("it is empty")
        self._decoder = self._make()
        return True


_FIRST = {"gz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ\0", "zstd": b"\x28\xb5\x2f\xfd"}
_MAGIC = 6


def _skippable(kind: str, data: bytes) -> bool:
    """A skippable frame of zstd (RFC 8878, 3.1.2)."""
    return kind == "zstd" and data[1:4] == b"\x2a\x4d\x18" and data[0] & 0xF0 == 0x50


def decompressed(file: _Readable, kind: str, budget: Budget | Limits | None = None) -> Decompressed:
    """The content of a compressed file: an object with `read(n)`. `kind` is one of `KINDS`."""
    if not isinstance(budget, Budget):
        budget = Budget(budget) if budget is not None else Budget()
    return Decompressed(file, kind, budget)
