"""Git's objects inside a layer: loose ones and packs, unpacked, without an index and without git. Bounded.

Formats: gitformat-loose (zlib of `<kind> <size>\\0<data>`), gitformat-pack(5). A pack is read from its beginning to its
end; deltas are resolved against bases by their place, or by their id when they come later or from elsewhere in it.
"""

from __future__ import annotations

import re
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import sha1
from typing import NamedTuple

from clawsecrets.formats.errors import Damaged, TooLarge

LARGEST = 48 << 20
"""Bytes of one object."""
KEPT = 32 << 20
"""Bytes of objects that are kept, as bases of those to come."""
_LOOSE = re.compile(r"(?:^|/)objects/[0-9a-f]{2}/(?:[0-9a-f]{38}|[0-9a-f]{62})\Z")
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFFSET, _REFERENCE = 6, 7
_STEP = 64 << 10
_DEEPEST = 5000
_OBJECTS = 20_000_000

ReadAt = Callable[[int, int], bytes]
"""`read_at(offset, size)`: at most so many bytes from there."""


class Object(NamedTuple):
    """One object."""

    id: str
    kind: str
    data: bytes


def is_loose(path: str, head: bytes) -> bool:
    """Whether a file is a loose object, by its name and its first byte."""
    return head[:1] == b"\x78" and _LOOSE.search(path) is not None


def loose(data: bytes) -> Object:
    """A loose object. Damaged, TooLarge."""
    try:
        decoder = zlib.decompressobj()
        body = decoder.decompress(data, LARGEST)
    except zlib.error:
        raise Damaged("a git object is damaged") from None
    head, nul, content = body.partition(b"\0")
    kind, _, size = head.partition(b" ")
    if not nul or not size.isdigit() or len(size) > 18:
        raise Damaged("a git object has no header")
    if int(size) != len(content):
        raise TooLarge("a git object is too large") if int(size) > LARGEST - 64 else Damaged("a git object is damaged")
    return Object("", kind.decode("ascii", "replace"), content)


def pack(read_at: ReadAt) -> Iterator[Object]:
    """Every object of a pack. Damaged, TooLarge; what `read_at` raises escapes."""
    yield from _Pack(read_at).objects()


class _Entry(NamedTuple):
    kind: int
    data: bytes
    """Of the object, or of the delta."""
    base: int | bytes
    end: int


class _Pack:
    """One pack while it is read."""

    def __init__(self, read_at: ReadAt) -> None:
        self._read_at = read_at
        self._kept: OrderedDict[int, tuple[int, bytes]] = OrderedDict()
        self._size = 0
        self._ids: dict[bytes, int] = {}

    def objects(self) -> Iterator[Object]:
        """In the order of the pack; those whose base comes later, at the end."""
        head = self._read_at(0, 12)
        if len(head) < 12 or head[:4] != b"PACK" or head[4:8] not in (b"\0\0\0\2", b"\0\0\0\3"):
            raise Damaged("a git pack has no header")
        count = int.from_bytes(head[8:], "big")
        if count > _OBJECTS:
            raise TooLarge("a git pack has too many objects")
        place, waiting = 12, []
        for _ in range(count):
            entry = self._entry(place)
            if entry.kind == _REFERENCE and entry.base not in self._ids:
                waiting.append(place)
            else:
                yield self._object(place)
            place = entry.end
        while waiting:
            left = []
            for place in waiting:
                if self._entry(place).base in self._ids:
                    yield self._object(place)
                else:
                    left.append(place)
            if len(left) == len(waiting):
                raise Damaged("a git pack has differences from objects that it does not hold")
            waiting = left

    def _object(self, place: int) -> Object:
        kind, data = self._resolved(place)
        name = _KINDS[kind]
        digest = sha1(b"%s %d\0" % (name.encode(), len(data)), usedforsecurity=False)
        digest.update(data)
        self._ids[digest.digest()] = place
        return Object(digest.hexdigest(), name, data)

    def _resolved(self, place: int) -> tuple[int, bytes]:
        """Kind and content of the object there: the chain of its bases down, then up again."""
        deltas: list[tuple[int, bytes]] = []
        at = place
        while at not in self._kept:
            entry = self._entry(at)
            if entry.kind in _KINDS:
                self._keep(at, entry.kind, entry.data)
                break
            deltas.append((at, entry.data))
            base = self._ids.get(entry.base, -1) if isinstance(entry.base, bytes) else entry.base
            if base < 0 or len(deltas) > _DEEPEST or sum(len(delta) for _, delta in deltas[-64:]) > 4 * LARGEST:
                raise Damaged("a git pack has a difference without an end")
            at = base
        kind, data = self._kept[at]
        self._kept.move_to_end(at)
        for where, delta in reversed(deltas):
            data = applied(data, delta)
            self._keep(where, kind, data)
        return kind, data

    def _keep(self, place: int, kind: int, data: bytes) -> None:
        self._kept[place] = (kind, data)
        self._size += len(data)
        while self._size > KEPT and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self._size -= len(gone)

    def _entry(self, place: int) -> _Entry:
        head = self._read_at(place, 64)
        try:
            byte, at = head[0], 1
            kind, size, shift = byte >> 4 & 7, byte & 15, 4
            while byte & 128:
                byte, at = head[at], at + 1
                size |= (byte & 127) << shift
                shift += 7
            base: int | bytes = b""
            if kind == _OFFSET:
                byte, at = head[at], at + 1
                back = byte & 127
                while byte & 128:
                    byte, at = head[at], at + 1
                    back = (back + 1) << 7 | byte & 127
                base = place - back
                if not 12 <= base < place:
                    raise Damaged("a git pack has a difference from nothing")
            elif kind == _REFERENCE:
                base, at = head[at:at + 20], at + 20
            elif kind not in _KINDS:
                raise Damaged("a git pack has an object of no known kind")
        except IndexError:
            raise Damaged("a git pack ends too early") from None
        if size > LARGEST:
            raise TooLarge(f"a git pack has an object of {size >> 20} MiB")
        data, end = self._inflated(place + at, size)
        return _Entry(kind, data, base, end)

    def _inflated(self, place: int, size: int) -> tuple[bytes, int]:
        """The content that is compressed there, and where it ends."""
        decoder = zlib.decompressobj()
        parts: list[bytes] = []
        got = 0
        step = min(_STEP, size + 128)
        try:
            while not decoder.eof:
                data = self._read_at(place, step)
                if not data:
                    raise Damaged("a git pack ends too early")
                place += len(data)
                step = _STEP
                part = decoder.decompress(data, size + 1 - got)
                parts.append(part)
                got += len(part)
                if got > size or decoder.unconsumed_tail:
                    raise Damaged("a git pack has an object longer than it says")
        except zlib.error:
            raise Damaged("a git pack has a damaged object") from None
        if got != size:
            raise Damaged("a git pack has an object shorter than it says")
        return b"".join(parts), place - len(decoder.unused_data)


def applied(base: bytes, delta: bytes) -> bytes:
    """What a difference makes of its base. Damaged, TooLarge."""
    try:
        before, at = _number(delta, 0)
        after, at = _number(delta, at)
        if before != len(base):
            raise Damaged("a git pack has a difference from something else")
        if after > LARGEST:
            raise TooLarge(f"a git pack has an object of {after >> 20} MiB")
        parts: list[bytes] = []
        made, end = 0, len(delta)
        while at < end:
            code = delta[at]
            at += 1
            if code & 128:
                start, size, at = _copy(delta, at, code)
                part = base[start:start + size]
                if len(part) != size:
                    raise Damaged("a git pack has a difference beyond its base")
            elif code:
                part = delta[at:at + code]
                at += code
            else:
                raise Damaged("a git pack has a difference that makes no sense")
            parts.append(part)
            made += len(part)
            if made > after:
                break
    except IndexError:
        raise Damaged("a git pack has a difference that ends too early") from None
    if made != after:
        raise Damaged("a git pack has a difference of another size")
    return b"".join(parts)


def _copy(delta: bytes, at: int, code: int) -> tuple[int, int, int]:
    start = size = 0
    for bit in range(4):
        if code >> bit & 1:
            start |= delta[at] << 8 * bit
            at += 1
    for bit in range(3):
        if code >> bit + 4 & 1:
            size |= delta[at] << 8 * bit
            at += 1
    return start, size or 0x10000, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return value, at
        if shift > 63:
            raise Damaged("a git pack has a difference of no size")
