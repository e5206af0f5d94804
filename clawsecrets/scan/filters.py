"""Reasons not to report what an expression has matched: each a pure function of one sighting, asked in order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from clawsecrets.model.finding import Rule
from clawsecrets.scan import checksums

_AROUND = 160
"""Bytes before and after a value that judgements may look at."""


class Sighting(NamedTuple):
    """A value that an exact expression has found, and what stands around it. Holds the secret."""

    rule: Rule
    value: bytes
    before: bytes
    """At most 160 bytes before it."""
    after: bytes
    prefix: str


Reason = Callable[[Sighting], str]
"""Empty when there is no reason."""


def sighting(rule: Rule, data: bytes, start: int, end: int, prefix: str) -> Sighting:
    """What stands at start..end of data, as the judgements want it."""
    return Sighting(rule, bytes(data[start:end]), bytes(data[max(0, start - _AROUND):start]),
                    bytes(data[end:end + _AROUND]), prefix)


def reason(seen: Sighting) -> str:
    """The first reason to drop it; empty when it is to be reported."""
    for judge in REASONS:
        if found := judge(seen):
            return found
    return ""


def entropy(value: bytes) -> float:
    """Shannon entropy, bits a byte."""
    total = len(value)
    return -sum(count / total * math.log2(count / total) for count in Counter(value).values()) if total else 0.0


def too_plain(seen: Sighting) -> str:
    """Less entropy than the rule asks for."""
    least = seen.rule.entropy
    if not least:
        return ""
    has = entropy(seen.value)
    return f"entropy {has:.1f} is below {least:.1f} bits a character" if has < least else ""


def wrong_checksum(seen: Sighting) -> str:
    """The checksum that the format carries is wrong: nobody issued it."""
    name = seen.rule.checksum
    return f"its checksum ({name}) is wrong" if name and not checksums.holds(name, seen.value) else ""


REASONS: tuple[Reason, ...] = (too_plain, wrong_checksum)
