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
from clawsecrets.sources.git.graph import Graph, commits, objects_of
from clawsecrets.sources.git.memory import RECENT, TIPS, First, Memory
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import COMMIT, TREE
from clawsecrets.sources.git.trees import entries


class Ways:
    """What `locate` asks."""

    def __init__(self, base: Database, objects: Objects, edges: Sequence[Edges] = ()) -> None:
        """`edges`: of all parts; none when not all trees were read."""
        self._base, self._objects, self._edges = base, objects, edges
        self._graph = Graph(iter(()), base.layout.width)
        self._wanted: Sequence[bytes] = ()
        self._masks: Callable[[bytes], int] = lambda name: 0
        self._apart = False
        self._ranks: Sequence[int] = ()
        self._named: Sequence[bytes] = ()
        self._earliest: Earliest | None = None
        """Of `_named`."""
        self._every: Bringers | None = None
        """Of all commits, where git was asked about them."""
        self._with_trees = False
        self.skipped: list[Skipped] = []

    def first(self, wanted: Mapping[bytes, Collection[Kind]]) -> dict[bytes, First]:
        """The first commit of each object, with its path there."""
        named = {name for name, kinds in wanted.items() if any(kind != Kind.GIT_MESSAGE for kind in kinds)}
        trees = {name for name in named if Kind.GIT_NAME in wanted[name]}
        graph = self._graph = self._graph if self._graph.order else Graph(
            commits(self._base, self._objects), self._base.layout.width, trees)
        self._with_trees = bool(trees)
        self._named = [name for name in named if name not in graph.roots]  # of these it is known
        places = range(len(graph.order))
        first = self._noted(self._named, places) if self._edges and named else None
        if first is None:
            first = self._asked(graph.at)
        first |= {tree: (name, "") for tree, name in graph.roots.items()}
        return first | {name: (name, "") for name in wanted if name in graph.at}

    def _noted(self, names: Sequence[bytes], turns: Sequence[int]) -> dict[bytes, First] | None:
        """The commit with the least turn (by place) that has each, as the notes have it, and git confirms it; None
        when they do not tell it."""
        graph = self._graph
        try:
            if self._earliest is None:
                self._earliest = Earliest(self._base, self._edges, self._named)
            least = self._earliest.commits(graph.trees, np.asarray(turns, np.int64)).tolist()
        except Unclear:
            self._earliest = None
            return None
        order = [b""] * len(turns)
        for name, turn in zip(graph.order, turns, strict=True):
            order[turn] = name
        asked = set(names)
        by = {name: order[turn] for name, turn in zip(self._named, least, strict=True)
              if turn != NONE and name in asked}
        bringers = Bringers(self._base.layout, names, self._with_trees)
        bringers.begin(b"".join(dict.fromkeys(by.values())))
        first = bringers.found({name: turn for turn, name in enumerate(order)})
        return first if not bringers.skipped and by == {name: commit for name, (commit, _) in first.items()} else None

    def _asked(self, turns: Mapping[bytes, int]) -> dict[bytes, First]:
        """The same by git's word on all commits."""
        if self._every is None:
            self._every = bringers = Bringers(self._base.layout, self._named, self._with_trees)
            bringers.begin(self._packed())
            bringers.begin(b"".join([name for name in map(bytes.fromhex, self._base.all_loose) if name in turns]))
        first = self._every.found(turns)
        self.skipped += [skipped for skipped in self._every.skipped if skipped not in self.skipped]
        return first

    # --- which of them a ref leads to

    def ranks(self, tips: Mapping[bytes, int]) -> Callable[[bytes], int]:
        """Of any commit: the least of the ranks of those tips that reach it; NOWHERE where none does."""
        self._ranks, at = self._graph.ranks(tips), self._graph.at
        return lambda name: self._ranks[at[name]]

    def better(self, names: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Of each object the first of those commits that have it and are reached best (by `ranks`)."""
        graph, self._apart = self._graph, True
        turns = np.empty(len(graph.order), np.int64)
        turns[np.lexsort((np.arange(len(turns)), np.asarray(self._ranks)))] = np.arange(len(turns))
        rest = [name for name in names if name not in graph.roots]
        found = self._noted(rest, turns.tolist()) if self._earliest is not None and rest else None
        if found is None and rest:
            found = self._asked(dict(zip(graph.order, turns.tolist(), strict=True)))
        best = {name: found[name][0] for name in rest if found and name in found}
        for tree in names:
            if tree in graph.roots:
                has = np.flatnonzero(graph.trees == int.from_bytes(tree[:8], "big"))
                best[tree] = graph.order[int(has[np.argmin(turns[has])])]
        return best

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
        self._earliest = self._every = None  # asked before: they hold much
        self._wanted, self._masks = wanted, self._graph.masks(wanted)
        return self._masks

    def memory(self, first: Mapping[bytes, First], tips: Sequence[bytes]) -> Memory | None:
        """What another scan may remember. None where that would be too much, or not all could be told."""
        if self.skipped or len(tips) > TIPS or self._base.layout.shallow:
            return None
        return Memory(self._graph.newest, first, tuple(self._wanted), {
            name: self._masks(name) for name in dict.fromkeys((*tips, *self._graph.order[-RECENT:]))}, self._apart)
