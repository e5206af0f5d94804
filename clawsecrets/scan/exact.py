"""From Hyperscan's candidates to exact spans: each rule's own expression, on a bounded window around each candidate.

Linear in the data whatever stands in it: windows of one rule never begin before the last one's candidate, so that each
byte is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from clawsecrets.model.late import late

_LONGEST_PEM = 32 << 10
"""Bytes in which the end of a PEM block is looked for."""
_PEM_END = late(rb"-----END [A-Z0-9 ]{3,40}-----")


def spans(pattern: re.Pattern[bytes], reach: int, data: bytes, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Spans of the secrets of one rule. `ends` are where its matches end, ascending; `reach` is a match's most."""
    group = 1 if pattern.groups else 0
    size, seen, free = len(data), 0, 0
    for end in ends:
        if end <= seen:
            continue
        low, high = max(free, end - reach), min(size, end + reach)
        while match := pattern.search(data, low, high):
            low = match.start() + 1
            if match.end() == high < size:  # it may go on, or end here only because the window does
                match = pattern.match(data, match.start(), min(size, match.start() + 2 * reach))
                if match is None:
                    continue
            start, stop = match.span(group)
            if stop > start:
                low = free = max(stop, low)  # not the match's end: what ends one secret may begin the next
                yield start, stop
        seen = high - 1 if high < size else size


def pem_end(data: bytes, start: int, end: int) -> int:
    """The end of a PEM block that begins at `start`, of which a rule has seen the beginning up to `end`."""
    if data[start: start + 11] != b"-----BEGIN ":
        return end
    found = _PEM_END.search(data, end, end + _LONGEST_PEM)
    if found is None:
        return end
    begin = data.find(b"-----BEGIN ", end, found.start())
    return end if begin >= 0 else found.end()
