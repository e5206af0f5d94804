"""Encoded values that a program breaks into lines, wherever the value begins in a line: `base64` and PEM at 76 and 64
columns, `xxd -p` at 60, bytes of hex apart from each other by a space or a colon, 16 a line (`od -An -tx1`).

No line is known beforehand, for it depends on what stands before the value. Of a text that is broken once in its first
2 * PIECE characters at most, either the first PIECE of them stand together or the next ones: these two are looked for,
and from there the text is followed both ways, over the breaks.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from clawsecrets.model.forms import forms

PIECE = 12
"""Characters of a text that are looked for: lines are to have twice as many."""
SEPARATED = 5
"""The same in bytes, where they are apart from each other."""
HELD = 4
"""Characters before a break that are held back as a possible beginning; of fewer only note is taken, for any line may
end in them."""
REACH = 96
"""Bytes at the end of the data in which a beginning may stand of which no piece is whole."""
_LINE = rb"[ :]?(?:\r?\n|(?:\\r)?\\n) {0,4}"
"""Between two lines: the line's end, also as JSON writes it, and what dumps of bytes put before and behind."""
_BREAK = re.compile(_LINE)
_BREAK_BEFORE = re.compile(_LINE + rb"\Z")
_BEGUN = re.compile(rb"(?:" + _LINE + rb"|\r|\\r?|\\r\\)\Z")
"""One that may go on behind the data."""
_WIDEST = 10
"""Bytes of a break at most."""
_RUN = string.ascii_letters.encode() + string.digits.encode() + b"+/_-: \\\r\n"
"""What such texts and breaks are made of."""
_SHORT, _SHORT_APART = (b"\n", b"\r\n", b"\\n"), (b"\n", b"\n ")
_MISSED, _OPEN = -1, -2


class Piece(NamedTuple):
    """A part of a text that is looked for."""

    text: bytes
    at: int


def texts(value: bytes) -> Iterator[bytes]:
    """What a program may break: base64 and hex of a value, its bytes together or apart."""
    for form, name in forms(value).items():
        if name in ("base64", "hex"):
            yield form
    for digits in (value.hex(" "), value.hex(" ").upper()):
        yield digits.encode()
        yield digits.replace(" ", ":").encode()


def pieces(text: bytes) -> Iterator[Piece]:
    """What is looked for of a text; nothing for a short one (see `short`)."""
    step, size = (3 * SEPARATED, 3 * SEPARATED - 1) if _apart(text) else (PIECE, PIECE)
    if len(text) >= step + size:
        yield Piece(text, 0)
        yield Piece(text, step)


def piece(part: Piece) -> bytes:
    """The bytes to look for."""
    return part.text[part.at:part.at + (3 * SEPARATED - 1 if _apart(part.text) else PIECE)]


def short(text: bytes) -> Iterator[bytes]:
    """A text that has no two pieces, with a break at every place."""
    if any(pieces(text)):
        return
    step, between = (3, text[2:3]) if _apart(text) else (1, b"")
    for at in range(step, len(text), step):
        before = text[:at].removesuffix(between)
        yield from (before + line + text[at:] for line in (_SHORT_APART if between else _SHORT))
        if between:
            yield from (before + between + line + text[at:] for line in (b"\n", b"\n    "))


def _apart(text: bytes) -> bool:
    return text[2:3] in (b" ", b":")


def place(data: bytes, start: int, part: Piece) -> tuple[int, int] | None:
    """Where the text stands of which a piece begins at `start`; its end is -1 where it may go on behind the data."""
    head = _back(data, start, part)
    if head < 0:
        return None
    end = _on(data, start, part)
    return None if end == _MISSED else (head, -1 if end == _OPEN else end)


def _back(data: bytes, pos: int, part: Piece) -> int:
    text, at = part
    while at > 0:
        if pos > 0 and data[pos - 1] == text[at - 1]:
            pos, at = pos - 1, at - 1
            continue
        found = _BREAK_BEFORE.search(data[max(0, pos - _WIDEST):pos])
        if found is None:
            return _MISSED
        pos -= len(found[0])
        if _apart(text) and at % 3 == 0:
            at -= 1
    return pos


def _on(data: bytes, pos: int, part: Piece) -> int:
    text, at = part
    while True:
        same = _same(data, pos, text, at)
        pos, at = pos + same, at + same
        if at == len(text):
            return pos
        if _apart(text) and at % 3 == 0 and (found := _BREAK.match(data, pos - 1)) and data[pos - 1:pos] == text[2:3]:
            pos -= 1  # the separator stood before the break
        else:
            found = _BREAK.match(data, pos)
        if found is None or found.end() == len(data):
            return _OPEN if pos == len(data) or _BEGUN.match(data, pos) else _MISSED
        pos = found.end()
        if _apart(text) and at % 3 == 2:
            at += 1


def _same(data: bytes, pos: int, text: bytes, at: int) -> int:
    """How many bytes are the same from there on."""
    most = min(len(data) - pos, len(text) - at)
    if data.startswith(text[at:at + most], pos):
        return most
    return bisect_left(range(most), True, key=lambda n: data[pos:pos + n + 1] != text[at:at + n + 1])


class Beginnings:
    """Finds where one of the texts begins that goes on behind the data, while no piece of it is whole."""

    def __init__(self, all_: Iterable[bytes]) -> None:
        self._starts: Sequence[bytes] = sorted({text[:REACH] for text in all_})
        self._heads = {text[:HELD] for text in self._starts}

    def look(self, data: bytes) -> tuple[int, int]:
        """Where to hold back from, and of which place only to take note: both the data's length where none is."""
        size = len(data)
        tail = data[-REACH:]
        run = tail[len(tail.rstrip(_RUN)):]
        if not self._starts or (b"\n" not in run and b"\r" not in run and b"\\" not in run):
            return size, size
        begun = _BEGUN.search(run)
        whole = run[:begun.start()] if begun else run
        last = len(whole) if begun else max((found.start() for found in _BREAK.finditer(whole)), default=0)
        for start in range(last):
            head = whole[start:start + HELD]
            if head in self._heads or (head.isalnum() and len(head) < HELD) or b"\n" in head or b"\\" in head \
                    or b"\r" in head:
                joined = self._begun(whole[start:])
                if joined:
                    at = size - len(run) + start
                    return (at if joined >= HELD else size), at
        return size, size

    def _begun(self, text: bytes) -> int:
        """How many characters of one of the texts it is, over its breaks; 0: it is none's beginning."""
        for between in (b"", b" ", b":") if b"\n" in text or b"\\n" in text else (b"",):
            joined = _BREAK.sub(between, text)
            at = bisect_left(self._starts, joined)
            if at < len(self._starts) and self._starts[at].startswith(joined):
                return len(joined)
        return 0
