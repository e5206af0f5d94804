"""What is looked at beside a change in a tree: enough of it, wherever a delta cuts an id, a mode or a name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

from clawsecrets.sources.git.edges import BESIDE
from clawsecrets.sources.git.trees import RUN, Trees

NAME = b"a-name-that-is-longer-than-what-is-looked-at-beside-a-change.py"


def named(seed: str, width: int) -> bytes:
    return hashlib.sha256(seed.encode()).digest()[:width]


def entry(mode: bytes, name: bytes, what: bytes) -> bytes:
    return mode + b" " + name + b"\0" + what


def around(middle: bytes, width: int, short: bool) -> bytes:
    """A tree with an entry in the middle of others."""
    names = (b"a", b"z") if short else (b"a" + NAME, b"z" + NAME)
    first = b"".join(entry(b"100644", names[0] + b"%d" % i, named(f"first {i}", width)) for i in range(4))
    last = b"".join(entry(b"100755", names[1] + b"%d" % i, named(f"last {i}", width)) for i in range(4))
    return first + middle + last


def change(old: bytes, new: bytes, context: int) -> list[tuple[int, int]]:
    """The range in which a tree differs from another one, as narrow as a delta can tell it, and this much wider."""
    size = min(len(old), len(new))
    begin = next((i for i in range(size) if old[i] != new[i]), size)
    rest = size - begin
    same = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    end = len(new) - same
    return [(max(0, begin - context), min(len(new), end + context))]


def missing(new: bytes, fresh: list[tuple[int, int]], width: int) -> set[bytes]:
    """The ids that are told to be missing where none is there."""
    trees = Trees(width, lambda numbers: np.zeros(len(numbers), bool))
    trees.add(bytes(width), new, fresh)
    list(trees.names())
    return set(trees.finish())


@pytest.mark.parametrize("width", [20, 32])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("mode", [b"100644", b"40000", b"040000"])
def test_an_id_is_seen_whichever_of_its_bytes_changed(width: int, short: bool, mode: bytes) -> None:
    for first in range(width):
        for last in range(first, width):
            before = named("before", width)
            after = bytes(byte ^ 0x55 if first <= at <= last else byte for at, byte in enumerate(before))
            old, new = (around(entry(mode, b"m", one), width, short) for one in (before, after))
            fresh = change(old, new, width + BESIDE)
            assert after in missing(new, fresh, width), (first, last)


def names(new: bytes, fresh: list[tuple[int, int]], width: int) -> set[bytes]:
    trees = Trees(width, None)
    trees.add(bytes(width), new, fresh)
    return {name for _, name in trees.names()}


def cuts(name: bytes) -> Iterator[bytes]:
    """The name with some of it left out: what has it all differs from that in the rest."""
    for begin in range(len(name)):
        for end in range(begin + 1, len(name) + 1):
            yield name[:begin] + name[end:]


@pytest.mark.parametrize("width", [20, 32])
@pytest.mark.parametrize("short", [False, True])
def test_a_name_is_seen_whichever_of_its_characters_are_new(width: int, short: bool) -> None:
    """Also where some were taken away, and what stood apart stands together."""
    secret = b"zbr_0123456789ab"
    assert len(secret) == RUN
    for other in cuts(secret):
        old, new = (around(entry(b"100644", one, named("it", width)), width, short) for one in (other, secret))
        assert secret in names(new, change(old, new, width + BESIDE), width), other
    for at in range(1, RUN):
        old, new = (around(entry(b"100644", one, named("it", width)), width, short)
                    for one in (secret[:at] + b" taken away " + secret[at:], secret))
        assert secret in names(new, change(old, new, width + BESIDE), width), at


@pytest.mark.parametrize("width", [20, 32])
def test_names_beside_a_change_are_none_that_is_new(width: int) -> None:
    """Else nearly every tree would tell one."""
    old, new = (around(entry(b"100644", NAME, named(one, width)), width, False) for one in ("before", "after"))
    assert names(new, change(old, new, width + BESIDE), width) == set()
