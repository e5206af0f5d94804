"""Which commit brought an object: git's raw diffs of commits, of a merge for what stands in none of its parents (an
evil merge; what stands in one was brought before). Git processes share the commits, and run while other things are
done: `begin` them, then ask for what was `found`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from clawsecrets.clients.git import Git, GitFailed
from clawsecrets.model.finding import Skipped
from clawsecrets.sources.git import refs
from clawsecrets.sources.git.layout import Layout
from clawsecrets.sources.git.memory import First

_LOG = ("log", "--stdin", "--no-walk=unsorted", "--root", "-c", "--raw", "-r", "-z", "--no-renames",
        "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-notes", "--format=%x01%H")
_PROCESSES = 2
_FEW = 1000
"""Commits for which one process will do."""
_NAMED = 8192
"""Objects that are named to git, so that it tells only what concerns them: more would not fit on a command line."""

_Hits = Sequence[tuple[bytes, bytes, bytes]]
"""Commit and object (both in hexadecimal), path."""


class Bringers:
    """Looks for the commits that brought some objects."""

    def __init__(self, layout: Layout, wanted: Collection[bytes], trees: bool) -> None:
        """`wanted`: ids. `trees`: some of them are trees."""
        self._layout = layout
        self._wanted = {name.hex().encode() for name in wanted}
        words = [*_LOG, "-t"] if trees else [*_LOG]
        if len(wanted) <= _NAMED:
            words += [f"--find-object={name.hex()}" for name in wanted]
        self._words = words
        self._running: list[Future[_Hits]] = []
        self._hits: _Hits | None = None
        """Of all of them, once they were asked for."""
        self.skipped: list[Skipped] = []

    def begin(self, commits: bytes) -> None:
        """Look at these commits (ids, one after another): quickest when what is like each other stands close
        together."""
        if not (commits and self._wanted):
            return
        width = self._layout.width
        half = -(-len(commits) // width // (_PROCESSES if len(commits) > _FEW * width else 1)) * width
        pool = ThreadPoolExecutor(_PROCESSES)
        self._running += [pool.submit(self._brought, commits[i:i + half]) for i in range(0, len(commits), half)]
        pool.shutdown(wait=False)

    def found(self, at: Mapping[bytes, int]) -> dict[bytes, First]:
        """Of each object that a commit brought, the first of these commits, by its place in `at`, and the path there
        (the last one of several). May be asked for several orders of the same commits."""
        first: dict[bytes, tuple[int, First]] = {}
        if self._hits is None:
            try:
                self._hits = [hit for share in self._running for hit in share.result()]
            except GitFailed:
                self._hits = self._again(b"".join(at))
        for commit, name, path in self._hits:
            by = bytes.fromhex(commit.decode())
            place = at.get(by, len(at))
            old = first.get(name)
            if place < len(at) and (old is None or place <= old[0]):
                first[name] = place, (by, refs.shown(path))
        return {bytes.fromhex(name.decode()): one for name, (_, one) in first.items()}

    def _again(self, commits: bytes) -> _Hits:
        """A commit that cannot be read ends git: look only at those that are in the graph."""
        hits: list[tuple[bytes, bytes, bytes]] = []
        try:
            for hit in self._diffs(commits):  # those before the fault count
                hits.append(hit)
        except GitFailed as error:
            self.skipped.append(Skipped("where findings come from", error.message))
        return hits

    def _brought(self, commits: bytes) -> _Hits:
        return list(self._diffs(commits))

    def _diffs(self, commits: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
        git = Git(self._layout.gitdir, self._layout.top)
        given = commits.hex("\n", self._layout.width).encode() + b"\n"
        return _entries(git.blocks(*self._words, given=given), self._wanted)


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
