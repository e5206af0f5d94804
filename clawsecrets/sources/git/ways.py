"""How the objects of a repository came into it, read out of all of its commits: the graph of commits is our own
(graph.py). Which commit brought a blob first is told by what was noted when all trees were read (earliest.py), and git
is asked about these few commits only; without such notes git tells it (brought.py), while that graph is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clawsecrets.model.finding import Kind, Skipped
from clawsecrets.sources.git.brought import Bringers
from clawsecrets.sources.git.database import Database
from clawsecrets.sources.git.earliest import NONE, Earliest, Unclear
from clawsecrets.sources.git.edges import Edges
from clawsecrets.sources.git.freed import give_back
from clawsecrets.sources.git.graph import Graph, commits, objects_of
from clawsecrets.sources.git.memory import RECENT, TIPS, First, Memory
from clawsecrets.sources.git.messages import Head
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import COMMIT, TREE
from clawsecrets.sources.git.trees import entries

Array = NDArray[Any]


class Ways:
    """What `locate` asks."""

    def __init__(self, base: Database, objects: Objects, edges: Sequence[Edges] = ()) -> None:
        """`edges`: of all parts; none when not all trees were read."""
        self._base, self._objects = base, objects
        self._edges = edges if all(one.whole() for one in edges) else ()
        self._graph = Graph(iter(()), base.layout.width)
        self._wanted: Sequence[bytes] = ()
        self._masks: Callable[[bytes], int] = lambda name: 0
        self._apart = False
        self._ranks: Sequence[int] = ()
        self._every: Bringers | None = None
        self.skipped: list[Skipped] = []

    def read(self, wanted: Mapping[bytes, Collection[Kind]]) -> None:
        """All commits. Where notes are missing, git looks at them meanwhile."""
        give_back()
        trees = {name for name, kinds in wanted.items() if Kind.GIT_NAME in kinds}
        if self._edges:
            found: Iterable[Head] = chain.from_iterable(one.commits() for one in self._edges)
        else:
            named = [name for name, kinds in wanted.items() if any(kind != Kind.GIT_MESSAGE for kind in kinds)]
            self._every = self._begun(named, bool(trees))
            found = commits(self._base, self._objects)
        self._graph = Graph(found, self._base.layout.width, trees)

    def first(self, wanted: Mapping[bytes, Collection[Kind]], tips: Mapping[bytes, int]
              ) -> tuple[dict[bytes, First], Mapping[bytes, bytes]]:
        """The first commit of each object, with its path there; and of those whose first commit is reached by no tip
        of rank 0, the first of those that have it and are reached best. `tips`: their ranks."""
        graph = self._graph
        self._ranks = graph.ranks(tips)
        names = [name for name, kinds in wanted.items() if name not in graph.roots  # of these it is known
                 and any(kind != Kind.GIT_MESSAGE for kind in kinds)]
        trees = any(Kind.GIT_NAME in kinds for kinds in wanted.values())
        turns = np.empty(len(graph.order), np.int64)
        turns[np.lexsort((np.arange(len(turns)), np.asarray(self._ranks)))] = np.arange(len(turns))
        found = self._noted(names, trees, turns) if self._edges and names else None
        first, better = found if found is not None else self._asked(names, trees, turns)
        for tree, name in graph.roots.items():
            first[tree] = name, ""
            has = np.flatnonzero(graph.trees == int.from_bytes(tree[:8], "big"))
            better[tree] = graph.order[int(has[np.argmin(turns[has])])]
        better = {name: commit for name, commit in better.items() if self._ranks[graph.at[first[name][0]]]}
        self._apart = self._apart or bool(better)
        return first | {name: (name, "") for name in wanted if name in graph.at}, better

    def _noted(self, names: Sequence[bytes], trees: bool, turns: Array
               ) -> tuple[dict[bytes, First], dict[bytes, bytes]] | None:
        """The commits that come first, by time and by `turns`, as the notes have it and git confirms it; None when they
        do not tell it."""
        graph = self._graph
        order = [graph.order[place] for place in np.argsort(turns).tolist()]
        try:
            earliest = Earliest(self._base, self._edges, names)
            by = best = _of(names, earliest.commits(graph.trees, np.arange(len(turns))), graph.order)
            if any(map(self.ranks, by.values())):
                best = _of(names, earliest.commits(graph.trees, turns), order)
        except Unclear:
            return None
        del earliest  # it holds much, and git wants some, too
        give_back()
        bringers = Bringers(self._base.layout, names, trees)
        asked = sorted({graph.at[name] for name in (*by.values(), *best.values())})
        bringers.begin(b"".join([graph.order[place] for place in asked]))
        first, better = bringers.found(graph.at), bringers.found({name: turn for turn, name in enumerate(order)})
        confirmed = _commits(first) == by and (best is by or _commits(better) == best)
        return (first, best) if confirmed and not bringers.skipped else None

    def _begun(self, names: Sequence[bytes], trees: bool) -> Bringers:
        """Git, that looks at all commits in packs."""
        bringers = Bringers(self._base.layout, names, trees)
        bringers.begin(self._packed())
        return bringers

    def _asked(self, names: Sequence[bytes], trees: bool, turns: Array
               ) -> tuple[dict[bytes, First], dict[bytes, bytes]]:
        """The same by git's word on all commits."""
        graph, bringers = self._graph, self._every or self._begun(names, trees)
        bringers.begin(b"".join([name for name in map(bytes.fromhex, self._base.all_loose) if name in graph.at]))
        first = bringers.found(graph.at)
        better = bringers.found(dict(zip(graph.order, turns.tolist(), strict=True)))
        self.skipped += bringers.skipped
        self._every = None
        return first, _commits(better)

    def ranks(self, commit: bytes) -> int:
        """The least of the ranks of those tips that reach it; NOWHERE where none does."""
        return self._ranks[self._graph.at[commit]]

    # --- names

    def trees(self, runs: Collection[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        """Of each of these parts of names: all trees in which one has it."""
        self._apart = True
        found: dict[bytes, list[bytes]] = {run: [] for run in runs}
        for name, data in objects_of(self._base, self._objects, TREE):
            for run in runs:
                if run in data and any(run in entry for _, entry, _ in entries(data, self._base.layout.width)):
                    found[run].append(name)
        return {run: list(dict.fromkeys(names)) for run, names in found.items()}

    def place(self, commit: bytes) -> int:
        """The place of a commit in the order of time."""
        return self._graph.at[commit]

    def _packed(self) -> bytes:
        """The ids of the commits in packs, as they lie there: those that are like each other are neighbours."""
        packs = [held.pack for held in self._base.packs]
        return b"".join([np.frombuffer(pack.names, np.uint8).reshape(-1, pack.width)[
            pack.order[pack.kinds == COMMIT]].tobytes() for pack in packs])

    @property
    def commits(self) -> Mapping[bytes, int]:
        """All commits, with their place in the order of time."""
        return self._graph.at

    def masks(self, wanted: Sequence[bytes]) -> Callable[[bytes], int]:
        """Of any tip: which of the wanted commits it reaches, bit by bit in their order."""
        self._wanted, self._masks = wanted, self._graph.masks(wanted)
        return self._masks

    def memory(self, first: Mapping[bytes, First], tips: Sequence[bytes]) -> Memory | None:
        """What another scan may remember. None where that would be too much, or not all could be told."""
        if self.skipped or len(tips) > TIPS or self._base.layout.shallow:
            return None
        return Memory(self._graph.newest, first, tuple(self._wanted), {
            name: self._masks(name) for name in dict.fromkeys((*tips, *self._graph.order[-RECENT:]))}, self._apart)


def _of(names: Sequence[bytes], turns: Array, order: Sequence[bytes]) -> dict[bytes, bytes]:
    """Of each name the commit that has this turn."""
    return {name: order[turn] for name, turn in zip(names, turns.tolist(), strict=True) if turn != NONE}


def _commits(first: Mapping[bytes, First]) -> dict[bytes, bytes]:
    return {name: commit for name, (commit, _) in first.items()}
