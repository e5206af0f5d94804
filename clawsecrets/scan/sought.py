"""Looks for given values besides what the rules find: the store's own (known.py), or those of an index (index.py).

    detector = Seeking(Detector(ruleset), finders)              in place of the detector
    inspector = Naming(Inspector(detector, notes=…), finders)   names the value wherever it was found
    {**ruleset.by_id, **finder.rules}                           the rules that matches may have

One span is reported once: what a rule finds keeps its rule, and gets the name of the value that stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from clawsecrets.model.finding import Content, Dropped, Known, Match, Rule
from clawsecrets.model.secret import SecretValue
from clawsecrets.scan.detector import Position
from clawsecrets.scan.overlap import Hit
from clawsecrets.scan.ranges import Events, Seen

RULE = "known-value"


class Found(NamedTuple):
    """A value at a place of some data."""

    start: int
    end: int
    rule: Rule
    known: Known
    value: bytes
    """The value itself, whatever form of it stands there."""
    encoding: str = "plain"


class Finder(Protocol):
    """Finds given values."""

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules of what it finds, by id."""

    @property
    def reach(self) -> int:
        """Bytes that a value has at most, in any form."""

    def find(self, data: bytes, *, plain: bool = False) -> list[Found]:
        """Every place, in order; with `plain`, not the encoded forms."""


class Detects(Protocol):
    """The detector below."""

    dropped: list[Dropped]

    def look(self, content: Content, seen: Events | None = None) -> list[Match]:
        """Matches."""

    def hits(self, data: bytes) -> list[Hit]:
        """Spans."""


class Looks(Protocol):
    """The inspector below."""

    def look(self, content: Content, seen: Seen | None = None) -> Iterable[Match]:
        """The matches in it. `seen`: what was seen in it before."""

    @property
    def dropped(self) -> list[Dropped]:
        """Candidates that a filter dropped, when they are kept."""


def rule_for(provider: str) -> Rule:
    """The rule of values of a provider."""
    return Rule(f"{provider}.{RULE}", provider, "a value that is known", "")


class Seeking:
    """A detector that also finds the given values."""

    def __init__(self, detector: Detects, finders: Sequence[Finder]) -> None:
        self._detector, self._finders = detector, finders
        self._found: set[int] = set()

    @property
    def dropped(self) -> list[Dropped]:
        """The detector's."""
        return self._detector.dropped

    @dropped.setter
    def dropped(self, dropped: list[Dropped]) -> None:
        self._detector.dropped = dropped

    def look(self, content: Content, seen: Events | None = None) -> list[Match]:
        """Every secret in the content."""
        matches = self._detector.look(content, seen)
        found = [one for one in self._new(content) if one.end > content.overlap]
        if found and content.id:
            self._found.add(content.id)
        if not found:
            return matches
        where = Position(content)
        taken = {(match.start_line, match.start_column, match.secret.reveal()) for match in matches}
        for one in sorted(found):
            line, column = where.of(one.start)
            if (line, column, one.value) in taken or _within(one.value, one, line, matches):
                continue
            last = line + content.data.count(b"\n", one.start, one.end)
            matches.append(Match(one.rule, content.place, SecretValue(one.value), line, last, column, one.encoding,
                                 known=one.known))
        return matches

    def hits(self, data: bytes) -> list[Hit]:
        """Spans of all secrets in decoded text."""
        hits = self._detector.hits(data)
        extra = [Hit(one.rule, one.start, one.end, "") for finder in self._finders
                 for one in finder.find(data, plain=True)
                 if not any(hit.start <= one.start and one.end <= hit.end for hit in hits)]
        kept = [hit for hit in hits if not any(one.start <= hit.start and hit.end <= one.end for one in extra)]
        return sorted([*kept, *extra], key=lambda hit: hit.start) if extra else hits

    def _new(self, content: Content) -> Iterator[Found]:
        """Values where something new may stand; a value may reach further out of that than any rule's match."""
        fresh = None if content.base in self._found else content.fresh
        for finder in self._finders:
            if fresh is None:
                yield from finder.find(content.data)
                continue
            seen: set[tuple[int, int]] = set()
            for low, high in _widened(fresh, finder.reach, len(content.data)):
                for one in finder.find(content.data[low:high]):
                    place = (one.start + low, one.end + low)
                    if place not in seen:
                        seen.add(place)
                        yield one._replace(start=place[0], end=place[1])


def _within(value: bytes, one: Found, line: int, matches: Iterable[Match]) -> bool:
    """Whether a match there holds the value, and more."""
    return one.encoding == "plain" and any(
        match.start_line <= line <= match.end_line and value in match.secret.reveal() for match in matches)


def _widened(ranges: Iterable[tuple[int, int]], by: int, size: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        low, high = max(0, low - by), min(size, high + by)
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


class Naming:
    """An inspector whose matches carry the name of the value that they hold. Each place of a value is told once,
    whichever way it was decoded."""

    def __init__(self, inspector: Looks, finders: Sequence[Finder]) -> None:
        self._inspector, self._finders = inspector, finders

    @property
    def dropped(self) -> list[Dropped]:
        """The inspector's."""
        return self._inspector.dropped

    def look(self, content: Content, seen: Seen | None = None) -> Iterable[Match]:
        """The matches, named."""
        matches = [self._named(match) for match in self._inspector.look(content, seen)]
        told: set[tuple[object, ...]] = set()
        for match in matches:
            value, own = match.secret.reveal(), match.rule.id.endswith("." + RULE)
            key = (match.place, match.start_line, value, match.encoding)
            if own and match.encoding != "plain" and key in told:
                continue
            told.add(key)
            yield match

    def _named(self, match: Match) -> Match:
        if match.known is not None:
            return match
        value = match.secret.reveal()
        for finder in self._finders:
            for one in finder.find(value, plain=True):
                return replace(match, known=one.known)
        return match
