"""Strings of compiled Python files, found by their marshal headers. Nothing is unmarshalled: that is not safe."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SHORT = tuple(re.compile(kind + rb"(?=[\x0c-\xff][\t\n\r -~]{12})") for kind in (b"z", b"Z", b"\xfa", b"\xda"))
"""TYPE_SHORT_ASCII and its interned form, with or without the flag of a reference; a byte of length. One expression
each, since what begins with a fixed byte is found much faster."""
_LONG = frozenset(b"suatA\xf3\xf5\xe1\xf4\xc1")
"""Bytes, strings, ASCII: four bytes of length, the last of which is 0."""
_TEXT = bytes(1 if byte in b"\t\n\r" or 32 <= byte < 127 or byte >= 128 else 2 * (byte != 0) for byte in range(256))
_HEADED = b"\0" + b"\1" * 12
"""The last byte of such a length and the beginning of a text, as `_TEXT` translates them."""


def strings(data: bytes) -> Iterator[tuple[int, int]]:
    """Where strings of 12 bytes or more begin and end, the short ones first."""
    size, last = len(data), 0
    for start in sorted([found.end() + 1 for kind in _SHORT for found in kind.finditer(data)]):
        if start - last < 2:
            continue  # its type would be the length of the one before
        last = start
        end = start + data[start - 1]
        if end <= size:
            yield start, end
    kinds = data.translate(_TEXT)
    at = kinds.find(_HEADED)
    while at >= 0:
        if at > 3 and data[at - 4] in _LONG:
            end = at + 1 + int.from_bytes(data[at - 3:at + 1], "little")
            if at + 13 <= end <= size:
                yield at + 1, end
        at = kinds.find(_HEADED, at + 1)
