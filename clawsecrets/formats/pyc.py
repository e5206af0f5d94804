"""Strings of compiled Python files, found by their marshal headers. Nothing is unmarshalled: that is not safe."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SHORT = re.compile(rb"[zZ\xfa\xda]([\x0c-\xff])(?=[\t\n\r -~]{12})")
"""TYPE_SHORT_ASCII and its interned form, with or without the flag of a reference; a byte of length."""
_LONG = re.compile(rb"[suatAt\xf3\xf5\xe1\xf4\xc1](...\0)(?=[\t\n\r -~\x80-\xff]{12})", re.S)
"""Bytes, strings, ASCII: four bytes of length."""


def strings(data: bytes) -> Iterator[tuple[int, int]]:
    """Where strings of 12 bytes or more begin and end, the short ones first."""
    size = len(data)
    for found in _SHORT.finditer(data):
        start = found.end()
        end = start + found[1][0]
        if end <= size:
            yield start, end
    for found in _LONG.finditer(data):
        start = found.end()
        end = start + int.from_bytes(found[1], "little")
        if start + 12 <= end <= size:
            yield start, end
