"""Places in ranges of some data that are looked at together, as places in the data."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

Events = list[tuple[int, int]]
"""What was seen (a rule, a shape), and where it ends."""
Ranges = Sequence[tuple[int, int]]
_APART = b"\n"


def joined(data: bytes, ranges: Ranges) -> bytes:
    """The ranges, one after another."""
    if len(ranges) == 1:
        return data[ranges[0][0]:ranges[0][1]]
    return _APART.join([data[low:high] for low, high in ranges])


def placed(events: Events, ranges: Ranges) -> Iterator[tuple[int, int, bool]]:
    """What was seen in the joined ranges, with its place in the data, and whether it ends in the range itself: else the
    gap behind it belongs to what was seen."""
    if len(ranges) == 1:
        low, high = ranges[0]
        for what, end in events:
            yield what, low + end, low + end <= high
        return
    starts = [0, *accumulate(high - low + len(_APART) for low, high in ranges)]
    for what, end in events:
        number = bisect_right(starts, end - 1) - 1
        low, high = ranges[number]
        end += low - starts[number]
        yield what, end, end <= high


class Seen(NamedTuple):
    """What one pass over a content has seen."""

    rules: Events
    """Candidates."""
    shapes: Events
    """What may be encoded: kinds (gates.py)."""

    def within(self, ranges: Ranges) -> Seen:
        """The same as places in the content, when it was seen in its joined ranges."""
        return Seen([(what, end) for what, end, _ in placed(self.rules, ranges)],
                    [(what, end) for what, end, inside in placed(self.shapes, ranges) if inside])
