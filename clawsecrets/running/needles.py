"""What the mask looks for: every value in the forms in which programs print it, and where one may just be beginning."""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from clawsecrets.model.forms import LEAST, forms
from clawsecrets.running import broken

ANCHOR = 32
"""Bytes of a form that the search looks for: the rest is compared. Longest beginning that is looked for one by one."""
WIDTHS = (76, 64)
"""Columns at which `base64`, and PEM, break lines."""
_BREAK = re.compile(rb"\r?\n|\\r|\\n")

Find = Callable[[bytes], Sequence[tuple[int, int]]]
"""(number of the text, where it ends) for every place in the data."""
Search = Callable[[Sequence[bytes]], Find]
"""Makes ready to look for many texts in one pass."""
Span = tuple[int, int]


def needles(value: bytes) -> set[bytes]:
    """Every text that stands for a value. Empty for one of fewer than LEAST bytes: it would stand everywhere."""
    bare = value.rstrip(b"\r\n")
    if len(bare) < LEAST:
        return set()
    found = {*forms(bare), *_wrapped(value), *_wrapped(bare)}
    for line in _lines(bare):
        found |= {line, json.dumps(line.decode("latin-1"))[1:-1].encode("latin-1")}
    return {text for text in found if len(text) >= LEAST}


def _lines(value: bytes) -> Iterator[bytes]:
    """The lines of a value that has several (also written as `\\n`); not the first and last of a PEM block, which every
    key shares."""
    parts = [part.strip() for part in _BREAK.split(value)]
    if len(parts) > 1:
        yield from (part for part in parts if len(part) >= LEAST and b"-----" not in part)


def _wrapped(value: bytes) -> Iterator[bytes]:
    """The lines of its base64, as the usual tools break them when nothing stands before the value: also one by one."""
    for whole in (base64.b64encode(value), base64.b64encode(value + b"\n")):
        for width in WIDTHS:
            if len(whole) > width:
                yield from (whole[at:at + width] for at in range(0, len(whole), width))


class Needles:
    """All of them, ready."""

    def __init__(self, values: Iterable[bytes], search: Search) -> None:
        values = list(values)
        bare = {value.rstrip(b"\r\n") for value in values}
        over = sorted({text for value in bare if len(value) >= LEAST for text in broken.texts(value)})
        found = set().union(*map(needles, values), over, *map(broken.short, over))
        self._texts = sorted(found)
        owners: dict[bytes, tuple[list[bytes], list[broken.Piece]]] = {}
        for text in self._texts:
            owners.setdefault(text[:ANCHOR], ([], []))[0].append(text)
        for part in (part for text in over for part in broken.pieces(text)):
            owners.setdefault(broken.piece(part), ([], []))[1].append(part)
        self._anchors = [(len(anchor), *owned) for anchor, owned in owners.items()]
        self._find = search(list(owners)) if owners else _nothing
        self._beginnings = broken.Beginnings(over)

    def look(self, data: bytes) -> tuple[list[Span], int, int]:
        """The places that stand for a value, in order and apart from each other; where the first one begins that may go
        on behind the data (its length where there is none); and where one may that is too short to be held back for, at
        or before that."""
        spans: list[Span] = []
        size = len(data)
        opens = size
        for number, end in self._find(data):
            length, texts, parts = self._anchors[number]
            start = end - length
            for text in texts:
                if data.startswith(text, start):
                    spans.append((start, start + len(text)))
                elif size - start < len(text) and start < opens and text.startswith(data[start:]):
                    opens = start
            for part in parts:
                found = broken.place(data, start, part)
                if found is not None and found[1] >= 0:
                    spans.append(found)
                elif found is not None:
                    opens = min(opens, found[0])
        held, noted = self._beginnings.look(data)
        opens = self._opens(data, min(opens, held))
        return _merged(spans) if len(spans) > 1 else spans, opens, min(opens, noted)

    def _opens(self, data: bytes, found: int) -> int:
        """The first beginning; those of ANCHOR bytes and more are `found` already."""
        texts, size = self._texts, len(data)
        for start in range(max(0, size - ANCHOR + 1), min(found, size)):
            tail = data[start:]
            at = bisect_right(texts, tail)
            if at < len(texts) and texts[at].startswith(tail):
                return start
        return found


def _merged(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _nothing(data: bytes) -> Sequence[tuple[int, int]]:
    return ()
