"""A mask shows the public beginning and three characters at most, and never anything that a terminal obeys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.scan.mask import HIDDEN, mask


@pytest.mark.parametrize(("secret", "prefix", "shown"), [
    (b"ghp_" + b"Ab3" * 12, "ghp_", "ghp_…Ab3"),
    (b"x" * 16 + b"abc", "", "…"),  # 19: no tail
    (b"x" * 17 + b"abc", "", "…abc"),
    (b"ghp_short", "ghp_", "…"),  # what is behind the prefix would be too little to hide
    (b"other_" + b"Ab3" * 12, "ghp_", "…Ab3"),
    (b"", "ghp_", "…"),
    (b"q" * 30 + b"\x1b\n\xff", "", "…???"),
    ("ü".encode() * 30, "", "…???"),
])
def test_mask(secret: bytes, prefix: str, shown: str) -> None:
    assert mask(secret, prefix) == shown


@given(st.binary(max_size=200), st.integers(0, 200))
def test_enough_stays_hidden(secret: bytes, size: int) -> None:
    prefix = secret.decode("utf-8", "replace")[:size]
    shown = mask(secret, prefix)
    assert all(c == "…" or "!" <= c <= "~" for c in shown)
    front, _, tail = shown.partition("…")
    length = len(secret.decode("utf-8", "replace"))
    assert len(tail) == (3 if length >= 20 else 0)
    assert not front or length - len(front) - len(tail) >= HIDDEN
