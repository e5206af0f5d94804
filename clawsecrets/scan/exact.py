"""From Hyperscan's candidates to exact spans: each rule's own expression, on a bounded window around each candidate.

Linear in the data whatever stands in it: windows of one rule never begin before the last one's candidate, so that each
byte is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from clawsecrets.model.late import late
from clawsecrets.scan.begins import words

REMEMBERED = 4000
"""Windows of one rule: some 4 MB."""
_LONGEST_PEM = 32 << 10
"""Bytes in which the end of a PEM block is looked for."""
_PEM_END = late(rb"-----END [A-Z0-9 ]{3,40}-----")


class Exact:
    """One rule's expression. Remembers windows: versions of a file hold the same lines again and again."""

    __slots__ = ("_group", "_known", "_pattern", "_words", "reach")

    def __init__(self, text: str, reach: int) -> None:
        """`reach`: bytes that a match has at most."""
        self._pattern = re.compile(text.encode())
        self.reach, self._group = reach, 1 if self._pattern.groups else 0
        self._words = words(text)
        self._known: dict[tuple[bytes, int], list[tuple[int, int]]] = {}

    def spans(self, data: bytes, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Spans of the secrets. `ends` are where matches end, ascending."""
        reach, size, seen, free = self.reach, len(data), 0, 0
        for number, end in enumerate(ends):
            if end <= seen:
                continue
            low, high = max(free, end - reach), min(size, end + reach)
            seen = high - 1 if high < size else size
            last = ends[max(number, bisect_right(ends, seen, number) - 1)]  # no match begins behind it
            for start, stop in self._window(data, low, high, last):
                free = max(stop, start + 1)  # not the match's end: what ends one secret may begin the next
                yield start, stop

    def _window(self, data: bytes, low: int, high: int, last: int) -> list[tuple[int, int]]:
        """The spans in a window, of matches that begin before `last`."""
        if self._words is None or high == len(data):
            return self._matches(data, low, high, last)[0]
        key = (data[max(0, low - 1):high], last - low)
        known = self._known.get(key)
        if known is None:
            found, sure = self._matches(data, low, high, last)
            if not sure:
                return found
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = [(start - low, stop - low) for start, stop in found]
        return [(start + low, stop + low) for start, stop in known]

    def _matches(self, data: bytes, low: int, high: int, last: int) -> tuple[list[tuple[int, int]], bool]:
        """The same, and whether only the window decides."""
        pattern, reach, group, size = self._pattern, self.reach, self._group, len(data)
        find = pattern.search if self._words is None else self._beginning(data, low, high, last)
        found: list[tuple[int, int]] = []
        sure = True
        while match := find(data, low, high):
            low = match.start() + 1
            if match.end() == high < size:  # it may go on, or end here only because the window does
                sure = False
                match = pattern.match(data, match.start(), min(size, match.start() + 2 * reach))
                if match is None:
                    continue
            start, stop = match.span(group)
            if stop > start:
                low = max(stop, low)
                found.append((start, stop))
        return found, sure

    def _beginning(self, data: bytes, low: int, high: int,
                   last: int) -> Callable[[bytes, int, int], re.Match[bytes] | None]:
        """The same as `search`, by the words that a match begins with. Asked with ascending places only."""
        assert self._words is not None
        match, starts = self._pattern.match, _starts(self._words, data[low:last].lower(), low)

        def find(data: bytes, low: int, high: int) -> re.Match[bytes] | None:
            for start in starts:
                if start >= low and (found := match(data, start, high)):
                    return found
            return None

        return find


def _starts(word: re.Pattern[bytes], text: bytes, offset: int) -> Iterator[int]:
    """Where words begin in the text."""
    at = 0
    while found := word.search(text, at):
        yield found.start() + offset
        at = found.start() + 1


def pem_end(data: bytes, start: int, end: int) -> int:
    """The end of a PEM block that begins at `start`, of which a rule has seen the beginning up to `end`."""
    if data[start: start + 11] != b"-----BEGIN ":
        return end
    found = _PEM_END.search(data, end, end + _LONGEST_PEM)
    if found is None:
        return end
    begin = data.find(b"-----BEGIN ", end, found.start())
    return end if begin >= 0 else found.end()
