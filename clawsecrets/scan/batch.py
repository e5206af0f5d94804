"""Many small contents in one call: a history holds a million of them, and nearly all have nothing in them.

What is small waits until there is enough of it; one Hyperscan pass over all of it tells which contents have a
candidate or something encoded, and only those are looked at one by one. What a content gives is the same either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from clawsecrets.model.finding import Content, Dropped, Match

SMALL = 16 << 10
"""Bytes to be looked at, of a content that waits: the call costs little beside the pass over a larger one."""
ENOUGH = 128 << 10
"""Bytes to be looked at that are not waited beyond."""
PINNED = 8 << 20
"""Bytes of contents that are kept waiting."""
_APART = b"\n\n\n"

Ends = Callable[[bytes], tuple[Iterable[int], Iterable[int]]]
"""Where something ends in text that is worth a closer look: what rules begin with, what may be encoded."""


class Looks(Protocol):
    """What looks at one content."""

    def look(self, content: Content, rules: bool = True, shapes: bool = True) -> Iterable[Match]:
        """The matches in it. `rules`, `shapes`: whether anything was seen of either."""

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
        if fresh is None:
            text = data
        elif len(fresh) == 1:
            text = data[fresh[0][0]:fresh[0][1]]
        else:
            text = b"\n".join([data[low:high] for low, high in fresh])
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
        ruled, shaped = self._touched(texts, self._ends)
        found: list[Match] = []
        for number, content in enumerate(waiting):
            if content.base in self._found:
                found += self._closely(content)
            elif number in ruled or number in shaped:
                found += self._closely(content, number in ruled, number in shaped)
        return found

    def _touched(self, texts: Sequence[bytes], ends: Ends) -> list[set[int]]:
        starts, at = [], 0
        for text in texts:
            starts.append(at)
            at += len(text) + len(_APART)
        return [{bisect_right(starts, end - 1) - 1 for end in kind} for kind in ends(_APART.join(texts))]

    def _closely(self, content: Content, rules: bool = True, shapes: bool = True) -> Iterable[Match]:
        found = list(self._inner.look(content, rules, shapes))
        if found and content.id:
            self._found.add(content.id)
        return found
