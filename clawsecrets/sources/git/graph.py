"""The graph of all commits, read out of the object database itself: those that no ref reaches are in it too."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

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

    def __init__(self, found: Iterator[tuple[bytes, bytes]], width: int) -> None:
        when: dict[bytes, int] = {}
        parents: dict[bytes, list[bytes]] = {}
        self.trees: dict[bytes, bytes] = {}
        """Commit -> its root tree."""
        for name, data in found:
            links = messages.linked(data, width)
            date = _WHEN.search(data)
            parents[name], when[name] = links[1:], int(date[1]) if date else 0
            self.trees[name] = links[0] if links else b""
        self.parents: Mapping[bytes, Sequence[bytes]] = parents
        self.order = self._sorted(when)
        """All commits."""
        self.at = {name: i for i, name in enumerate(self.order)}

    def _sorted(self, when: Mapping[bytes, int]) -> list[bytes]:
        children: dict[bytes, list[bytes]] = {}
        waits: dict[bytes, int] = {}
        for name, its in self.parents.items():
            known = [parent for parent in its if parent in when]
            waits[name] = len(known)
            for parent in known:
                children.setdefault(parent, []).append(name)
        heap = [(when[name], name) for name, count in waits.items() if not count]
        heapq.heapify(heap)
        order = []
        while heap:
            _, name = heapq.heappop(heap)
            order.append(name)
            for child in children.get(name, ()):
                waits[child] -= 1
                if not waits[child]:
                    heapq.heappush(heap, (when[child], child))
        return order

    def reached(self, tips: Iterable[bytes], wanted: Sequence[bytes], most: int) -> Mapping[bytes, list[bytes]]:
        """The first `most` of the tips, in their order, that reach each wanted commit."""
        masks = self._masks({name: 1 << i for i, name in enumerate(wanted)})
        found: dict[bytes, list[bytes]] = {name: [] for name in wanted}
        need = (1 << len(wanted)) - 1
        for tip in tips:
            mask = masks.get(tip, 0) & need
            while mask:
                low = mask & -mask
                mask ^= low
                one = found[wanted[low.bit_length() - 1]]
                one.append(tip)
                if len(one) == most:
                    need ^= low
        return found

    def _masks(self, bit: Mapping[bytes, int]) -> Mapping[bytes, int]:
        """The bits of all commits that each commit reaches. Most share their parent's number, which is large."""
        masks: dict[bytes, int] = {}
        for name in self.order:
            mask = bit.get(name, 0)
            for parent in self.parents[name]:
                theirs = masks.get(parent, 0)
                both = mask | theirs
                mask = theirs if both == theirs else mask if both == mask else both
            if mask:
                masks[name] = mask
        return masks
