"""A pack and its index, read by ourselves (gitformat-pack(5)): where each object begins, what it is, and on which
other it is built.

What of damage is surely seen: an index whose own checksum or order is wrong; an index that is not of this pack; a pack
that is shorter or holds more objects than its index says; every zlib stream that does not end as it must (adler32),
every size that differs, every delta that does not fit its base. Not computed: the pack's own checksum and each
object's id (that costs more than the rest of the scan; `git fsck` does it), so content that somebody forged, together
with its adler32, is scanned as what it now is.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clawsecrets.sources.git.delta import Damaged

Ints = NDArray[np.int64]
Array = NDArray[Any]

COMMIT, TREE, BLOB, TAG, OFS_DELTA, REF_DELTA = 1, 2, 3, 4, 6, 7
NO_BASE, OUTSIDE, UNUSABLE = -1, -2, -3
"""What stands in `Pack.bases` in place of a position: no delta; the base is not in this pack; damaged."""
_UNKNOWN = 8
_BLOCK = 8 << 20
_HEADER = 64
"""More than the longest header of an object: size in 10 bytes, then an offset in 10 or an id in 32."""
_SANE = 1 << 50


class Pack:
    """One pack. Objects are known by their position: 0 is the one that begins first."""

    __slots__ = ("_bounds", "_heads", "bases", "checksum", "count", "kinds", "names", "order", "outside", "path",
                 "promisor", "sizes", "width")

    path: Path
    width: int
    """Bytes of an id: 20 or 32."""
    count: int
    checksum: bytes
    """The pack's own, as it stands at its end: what the pack is known by."""
    names: bytes
    """The ids in ascending order."""
    order: Array
    """Position -> place in `names`."""
    _bounds: Array
    """Where each begins, and where the last one ends."""
    _heads: Array
    """Bytes before its zlib stream."""
    kinds: Array
    """COMMIT, TREE, BLOB, TAG: of a delta, that of the object it is built on; 0: not known."""
    sizes: Array
    """Bytes inflated: of a delta, the delta's. Not to be reckoned with before it is made wider."""
    bases: Array
    outside: dict[int, bytes]
    """Position of a delta -> the id of its base, which is not in this pack."""
    promisor: bool

    def __init__(self, path: Path, width: int) -> None:
        """Read the index and every header. Damaged or OSError when it cannot be used at all."""
        self.path, self.width = path, width
        self.promisor = path.with_suffix(".promisor").exists()
        self.outside = {}
        offsets = self._index(path.with_suffix(".idx"))
        self.order = np.argsort(offsets, kind="stable").astype(np.int32)
        self._headers(offsets[self.order])

    def name(self, position: int) -> bytes:
        """The id of the object there."""
        at = int(self.order[position]) * self.width
        return self.names[at:at + self.width]

    def stored(self, positions: Array) -> int:
        """Bytes of these objects (positions, or a mask) as they stand in the pack."""
        bounds = self._bounds  # ascending: no difference is negative
        return int((bounds[1:][positions] - bounds[:-1][positions]).sum(dtype=np.int64))

    def streams(self, positions: Array) -> tuple[Ints, Ints]:
        """Where the zlib stream of each begins, and where it ends at the latest."""
        return self._bounds[positions].astype(np.int64) + self._heads[positions], \
            self._bounds[1:][positions].astype(np.int64)

    def stream(self, position: int) -> tuple[int, int]:
        """As `streams`, of one."""
        return int(self._bounds[position]) + int(self._heads[position]), int(self._bounds[position + 1])

    def sorted_names(self) -> Array:
        """The ids in ascending order, as an array that can be searched."""
        return np.frombuffer(self.names, dtype=f"S{self.width}")

    # --- the index

    def _index(self, path: Path) -> Ints:
        raw = path.read_bytes()
        width = self.width
        if len(raw) < 1024 + 2 * width or hashlib.new(
            "sha1" if width == 20 else "sha256", memoryview(raw)[:-width]
        ).digest() != raw[-width:]:
            raise Damaged(f"the index {path.name} is damaged")
        self.checksum = raw[-2 * width:-width]
        old = raw[:4] != b"\xfftOc"
        if not old and int.from_bytes(raw[4:8], "big") != 2:
            raise Damaged(f"the index {path.name} has a version that is not known here")
        fan = np.frombuffer(raw, ">u4", 256, 0 if old else 8)
        self.count = n = int(fan[255])
        begin = 1024 if old else 1032
        if (np.diff(fan.astype(np.int64)) < 0).any() or len(raw) < begin + n * (width + 4 + (0 if old else 4)):
            raise Damaged(f"the index {path.name} is damaged")
        if old:
            rows = np.frombuffer(raw, np.uint8, n * (4 + width), 1024).reshape(n, 4 + width)
            self.names = rows[:, 4:].tobytes()
            offsets = rows[:, :4].copy().view(">u4").reshape(n).astype(np.int64)
        else:
            self.names = raw[begin:begin + n * width]
            offsets = self._long(raw, begin + n * (width + 4), path)
        names = self.sorted_names()
        if n > 1 and (names[1:] <= names[:-1]).any():
            raise Damaged(f"the index {path.name} is not in order")
        return offsets

    def _long(self, raw: bytes, begin: int, path: Path) -> Ints:
        """The offsets, those of 8 bytes among them."""
        n = self.count
        offsets = np.frombuffer(raw, ">u4", n, begin).astype(np.int64)
        far = np.nonzero(offsets >= 1 << 31)[0]
        if len(far):
            begin += 4 * n
            table = np.frombuffer(raw, ">u8", (len(raw) - 2 * self.width - begin) // 8, begin)
            at = offsets[far] & 0x7FFFFFFF
            if (at >= len(table)).any() or (table >= _SANE).any():
                raise Damaged(f"the index {path.name} is damaged")
            offsets[far] = table[at].astype(np.int64)
        return offsets

    # --- the headers

    def _headers(self, starts: Ints) -> None:
        n, fd = self.count, os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            end = size - self.width
            head = os.pread(fd, 12, 0)
            if head[:4] != b"PACK" or int.from_bytes(head[4:8], "big") not in (2, 3):
                raise Damaged(f"{self.path.name} is not a pack")
            if int.from_bytes(head[8:12], "big") != n:
                raise Damaged(f"{self.path.name} and its index differ in how many objects there are")
            if end < 12 or os.pread(fd, self.width, end) != self.checksum:
                raise Damaged(f"{self.path.name} is cut off, or not the pack of its index")
            if n and (starts[0] < 12 or starts[-1] >= end or (np.diff(starts) <= 0).any()):
                raise Damaged(f"the index of {self.path.name} points beside its objects")
            self._bounds = np.append(starts, end)
            self._heads, self.sizes = np.ones(n, np.uint8), np.zeros(n, np.int64)
            self.kinds, self.bases = np.zeros(n, np.uint8), np.full(n, NO_BASE, np.int32)
            first = 0
            while first < n:
                last = int(np.searchsorted(starts, starts[first] + _BLOCK))
                block = os.pread(fd, int(starts[last - 1] - starts[first]) + _HEADER, int(starts[first]))
                self._block(np.frombuffer(block + bytes(_HEADER), np.uint8), first, last)
                first = last
        finally:
            os.close(fd)
        # there are millions of objects, and every worker holds these
        self._bounds, self.sizes = _narrow(self._bounds), _narrow(self.sizes)
        self._resolve()

    def _block(self, block: Array, first: int, last: int) -> None:
        """The headers of the objects from `first` to before `last`, which begin in `block`."""
        start = self._bounds[first]
        at = self._bounds[first:last] - start
        byte = block[at]
        kind, size = byte >> 4 & 7, (byte & 15).astype(np.int64)
        at += 1
        shift, more = 4, np.nonzero(byte & 0x80)[0]
        while len(more) and shift < 60:
            byte = block[at[more]]
            size[more] |= (byte & 0x7F).astype(np.int64) << shift
            at[more] += 1
            shift, more = shift + 7, more[byte >= 0x80]
        kind[more] = 0
        base = np.full(last - first, NO_BASE, np.int32)
        self._near(block, first, kind, at, base)
        refs = np.nonzero(kind == REF_DELTA)[0]
        for i in refs.tolist():
            begin = int(at[i])
            self.outside[first + i] = block[begin:begin + self.width].tobytes()
        base[refs] = OUTSIDE
        at[refs] += self.width
        wrong = (kind == 0) | (kind == 5) | (at + start >= self._bounds[first + 1:last + 1]) | (size >= _SANE)
        base[wrong], kind[wrong] = UNUSABLE, 0
        self.kinds[first:last], self.sizes[first:last], self.bases[first:last] = kind, size, base
        self._heads[first:last] = at + start - self._bounds[first:last]

    def _near(self, block: Array, first: int, kind: Array, at: Ints, base: Array) -> None:
        """The bases that are given by how far before them they begin."""
        deltas = np.nonzero(kind == OFS_DELTA)[0]
        byte = block[at[deltas]]
        at[deltas] += 1
        back, turns = (byte & 0x7F).astype(np.int64), 0
        more = np.nonzero(byte & 0x80)[0]
        while len(more) and turns < 7:
            byte = block[at[deltas[more]]]
            at[deltas[more]] += 1
            back[more] = back[more] + 1 << 7 | (byte & 0x7F)
            turns, more = turns + 1, more[byte >= 0x80]
        begins = self._bounds[first + deltas] - back
        places = np.searchsorted(self._bounds, begins)
        found = (places < first + deltas) & (self._bounds[np.minimum(places, self.count - 1)] == begins)
        found[more] = False
        base[deltas] = np.where(found, places, UNUSABLE)

    def _resolve(self) -> None:
        """Find the bases given by id that are in this pack, then what each delta is in the end."""
        if self.outside:
            names, where = self.sorted_names(), np.argsort(self.order)
            wanted = np.array(list(self.outside.values()), dtype=names.dtype)
            at = np.searchsorted(names, wanted)
            for position, place, name in zip(list(self.outside), at.tolist(), wanted.tolist(), strict=True):
                if place < self.count and names[place] == name:
                    self.bases[position] = where[place]
                    del self.outside[position]
        self.kinds[self.kinds > TAG] = 0
        self.inherit()

    def inherit(self) -> None:
        """Give every delta the type of what it is built on. Those that are built on themselves are UNUSABLE."""
        loose_end = self.bases < NO_BASE
        unknown = loose_end & (self.kinds == 0)
        self.kinds[unknown] = _UNKNOWN
        deltas = np.nonzero(self.bases >= 0)[0]
        self.kinds[deltas] = 0
        while len(deltas):
            kinds = self.kinds[self.bases[deltas]]
            self.kinds[deltas] = kinds
            left = deltas[kinds == 0]
            if len(left) == len(deltas):
                self.bases[left] = UNUSABLE
                break
            deltas = left
        self.kinds[self.kinds == _UNKNOWN] = 0


def _narrow(numbers: Ints) -> Array:
    """The same numbers (none is negative) in half the bytes, if they fit."""
    return numbers.astype(np.uint32) if not len(numbers) or int(numbers.max()) < 1 << 32 else numbers
