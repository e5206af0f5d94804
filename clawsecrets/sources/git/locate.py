"""Where a finding can be reached from: the first commit that brought it, and the refs that lead there.

Only asked for what has findings: nothing of this runs in a clean repository. The graph of commits is our own
(graph.py); which commit brought a blob is told by git's raw diffs of every commit, of a merge for what stands in none
of its parents (an evil merge; what stands in one was brought before). Two git processes share the commits.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from heapq import nsmallest

from clawsecrets.clients.git import Git, GitFailed
from clawsecrets.model.finding import Kind, Place, Provenance, Skipped
from clawsecrets.sources.git import messages, refs
from clawsecrets.sources.git.database import Database
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.graph import Graph, commits
from clawsecrets.sources.git.objects import Objects

_LOG = ("log", "--stdin", "--no-walk=unsorted", "--root", "-c", "--raw", "-r", "-z", "--no-renames",
        "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-notes", "--format=%x01%H")
_PROCESSES = 2
_REFS = 10
_RANKS = {word: i for i, word in enumerate((*refs.CLASSES, "index"))}
_MESSAGE = 120
_BY = re.compile(rb"^(?:author|tagger) ([^\n]*?) (-?[0-9]{1,18}) ([+-])([0-9]{2})([0-9]{2})$", re.MULTILINE)
_TAGS = 8

First = tuple[bytes, str]
"""Commit, path."""


class Locator:
    """Answers for one repository, after it was read."""

    def __init__(self, base: Database, known: refs.Refs) -> None:
        self._base, self._refs = base, known
        self._objects = Objects(base.layout.stores, base.layout.width)
        self._commits: Collection[bytes] = ()
        self.skipped: list[Skipped] = []

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """One provenance for each place."""
        in_files = {place for place in places if place.key == "file" or place.key == "refs"}
        found: dict[Place, Sequence[Provenance]] = {
            place: [Provenance(place.kind, place.path or place.key, reachable=self._of_file(place))]
            for place in in_files}
        objects: dict[bytes, list[Place]] = {}
        for place in places:
            if place not in in_files:
                objects.setdefault(bytes.fromhex(place.key), []).append(place)  # members of an archive, names in a tree
        if objects:
            graph = Graph(commits(self._base, self._objects), self._base.layout.width)
            trees = any(place.kind == Kind.GIT_NAME for there in objects.values() for place in there)
            first = self._first(graph, {name for name in objects if name not in graph.at}, trees)
            first |= {name: (name, "") for name in objects if name in graph.at}
            found |= self._told(graph, objects, first)
        self._objects.close()
        return found

    @staticmethod
    def _of_file(place: Place) -> str:
        return "reflog" if "logs/" in place.path else ""

    # --- the commit that brought it

    def _first(self, graph: Graph, wanted: Collection[bytes], trees: bool) -> dict[bytes, First]:
        """The first commit of each object, and its path there. An object of a tree that is a commit's root has none."""
        first: dict[bytes, First] = {}
        for name in graph.order:
            tree = graph.trees[name]
            if tree in wanted:
                first.setdefault(tree, (name, ""))
        left = {name.hex().encode() for name in wanted if name not in first}
        if left and graph.order:
            newest_first = [name.hex() for name in reversed(graph.order)]
            half = -(-len(newest_first) // _PROCESSES)
            shares = [newest_first[i:i + half] for i in range(0, len(newest_first), half)]
            with ThreadPoolExecutor(_PROCESSES) as pool:
                for some in pool.map(lambda share: self._brought(share, left, trees), shares):
                    for name, one in some.items():
                        old = first.get(name)
                        if old is None or graph.at[one[0]] < graph.at[old[0]]:
                            first[name] = one
        return first

    def _brought(self, share: Sequence[str], wanted: Collection[bytes], trees: bool) -> dict[bytes, First]:
        """Of the objects wanted, the last commit in `share` that brought each. `trees`: some of them are trees."""
        found: dict[bytes, First] = {}
        git = Git(self._base.layout.gitdir, self._base.layout.top)
        try:
            words = (*_LOG, "-t") if trees else _LOG
            for commit, name, path in _entries(git.blocks(*words, given="\n".join(share).encode() + b"\n"), wanted):
                found[bytes.fromhex(name.decode())] = (bytes.fromhex(commit.decode()), refs.shown(path))
        except GitFailed as error:
            self.skipped.append(Skipped("where findings come from", error.message))
        return found

    # --- the refs that lead there

    def _told(self, graph: Graph, objects: Mapping[bytes, Sequence[Place]], first: Mapping[bytes, First]
              ) -> dict[Place, Sequence[Provenance]]:
        self._commits = graph.at
        pointed = refs.by_target(self._refs, self._peeled)
        tips = {bytes.fromhex(name): whence for name, whence in pointed.items()}
        wanted = sorted({one[0] for one in first.values()})
        order = sorted((min((_RANKS[word], ref) for word, ref in whence), name) for name, whence in tips.items()
                       if name in graph.at)
        reached = graph.reached((name for _, name in order), wanted, _REFS)
        staged = self._staged() if any(name not in first for name in objects) else {}
        found: dict[Place, Sequence[Provenance]] = {}
        for name, there in objects.items():
            commit, path = first.get(name, (b"", ""))
            whence = [one for tip in reached.get(commit, ()) for one in tips[tip]] + tips.get(name, [])
            if name in staged:
                path = path or staged[name]
                whence.append(("index", ""))
            for place in there:
                found[place] = [self._provenance(place, commit or name, bool(commit), path, whence)]
        return found

    def _provenance(self, place: Place, described: bytes, in_commit: bool, path: str, whence: list[tuple[str, str]]
                    ) -> Provenance:
        """`described`: the commit, or the object itself, which may be a tag."""
        whence = nsmallest(_REFS, set(whence), key=lambda one: (_RANKS[one[0]], one[1]))
        names = tuple(refs.shown(name) for _, name in whence if name)
        author = date = message = ""
        if in_commit or place.kind == Kind.GIT_MESSAGE:
            author, date, message = self._described(described.hex())
        if place.kind == Kind.GIT_NAME and place.path:
            path = f"{path}/{place.path}" if path else place.path
        else:
            path += refs.shown(place.path)  # of a member of an archive, with what it begins with
        return Provenance(
            place.kind, path, described.hex() if in_commit else "", author, date, message,
            whence[0][0] if whence else "dangling", names,
        )

    def _described(self, name: str) -> tuple[str, str, str]:
        """Author, date and first line of a commit or tag."""
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

    def _peeled(self, name: str) -> str:
        """What an annotated tag names in the end; anything else is itself."""
        for _ in range(_TAGS):
            if bytes.fromhex(name) in self._commits:
                return name
            try:
                kind, data = self._objects.read(name)
            except (Damaged, OSError):
                return name
            links = messages.linked(data, self._base.layout.width) if kind == "tag" else []
            if not links:
                return name
            name = links[0].hex()
        return name

    def _staged(self) -> Mapping[bytes, str]:
        """Objects in the indexes of all worktrees, and their paths."""
        found: dict[bytes, str] = {}
        for gitdir in self._base.layout.worktrees:
            if not (gitdir / "index").is_file():
                continue
            try:
                raw = Git(gitdir, self._base.layout.top).run("ls-files", "--stage", "-z")
            except GitFailed as error:
                self.skipped.append(Skipped(f"the index of {gitdir}", error.message))
                continue
            for entry in raw.split(b"\0"):
                head, _, path = entry.partition(b"\t")
                if path:
                    found.setdefault(bytes.fromhex(head.split(b" ")[1].decode()), refs.shown(path))
        return found


def _entries(blocks: Iterable[bytes], wanted: Collection[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Commit, id and path of those entries of raw diffs with NULs that brought something wanted. What follows an
    entry's head is its path, whatever it looks like."""
    kept, commit, head = b"", b"", b""
    for block in blocks:
        *fields, kept = (kept + block).split(b"\0")
        for text in fields:
            if head:
                name = head.rsplit(b" ", 2)[1]
                if name in wanted:
                    yield commit, name, text
                head = b""
                continue
            if text[:1] == b"\n":
                text = text.lstrip(b"\n")
            if text[:1] == b":":
                head = text
            elif text[:1] == b"\x01":
                commit = text[1:]


def _date(seconds: int, west: bool, hours: int, minutes: int) -> str:
    """RFC 3339; empty when no calendar has it."""
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        return datetime.fromtimestamp(seconds, timezone(-offset if west else offset)).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
