"""Of secrets that overlap, one is reported: what is most certain, then what is most specific."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import NamedTuple

from clawsecrets.model.finding import CONFIDENCES, Rule
from clawsecrets.scan.ruleset import GENERIC

_GENERIC = {"high": 1.25, "medium": 0.5, "low": 0.5}
"""How much less a generic rule is worth: one of high confidence (a key block) less than a provider's of medium."""


class Hit(NamedTuple):
    """One secret in the data that was asked about."""

    rule: Rule
    start: int
    end: int
    prefix: str
    """The public prefix of its format."""


Tell = Callable[[Hit, str], None]
"""Hears of a hit that is not reported, and why."""


def best(judged: Iterable[tuple[Hit, str]], tell: Tell | None = None) -> list[Hit]:
    """What is to be reported, in order of place, no two of it overlapping. Of each, the reason to drop it comes along
    (empty: none); `tell` hears of those that give way. A value that a provider's rule knows for certain and drops for
    what it is (an example, a wrong checksum) is no secret for a generic rule either."""
    taken, void = _Spans(), _Spans()
    for hit, why in sorted(judged, key=lambda pair: _rank(pair[0])):
        generic = hit.rule.provider == GENERIC
        if why:
            if not generic and hit.rule.confidence == "high" and not void.over(hit):
                void.add(hit)
            continue
        other = taken.over(hit) or (void.over(hit) if generic else None)
        if other is None:
            taken.add(hit)
        elif tell is not None:
            tell(hit, f"the same text is {other.rule.id}'s")
    return taken.hits


def _rank(hit: Hit) -> tuple[float, int, int, bool, str, int]:
    """The least comes first. Of equal confidence, what a provider's rule names is worth more than what a generic rule
    calls a secret; a rule of low confidence never hides one of medium, which is reported by default."""
    rule = hit.rule
    certainty = CONFIDENCES.index(rule.confidence) + (_GENERIC[rule.confidence] if rule.provider == GENERIC else 0.0)
    return certainty, hit.start - hit.end, -len(hit.prefix), not rule.near, rule.id, hit.start


class _Spans:
    """Disjoint hits, in order of place."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self.hits: list[Hit] = []

    def over(self, hit: Hit) -> Hit | None:
        """One that overlaps with `hit`."""
        at = bisect_left(self._starts, hit.end)
        return self.hits[at - 1] if at and self.hits[at - 1].end > hit.start else None

    def add(self, hit: Hit) -> None:
        """One that overlaps with none."""
        at = bisect_left(self._starts, hit.start)
        self._starts.insert(at, hit.start)
        self.hits.insert(at, hit)
