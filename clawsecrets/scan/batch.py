"""Many small contents in one call: a history holds a million of them, and nearly all have nothing in them.

What is small waits until there is enough of it; one Hyperscan pass over all of it tells which contents have a
candidate or something encoded, and only those are looked at one by one. What a content gives is the same either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from clawsecrets.model.expression import APART
from clawsecrets.model.finding import Content, Dropped, Match
from clawsecrets.scan.ranges import Events, Seen, joined

SMALL = 16 << 10
"""Bytes to be looked at, of a content that waits: the call costs little beside the pass over a larger one."""
ENOUGH = 128 << 10
"""Bytes to be looked at that are not waited beyond."""
PINNED = 8 << 20
"""Bytes of contents that are kept waiting."""

Ends = Callable[[bytes], tuple[Events, Events]]
"""Where something ends in text that is worth a closer look: candidates of rules, and what may be encoded."""
_NOTHING = Seen([], [])


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
        self._waiting: list[Content] = []
        self._texts: list[bytes] = []
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
        text = data if fresh is None else joined(data, fresh)
        if len(text) > SMALL or content.overlap or content.whole is not None or self._boxed(data):
            return [*(self.rest() if content.base in self._ids else ()), *self._closely(content)]
        self._waiting.append(content)
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
        touched = self._touched(texts, self._ends)
        found: list[Match] = []
        for number, content in enumerate(waiting):
            seen = touched.get(number)
            if seen is not None:
                found += self._closely(content, seen if content.fresh is None else seen.within(content.fresh))
            elif content.base in self._found:
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
