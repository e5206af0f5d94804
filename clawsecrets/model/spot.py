"""Where a secret stands in a content, and nothing of it."""

from __future__ import annotations

from typing import NamedTuple


class Spot(NamedTuple):
    """A match without its value."""

    rule: str
    """Its id."""
    line: int
    end: int
    """The lines where it begins and ends, from 1."""
    column: int
    """In bytes, from 1."""
    size: int
    """Bytes."""
    prefix: str
    """The public prefix of the format."""
