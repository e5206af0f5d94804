"""Something large, cut into pieces that overlap, so that memory stays bounded whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

PIECE = 16 << 20
"""Bytes of a piece. What is smaller than twice that need not be cut."""
OVERLAP = 64 << 10
"""Bytes that stand in two pieces: no match is longer."""


class Piece(NamedTuple):
    """One piece; the fields mean what they mean in `model.finding.Content`."""

    data: bytes
    offset: int
    line: int
    column: int
    overlap: int


def cut(read: Callable[[int], bytes], piece: int = PIECE, overlap: int = OVERLAP) -> Iterator[Piece]:
    """The pieces of what `read(n)` gives (at most n bytes a call, empty at its end). Whatever `read` raises escapes."""
    kept, offset, line, column = b"", 0, 0, 0
    while True:
        parts, missing = [kept], piece
        while missing and (got := read(missing)):
            parts.append(got)
            missing -= len(got)
        data = b"".join(parts)
        del parts
        if len(data) > len(kept) or not offset:
            yield Piece(data, offset, line, column, len(kept))
        if missing:
            return
        gone = max(0, len(data) - overlap)
        kept = data[gone:]
        newlines = data.count(b"\n", 0, gone)
        column = gone - data.rfind(b"\n", 0, gone) - 1 if newlines else column + gone
        offset, line = offset + gone, line + newlines
        del data  # not held while the next one is read
