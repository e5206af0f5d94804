"""How a worker's results travel to its parent: frames of marshalled plain tuples over a pipe, in memory only.

No pickle: what a worker sends is made of content that is not trusted.
"""

from __future__ import annotations

import marshal
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from clawsecrets.model.finding import Dropped, Kind, Known, Match, Place, Rule, Skipped
from clawsecrets.model.value import SecretValue

_HEAD = struct.Struct("<cQ")
TICK, MATCH, DROPPED, SKIPPED, SAY, END, EXTRA = b"t", b"m", b"d", b"s", b"k", b"e", b"x"
"""Progress; a match; a dropped candidate; something skipped; a line for people; the end; what else a part gives."""


def send(pipe: int, kind: bytes, *values: Any) -> None:
    """Write one frame, all of it."""
    body = marshal.dumps(values)
    data = memoryview(_HEAD.pack(kind, len(body)) + body)
    while data:
        data = data[os.write(pipe, data):]


def pack(match: Match) -> tuple[Any, ...]:
    """A match as plain values."""
    known = match.known
    return (match.rule.id, _place(match.place), match.secret.reveal(), match.start_line, match.end_line,
            match.start_column, match.encoding, match.prefix,
            (known.name, known.version, known.stage, known.live) if known else None)


def unpack(values: tuple[Any, ...], rules: Mapping[str, Rule]) -> Match:
    """The match again."""
    rule, place, secret, start, end, column, encoding, prefix, known = values
    return Match(rules[rule], _placed(place), SecretValue(secret), start, end, column, encoding, prefix,
                 Known(*known) if known else None)


def pack_dropped(item: Dropped) -> tuple[Any, ...]:
    """A dropped candidate as plain values."""
    return (item.rule, _place(item.place), item.line, item.reason, item.masked)


def unpack_dropped(values: tuple[Any, ...]) -> Dropped:
    """The dropped candidate again."""
    rule, place, line, reason, masked = values
    return Dropped(rule, _placed(place), line, reason, masked)


def pack_skipped(item: Skipped) -> tuple[Any, ...]:
    """Something skipped as plain values."""
    return (item.what, item.reason, item.by_choice)


def unpack_skipped(values: tuple[Any, ...]) -> Skipped:
    """Something skipped again."""
    return Skipped(*values)


def _place(place: Place) -> tuple[str, str, str]:
    return (place.kind.value, place.key, place.path)


def _placed(values: tuple[str, str, str]) -> Place:
    return Place(Kind(values[0]), values[1], values[2])


class Frames:
    """Puts the frames of one pipe together as its bytes arrive."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, tuple[Any, ...]]]:
        """The frames that are whole now."""
        self._held += data
        at = 0
        while len(self._held) - at >= _HEAD.size:
            kind, size = _HEAD.unpack_from(self._held, at)
            if len(self._held) - at - _HEAD.size < size:
                break
            at += _HEAD.size
            yield kind, marshal.loads(self._held[at:at + size])  # noqa: S302 - our own worker wrote it
            at += size
        del self._held[:at]
