"""How each character of an ASCII text differs from one before it, all at once. Pure.

Bytes of one long number are subtracted without a borrow between them, since the highest bit of each is free.
"""

from __future__ import annotations

from functools import lru_cache

SAME, UP, DOWN = b"\x80", b"\x81", b"\x7f"


def steps(text: bytes) -> bytes:
    """Of each character but the first: 128 more than its difference from the one before it. ValueError for text that is
    not ASCII."""
    size = len(text) - 1
    if size <= 0:
        return b""
    if not text.isascii():
        raise ValueError("not ASCII")
    later, earlier = int.from_bytes(text[1:], "big"), int.from_bytes(text[:size], "big")
    return ((later | _high(size)) - earlier).to_bytes(size, "big")


@lru_cache(512)
def _high(size: int) -> int:
    return int.from_bytes(SAME * size, "big")
