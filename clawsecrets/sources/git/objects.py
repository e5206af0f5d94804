"""Any one object by its id: loose, or out of a pack's index by bisection. Slow for many, quick for a few, and without
numpy, so that looking at one staged file costs nothing more."""

from __future__ import annotations

import os
import zlib
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from clawsecrets.data import regular_handle
from clawsecrets.sources.git import loose
from clawsecrets.sources.git.delta import Damaged, apply

LIMIT = 160 << 20
"""Bytes of the largest object that is made here."""
_DEPTH = 4096
"""Deltas upon deltas: git makes no longer chains."""
_HELD = 8 << 20
_DELTAS = 2 * LIMIT
"""Bytes of all deltas of one object."""
_TYPES = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFS, _REF = 6, 7
_KEPT = 16 << 20
"""Bytes of a pack's index that are kept."""


class _Packed:
    """A pack whose index is read in place."""

    def __init__(self, index: Path, width: int) -> None:
        self._width = width
        self._idx = regular_handle(index)
        try:
            self._pack = regular_handle(index.with_suffix(".pack"))
        except OSError:
            os.close(self._idx)
            raise
        head = os.pread(self._idx, 1032, 0)
        self._old = head[:4] != b"\xfftOc"
        fan = head[:1024] if self._old else head[8:]
        self._fan = [0, *(int.from_bytes(fan[4 * i:4 * i + 4], "big") for i in range(256))]
        self._step = width + (4 if self._old else 0)
        self._blocks: dict[int, bytes] = {}
        self._kept = 0

    def close(self) -> None:
        os.close(self._idx)
        os.close(self._pack)

    def offset(self, name: bytes) -> int:
        """Where the object begins; 0 when it is not in here."""
        low, high = self._fan[name[0]], self._fan[name[0] + 1]
        block, width, step = self._block(name[0], low, high), self._width, self._step
        first, high = low, min(high, low + len(block) // step)
        while low < high:
            middle = (low + high) // 2
            at = (middle - first) * step
            found = block[at:at + width]
            if found == name:
                return self._at(middle)
            low, high = (middle + 1, high) if found < name else (low, middle)
        return 0

    def _block(self, first: int, low: int, high: int) -> bytes:
        """The part of the index with the ids that begin with this byte."""
        found = self._blocks.get(first)
        if found is None:
            if self._kept > _KEPT:
                self._blocks, self._kept = {}, 0
            begin = (1028 if self._old else 1032) + low * self._step
            found = self._blocks[first] = os.pread(self._idx, max(0, high - low) * self._step, begin)
            self._kept += len(found)
        return found

    def _at(self, place: int) -> int:
        width, count = self._width, self._fan[256]
        if self._old:
            return int.from_bytes(os.pread(self._idx, 4, 1024 + place * (width + 4)), "big")
        begin = 1032 + count * (width + 4)
        offset = int.from_bytes(os.pread(self._idx, 4, begin + 4 * place), "big")
        if offset >> 31:
            far = begin + 4 * count + 8 * (offset & 0x7FFFFFFF)
            offset = int.from_bytes(os.pread(self._idx, 8, far), "big")
        return offset

    def entry(self, offset: int) -> tuple[int, int | bytes, bytes]:
        """Kind; of a delta, where its base begins or its id; content as it stands. Damaged."""
        head = os.pread(self._pack, 64, offset)
        try:
            kind, size, shift, q = head[0] >> 4 & 7, head[0] & 15, 4, 1
            while head[q - 1] & 0x80:
                size |= (head[q] & 0x7F) << shift
                shift, q = shift + 7, q + 1
            base: int | bytes = 0
            if kind == _OFS:
                back, q = head[q] & 0x7F, q + 1
                while head[q - 1] & 0x80:
                    back, q = back + 1 << 7 | head[q] & 0x7F, q + 1
                base = offset - back
            elif kind == _REF:
                base, q = head[q:q + self._width], q + self._width
        except IndexError:
            raise Damaged("its header in the pack is damaged") from None
        return kind, base, self._inflated(offset + q, size)

    def _inflated(self, begin: int, size: int) -> bytes:
        if size > LIMIT:
            raise Damaged(f"it is larger than {LIMIT >> 20} MiB")
        inflate, parts, got = zlib.decompressobj(), [], 0
        block = min(size + 256, 1 << 20)
        try:
            while not inflate.eof and got <= size:
                raw = inflate.unconsumed_tail or os.pread(self._pack, block, begin)
                if not raw:
                    break
                begin += 0 if inflate.unconsumed_tail else len(raw)
                parts.append(inflate.decompress(raw, size + 1 - got))
                got += len(parts[-1])
        except zlib.error as error:
            raise Damaged("its zlib stream is damaged") from error
        if got != size or not inflate.eof:
            raise Damaged("it has not the size that it says")
        return b"".join(parts)


class Missing(Damaged):
    """There is no such object here."""


class Objects:
    """All objects of some object folders."""

    def __init__(self, stores: Sequence[Path], width: int, held: int = _HELD,
                 loose: Container[str] | None = None) -> None:
        """`width`: bytes of an id. Nothing is opened yet. `held`: bytes of contents that are kept, for who reads many
        versions of the same files, and for chains of deltas that go from pack to pack. `loose`: the ids of all loose
        objects, where they were listed already."""
        self._stores, self._width, self._most = stores, width, held
        self._loose = loose
        self._packs: list[_Packed] | None = None
        self._held: dict[tuple[_Packed, int], tuple[str, bytes]] = {}
        self._size = 0

    def read(self, name: str) -> tuple[str, bytes]:
        """Type (blob, commit, tag, tree) and content. Missing, Damaged or OSError."""
        deltas: list[tuple[_Packed, int, bytes]] = []
        kind, data = self._entry(name, deltas)
        while deltas:
            pack, offset, delta = deltas.pop()
            try:
                data = apply(delta, data, LIMIT)
            except IndexError:
                raise Damaged("its delta is cut off") from None
            if self._most:
                self._hold(pack, offset, kind, data)
        return kind, data

    def _hold(self, pack: _Packed, offset: int, kind: str, data: bytes) -> None:
        if len(data) > self._most:
            return
        self._size += len(data)
        if self._size > self._most:
            self._held, self._size = {}, len(data)
        self._held[pack, offset] = kind, data

    def there(self, name: bytes) -> bool:
        """Whether there is such an object; whether it can be read is not asked. OSError."""
        text = name.hex()
        return (any(pack.offset(name) for pack in self._open())
                or any(loose.place(store, text).is_file() for store in self._stores))

    def _entry(self, name: str, deltas: list[tuple[_Packed, int, bytes]]) -> tuple[str, bytes]:
        """What the deltas from there on are built on in the end, from pack to pack."""
        seen = size = 0
        while True:
            for store in self._stores if self._loose is None or name in self._loose else ():
                try:
                    return loose.read(store, name, LIMIT)
                except FileNotFoundError:
                    continue
            found = self._packed(*self._where(bytes.fromhex(name)), deltas)
            if isinstance(found, tuple):
                return found
            name, size = found, size + sum(len(delta) for _, _, delta in deltas[seen:])
            seen = len(deltas)
            if size > _DELTAS:
                raise Damaged("its deltas are too large")

    def _where(self, name: bytes) -> tuple[_Packed, int]:
        for pack in self._open():
            if offset := pack.offset(name):
                return pack, offset
        raise Missing("it is not there")

    def _packed(self, pack: _Packed, offset: int, deltas: list[tuple[_Packed, int, bytes]]) -> tuple[str, bytes] | str:
        """What those in this pack are built on in the end, or the id of a base that stands elsewhere."""
        size = 0
        while offset > 0 and len(deltas) < _DEPTH and size <= _DELTAS:
            if (held := self._held.get((pack, offset))) is not None:
                return held
            kind, base, data = pack.entry(offset)
            if kind in _TYPES:
                if self._most:
                    self._hold(pack, offset, _TYPES[kind], data)
                return _TYPES[kind], data
            if kind not in (_OFS, _REF):
                raise Damaged("its header in the pack is damaged")
            deltas.append((pack, offset, data))
            size += len(data)
            if isinstance(base, int):
                offset = base
            elif not (offset := pack.offset(base)):
                return base.hex()
        raise Damaged("its base in the pack is damaged, or its deltas are too large")

    def _open(self) -> Sequence[_Packed]:
        if self._packs is None:
            self._packs = list(_all(self._stores, self._width))
        return self._packs

    def close(self) -> None:
        """Close what is open; it can be used again."""
        for pack in self._packs or ():
            pack.close()
        self._packs, self._held, self._size = None, {}, 0


def _all(stores: Sequence[Path], width: int) -> Iterator[_Packed]:
    for store in stores:
        for index in sorted((store / "pack").glob("*.idx")):
            if index.with_suffix(".pack").exists():
                yield _Packed(index, width)
