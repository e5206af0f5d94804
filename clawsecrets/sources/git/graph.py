"""The graph of all commits, read out of the object database itself: those that no ref reaches are in it too."""

from __future__ import annotations

import heapq
import re
from binascii import unhexlify
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from clawsecrets.sources.git import loose, messages, shares
from clawsecrets.sources.git.database import Database
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import COMMIT
from clawsecrets.sources.git.walk import Walk

_WHEN = re.compile(rb"^committer [^\n]* (-?[0-9]{1,18}) [+-][0-9]+$", re.MULTILINE)


def commits(base: Database, objects: Objects) -> Iterator[tuple[bytes, bytes]]:
    """Id and content of every commit that can be read."""
    for held in base.packs:
        pack = held.pack
        mask = pack.kinds == COMMIT
        if mask.any():
            share = shares.cut(pack, held.root, mask, 1)[0]
            width = pack.width
            for _, place, data, _, _, _ in Walk(pack, share.members, share.roots, 0, objects, lambda *_: None):
                yield pack.names[place * width:(place + 1) * width], data
    for name, store in base.all_loose.items():
        try:
            kind, data = loose.read(base.layout.stores[store], name)
        except (Damaged, OSError):
            continue  # the part that reads it tells so
        if kind == "commit":
            yield bytes.fromhex(name), data


class Graph:
    """Commits, each after its parents; of those that could stand at one place, the older first."""

    def __init__(self, found: Iterator[tuple[bytes, bytes]], width: int, trees: Collection[bytes] = ()) -> None:
        """`trees`: ids of trees that are looked for among the commits' root trees."""
        when: list[int] = []
        links: dict[bytes, bytes] = {}
        rooted: list[tuple[bytes, bytes]] = []
        head = _head(width)
        for name, data in found:
            if name in links:
                continue  # another pack has it too
            tree, links[name], date = _read(head, data, width)
            when.append(date)
            if tree in trees:
                rooted.append((tree, name))
        names = list(links)
        first = np.lexsort((np.array(names, f"S{width}"), np.array(when, np.int64))).tolist()
        names = [names[i] for i in first]
        number = {name: i for i, name in enumerate(names)}
        self._parents = [_known(number, links.pop(name), width) for name in names]
        """Of each commit, numbered by its date: the numbers of its parents."""
        del number
        self._numbers = _settled(self._parents)
        self.order = [names[i] for i in self._numbers]
        """All commits."""
        self.at = {name: i for i, name in enumerate(self.order)}
        self.roots: dict[bytes, bytes] = {}
        """Those of `trees` that are a commit's root -> the first such commit."""
        for tree, name in sorted(rooted, key=lambda pair: self.at[pair[1]]):
            self.roots.setdefault(tree, name)

    def reached(self, tips: Iterable[bytes], wanted: Sequence[bytes], most: int) -> Mapping[bytes, list[bytes]]:
        """The first `most` of the tips, in their order, that reach each wanted commit."""
        numbers, at = self._numbers, self.at
        masks = self._masks({numbers[at[name]]: 1 << i for i, name in enumerate(wanted) if name in at})
        found: dict[bytes, list[bytes]] = {name: [] for name in wanted}
        need = (1 << len(wanted)) - 1
        for tip in tips:
            mask = masks[numbers[at[tip]]] & need
            while mask:
                low = mask & -mask
                mask ^= low
                one = found[wanted[low.bit_length() - 1]]
                one.append(tip)
                if len(one) == most:
                    need ^= low
        return found

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


def _head(width: int) -> re.Pattern[bytes]:
    """How commits begin that git itself made."""
    name = rb"[0-9a-f]{%d}" % (2 * width)
    return re.compile(rb"tree (%b)\n((?:parent %b\n)*)author [^\n]*\n"
                      rb"committer [^\n]* (-?[0-9]{1,18}) [+-][0-9]+\n" % (name, name))


def _read(head: re.Pattern[bytes], data: bytes, width: int) -> tuple[bytes, bytes, int]:
    """Tree, parents (one after another) and date of a commit."""
    found = head.match(data)
    if found is None:
        links, date = messages.linked(data, width), _WHEN.search(data)
        return links[0] if links else b"", b"".join(links[1:]), int(date[1]) if date else 0
    tree, parents, seconds = found.groups()
    return unhexlify(tree), unhexlify(b"".join(parents.split()[1::2])), int(seconds)


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
