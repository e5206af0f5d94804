"""Zip archives (APPNOTE 6.3.10): jar, whl, docx and the like. Nothing of it is trusted, and nothing is missed.

Members are those of the central directory. What it does not name is given as well, as members of type GAP: bytes
between members, before the first one and behind the end, since a deleted member stands there until the archive is
written anew. Without a readable directory the local headers are followed, and the archive is called damaged at the end.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.errors import Damaged, Encrypted, TooLarge
from clawsecrets.formats.streams import decompressed

MEMBER, GAP, NOTES = "member", "gap", "notes"
"""Types of what is given. NOTES: comments and extra fields, as they are."""
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MOST_DIRECTORY, _MOST_COMMENT = 64 << 20, 65535
_STORED, _LZMA, _AES = 0, 14, 99
_KINDS = {8: "deflate", 12: "bz2", 20: "zstd", 93: "zstd", 95: "xz"}
_CHUNK, _FULL = 1 << 20, 0xFFFFFFFF
_LOCAL_MARK, _ENTRY_MARK = b"PK\x03\x04", b"PK\x01\x02"
_LZMA_MEMORY = 128 << 20


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Part:
    """A member, or what stands around members. `read` gives its data: Damaged, TooLarge, Encrypted."""

    __slots__ = ("_budget", "_crc", "_given", "_inner", "_source", "_sum", "method", "name", "size", "type")

    def __init__(self, kind: str, name: str, source: _Slice, budget: Budget, method: int = _STORED,
                 size: int = -1, crc: int = -1) -> None:
        self.type, self.name, self.method = kind, name, method
        self.size = size
        """As the archive says: a promise. -1 = not known."""
        self._source, self._budget, self._crc = source, budget, crc
        self._inner: _Readable | None = None
        self._given = self._sum = 0

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all of the rest when negative; empty at the end, when length and CRC were right."""
        if size < 0:
            parts = []
            while data := self.read(_CHUNK):
                parts.append(data)
            return b"".join(parts)
        if self._inner is None:
            self._inner = _unpacking(self.method, self._source, self._budget)
        data = self._inner.read(size)
        if data:
            self._given += len(data)
            self._sum = zlib.crc32(data, self._sum)
            return data
        if size and ((self._crc >= 0 and self._sum != self._crc) or (self.size >= 0 and self._given != self.size)):
            raise Damaged("a member is not what the archive says of it")
        return b""


class _Slice:
    """A part of the file, as a stream."""

    __slots__ = ("_at", "_budget", "_end", "_file")

    def __init__(self, file: BinaryIO, offset: int, size: int, budget: Budget | None = None) -> None:
        self._file, self._at, self._end, self._budget = file, offset, offset + size, budget

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""
        size = min(size, self._end - self._at)
        if size <= 0:
            return b""
        self._file.seek(self._at)
        data = self._file.read(size)
        self._at += len(data)
        if self._budget is not None:
            self._budget.spend(len(data))
        return data

    @property
    def at(self) -> int:
        """Where it is in the file."""
        return self._at

    def counted(self, budget: Budget) -> _Slice:
        """The same, for data that is stored as it is: it counts as unpacked, too."""
        return _Slice(self._file, self._at, self._end - self._at, budget)


class _Lzma:
    """Method 14: a small header, then a raw stream."""

    def __init__(self, source: _Slice, budget: Budget) -> None:
        head = source.read(9)
        if len(head) < 9 or int.from_bytes(head[2:4], "little") != 5 or head[4] >= 9 * 5 * 5:
            raise Damaged("what is compressed (lzma) is damaged")
        rest, lc = divmod(head[4], 9)
        size = int.from_bytes(head[5:9], "little")
        if size > _LZMA_MEMORY:
            raise TooLarge("unpacking it takes too much memory")
        filters = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": rest % 5, "pb": rest // 5, "dict_size": max(size, 4096)}]
        try:
            self._inner = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
        except lzma.LZMAError:
            raise Damaged("what is compressed (lzma) is damaged") from None
        self._source, self._budget = source, budget
        self._given = self._taken = 0

    def read(self, size: int, /) -> bytes:
        while not self._inner.eof:
            data = self._source.read(128 << 10) if self._inner.needs_input else b""
            ended = self._inner.needs_input and not data
            self._taken += len(data)
            try:
                got = self._inner.decompress(data, size)
            except (lzma.LZMAError, EOFError):
                raise Damaged("what is compressed (lzma) is damaged") from None
            self._given += len(got)
            self._budget.spend(len(got))
            self._budget.compare(self._given, self._taken)
            if got or ended:
                return got
        return b""


def _unpacking(method: int, source: _Slice, budget: Budget) -> _Readable:
    if method == _STORED:
        return source.counted(budget)
    if method in _KINDS:
        return decompressed(source, _KINDS[method], budget)
    if method == _LZMA:
        return _Lzma(source, budget)
    if method == _AES:
        raise Encrypted("a member is encrypted")
    raise Damaged(f"a member is compressed in a way that is not read (method {method})")


def parts(file: BinaryIO, budget: Budget) -> Iterator[Part]:
    """Everything in the archive: members, gaps, notes. The file must be able to seek. Damaged at the end when something
    of it could not be reached; TooLarge."""
    size = file.seek(0, 2)
    try:
        directory, begin, end, shift, comment = _directory(file, size)
    except Damaged as damage:
        yield from _by_headers(file, 0, size, budget)
        raise damage
    yield Part(NOTES, "", _Slice(file, end - len(comment), len(comment)), budget)
    taken = [(begin, size)]  # from the directory to the end
    fault = ""
    for entry, name, extra in _entries(directory):
        budget.count()
        try:
            part, span = _located(file, entry, name, extra, shift, budget)
        except Damaged as damage:
            fault = damage.reason
            continue
        taken.append(span)
        if extra:
            yield Part(NOTES, part.name, _Bytes(extra), budget)
        yield part
    for low, high in _free(taken):
        yield from _by_headers(file, low, high, budget)
    if _overlap(taken):
        fault = "its members overlap"
    if fault:
        raise Damaged(fault)


class _Bytes(_Slice):
    """Bytes at hand, as a stream."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        got, self._data = self._data[:size], self._data[size:]
        return got

    def counted(self, budget: Budget) -> _Slice:
        return self


def _directory(file: BinaryIO, size: int) -> tuple[bytes, int, int, int, bytes]:
    """The central directory, where it begins, where the archive ends, what must be added to every offset, and the
    comment."""
    file.seek(max(0, size - _MOST_COMMENT - _END.size))
    base = file.tell()
    tail = file.read(_MOST_COMMENT + _END.size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise Damaged("it has no directory: it is cut off, or no zip archive")
    _, _, _, _, _, length, offset, noted = _END.unpack_from(tail, at)
    comment = tail[at + _END.size: at + _END.size + noted] or tail[at + _END.size:]
    begin = base + at
    if offset == _FULL or length == _FULL:
        length, offset, begin = _large(file, begin)
    start = begin - length
    if start < 0 or offset > start:
        raise Damaged("its directory is not where it should be")
    if length > _MOST_DIRECTORY:
        raise TooLarge(f"its directory is larger than {_MOST_DIRECTORY >> 20} MiB")
    file.seek(start)
    directory = file.read(length)
    if length and not directory.startswith(_ENTRY_MARK):
        raise Damaged("its directory is not where it should be")
    return directory, start, size, start - offset, comment


def _large(file: BinaryIO, end: int) -> tuple[int, int, int]:
    """Zip64: the directory's length and offset, and where the record stands that says so."""
    file.seek(max(0, end - 20))
    locator = file.read(20)
    if locator[:4] != b"PK\x06\x07":
        raise Damaged("its directory is not where it should be")
    back = file.seek(max(0, end - 20 - _END64.size))
    record = file.read(_END64.size)
    if record[:4] != b"PK\x06\x06":
        raise Damaged("its directory is not where it should be")
    fields = _END64.unpack(record)
    return fields[8], fields[9], back


def _entries(directory: bytes) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
    at = 0
    while at + _ENTRY.size <= len(directory) and directory[at: at + 4] == _ENTRY_MARK:
        entry = _ENTRY.unpack_from(directory, at)
        named, extra, noted = entry[10:13]
        at += _ENTRY.size
        yield entry, directory[at: at + named], directory[at + named: at + named + extra + noted]
        at += named + extra + noted


def _located(file: BinaryIO, entry: tuple[int, ...], name: bytes, extra: bytes, shift: int,
             budget: Budget) -> tuple[Part, tuple[int, int]]:
    """The member of one entry, and the bytes that it takes in the file."""
    flags, method, crc, packed, size, offset = entry[3], entry[4], entry[7], entry[8], entry[9], entry[16]
    packed, size, offset = _wide(extra, packed, size, offset)
    start = offset + shift
    if not 0 <= start < 1 << 62:
        raise Damaged("a member is not where the directory says")
    file.seek(start)
    local = file.read(_LOCAL.size)
    if len(local) < _LOCAL.size or local[:4] != _LOCAL_MARK:
        raise Damaged("a member is not where the directory says")
    fields = _LOCAL.unpack(local)
    data = start + _LOCAL.size + fields[9] + fields[10]
    tail = 24 if flags & 8 else 0  # a data descriptor: at most so long
    return (Part(MEMBER, _text(name, flags), _Slice(file, data, packed), budget, _AES if flags & 1 else method, size,
                 crc if method != _AES else -1), (start, data + packed + tail))


def _wide(extra: bytes, packed: int, size: int, offset: int) -> tuple[int, int, int]:
    """Zip64's extra field holds those numbers that did not fit, in this order."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<2H", extra, at)
        if tag == 1:
            wide = iter(struct.unpack_from(f"<{min(length, len(extra) - at - 4) // 8}Q", extra, at + 4))
            size = next(wide, size) if size == _FULL else size
            packed = next(wide, packed) if packed == _FULL else packed
            offset = next(wide, offset) if offset == _FULL else offset
            break
        at += 4 + length
    return packed, size, offset


def _text(name: bytes, flags: int) -> str:
    return name.decode("utf-8" if flags & 0x800 else "cp437", "surrogateescape")


def _free(taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What no range takes, from 0 to the end of the last; slack of a few bytes is none."""
    found, at = [], 0
    for low, high in sorted(taken):
        if low - at > 24:
            found.append((at, low))
        at = max(at, high)
    return found


def _overlap(taken: list[tuple[int, int]]) -> bool:
    at = 0
    for low, high in sorted(taken):
        if low + 24 < at:
            return True
        at = max(at, high)
    return False


def _by_headers(file: BinaryIO, low: int, high: int, budget: Budget) -> Iterator[Part]:
    """What stands between two offsets: members as far as local headers lead, the rest as a gap."""
    at = low
    while at < high:
        budget.count()
        file.seek(at)
        local = file.read(min(_LOCAL.size, high - at))
        if len(local) < _LOCAL.size or local[:4] != _LOCAL_MARK:
            break
        _, _, flags, method, _, _, _, packed, size, named, extra = _LOCAL.unpack(local)
        name = file.read(min(named, high - at))
        data = at + _LOCAL.size + named + extra
        open_end = bool(flags & 8) and not packed
        if data > high or (open_end and method == _STORED):
            break
        source = _Slice(file, data, high - data if open_end or packed == _FULL else packed)
        part = Part(MEMBER, _text(name, flags), source, budget, _AES if flags & 1 else method,
                    -1 if open_end or size == _FULL else size)
        yield part
        at = _next_mark(file, data, high) if open_end or packed == _FULL else data + packed
    while at < high:
        size = min(high - at, 8 << 20)
        yield Part(GAP, "", _Slice(file, at, size), budget)
        at += size


def _next_mark(file: BinaryIO, at: int, high: int) -> int:
    """Where the next local header stands."""
    while at < high:
        file.seek(at)
        data = file.read(min(_CHUNK, high - at))
        found = data.find(_LOCAL_MARK)
        if found >= 0:
            return at + found
        if len(data) < _CHUNK:
            break
        at += len(data) - 3
    return high
