"""Exact values, and the forms in which programs write them, found in bytes in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NamedTuple

from clawsecrets.model.forms import LEAST, forms

ANCHOR = 32
"""Bytes of a form that the search looks for; the rest is compared."""
PIECE = 4 << 20
"""Bytes of a file that are looked at together."""

Find = Callable[[bytes], Sequence[tuple[int, int]]]
"""(number of the text, where it ends) for every place in the data."""
Search = Callable[[Sequence[bytes]], Find]
"""Makes ready to look for many texts in one pass."""


class Hit(NamedTuple):
    """Where one stands."""

    number: int
    """Which of the values."""
    start: int
    form: str
    """`plain`, or how it is encoded."""
    length: int = 0


class Seeking:
    """Looks for `values`. Those of fewer than LEAST bytes stand everywhere by chance: they are not looked for."""

    def __init__(self, values: Sequence[bytes], search: Search) -> None:
        self.short = tuple(number for number, value in enumerate(values) if len(value.strip()) < LEAST)
        texts: dict[bytes, list[tuple[int, str]]] = {}
        for number, value in enumerate(values):
            if number not in self.short:
                for form, name in {**forms(value), **forms(value.strip())}.items():
                    texts.setdefault(form, []).append((number, name))
        anchors: dict[bytes, list[bytes]] = {}
        for text in texts:
            anchors.setdefault(text[:ANCHOR], []).append(text)
        self._texts, self._anchors = texts, list(anchors.items())
        self._longest = max(map(len, texts), default=0)
        self._find: Find = search([anchor for anchor, _ in self._anchors]) if anchors else _nothing

    def within(self, data: bytes) -> Iterator[Hit]:
        """Every place in the data; a value and an encoding of it that begin at one place are told once, as the first of
        them."""
        told: set[tuple[int, int]] = set()
        for number, end in self._find(data):
            anchor, texts = self._anchors[number]
            start = end - len(anchor)
            for text in texts:
                if data.startswith(text, start):
                    for which, form in self._texts[text]:
                        if (which, start) not in told:
                            told.add((which, start))
                            yield Hit(which, start, form, len(text))

    def inside(self, file: BinaryIO) -> Iterator[Hit]:
        """Every place in a file, however long it is. OSError."""
        base, kept = 0, b""
        told: set[tuple[int, int]] = set()
        while piece := file.read(PIECE):
            data = kept + piece
            for hit in self.within(data):
                if (hit.number, base + hit.start) not in told:
                    told.add((hit.number, base + hit.start))
                    yield hit._replace(start=base + hit.start)
            kept = data[max(0, len(data) - self._longest + 1):] if self._longest > 1 else b""
            base += len(data) - len(kept)


def _nothing(data: bytes) -> Sequence[tuple[int, int]]:
    return ()
