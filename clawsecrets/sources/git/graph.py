"""The graph of all commits, read out of the object database itself: those that no ref reaches are in it too."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from clawsecrets.sources.git import loose, messages, shares
from clawsecrets.sources.git.database import Database
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.memory import NOWHERE
from clawsecrets.sources.git.messages import Head
from clawsecrets.sources.git.objects import LIMIT, Objects
from clawsecrets.sources.git.packs import COMMIT, TREE
from clawsecrets.sources.git.walk import Walk

_KINDS = {COMMIT: "commit", TREE: "tree"}


def commits(base: Database, objects: Objects) -> Iterator[Head]:
    """Every commit that can be read."""
    return heads(objects_of(base, objects, COMMIT), base.layout.width)


def heads(found: Iterable[tuple[bytes, bytes]], width: int) -> Iterator[Head]:
    """Commits by id and content."""
    pattern = messages.commit_head(width)
    for name, data in found:
        tree, parents, date, _ = messages.commit(pattern, data, width)
        yield name, tree, parents, date


def objects_of(base: Database, objects: Objects, wanted: int) -> Iterator[tuple[bytes, bytes]]:
    """Id and content of every object of one type (packs.COMMIT, packs.TREE) that can be read."""
    for held in base.packs:
        pack = held.pack
        mask = pack.kinds == wanted
        if mask.any():
            share = shares.cut(pack, held.root, mask, 1)[0]
            width = pack.width
            for _, place, data, _, _, _ in Walk(pack, share.members, share.roots, 0, objects, lambda *_: None):
                yield pack.names[place * width:(place + 1) * width], data
    for name, store in base.all_loose.items():
        try:
            kind, data = loose.read(base.layout.stores[store], name, LIMIT)
        except (Damaged, OSError):
            continue  # the part that reads it tells so
        if kind == _KINDS[wanted]:
            yield bytes.fromhex(name), data


class Graph:
    """Commits, each after its parents; of those that could stand at one place, the older first."""

    def __init__(self, found: Iterable[Head], width: int, trees: Collection[bytes] = ()) -> None:
        """`trees`: ids of trees that are looked for among the commits' root trees."""
        when = array("q")
        every: dict[bytes, None] = {}
        links, ends = bytearray(), array("Q", [0])  # no object for each: there may be a million commits
        rooted: list[tuple[bytes, bytes]] = []
        roots = array("Q")
        for name, tree, parents, date in found:
            if name in every:
                continue  # another pack has it too
            every[name] = None
            links += parents
            ends.append(len(links))
            when.append(date)
            roots.append(int.from_bytes(tree[:8], "big"))
            if tree in trees:
                rooted.append((tree, name))
        self.newest = max(when, default=0)
        """Unix seconds of the commit with the latest date."""
        names = list(every)
        del every
        first = np.lexsort((np.array(names, f"S{width}"), np.array(when, np.int64)))
        names = [names[i] for i in first.tolist()]
        number = {name: i for i, name in enumerate(names)}
        self._parents = [_known(number, bytes(links[ends[i]:ends[i + 1]]), width) for i in first.tolist()]
        """Of each commit, numbered by its date: the numbers of its parents."""
        del number
        self._numbers = array("i", _settled(self._parents))
        self.order = [names[i] for i in self._numbers]
        """All commits."""
        self.trees = np.array(roots, np.uint64)[first][np.asarray(self._numbers)]
        """The first 8 bytes of the id of the tree of each."""
        self.at = {name: i for i, name in enumerate(self.order)}
        self.roots: dict[bytes, bytes] = {}
        """Those of `trees` that are a commit's root -> the first such commit."""
        for tree, name in sorted(rooted, key=lambda pair: self.at[pair[1]]):
            self.roots.setdefault(tree, name)

    def ranks(self, tips: Mapping[bytes, int]) -> list[int]:
        """By place in `order`: the least of the ranks of those tips that reach it; NOWHERE where none does."""
        found = [NOWHERE] * len(self._parents)
        for name, rank in tips.items():
            number = self._numbers[self.at[name]]
            found[number] = min(found[number], rank)
        for number in reversed(self._numbers):
            rank = found[number]
            for parent in self._parents[number]:
                if rank < found[parent]:
                    found[parent] = rank
        return [found[number] for number in self._numbers]

    def masks(self, wanted: Sequence[bytes]) -> Callable[[bytes], int]:
        """Of any commit: which of the wanted ones it reaches, bit by bit in their order."""
        numbers, at = self._numbers, self.at
        masks = self._masks({numbers[at[name]]: 1 << i for i, name in enumerate(wanted) if name in at})
        return lambda name: masks[numbers[at[name]]]

    def _masks(self, bit: Mapping[int, int]) -> Sequence[int]:
        """The bits of all commits that each commit reaches, by number. Most share their parent's, which is large."""
        masks, parents = [0] * len(self._parents), self._parents
        for number in self._numbers:
            mask = bit.get(number, 0)
            for parent in parents[number]:
                theirs = masks[parent]
                both = mask | theirs
                mask = theirs if both == theirs else mask if both == mask else both
            masks[number] = mask
        return masks


def _known(number: Mapping[bytes, int], names: bytes, width: int) -> Sequence[int]:
    """The numbers of those names that have one."""
    if len(names) == width:
        return (number[names],) if names in number else ()
    its = [names[i:i + width] for i in range(0, len(names), width)]
    return tuple([number[name] for name in its if name in number])


def _settled(parents: Sequence[Sequence[int]]) -> list[int]:
    """The numbers from 0 on, as they are as far as that is possible, each after its parents: at every place the
    smallest that can stand there. Nearly all can stay; what must move lies between a commit and a parent that says to
    be younger."""
    order = list(range(len(parents)))
    for begin, last in _tangled(parents):
        order[begin:last + 1] = _untangled(parents, begin, last + 1)
    return order


def _tangled(parents: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The ranges in which something stands before its parent: apart, ascending, with their ends."""
    ranges: list[tuple[int, int]] = []
    for number, its in enumerate(parents):
        last = max(its, default=0)
        if last > number:
            begin, before = ranges.pop() if ranges and number <= ranges[-1][1] else (number, 0)
            ranges.append((begin, max(last, before)))
    return ranges


def _untangled(parents: Sequence[Sequence[int]], begin: int, end: int) -> list[int]:
    """The numbers of one such range. All before it are done, and none in it has a parent behind it."""
    children: dict[int, list[int]] = {}
    waits: dict[int, int] = {}
    for number in range(begin, end):
        known = [parent for parent in parents[number] if parent >= begin]
        waits[number] = len(known)
        for parent in known:
            children.setdefault(parent, []).append(number)
    heap = [number for number, count in waits.items() if not count]  # ascending: a heap already
    order = []
    while heap:
        number = heapq.heappop(heap)
        order.append(number)
        for child in children.get(number, ()):
            waits[child] -= 1
            if not waits[child]:
                heapq.heappush(heap, child)
    return order
