"""How the objects of a repository came into it, read out of all of its commits: the graph of commits is our own
(graph.py). Which commit brought a blob first is told by what was noted when all trees were read (earliest.py), and git
is asked about these few commits only; without such notes git tells it (brought.py), while that graph is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from clawsecrets.model.finding import Kind, Skipped
from clawsecrets.sources.git.brought import Bringers
from clawsecrets.sources.git.database import Database
from clawsecrets.sources.git.earliest import NONE, Earliest, Unclear
from clawsecrets.sources.git.edges import Edges
from clawsecrets.sources.git.graph import Graph, commits
from clawsecrets.sources.git.memory import RECENT, TIPS, First, Memory
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import COMMIT


class Ways:
    """What `locate` asks."""

    def __init__(self, base: Database, objects: Objects, edges: Sequence[Edges] = ()) -> None:
        """`edges`: of all parts; none when not all trees were read."""
        self._base, self._objects, self._edges = base, objects, edges
        self._graph = Graph(iter(()), base.layout.width)
        self._wanted: Sequence[bytes] = ()
        self._masks: Callable[[bytes], int] = lambda name: 0
        self.skipped: list[Skipped] = []

    def first(self, wanted: Mapping[bytes, Collection[Kind]]) -> dict[bytes, First]:
        """The first commit of each object, with its path there."""
        base = self._base
        named = {name for name, kinds in wanted.items() if any(kind != Kind.GIT_MESSAGE for kind in kinds)}
        trees = {name for name in named if Kind.GIT_NAME in wanted[name]}
        first = self._noted(named, trees) if self._edges and named else None
        if first is None:
            bringers = Bringers(base.layout, named, bool(trees))
            bringers.begin(self._packed())
            graph = self._read(trees)
            loose = map(bytes.fromhex, base.all_loose)
            bringers.begin(b"".join([name for name in loose if name in graph.at]))
            first = bringers.found(graph.at)
            self.skipped += bringers.skipped
        graph = self._graph
        first |= {tree: (name, "") for tree, name in graph.roots.items()}
        return first | {name: (name, "") for name in wanted if name in graph.at}

    def _read(self, trees: Collection[bytes]) -> Graph:
        if not self._graph.order:
            self._graph = Graph(commits(self._base, self._objects), self._base.layout.width, trees)
        return self._graph

    def _noted(self, named: Collection[bytes], trees: Collection[bytes]) -> dict[bytes, First] | None:
        """As the notes have it, and git confirms it; None when they do not tell it."""
        graph = self._read(trees)
        names = [name for name in named if name not in graph.roots]  # of these it is known
        try:
            places = Earliest(self._base, self._edges, names).commits(graph.trees).tolist()
        except Unclear:
            return None
        by = {name: graph.order[place] for name, place in zip(names, places, strict=True) if place != NONE}
        bringers = Bringers(self._base.layout, names, bool(trees))
        bringers.begin(b"".join(dict.fromkeys(by.values())))
        first = bringers.found(graph.at)
        return first if not bringers.skipped and by == {name: commit for name, (commit, _) in first.items()} else None

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
            name: self._masks(name) for name in dict.fromkeys((*tips, *self._graph.order[-RECENT:]))})
