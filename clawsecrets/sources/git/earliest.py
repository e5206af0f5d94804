"""Which commit was the first whose tree has an object, by what was noted of all trees (edges.py).

All trees that are built on one another stand in a row in which what is built on a tree follows it at once, so that a
note is about a stretch of that row, and what has an object is a few stretches. From the wanted objects one goes up to
all that has them, and from the commits' own trees down again with the place of the earliest commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clawsecrets.sources.git.arrays import distinct
from clawsecrets.sources.git.database import GIVE, Database, eight
from clawsecrets.sources.git.edges import ID, LESS, Edges
from clawsecrets.sources.git.packs import TREE

Array = NDArray[Any]

NONE = 2**31 - 1
"""No commit."""
_TREES = (1 << ID - LESS) - 1
_PLACE = 0xFFFFFFFF
_AT_ONCE = 1 << 15
"""Things whose notes are in memory at a time."""


class Unclear(Exception):
    """The notes are not all, or contradict each other."""


class _Row:
    """All trees, each before what is built on it; known by their place among all ids."""

    def __init__(self, base: Database) -> None:
        width, count = base.layout.width, len(base.numbers)
        self.place = np.full(count, -1, np.int32)
        """By place among the ids: where the stretch of a tree begins; -1: it is no tree."""
        parent = np.full(count, -1, np.int32)
        tree = np.zeros(count, bool)
        for held in base.packs:
            pack = held.pack
            its = np.nonzero((pack.kinds == TREE) & (held.roles == GIVE))[0]
            places = base.places(eight(pack.sorted_names(), width))[0][pack.order] if len(base.packs) > 1 or \
                base.all_loose else pack.order
            tree[places[its]] = True
            bases = pack.bases[its]
            on = bases >= 0
            on[on] = held.roles[bases[on]] == GIVE  # a base that is given elsewhere: noted as if on nothing
            parent[places[its[on]]] = places[bases[on]]
        tree[base.places(_eight(list(map(bytes.fromhex, base.loose)), width))[0]] = True  # whatever they are
        self.names = np.nonzero(tree)[0].astype(np.int32)
        number = np.zeros(count, np.int32)
        number[self.names] = np.arange(len(self.names), dtype=np.int32)
        parent = parent[self.names]
        parent[parent >= 0] = number[parent[parent >= 0]]
        starts, sizes = _stretches(parent)
        self.place[self.names] = starts
        self.ends = np.zeros(len(starts), np.int32)
        """By the beginning of a stretch: its end."""
        self.ends[starts] = starts + sizes
        names = np.empty_like(self.names)
        names[starts] = self.names
        self.names = names
        """By place in the row: the place among the ids."""


def _stretches(parent: Array) -> tuple[Array, Array]:
    """Of a forest (of each its parent, or -1): where the stretch of each begins, and how many are in it."""
    count = len(parent)
    depth = np.zeros(count, np.int32)
    on = np.nonzero(parent >= 0)[0]
    above = parent[on]
    while len(on):
        depth[on] += 1
        above = parent[above]
        on, above = on[above >= 0], above[above >= 0]
    order = np.lexsort((parent, depth))
    levels = np.append(np.flatnonzero(np.diff(depth[order], prepend=-1)), count)
    sizes, starts = np.ones(count, np.int32), np.zeros(count, np.int32)
    for a, b in zip(levels[-2:0:-1].tolist(), levels[:1:-1].tolist(), strict=True):
        its = order[a:b]
        np.add.at(sizes, parent[its], sizes[its])
    for a, b in zip(levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        its = order[a:b]
        before = np.cumsum(sizes[its]) - sizes[its]
        if a:
            its_parent = parent[its]
            firsts = np.flatnonzero(np.diff(its_parent, prepend=-1))
            before -= np.repeat(before[firsts], np.diff(np.append(firsts, len(its))))
            before += starts[its_parent] + 1
        starts[its] = before
    return starts, sizes


def _spread(firsts: Array, lasts: Array) -> Array:
    """All numbers of these ranges."""
    lengths = lasts - firsts
    return np.repeat(firsts - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))


class Earliest:
    """Answers for one repository."""

    def __init__(self, base: Database, edges: Sequence[Edges], wanted: Sequence[bytes]) -> None:
        """`edges`: of all parts, which are asked only once. `wanted`: ids. Unclear."""
        self._base, self._row = base, _Row(base)
        self._where: tuple[Array, Sequence[tuple[Array, Array]]] | None = None
        self._asked, self._there = base.places(_eight(wanted, base.layout.width))
        useful = self._row.place >= 0
        useful[self._asked[self._there]] = True
        kept: list[Array] = []
        for one in edges:
            for notes in one.notes():
                kept.append(notes[useful[(notes >> np.uint64(ID)).astype(np.int64)]])
            if one.torn:
                raise Unclear
        self._notes = np.concatenate(kept) if kept else np.zeros(0, np.uint64)
        self._notes.sort()

    def commits(self, roots: Array, turns: Array) -> Array:
        """Of each wanted object the least turn of the commits that have it, or NONE. `roots`: of each commit the first
        8 bytes of the id of its tree; `turns`: its number in the order that is asked for. May be asked for several.
        Unclear."""
        base, row, there = self._base, self._row, self._there
        if self._where is None:
            things = self._above(distinct(self._asked[there]).astype(np.int64))
            self._where = things, [_has(*notes) for notes in self._about(things)]
            self._notes = self._notes[:0]
        things, where = self._where
        first = np.full(len(row.names) + 1, NONE, np.int32)
        at, known = base.places(roots)
        at = row.place[at]
        known &= at >= 0
        np.minimum.at(first, at[known], turns[known].astype(np.int32))
        found = np.append(self._down(things, where, first), np.int32(NONE))
        return np.where(there, found[np.searchsorted(things, self._asked)], NONE)

    def _about(self, things: Array) -> Iterator[tuple[Array, Array, Array, Array]]:
        """The notes about these, some at a time: which of them, where in the row the tree's stretch begins and ends,
        and 1 or -1."""
        row = self._row
        for begin in range(0, len(things), _AT_ONCE):
            some = things[begin:begin + _AT_ONCE].astype(np.uint64)
            firsts, lasts = (np.searchsorted(self._notes, one << np.uint64(ID)) for one in (some, some + np.uint64(1)))
            notes = self._notes[_spread(firsts, lasts)]
            trees = row.place[(notes >> np.uint64(LESS)).astype(np.int64) & _TREES]
            if (trees < 0).any():
                raise Unclear
            yield np.repeat(np.arange(begin, begin + len(some)), lasts - firsts), trees, row.ends[trees], \
                1 - 2 * (notes & np.uint64(1)).astype(np.int32)

    def _above(self, wanted: Array) -> Array:
        """These, and all trees that have them; ascending."""
        row = self._row
        seen = np.zeros(len(row.names), bool)
        seen[row.place[wanted[row.place[wanted] >= 0]]] = True
        every, front = [wanted], wanted
        while len(front):
            change = np.zeros(len(row.names) + 1, np.int32)
            for _, begins, ends, signs in self._about(front):
                np.add.at(change, begins, signs)
                np.add.at(change, ends, -signs)
            new = (np.cumsum(change)[:-1] > 0) & ~seen
            seen |= new
            front = np.sort(row.names[new]).astype(np.int64)
            every.append(front)
        return distinct(np.concatenate(every))

    def _down(self, things: Array, where: Sequence[tuple[Array, Array]], first: Array) -> Array:
        """The least turn of each; `first`: by place in the row, as far as it is a commit's own tree. `where` each
        stands: as `_has` tells it."""
        places = self._row.place[things]
        trees = places >= 0
        found = np.where(trees, first[places], NONE)
        while True:
            before = found.copy()
            for which, pairs in where:
                if len(which):
                    np.minimum.at(found, which, np.minimum.reduceat(first, pairs)[::2])
            if (found == before).all():
                return found
            first[places[trees]] = found[trees]


def _has(which: Array, begins: Array, ends: Array, signs: Array) -> tuple[Array, Array]:
    """Where in the row are the trees that have each, by the notes about it: which, and from where to where, one pair
    after another. Ordered so that little lies between one pair and the next. Unclear."""
    keys = np.concatenate([which << 32 | begins, which << 32 | ends])
    order = np.argsort(keys)
    keys, counts = keys[order], np.cumsum(np.concatenate([signs, -signs])[order])
    last = np.flatnonzero(keys[1:] != keys[:-1])  # of each place
    counts, begins, ends = counts[last], keys[last], keys[last + 1]
    if (counts < 0).any():
        raise Unclear
    has = (counts > 0) & (begins >> 32 == ends >> 32)
    begins, ends = begins[has], ends[has]
    order = np.argsort(begins & _PLACE)
    pairs = np.stack([begins[order] & _PLACE, ends[order] & _PLACE], 1).reshape(-1)
    return (begins[order] >> 32).astype(np.int32), pairs.astype(np.int32)


def _eight(names: Sequence[bytes], width: int) -> Array:
    return eight(np.frombuffer(b"".join(names), f"S{width}"), width) if names else np.zeros(0, np.uint64)
