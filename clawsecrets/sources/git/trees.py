"""What is looked at in trees: names, and whether what they refer to is there.

Most of a history's objects are trees, and most differ from their base in one id of 20 bytes. So only the ranges that a
delta changed are looked at, some bytes wider on each side, many trees at a time: a secret of 16 characters or more
that is new in a name makes a run of 16 printable characters that touches such a range; an id that is new stands in one
whole, behind the NUL that ends its name and before the mode of the next entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clawsecrets.sources.git.delta import Ranges
from clawsecrets.sources.git.edges import APART, BESIDE, END, Edges, begins, ids

Array = NDArray[Any]

RUN = 16
"""Characters of the shortest secret that is looked for in a name: fewer than the bytes of context."""
_BATCH = 1 << 20
_PRINTABLE = bytes(0x78 if 0x21 <= byte < 0x7F else 0 for byte in range(256))
_RUN = b"x" * RUN
_SEEN = 1 << 18
_MANY = 1 << 15
GITLINK = b"160000"
TREES = (b"40000", b"040000")
"""Modes of trees (the second as old programs wrote it)."""


def entries(data: bytes, width: int) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Mode, name and id of each entry; ends where the tree is damaged."""
    at, end = 0, len(data)
    while at < end:
        space = data.find(b" ", at, at + 8)
        nul = data.find(b"\0", space)
        if space < 0 or nul < 0 or nul + 1 + width > end:
            return
        yield data[at:space], data[space + 1:nul], data[nul + 1:nul + 1 + width]
        at = nul + 1 + width


class Trees:
    """Collects what changed in trees, and looks at it many trees at a time."""

    def __init__(self, width: int, known: Callable[[Array], Array] | None, edges: Edges | None = None) -> None:
        """`known`: which ids, by their first 8 bytes as a number, are there; None: not asked. `edges`: notes what
        stands in which tree; only with `known`."""
        self._width, self._known, self._edges = width, known, edges
        self._more = width + BESIDE - RUN
        """Bytes that a window is wider on each side than what is looked at for names."""
        self._windows: list[bytes] = []
        self._inner: list[bytes] = []
        """Of each window what is looked at for names, ..."""
        self._owners: list[tuple[bytes, bytes]] = []
        self._begins: list[int] = []
        """... and where that begins in its tree."""
        self._filled = 0
        self._seen: set[bytes] = set()
        self._links: set[int] = set()
        self._ids: list[bytes] = []
        self._by: list[bytes] = []
        self._missing: dict[bytes, bytes] = {}

    def add(self, tree: bytes, data: bytes, fresh: Ranges | None, before: tuple[bytes, Ranges] | None = None) -> bool:
        """One more tree by its id; with the ranges in which it differs from what it is built on, that, and what differs
        there. True when it is time for `names`."""
        end = len(data)
        if self._edges is not None:
            self._edges.tree(tree, data, fresh, before)
        if fresh is None:
            fresh = [(0, end)]
        owner, more, size = (tree, data), self._more, end >> 2
        for a, b in fresh:
            window = inner = data[a:b] if b < end else data[a:] + END
            if a and b < end:  # else it is as wide as the tree
                inner = window[more:-more]
                a += more
            self._windows.append(window)
            self._inner.append(inner)
            self._owners.append(owner)
            self._begins.append(a)
            size += b - a + 64
        self._filled += size
        return self._filled > _BATCH

    def names(self) -> Iterator[tuple[bytes, bytes]]:
        """Trees and the new names (parts of names without spaces, of at least `RUN` characters) in them, of all that
        was added since the last call."""
        if not self._filled:
            return
        if self._known is not None:
            self._look_up(*ids(APART.join(self._windows) + APART, begins(self._windows), self._width))
        yield from self._runs(APART.join(self._inner) + APART, begins(self._inner))
        self._windows, self._inner, self._owners, self._begins, self._filled = [], [], [], [], 0
        if len(self._seen) > _SEEN:
            self._seen.clear()

    def _runs(self, joined: bytes, starts: Array) -> Iterator[tuple[bytes, bytes]]:
        marks = joined.translate(_PRINTABLE)
        at = marks.find(_RUN)
        while at >= 0:
            end = marks.find(b"\0", at)
            run = joined[at:end]
            if run not in self._seen:
                self._seen.add(run)
                window = int(np.searchsorted(starts, at, "right")) - 1
                tree, data = self._owners[window]
                whole = _whole(data, self._begins[window] + at - int(starts[window]))
                if whole == run or whole not in self._seen:
                    self._seen.add(whole)
                    yield tree, whole
            at = marks.find(_RUN, end)

    # --- whether what they refer to is there

    def refers(self, by: bytes, ids: list[bytes]) -> None:
        """A commit or tag refers to other objects."""
        self._ids += ids
        self._by += [by] * len(ids)
        if len(self._ids) > _MANY:
            self._check()

    def _tear(self, torn: bool) -> None:
        """What is not there may lack among what is noted."""
        if torn and self._edges is not None:
            self._edges.torn = True

    def finish(self) -> Mapping[bytes, bytes]:
        """Ids that are not there, and which object refers to each."""
        self._check()
        if self._edges is not None:
            self._edges.end()
        return self._missing

    def _check(self) -> None:
        if self._known is not None and self._ids:
            there = self._known(np.fromiter((int.from_bytes(name[:8], "big") for name in self._ids), np.uint64,
                                            len(self._ids)))
            for i in np.nonzero(~there)[0].tolist():
                self._missing.setdefault(self._ids[i], self._by[i])
                self._tear(True)
        self._ids, self._by = [], []

    def _look_up(self, numbers: Array, windows: Array) -> None:
        """The entries that were found, and the window of each."""
        if self._edges is not None:
            absent = np.sort(self._edges.note(numbers, windows))
        else:
            assert self._known is not None
            unique, firsts = np.unique(numbers, return_index=True)
            absent = firsts[~self._known(unique)]
        for at in absent.tolist():
            number = int(numbers[at])
            if number not in self._links:
                self._refers(number, *self._owners[windows[at]])

    def _refers(self, number: int, tree: bytes, data: bytes) -> None:
        """An id that is not there: a submodule's commit, not an id at all, or missing."""
        begin = number.to_bytes(8, "big")
        for mode, _, name in entries(data, self._width):
            if name.startswith(begin):
                if mode == GITLINK:
                    self._links.add(number)
                else:
                    self._missing.setdefault(name, tree)
                    self._tear(mode in TREES)


def _whole(data: bytes, at: int) -> bytes:
    """The run of printable characters around a place."""
    begin, end = at, at
    while begin > 0 and 0x21 <= data[begin - 1] < 0x7F:
        begin -= 1
    while end < len(data) and 0x21 <= data[end] < 0x7F:
        end += 1
    return data[begin:end]
