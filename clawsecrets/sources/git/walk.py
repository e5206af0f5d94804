"""A share of a pack's objects, each base before what is built on it, so that it is at hand.

Objects come in groups: the compressed bytes of a group are read and inflated in the order of the pack, which is fast,
then its delta trees are walked depth first. What waits for its turn holds its base: beyond `HELD` bytes the oldest
bases are let go, and made again when they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from dulwich._pack import apply_delta  # `dulwich.pack` has it too, and imports ten times as much
from dulwich.errors import ApplyDeltaError
from isal.isal_zlib import IsalError, decompress, decompressobj
from numpy.typing import NDArray

from clawsecrets.sources.git.arrays import distinct
from clawsecrets.sources.git.delta import Damaged, Ranges, apply, changed
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import Pack

Array = NDArray[Any]

GROUP = 8 << 20
"""Bytes inflated, of objects as they stand in the pack, that are in memory at a time."""
EACH = 256
"""Bytes that an object takes besides."""
HELD = 24 << 20
"""Bytes of bases that wait; checked whenever as much again was added."""
LIMIT = 160 << 20
"""Bytes of an object that is a delta or the base of one. (Others may have any size: they come in pieces.)"""
_TAME = 16 << 10
_Broken: type[Exception] = IsalError  # type: ignore[assignment]  # its stub says that it is an instance


Made = tuple[int, int, bytes, Ranges | None, int, int]
"""Position; place of its id in `Pack.names`; content; where that may differ from its base (None: it has none); how many
bytes that is; position of the base, -1 when it has none in this pack. (A plain tuple: there are millions.)"""


class _Frame:
    """A base that waits for what is built on it."""

    __slots__ = ("data", "position")

    def __init__(self, position: int, data: bytes) -> None:
        self.position, self.data = position, data

    data: bytes | None


class Walk:
    """The delta trees of some roots in one pack."""

    def __init__(self, pack: Pack, members: Array, roots: Array, context: int, objects: Objects,
                 broken: Callable[[int, str, int], None], entered: Callable[[Array], None] = lambda group: None,
                 compare: bool = False) -> None:
        """`members`: positions, those of one root together; `roots`: the root of each. `context`: bytes that a fresh
        range is wider on each side. `broken` is told what could not be made: its position, why, and how many objects
        are built on it, which could not be made either. `entered` is told the positions that come next. `compare`:
        `before` is kept."""
        self.before: tuple[bytes, Ranges] | None = None
        """Of the object that was given last: its base, and what there differs from it (`stale` of delta.changed)."""
        self._compare = compare
        self._entered = entered
        self._pack, self._members, self._roots = pack, members, roots
        self._context, self._objects, self._broken = context, objects, broken
        self._fd = -1

    def __iter__(self) -> Iterator[Made]:
        """Each object once."""
        self._fd = os.open(self._pack.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for group in self._groups():
                self._entered(group)
                yield from self._group(np.sort(group))
        finally:
            os.close(self._fd)

    def _groups(self) -> Iterator[Array]:
        """Members cut where a root ends, each about `GROUP` bytes."""
        members = self._members
        for begin, end in pairwise(self._cuts() if len(members) else ()):
            yield members[begin:end]

    def _cuts(self) -> list[int]:
        members = self._members
        begins = np.nonzero(np.diff(self._roots, prepend=-1))[0]
        work = np.cumsum(self._pack.sizes[members].astype(np.int64) + EACH)
        before = np.concatenate(([0], work[begins[1:] - 1]))
        last = np.unique(before // GROUP, return_index=True)[1]
        return [*begins[last].tolist(), len(members)]

    def _group(self, group: Array) -> Iterator[Made]:
        pack = self._pack
        positions: list[int] = group.tolist()
        places: list[int] = pack.order[group].tolist()
        bases = pack.bases[group]
        inner = bases >= 0
        local = np.where(inner, np.searchsorted(group, np.maximum(bases, 0)), bases)
        order = np.argsort(local, kind="stable")
        parents, firsts = np.unique(local[order], return_index=True)
        cuts = np.append(firsts, len(group)).tolist()
        ordered: list[int] = order.tolist()
        kids = {parent: ordered[a:b] for parent, a, b in zip(parents.tolist(), cuts, cuts[1:], strict=False)}
        raws = self._inflated(group)
        for outer in [parent for parent in kids if parent < 0]:
            for root in kids.pop(outer):
                yield from self._tree(root, positions, places, kids, raws)

    # --- inflating

    def _inflated(self, group: Array) -> list[bytes | None]:
        """The content, as it stands in the pack, of each of the group; None where it is left for later: too large to
        hold, or damaged (then its turn tells why)."""
        pack = self._pack
        sizes = pack.sizes[group].astype(np.int64)
        if int(sizes.sum()) > 4 * GROUP:
            return [None] * len(group)
        begins, ends = pack.streams(group)
        raws: list[bytes | None] = []
        apart = np.nonzero(begins[1:] - ends[:-1] > 4096)[0] + 1
        far = np.nonzero(np.diff((ends - begins[0]) // (1 << 20)))[0] + 1
        cuts = [0, *distinct(np.concatenate((apart, far))).tolist(), len(group)]
        inflate = decompress
        # what inflates to more than it says could fill the memory: only where that cannot be much, it is not bounded
        tame = ((sizes < _TAME) & (ends - begins < 2 * sizes + 64)).tolist()
        for first, last in pairwise(cuts):
            start = int(begins[first])
            block = os.pread(self._fd, int(ends[last - 1]) - start, start)
            a, b = (begins[first:last] - start).tolist(), (ends[first:last] - start).tolist()
            some: list[bytes | None]
            try:
                some = [inflate(block[x:y]) if fine else None
                        for x, y, fine in zip(a, b, tame[first:last], strict=True)]
            except _Broken:
                some = [None] * (last - first)
            raws += some
        wrong = np.fromiter((-1 if raw is None else len(raw) for raw in raws), np.int64, len(raws)) != sizes
        for i in np.nonzero(wrong)[0].tolist():
            raws[i] = None
        return raws

    def _inflate(self, position: int) -> bytes:
        """The content of one as it stands in the pack."""
        pack = self._pack
        size = int(pack.sizes[position])
        if size > LIMIT:
            raise Damaged(f"it is part of a delta and larger than {LIMIT >> 20} MiB")
        begin, end = pack.stream(position)
        inflate = decompressobj()
        try:
            data = inflate.decompress(os.pread(self._fd, end - begin, begin), size + 1)
        except _Broken as error:
            raise Damaged("its zlib stream is damaged") from error
        if len(data) != size or not (inflate.eof or inflate.decompress(inflate.unconsumed_tail, 1) == b""):
            raise Damaged("it has not the size that it says")
        return data

    # --- the walk

    def _tree(self, root: int, positions: list[int], places: list[int], kids: dict[int, list[int]],
              raws: list[bytes | None]) -> Iterator[Made]:
        """The root, and all that is built on it."""
        stack: list[tuple[int, _Frame | None]] = [(root, None)]
        pop, context, compare = stack.pop, self._context, self._compare
        added = 0
        while stack:
            i, frame = pop()
            position = positions[i]
            try:
                raw = raws[i]
                if raw is None:
                    raw = self._inflate(position)
                raws[i] = None
                if frame is None:
                    data = self._root(position, raw)
                    made: Made = (position, places[i], data, None, 0, -1)
                    self.before = None
                else:
                    base = frame.data
                    if base is None:
                        base = frame.data = self._again(frame.position)
                        added += len(base)
                    stale: Ranges | None = [] if compare else None
                    fresh, covered = changed(raw, len(base), context, LIMIT, stale)
                    if stale is not None:
                        self.before = base, stale
                    data = b"".join(apply_delta(base, raw))
                    made = (position, places[i], data, fresh, covered, frame.position)
            except (Damaged, IndexError, ApplyDeltaError) as error:
                self._broken(position, str(error) if isinstance(error, Damaged) else "its delta is cut off",
                             _forget(i, kids))
                continue
            yield made
            built = kids.pop(i, None)
            if built:
                frame = _Frame(position, data)
                stack += [(kid, frame) for kid in built]
                added += len(data)
                if added > HELD:
                    added = 0
                    _let_go(stack)

    def _root(self, position: int, raw: bytes) -> bytes:
        """One that is built on nothing in this pack."""
        name = self._pack.outside.get(position)
        if name is None:
            if self._pack.kinds[position] == 0:
                raise Damaged("what it is cannot be told: its header, or what it is built on, is damaged")
            return raw
        return apply(raw, self._objects.read(name.hex())[1], LIMIT)

    def _again(self, position: int) -> bytes:
        """An object that was made before and let go."""
        chain = [position]
        while (base := int(self._pack.bases[chain[-1]])) >= 0:
            chain.append(base)
        data = self._root(chain[-1], self._inflate(chain.pop()))
        while chain:
            data = apply(self._inflate(chain.pop()), data, LIMIT)
        return data


def _forget(i: int, kids: dict[int, list[int]]) -> int:
    """Leave out all that is built on `i`; how many that are."""
    count, doomed = 0, kids.pop(i, [])
    while doomed:
        count += 1
        doomed.extend(kids.pop(doomed.pop(), []))
    return count


def _let_go(stack: list[tuple[int, _Frame | None]]) -> None:
    """Keep `HELD` bytes of the bases that are needed soonest."""
    held = 0
    seen: set[int] = set()
    for _, frame in reversed(stack):
        if frame is not None and frame.data is not None and id(frame) not in seen:
            seen.add(id(frame))
            held += len(frame.data)
            if held > HELD:
                frame.data = None
