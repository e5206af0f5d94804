"""Git's deltas: an object as copies from its base and inserted bytes (gitformat-pack(5), "Deltified representation").

With a delta only the inserted bytes and the seams where copies meet can hold what the base did not: `changed` tells
those ranges. This is the innermost loop of a history scan: some 20 million operations in a repository of 5 GB, so it
is written for speed and names are short: `q` is the place in the delta, `o` the one in the result. The object itself
is made by dulwich where there are many (walk.py), and by `apply` where there are few and an import would cost more.
"""

from __future__ import annotations


class Damaged(Exception):
    """An object, pack or index is not what its format says. The words name no value."""


CAREFUL = 128 << 10
"""Bytes of a delta from which its operations are added up before any is done: a hostile one would fill the memory."""


def _operation(op: int) -> tuple[int, int, int, bool]:
    """Of a copy: how many bytes of arguments; bits and mask of its offset; whether the bytes follow without a gap."""
    offset, size = (op & 15).bit_count(), (op & 0x70).bit_count()
    gapless = (op & 15) in (0, 1, 3, 7, 15) and (op & 0x70) in (0, 16, 48, 112)
    return offset + size, 8 * offset, (1 << 8 * offset) - 1, gapless


OPERATIONS = tuple(_operation(op) for op in range(256))
_SHORT = tuple(1 + (op & 15).bit_count() if op & 0xF0 == 0x90 else 0 for op in range(256))
"""Of a copy whose size is one byte: where that stands, which is also where the copy ends."""


def header(raw: bytes) -> tuple[int, int, int]:
    """Size of the base, size of the result, and where the operations begin. IndexError when cut off."""
    if len(raw) > 4:
        a, b, c, d = raw[:4]
        if a >= 0x80 > b and c >= 0x80 > d:  # two bytes each, as most have
            return a & 0x7F | b << 7, c & 0x7F | d << 7, 4
    sizes = [0, 0]
    q = 0
    for which in (0, 1):
        shift = 0
        while True:
            byte = raw[q]
            q += 1
            sizes[which] |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 63:
                raise Damaged("the size in a delta is out of range")
    return sizes[0], sizes[1], q


def gapped(raw: bytes, q: int, op: int) -> tuple[int, int, int]:
    """Offset, size and end of the copy `op` whose arguments begin at `q`, whichever of them it has."""
    off = sz = 0
    for bit in range(4):
        if op >> bit & 1:
            off |= raw[q] << 8 * bit
            q += 1
    for bit in range(3):
        if op >> bit & 16:
            sz |= raw[q] << 8 * bit
            q += 1
    return off, sz or 0x10000, q


def _added_up(raw: bytes, q: int, size: int) -> None:
    """Damaged when the operations make more than `size` bytes."""
    o, end = 0, len(raw)
    while q < end and o <= size:
        op = raw[q]
        q += 1
        if op < 0x80:
            q += op
            o += op
        else:
            _, sz, q = gapped(raw, q, op)
            o += sz
    if o > size:
        raise Damaged("a delta makes more than it says")


Ranges = list[tuple[int, int]]


def _begun(raw: bytes, of_base: int, limit: int) -> tuple[int, int]:
    """Size of the result and where the operations begin, when the delta can be for a base of this size."""
    wanted, size, q = header(raw)
    if wanted != of_base:
        raise Damaged("a delta is for a base of another size")
    if size > limit:
        raise Damaged(f"a delta makes an object of more than {limit >> 20} MiB")
    return size, q


def changed(raw: bytes, of_base: int, context: int, limit: int, stale: Ranges | None = None) -> tuple[Ranges, int]:
    """The ranges (ascending, disjoint, `context` bytes wider on each side) of what `raw` makes from a base of `of_base`
    bytes that may differ from the base, and how many bytes these are. `stale` gets where in the base that begins and
    ends (not wider) in whose place each stands; it ends before it begins where the order is another.
    Damaged or IndexError when the delta is broken, or makes more than `limit` bytes."""
    size, q = _begun(raw, of_base, limit)
    end, wide = len(raw), 2 * context
    fresh: Ranges = []
    gone = [] if stale is None else stale
    o = since = covered = joint = 0  # no long copy since `since`; `joint`: where in the base the last one ended
    short, table, number = _SHORT, OPERATIONS, int.from_bytes
    while q < end:
        op = raw[q]
        if op < 0x80:
            o += op or size + 1  # 0 is reserved
            q += op + 1
            continue
        at = short[op]
        if at and 0 < (sz := raw[q + at]) <= wide:
            o += sz
            q += at + 1
            continue
        q += 1
        length, bits, mask, gapless = table[op]
        if gapless:
            sz = number(raw[q:q + length], "little")
            q += length
            off = sz & mask
            sz = sz >> bits or 0x10000
        else:
            off, sz, q = gapped(raw, q, op)
        if sz <= wide:
            o += sz
            continue
        if since != o or off != joint:
            begin = since - context if since > context else 0
            fresh.append((begin, o + context))
            covered += o + context - begin
            gone.append((joint, off))
        joint = off + sz
        since = o = o + sz
        if o > size:
            break
    if o != size or q != end:
        raise Damaged("a delta makes another size than it says")
    gone += [(joint, of_base)] * (since != o or joint != of_base)
    if size and (since != o or joint != of_base):
        fresh.append((max(0, since - context), size))
        covered += size - fresh[-1][0]
    return fresh, covered


def apply(raw: bytes, base: bytes, limit: int) -> bytes:
    """The object that `raw` makes from `base`.

    Damaged or IndexError when the delta is broken, or makes more than `limit` bytes."""
    size, q = _begun(raw, len(base), limit)
    if len(raw) > CAREFUL:
        _added_up(raw, q, size)
    out: list[bytes] = []
    o = 0
    while q < len(raw) and o <= size:
        op = raw[q]
        q += 1
        if op < 0x80:
            out.append(raw[q:q + op])
            q += op
            o += op or size + 1
        else:
            off, sz, q = gapped(raw, q, op)
            out.append(base[off:off + sz])
            o += sz
    data = b"".join(out) if o == size else b""
    if o != size or len(data) != size:
        raise Damaged("a delta makes another size than it says")
    return data
