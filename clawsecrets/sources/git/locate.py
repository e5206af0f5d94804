"""Where a finding can be reached from: the first commit that brought it, and the refs that lead there.

Only asked for what has findings: nothing of this runs in a clean repository. What the commits say is told by their
graph (ways.py), or by what an earlier scan has remembered (memory.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from heapq import nsmallest
from typing import Protocol

from clawsecrets.model.finding import Kind, Place, Provenance, Skipped
from clawsecrets.sources.git import messages, refs
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.layout import Layout
from clawsecrets.sources.git.memory import First, reaching
from clawsecrets.sources.git.objects import Objects

_REFS = 10
_WORDS = (*refs.CLASSES, "index")
_RANKS = {word: i for i, word in enumerate(_WORDS)}
_MESSAGE = 120
_BY = re.compile(rb"^(?:author|tagger) ([^\n]*?) (-?[0-9]{1,18}) ([+-])([0-9]{2})([0-9]{2})$", re.MULTILINE)
_TAGS = 8


_Thing = tuple[Kind, tuple[bytes, ...]]
"""Objects, any of which is looked for, as what."""


class Ways(Protocol):
    """How the objects of a repository came into it. Each is asked in this order."""

    def trees(self, runs: Collection[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        """Of each of these parts of names: all trees in which one has it."""

    def read(self, wanted: Mapping[bytes, Collection[Kind]]) -> None:
        """Get to know the commits."""

    @property
    def commits(self) -> Container[bytes]:
        """All commits."""

    def first(self, wanted: Mapping[bytes, Collection[Kind]], tips: Mapping[bytes, int]
              ) -> tuple[dict[bytes, First], Mapping[bytes, bytes]]:
        """Of each object that a commit brought, the first such commit, and the path there. A commit is its own first
        one; a tree that is a commit's root has no path. And of those objects whose first commit is reached by no tip of
        rank 0: the first of those commits that have it and are reached best. `tips`: the rank of each, the most telling
        least."""

    def ranks(self, commit: bytes) -> int:
        """Of a first commit: the least of the ranks of those tips that reach it; NOWHERE where none does."""

    def place(self, commit: bytes) -> int:
        """The place of a commit in the order of time; asked where `trees` was."""

    def masks(self, wanted: Sequence[bytes]) -> Callable[[bytes], int]:
        """Of any tip: which of the wanted commits it reaches, bit by bit in their order."""

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What could not be told."""


class Locator:
    """Answers for one repository, after it was read."""

    def __init__(self, layout: Layout, objects: Objects, known: refs.Refs, ways: Ways) -> None:
        self._layout, self._objects, self._refs, self._how = layout, objects, known, ways
        self._commits: Container[bytes] = ()
        self._texts: dict[bytes, tuple[str, str, str]] = {}
        self._tips: Mapping[bytes, Sequence[tuple[str, str]]] = {}
        self._ways: dict[tuple[tuple[bytes, ...], bool], tuple[str, tuple[str, ...]]] = {}
        self.skipped: list[Skipped] = []
        self.told: dict[bytes, First] = {}
        """The first commit of each object that was asked for, with the path there; empty where there is none."""
        self.order: Sequence[bytes] = ()
        """The tips that are commits, the most telling first."""

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """One provenance for each place."""
        in_files = {place for place in places if place.key == "file" or place.key == "refs"}
        found: dict[Place, Sequence[Provenance]] = {
            place: [Provenance(place.kind, place.path or place.key, reachable=self._of_file(place))]
            for place in in_files}
        objects = self._asked([place for place in places if place not in in_files])
        if objects:
            wanted: dict[bytes, set[Kind]] = {}
            for (kind, names), _ in objects.items():
                for name in names:
                    wanted.setdefault(name, set()).add(kind)
            self._how.read(wanted)
            found |= self._told(objects, wanted)
        self._objects.close()
        return found

    def _asked(self, places: Iterable[Place]) -> Mapping[_Thing, Sequence[Place]]:
        """What is looked for, and the places that it tells of: an object (members of an archive stand in one), or all
        trees with a name, for a name is told of one only."""
        runs = {place.path.encode() for place in places if place.kind == Kind.GIT_NAME and place.path}
        trees = self._how.trees(runs) if runs else {}
        objects: dict[_Thing, list[Place]] = {}
        for place in places:
            own = bytes.fromhex(place.key)
            every = trees.get(place.path.encode(), ()) if place.kind == Kind.GIT_NAME else ()
            objects.setdefault((place.kind, tuple(sorted({own, *every}))), []).append(place)
        return objects

    @staticmethod
    def _of_file(place: Place) -> str:
        return "reflog" if "logs/" in place.path else ""

    # --- the refs that lead there

    def _told(self, objects: Mapping[_Thing, Sequence[Place]], asked: Mapping[bytes, Collection[Kind]]
              ) -> dict[Place, Sequence[Provenance]]:
        self._commits = commits = self._how.commits
        self._tips = tips = refs.by_target(self._refs, self._peeled)
        order = sorted((min([(_RANKS[word], ref) for word, ref in whence]), name) for name, whence in tips.items()
                       if name in commits)
        self.order = [name for _, name in order]
        first, better = self._how.first(asked, {name: best for (best, _), name in order})
        self.skipped += self._how.skipped
        chosen = {thing: self._earliest(thing[1], first) for thing in objects}
        wanted = sorted({first[its][0] for its in chosen.values() if its in first} | {*better.values()})
        reached = reaching([(ref, name) for (_, ref), name in order], self._how.masks(wanted), wanted, _REFS)
        staged = self._staged() if any(its not in first for its in chosen.values()) else {}
        found: dict[Place, Sequence[Provenance]] = {}
        for (kind, names), there in objects.items():
            its = chosen[kind, names]
            commit, path = self.told[its] = first.get(its, (b"", ""))
            ways = [better[name] for name in names if name in better] if its in better else []
            best = min(ways, key=lambda one: (self._how.ranks(one), one), default=b"")
            leading = (*reached.get(commit, ()), *reached.get(best, ()), *((its,) if its in tips else ()))
            path = path or staged.get(its, "")
            whence = self._whence(leading, its in staged)
            for place in there:
                found[place] = [self._provenance(place, commit or its, bool(commit), path, whence)]
        return found

    def _earliest(self, names: Sequence[bytes], first: Mapping[bytes, First]) -> bytes:
        """The object that came first."""
        known = [name for name in names if name in first]
        if len(known) < 2:
            return known[0] if known else names[0]
        return min(known, key=lambda name: (self._how.place(first[name][0]), first[name][1], name))

    def _whence(self, tips: tuple[bytes, ...], staged: bool) -> tuple[str, tuple[str, ...]]:
        """How that is reached to which these tips lead, and the refs' names: each once, the most telling first."""
        done = self._ways.get((tips, staged))
        if done is None:
            best = {"": _RANKS["index"]} if staged else {}
            for word, name in (way for tip in tips for way in self._tips[tip]):  # a ref's own reflog has its name
                best[name] = min(best.get(name, _RANKS[word]), _RANKS[word])
            names = nsmallest(_REFS, best, key=lambda name: (best[name], name))
            word = _WORDS[best[names[0]]] if names else "dangling"
            done = self._ways[tips, staged] = word, tuple([refs.shown(name) for name in names if name])
        return done

    def _provenance(self, place: Place, described: bytes, in_commit: bool, path: str,
                    whence: tuple[str, tuple[str, ...]]) -> Provenance:
        """`described`: the commit, or the object itself, which may be a tag."""
        author = date = message = ""
        if in_commit or place.kind == Kind.GIT_MESSAGE:
            author, date, message = self._described(described)
        if place.kind == Kind.GIT_NAME and place.path:
            path = f"{path}/{place.path}" if path else place.path
        elif place.path:
            path += refs.shown(place.path)  # of a member of an archive, with what it begins with
        return Provenance(place.kind, path, described.hex() if in_commit else "", author, date, message, *whence)

    def _described(self, name: bytes) -> tuple[str, str, str]:
        """Author, date and first line of a commit or tag."""
        done = self._texts.get(name)
        if done is None:
            done = self._texts[name] = self._read(name.hex())
        return done

    def _read(self, name: str) -> tuple[str, str, str]:
        try:
            _, data = self._objects.read(name)
        except (Damaged, OSError):
            return "", "", ""
        head, _, body = data.partition(b"\n\n")
        line = refs.shown(body.lstrip(b"\n").partition(b"\n")[0])[:_MESSAGE]
        by = _BY.search(head)
        if by is None:
            return "", "", line
        return refs.shown(by[1]), _date(int(by[2]), by[3] == b"-", int(by[4]), int(by[5])), line

    def _peeled(self, name: bytes) -> bytes:
        """What an annotated tag names in the end; anything else is itself."""
        for _ in range(_TAGS):
            if name in self._commits:
                return name
            try:
                kind, data = self._objects.read(name.hex())
            except (Damaged, OSError):
                return name
            links = messages.linked(data, self._layout.width) if kind == "tag" else []
            if not links:
                return name
            name = links[0]
        return name

    def _staged(self) -> Mapping[bytes, str]:
        """Objects in the indexes of all worktrees, and their paths."""
        from clawsecrets.clients.git import Git, GitFailed  # seldom needed, and not light

        found: dict[bytes, str] = {}
        for gitdir in self._layout.worktrees:
            if not (gitdir / "index").is_file():
                continue
            try:
                raw = Git(gitdir, self._layout.top).run("ls-files", "--stage", "-z")
            except GitFailed as error:
                self.skipped.append(Skipped(f"the index of {gitdir}", error.message))
                continue
            for entry in raw.split(b"\0"):
                head, _, path = entry.partition(b"\t")
                if path:
                    found.setdefault(bytes.fromhex(head.split(b" ")[1].decode()), refs.shown(path))
        return found


def _date(seconds: int, west: bool, hours: int, minutes: int) -> str:
    """RFC 3339; empty when no calendar has it."""
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        return datetime.fromtimestamp(seconds, timezone(-offset if west else offset)).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
