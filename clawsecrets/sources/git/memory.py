"""Where findings come from, remembered: a later scan need not ask git and read all commits again to say the same.

Kept of a repository are ids and paths: of each object with findings the first commit that brought it, and which of
these commits the tips and the latest commits reach. What a first commit is does not change while everything of that
scan is still there and nothing that came since is as old as what was there: then it is answered from here, and of what
is new itself git is asked about the new commits only. In any other case it is `Unsure`, and all commits are read.
Without numpy.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from clawsecrets.model.finding import Kind
from clawsecrets.sources.git import messages
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.layout import Layout
from clawsecrets.sources.git.objects import Objects

First = tuple[bytes, str]
"""Commit, path."""
RECENT = 512
"""So many of the latest commits are remembered besides the tips: what is new begins at one of them."""
TIPS = 1000
"""With more tips nothing is remembered."""
NOWHERE = 99
"""The rank of what no tip reaches: after all others."""
FRESH = 1000
"""More objects that are new are not looked through one by one."""


class Unsure(Exception):
    """It cannot be told without reading all commits."""


class Memory(NamedTuple):
    """What is remembered."""

    newest: int
    """Unix seconds: the latest date of a commit that was there."""
    first: Mapping[bytes, First]
    """Object -> what brought it first; an empty commit where none did."""
    commits: tuple[bytes, ...]
    """The first commits, each once ..."""
    reached: Mapping[bytes, int]
    """... and of a tip or a late commit those that it reaches, bit by bit in their order."""
    apart: bool = False
    """Whether some are reached by no branch, or are names: then the refs that lead to other commits matter, too, and
    only all commits can tell."""

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        paths = sorted({path for _, path in self.first.values()})
        place = {path: i for i, path in enumerate(paths)}
        number = {name: i for i, name in enumerate((*self.commits, b""))}
        ways = sorted(set(self.reached.values()))
        way = {mask: i for i, mask in enumerate(ways)}
        return {"newest": self.newest, "apart": self.apart, "paths": paths,
                "commits": [name.hex() for name in self.commits],
                "first": {name.hex(): [number[by], place[path]] for name, (by, path) in self.first.items()},
                "ways": [f"{mask:x}" for mask in ways],
                "reached": {name.hex(): way[mask] for name, mask in self.reached.items()}}

    @classmethod
    def parsed(cls, plain: Mapping[str, Any]) -> Memory:
        """Back again. ValueError, KeyError, IndexError or TypeError when it is not what `plain` gives."""
        commits = tuple([bytes.fromhex(name) for name in plain["commits"]])
        paths, every = list(map(str, plain["paths"])), (*commits, b"")
        ways = [int(mask, 16) for mask in plain["ways"]]
        return cls(int(plain["newest"]),
                   {bytes.fromhex(name): (every[by], paths[path]) for name, (by, path) in plain["first"].items()},
                   commits, {bytes.fromhex(name): ways[mask] for name, mask in plain["reached"].items()},
                   bool(plain["apart"]))

    def without(self, shown: Callable[[str], bool]) -> Memory:
        """Only with paths that may stand in a file: a value may stand in one."""
        return self._replace(first={name: one for name, one in self.first.items() if shown(one[1])})


def reaching(tips: Iterable[tuple[str, bytes]], masks: Callable[[bytes], int], wanted: Sequence[bytes], most: int
             ) -> Mapping[bytes, list[bytes]]:
    """The first of the tips (each with the name of a ref), in their order, that reach each wanted commit, as many as
    have `most` names. `masks` tells which of the wanted ones a tip reaches, bit by bit in their order."""
    found: dict[bytes, list[bytes]] = {name: [] for name in wanted}
    names: dict[bytes, set[str]] = {name: set() for name in wanted}
    need = (1 << len(wanted)) - 1
    for ref, tip in tips:
        mask = masks(tip) & need
        while mask:
            low = mask & -mask
            mask ^= low
            which = wanted[low.bit_length() - 1]
            found[which].append(tip)
            names[which].add(ref)
            if len(names[which]) == most:
                need ^= low
    return found


class Ways:
    """How the objects of a repository came into it, by what was remembered: what `locate` asks."""

    def __init__(self, memory: Memory, objects: Objects, layout: Layout, fresh: Sequence[bytes], *,
                 clean: bool = False) -> None:
        """`fresh`: the objects that were not there. `clean`: nothing will be asked of them, since they hold nothing; so
        their commits may be as old as they like, unless they bring something that was there. Unsure."""
        self._memory, self._objects, self._layout = memory, objects, layout
        self._is: dict[bytes, bool] = {}
        self._rank: Mapping[bytes, int] = {}
        if len(fresh) > FRESH:
            raise Unsure
        self._late: dict[bytes, First] = {}
        """What brought the objects of which nothing was remembered, or that nothing had brought."""
        self._commits = memory.commits
        self._reached = dict(memory.reached)
        self._fresh = frozenset(fresh)
        self._roots: dict[bytes, bytes] = {}
        """Root trees of new commits -> the first one that has it."""
        self._parents: dict[bytes, list[bytes]] = {}
        """Of the new commits, each after its parents."""
        early: dict[bytes, bytes] = {}
        self._newest = self._read(layout.width, fresh, early)
        if early and not (clean and self._bring_nothing(early)):
            raise Unsure  # one may stand before one that was there
        self.skipped: Sequence[Any] = ()

    def _read(self, width: int, names: Sequence[bytes], early: dict[bytes, bytes]) -> int:
        """Find the new commits, and what they reach; the latest date of all. `early` gets those that are not later than
        all that were there, with their root trees."""
        head, heads = messages.commit_head(width), {}
        for name in names:
            try:
                kind, data = self._objects.read(name.hex())
            except (Damaged, OSError):
                raise Unsure from None
            if kind == "commit":
                tree, links, date, _ = messages.commit(head, data, width)
                heads[name] = date, tree, [links[i:i + width] for i in range(0, len(links), width)]
                if date <= self._memory.newest:
                    early[name] = tree
        for name in _ordered({name: (date, parents) for name, (date, _, parents) in heads.items()}):
            _, tree, self._parents[name] = heads[name]
            self._roots.setdefault(tree, name)
            if any(one not in self._reached for one in self._parents[name]):
                raise Unsure  # it begins at an older commit
            self._reach(name, 0)
        return max([self._memory.newest, *(date for date, _, _ in heads.values())])

    def _bring_nothing(self, commits: Mapping[bytes, bytes]) -> bool:
        """Whether none of these commits (each with its root tree, which git's diffs do not name) brings an object of
        which it is remembered what brought it first."""
        from clawsecrets.sources.git.brought import Bringers

        if not self._memory.first.keys().isdisjoint(commits.values()):
            return False
        bringers = Bringers(self._layout, self._memory.first.keys(), True)
        bringers.begin(b"".join(commits))
        return not bringers.found({name: i for i, name in enumerate(commits)}) and not bringers.skipped

    def _reach(self, name: bytes, mask: int) -> None:
        for one in self._parents[name]:
            mask |= self._reached[one]
        self._reached[name] = mask

    def read(self, wanted: Mapping[bytes, Collection[Kind]]) -> None:
        """Nothing: what there is to know is remembered."""

    def first(self, wanted: Mapping[bytes, Collection[Kind]], tips: Mapping[bytes, int]
              ) -> tuple[dict[bytes, First], Mapping[bytes, bytes]]:
        """The first commit of each, with the path there. What is new, and what no commit had brought, only a new commit
        can have brought. Unsure; also where a first commit is reached by no tip of rank 0: only all commits can tell
        by which others that comes which has it."""
        first = self._first(wanted)
        self._rank = self._ranked(tips)
        if any(self._rank[commit] for name, (commit, _) in first.items() if name != commit):
            raise Unsure
        return first, {}

    def _first(self, wanted: Mapping[bytes, Collection[Kind]]) -> dict[bytes, First]:
        known = self._memory.first
        late = {name: kinds for name, kinds in wanted.items() if not (name in known and known[name][0])}
        if any(name not in known and name not in self._fresh for name in late):
            raise Unsure
        brought = self._brought(late) if late and self._parents else {}
        self._late = {name: brought.get(name, (b"", "")) for name in late}
        self._commits = tuple(dict.fromkeys((*self._commits, *(by for by, _ in brought.values()))))
        place = {name: i for i, name in enumerate(self._commits)}
        for name in self._parents:
            self._reach(name, 1 << place[name] if name in place else 0)
        return {name: known[name] for name in wanted if name not in late} | brought

    def _brought(self, late: Mapping[bytes, Collection[Kind]]) -> dict[bytes, First]:
        """As ways.py finds it among all commits."""
        from clawsecrets.sources.git.brought import Bringers

        at = {name: i for i, name in enumerate(self._parents)}
        named = {name for name, kinds in late.items() if any(kind != Kind.GIT_MESSAGE for kind in kinds)}
        trees = {name for name in named if Kind.GIT_NAME in late[name]}
        bringers = Bringers(self._layout, named, bool(trees))
        bringers.begin(b"".join(at))
        first = bringers.found(at)
        if bringers.skipped:
            raise Unsure
        first |= {tree: (self._roots[tree], "") for tree in trees if tree in self._roots}
        return first | {name: (name, "") for name in late if name in at}

    @property
    def commits(self) -> Container[bytes]:
        """All commits."""
        return self

    def __contains__(self, name: object) -> bool:
        assert isinstance(name, bytes)
        found = self._is.get(name)
        if found is None:
            try:
                found = self._objects.read(name.hex())[0] == "commit"
            except (Damaged, OSError):
                found = False
            self._is[name] = found
        return found

    def ranks(self, commit: bytes) -> int:
        """Of a first commit: the least of the ranks of those tips that reach it."""
        return self._rank[commit]

    def _ranked(self, tips: Mapping[bytes, int]) -> Mapping[bytes, int]:
        ranks, seen = [NOWHERE] * len(self._commits), 0
        for rank, tip in sorted((rank, tip) for tip, rank in tips.items()):
            whole = self._reached.get(tip)
            if whole is None:
                raise Unsure
            new = whole & ~seen
            seen |= whole
            while new:
                low = new & -new
                new ^= low
                ranks[low.bit_length() - 1] = rank
        return dict(zip(self._commits, ranks, strict=True))

    def trees(self, runs: Collection[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        """Only all trees can tell. Unsure."""
        raise Unsure

    def place(self, commit: bytes) -> int:
        """It is not asked: where names are looked for, `trees` is unsure."""
        raise Unsure

    def masks(self, wanted: Sequence[bytes]) -> Callable[[bytes], int]:
        """Of a tip: which of the wanted commits it reaches. Unsure."""
        place = {name: i for i, name in enumerate(self._commits)}
        bits = [place[name] for name in wanted]
        every = bits == list(range(len(place)))

        def mask(tip: bytes) -> int:
            whole = self._reached.get(tip)
            if whole is None:
                raise Unsure
            return whole if every else sum([1 << i for i, bit in enumerate(bits) if whole >> bit & 1])

        return mask

    @property
    def reached(self) -> Mapping[bytes, int]:
        """Of every commit that is remembered, or new: which of the first commits it reaches, bit by bit."""
        return self._reached

    def grown(self) -> Memory | None:
        """What is remembered from now on when nothing that is new has findings; None when that would be too much."""
        if len(self._reached) > TIPS + 2 * RECENT:
            return None
        return self._memory._replace(newest=self._newest, reached=self._reached)

    def memory(self, tips: Collection[bytes]) -> Memory | None:
        """What is remembered from now on."""
        if len(tips) > TIPS:
            return None
        kept = {*tips, *list(self._reached)[-RECENT - len(self._parents):]}
        reached = {name: mask for name, mask in self._reached.items() if name in kept}
        return Memory(self._newest, {**self._memory.first, **self._late}, self._commits, reached)


def _ordered(commits: Mapping[bytes, tuple[int, Sequence[bytes]]]) -> Iterator[bytes]:
    """Commits (each with its date and parents) as graph.py orders them: each after its parents, and at every place the
    oldest that can stand there."""
    waits = {name: sum(one in commits for one in set(parents)) for name, (_, parents) in commits.items()}
    children: dict[bytes, list[bytes]] = {}
    for name, (_, parents) in commits.items():
        for one in set(parents):
            children.setdefault(one, []).append(name)
    heap = sorted((commits[name][0], name) for name, count in waits.items() if not count)
    while heap:
        _, name = heapq.heappop(heap)
        yield name
        for child in children.get(name, ()):
            waits[child] -= 1
            if not waits[child]:
                heapq.heappush(heap, (commits[child][0], child))
