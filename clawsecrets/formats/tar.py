"""Tar archives as a stream: each byte is read once, nothing is kept but a block and the current header.

Formats: v7, ustar, pax (POSIX.1-2001), GNU (long names, base-256 numbers, old sparse files). Sparse members are given
as they are stored: without their holes; the map of a pax sparse file stands at the beginning of its data. What stands
behind the end mark is read on: as further members when it is headers, else as one member of type REST.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from clawsecrets.formats.errors import Damaged, TooLarge

FILE, HARD, SYMLINK, FOLDER, OTHER, REST = "file", "hard", "symlink", "folder", "other", "rest"
"""Types of members. OTHER: a device or a pipe, without data. REST: bytes behind the end of the archive."""
BLOCK = 512
_CHUNK = 1 << 20
_LONGEST = 1 << 20
"""Bytes of a long name or of pax records."""
_ZERO = bytes(BLOCK)
_TYPES = {
    0x30: FILE, 0: FILE, 0x37: FILE, 0x53: FILE, 0x31: HARD, 0x32: SYMLINK, 0x33: OTHER, 0x34: OTHER, 0x35: FOLDER,
    0x36: OTHER, 0x44: FOLDER,
}
"""By typeflag: '0', NUL and '7' are files, 'S' a GNU sparse one, 'D' a GNU folder with a list of names in it. What is
not known is read as a file, as POSIX asks."""
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _SUN = 0x4C, 0x4B, 0x78, 0x67, 0x58
_DESCRIBES = frozenset((_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _SUN))
_SPARSE = 0x53
_MOST_HEADERS, _MOST_MAPS = 64, 100_000
_NO_DATA = frozenset((HARD, SYMLINK, OTHER))


class Member:
    """One member. `read` gives its data, until the walk goes on.

    `name` and `linkname` are as they stand there: they may be absolute or climb, and nobody may write to them; bytes
    that are no UTF-8 are surrogates. `size`: bytes of data, -1 = to the end (REST). `offset`: where its data begins in
    the stream. `notes`: the raw pax records that belong to it: comments and extended attributes stand there.
    """

    __slots__ = ("_left", "_source", "linkname", "name", "notes", "offset", "size", "type")

    def __init__(self, source: _Source, name: str, kind: str, size: int, linkname: str = "",
                 notes: bytes = b"") -> None:
        self.name, self.type, self.size, self.linkname, self.notes = name, kind, size, linkname, notes
        self.offset = source.position
        self._source, self._left = source, size

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes of what is left of it; all of it when negative; empty at its end. Damaged when the
        archive ends before: what it still has was given by the read before."""
        if self.size < 0:
            return self._source.some(size if size >= 0 else _CHUNK)
        size = self._left if size < 0 else min(size, self._left)
        if not size:
            return b""
        data = self._source.upto(size)
        if not data:
            raise Damaged("it ends inside of a member")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Pass over what is left of it, and over its padding."""
        if self.size >= 0:
            self._source.skip(self._left + -self.size % BLOCK)
            self._left = 0


class _Source:
    """The stream, with a buffer: most headers are a slice of it."""

    __slots__ = ("_at", "_buffer", "_read", "_seek", "position")

    def __init__(self, read: Callable[[int], bytes], seek: Callable[[int], object] | None) -> None:
        self._read, self._seek = read, seek
        self._buffer, self._at, self.position = b"", 0, 0

    def block(self) -> bytes:
        """The next block; shorter or empty at the end."""
        at = self._at
        data = self._buffer[at: at + BLOCK]
        if len(data) < BLOCK:
            data = self._gather(BLOCK)
        else:
            self._at = at + BLOCK
        self.position += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """So many bytes. Damaged when there are fewer."""
        data = self.upto(size)
        if len(data) < size:
            raise Damaged("it ends inside of a member")
        return data

    def upto(self, size: int) -> bytes:
        """So many bytes, or all there are."""
        at = self._at
        data = self._buffer[at: at + size]
        if len(data) < size:
            data = self._gather(size)
        else:
            self._at = at + size
        self.position += len(data)
        return data

    def some(self, size: int) -> bytes:
        """At most so many bytes; empty at the end."""
        data = self._gather(min(size, _CHUNK))
        self.position += len(data)
        return data

    def skip(self, size: int) -> None:
        """Pass over so many bytes. Damaged when there are fewer."""
        have = len(self._buffer) - self._at
        if size <= have:
            self._at += size
            self.position += size
            return
        self.position += have
        size -= have
        self._buffer, self._at = b"", 0
        if self._seek is not None and size > _CHUNK:
            self._seek(size - 1)  # the last byte is read, to see that it is there
            self.position += size - 1
            size = 1
        while size:
            data = self._read(min(size, _CHUNK))
            if not data:
                raise Damaged("it ends inside of a member")
            size -= len(data)
            self.position += len(data)

    def back(self, data: bytes) -> None:
        """Take the bytes back that were read last."""
        self._buffer, self._at = data + self._buffer[self._at:], 0
        self.position -= len(data)

    def _gather(self, size: int) -> bytes:
        parts = [self._buffer[self._at:]]
        missing = size - len(parts[0])
        self._buffer, self._at = b"", 0
        while missing > 0:
            data = self._read(_CHUNK)
            if not data:
                break
            parts.append(data)
            missing -= len(data)
        data = b"".join(parts)
        if missing < 0:
            self._buffer, self._at = data, size
            return data[:size]
        return data


def walk(read: Callable[[int], bytes], seek: Callable[[int], object] | None = None) -> Iterator[Member]:
    """The members of the archive that `read(n)` gives (at most n bytes a call, empty at the end).

    `seek(n)`, when given, passes over n bytes faster than reading them would (`file.seek(n, 1)`). A member must be read
    before the next one is asked for. Damaged for what is no archive, or ends too early; TooLarge for headers beyond all
    measure. What `read` and `seek` raise escapes.
    """
    source = _Source(read, seek)
    begun = False
    while header := source.block():
        if header == _ZERO:
            begun = True
            continue
        if not valid(header):
            if not begun:
                raise Damaged("it is no tar archive")
            if not header.strip(b"\0"):
                return  # padding that is no whole block
            source.back(header)
            yield Member(source, "", REST, -1)
            return
        begun = True
        member = _member(source, header)
        yield member
        member.skip()
    if not begun:
        raise Damaged("it is empty")


def valid(header: bytes) -> bool:
    """Whether it is a member's header: by its checksum, so that very old archives are known as well."""
    if len(header) < BLOCK:
        return False
    said = header[148:156].strip(b" \0")
    try:
        wanted = int(said, 8)
    except ValueError:
        return False
    rest = header[:148] + b"        " + header[156:BLOCK]
    if (zlib.adler32(rest) - 1 - wanted) & 0xFFFF == 0 and wanted < 0xFFF1:
        return True  # adler32's low half is 1 + the sum of the bytes: a sum in C
    total = sum(rest)
    return wanted in (total, total - 256 * sum(byte > 127 for byte in rest))  # some old ones added signed bytes


def _member(source: _Source, header: bytes) -> Member:
    """The member that begins with this header; headers that only describe the next one are followed."""
    name: bytes | None = None
    link: bytes | None = None
    notes = b""
    said: dict[bytes, bytes] = {}
    size = 0
    for _ in range(_MOST_HEADERS):
        flag = header[156]
        if flag not in _DESCRIBES:
            return _made(source, header, name, link, notes, said)
        size = _number(header[124:136])
        if size > _LONGEST or len(notes) + size > _LONGEST:
            raise TooLarge("a header of a member is longer than a mebibyte")
        data = source.exactly(size)
        source.skip(-size % BLOCK)
        if flag == _LONG_NAME:
            name = data.rstrip(b"\0")
        elif flag == _LONG_LINK:
            link = data.rstrip(b"\0")
        else:
            notes += data
            if flag != _PAX_GLOBAL:
                said.update(_records(data))
        header = source.block()
        if not valid(header):
            raise Damaged("it ends after a header that describes a member")
    raise TooLarge("a member has too many headers")


def _made(source: _Source, header: bytes, name: bytes | None, link: bytes | None, notes: bytes,
          said: dict[bytes, bytes]) -> Member:
    flag = header[156]
    kind = _TYPES.get(flag, FILE)
    size = _number(header[124:136])
    if said:
        name = said.get(b"GNU.sparse.name") or said.get(b"path") or name
        link = said.get(b"linkpath") or link
        if b"size" in said:
            size = _decimal(said[b"size"])
    if flag == _SPARSE and header[482]:
        _pass_maps(source)
    if name is None:
        name = header[:100].split(b"\0", 1)[0]
        if header[257:263] == b"ustar\0" and header[345]:
            name = header[345:500].split(b"\0", 1)[0] + b"/" + name
    if kind is FILE and flag == 0 and name.endswith(b"/"):
        kind = FOLDER  # as v7 wrote them
    if kind in _NO_DATA and not (kind is HARD and b"size" in said):
        size = 0
    text = link.decode("utf-8", "surrogateescape") if link is not None else ""
    if link is None and header[157]:
        text = header[157:257].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    return Member(source, name.decode("utf-8", "surrogateescape"), kind, size, text, notes)


def _pass_maps(source: _Source) -> None:
    for _ in range(_MOST_MAPS):
        if not source.exactly(BLOCK)[504]:
            return
    raise TooLarge("the map of a sparse member has no end")


def _number(field: bytes) -> int:
    """A size: octal digits, or GNU's base-256."""
    if field[0] == 0x80:
        value = int.from_bytes(field[1:], "big")
        if value >> 63:
            raise Damaged("a member has an impossible size")
        return value
    try:
        value = int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        value = -1
    if value < 0:
        raise Damaged("a member's size is no number")
    return value


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise Damaged("a member's size is no number")
    return int(text)


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Pax records: `<length> <key>=<value>\\n`, the length counting all of it. The rest of a damaged one is ignored:
    it is part of the member's `notes` as well."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 10)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            return
        end = at + int(digits)
        key, equals, value = data[space + 1: end - 1].partition(b"=")
        if end <= space or end > len(data) or not equals:
            return
        yield key, value
        at = end
