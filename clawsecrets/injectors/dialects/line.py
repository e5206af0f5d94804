"""One statement of an env file, and what all dialects share. Statements joined give the file, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from clawsecrets.errors import Refused

LONGEST = 131_071
"""Bytes of `NAME=value` that Linux takes (MAX_ARG_STRLEN, 32 pages, less the final NUL; execve(2))."""
PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*\Z")
"""Values that every dialect reads as they are, without quotes."""
NOT_TEXT = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as `surrogateescape` shows them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A statement with the text it stands in; its text and value are kept out of `repr`."""

    text: str = field(repr=False)
    number: int
    """Of its first line, from 1."""
    name: str = ""
    """The variable that it sets; empty for comments, blank lines and everything else."""
    value: str | None = field(default=None, repr=False)
    """None: it depends on more than this file (interpolation, inheritance)."""
    lead: str = field(default="", repr=False)
    """What stands before the name: indentation, `export `."""
    tail: str = field(default="", repr=False)
    """What stands after the value: a comment, the line ending."""
    fault: str = ""
    """Why the reader would not read this file, or we cannot: no delivery then."""
    mentions: frozenset[str] = frozenset()
    """Variables that it sets, or seems to, in a way that we cannot rewrite."""

    def with_value(self, quoted: str, ending: str = "") -> str:
        """Its text with another value; `ending` replaces the line ending."""
        tail = self.tail
        if ending and tail.endswith("\n"):
            tail = tail.removesuffix("\n").removesuffix("\r") + ending
        return f"{self.lead}{self.name}={quoted}{tail}"


def statements(text: str, following: Callable[[str, int, int], Line]) -> list[Line]:
    """Cut `text` with `following(text, position, line number)`, which gives the statement that begins there."""
    found: list[Line] = []
    at, number = 0, 1
    while at < len(text):
        line = following(text, at, number)
        found.append(line)
        at += len(line.text)
        number += line.text.count("\n")
    return found


def require(name: str, value: str, forbidden: str, reader: str) -> None:
    """Refused when no reader, or not this one, can carry the value; `forbidden` is a regular expression."""
    if "\0" in value:
        raise Refused(f"{name}: the value has a NUL character, which no environment variable can hold")
    if len(f"{name}={value}".encode()) > LONGEST:
        raise Refused(f"{name}: the value is too long for an environment variable (Linux takes {LONGEST} bytes)")
    if forbidden and re.search(forbidden, value):
        raise Refused(f"{name}: the value has a line break or control character, which {reader} cannot carry")
