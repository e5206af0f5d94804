"""Many small contents in one call: a history holds a million of them, and nearly all have nothing in them.

What is small waits until there is enough of it; one Hyperscan pass over all of it tells which contents have a
candidate or something encoded, and only those are looked at one by one. What a content gives is the same either way.
And a change comes more than once, on one branch and on another: a range in which nothing was is not looked at again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from clawsecrets.model.expression import APART
from clawsecrets.model.finding import Content, Dropped, Match
from clawsecrets.scan.ranges import Events, Ranges, Seen, together

SMALL = 16 << 10
"""Bytes to be looked at, of a content that waits: the call costs little beside the pass over a larger one."""
ENOUGH = 128 << 10
"""Bytes to be looked at that are not waited beyond."""
PINNED = 8 << 20
"""Bytes of contents that are kept waiting."""
MOST_BLANK = 1 << 17
"""Ranges in which nothing was that are remembered: some 10 MB."""

Ends = Callable[[bytes], tuple[Events, Events]]
"""Where something ends in text that is worth a closer look: candidates of rules, and what may be encoded."""
_NOTHING = Seen([], [])
_Waiting = tuple[Content, Ranges | None, list[int]]
"""A content; the ranges of it that are looked at (None: all of it), and the hash of the text of each."""


class Looks(Protocol):
    """What looks at one content."""

    def look(self, content: Content, seen: Seen | None = None) -> Iterable[Match]:
        """The matches in it. `seen`: what was seen in it before."""

    @property
    def dropped(self) -> list[Dropped]:
        """Candidates that a filter dropped, when they are kept."""


class Batching:
    """An inspector before which small contents wait. `look` gives matches of contents that came before, too; `rest`
    gives the last ones."""

    def __init__(self, inner: Looks, ends: Ends | None, boxed: Callable[[bytes], object]) -> None:
        """`ends` None: nothing waits. `boxed`: whether data is a container, which is opened at once."""
        self._inner, self._ends, self._boxed = inner, ends, boxed
        self._waiting: list[_Waiting] = []
        self._texts: list[bytes] = []
        self._blank: set[int] = set()
        """Hashes of ranges in which nothing was. (Python's own of bytes: nobody can tell which fall together.)"""
        self._ids: set[int] = set()
        self._found: set[int] = set()
        """Ids of contents with matches: what is built on them is looked at closely."""
        self._size = self._pinned = 0

    @property
    def dropped(self) -> list[Dropped]:
        """The inner one's."""
        return self._inner.dropped

    def look(self, content: Content) -> Iterable[Match]:
        """Matches that are known now."""
        data, fresh = content.data, content.fresh
        if self._ends is None:
            return self._inner.look(content)
        ranges, keys = fresh, list[int]()
        if fresh is None:
            text = data
        else:
            parts = [data[low:high] for low, high in fresh]
            keys = list(map(hash, parts))
            if not self._blank.isdisjoint(keys):
                left = [number for number, key in enumerate(keys) if key not in self._blank]
                parts, keys = [parts[number] for number in left], [keys[number] for number in left]
                ranges = [fresh[number] for number in left]
            text = together(parts)
        if len(text) > SMALL or content.overlap or content.whole is not None or self._boxed(data):
            return [*(self.rest() if content.base in self._ids else ()), *self._closely(content)]
        self._waiting.append((content, ranges, keys))
        self._texts.append(text)
        if content.id:
            self._ids.add(content.id)
        self._size += len(text)
        self._pinned += len(data)
        return self.rest() if self._size > ENOUGH or self._pinned > PINNED else ()

    def rest(self) -> Iterable[Match]:
        """The matches of what is still waiting."""
        waiting, texts = self._waiting, self._texts
        if not waiting or self._ends is None:
            return ()
        self._waiting, self._texts, self._ids = [], [], set()
        self._size = self._pinned = 0
        touched, blank = self._touched(texts, self._ends), self._blank
        if len(blank) > MOST_BLANK:
            blank.clear()
        found: list[Match] = []
        for number, (content, ranges, keys) in enumerate(waiting):
            seen = touched.get(number)
            if seen is not None:
                found += self._closely(content, seen if ranges is None else seen.within(ranges))
                continue
            blank.update(keys)
            if content.base in self._found:
                found += self._closely(content, _NOTHING)
        return found

    def _touched(self, texts: Sequence[bytes], ends: Ends) -> dict[int, Seen]:
        """What was seen in each text, by its number."""
        starts, at = [], 0
        for text in texts:
            starts.append(at)
            at += len(text) + len(APART)
        touched: dict[int, Seen] = {}
        for which, events in enumerate(ends(APART.join(texts))):
            for what, end in events:
                number = bisect_right(starts, end - 1) - 1
                if number not in touched:
                    touched[number] = Seen([], [])
                touched[number][which].append((what, end - starts[number]))
        return touched

    def _closely(self, content: Content, seen: Seen | None = None) -> Iterable[Match]:
        found = list(self._inner.look(content, seen))
        if found and content.id:
            self._found.add(content.id)
        return found
