"""Finds secrets in raw bytes: Hyperscan for candidates, the rule's exact expression around each, reasons to drop.

    Detector(ruleset).look(content)     matches of one content, with lines and columns
    Detector(ruleset).hits(data)        what would be reported, as spans of `data` (for text that was decoded)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import hyperscan

from clawsecrets.model.finding import Content, Dropped, Match
from clawsecrets.model.value import SecretValue
from clawsecrets.scan.exact import pem_end
from clawsecrets.scan.filters import Remembered, reason, sighting
from clawsecrets.scan.mask import mask
from clawsecrets.scan.overlap import Hit, Tell, best
from clawsecrets.scan.ranges import Events, joined, placed
from clawsecrets.scan.ruleset import Ruleset

_ALLOW = (b"gitleaks:allow", b"betterleaks:allow", b"trufflehog:ignore", b"clawsecrets:allow", b"kingfisher:ignore",
          b"pragma: allowlist secret")
"""Comments that ask to overlook the line that they stand on: heard only with `trust_inline_allow`."""
MOST_REMEMBERED = 20_000
"""Judgements that are kept: some 10 MB."""
MOST_DROPPED = 10_000
"""Reasons that are kept for `--explain`; further ones are not told."""


class Detector:
    """Applies a ruleset to content. One for each process; not for several threads at once."""

    def __init__(self, ruleset: Ruleset, *, explain: bool = False, trust_inline_allow: bool = False) -> None:
        self.ruleset = ruleset
        self.explain = explain
        self.dropped: list[Dropped] = []
        """With `explain`: what was not reported, and why."""
        self._trust = trust_inline_allow
        self._judgements: dict[tuple[str, bytes, bytes, bytes], str] = {}
        self._alone: Remembered = {}
        self._numbers = {rule.id: number for number, rule in enumerate(ruleset.rules)}
        self._found: dict[int, Sequence[tuple[int, bytes]]] = {}
        """By the id of a content: rules and values of what was found in it, for what is built on it."""
        self._events: Events = []
        self._scratch = hyperscan.Scratch(ruleset.database)
        self._scan = ruleset.database.scan
        add = self._events.append

        def note(index: int, start: int, end: int, flags: int, context: object) -> None:
            add((index, end))

        self._note = note

    # --- content ----------------------------------------------------------------------------------------------------

    def look(self, content: Content, seen: Events | None = None) -> list[Match]:
        """Every secret in the content that was not reported with the piece before. `seen`: what `candidates` gave for
        it, or for its fresh ranges, as places in its data."""
        data, fresh = content.data, content.fresh
        if seen is None:
            seen = self.candidates(data) if fresh is None else self._in_ranges(data, fresh)
        if fresh is not None and (before := self._found.get(content.base)):
            seen = [*seen, *self._again(data, before)]
        if not seen:
            return []
        where = Position(content)
        hits = self._settle(data, seen, self._teller(content) if self.explain else None)
        if content.id and hits:
            self._found[content.id] = tuple({(self._numbers[hit.rule.id], data[hit.start:hit.end]) for hit in hits})
        return [where.match(hit) for hit in hits if hit.end > content.overlap]

    def _in_ranges(self, data: bytes, ranges: Sequence[tuple[int, int]]) -> Events:
        """Candidates that end in ranges of the data."""
        events = self.candidates(joined(data, ranges))
        return [(index, end) for index, end, _ in placed(events, ranges)]

    def _again(self, data: bytes, values: Sequence[tuple[int, bytes]]) -> Events:
        """Where values stand again that were found in what the data is built on: their rules are asked again, too."""
        seen: Events = []
        for index, value in values:
            # no farther than the rule looks: what it saw of a PEM block is the beginning (`pem_end`)
            length = min(len(value), self.ruleset.exact(index).reach)
            at = data.find(value)
            while at >= 0:
                seen.append((index, at + length))
                at = data.find(value, at + len(value))
        return seen

    def _teller(self, content: Content) -> Tell:
        where = Position(content)

        def tell(hit: Hit, why: str) -> None:
            if len(self.dropped) < MOST_DROPPED and hit.end > content.overlap:
                line, _ = where.of(hit.start)
                masked = mask(content.data[hit.start:hit.end], hit.prefix)
                self.dropped.append(Dropped(hit.rule.id, content.place, line, why, masked))

        return tell

    # --- data -------------------------------------------------------------------------------------------------------

    def hits(self, data: bytes, tell: Tell | None = None) -> list[Hit]:
        """The secrets in `data` that are to be reported, by their place; no two overlap. `tell` hears of the rest."""
        seen = self.candidates(data)
        return self._settle(data, seen, tell) if seen else []

    def candidates(self, data: bytes) -> Events:
        """Which rule may have a match that ends where: nothing of the rest is of interest to any rule."""
        self._events.clear()
        self._scan(data, self._note, scratch=self._scratch)
        return self._events.copy()

    def _settle(self, data: bytes, seen: Events, tell: Tell | None) -> list[Hit]:
        """What the candidates come to."""
        by_rule: dict[int, list[int]] = {}
        for index, end in seen:
            by_rule.setdefault(index, []).append(end)
        found = (hit for index, ends in by_rule.items() for hit in self._exact(index, data, sorted(ends)))
        return best(self._judged(data, found, tell), tell)

    def _exact(self, index: int, data: bytes, ends: Sequence[int]) -> Iterator[Hit]:
        ruleset = self.ruleset
        rule = ruleset.rules[index]
        for start, end in ruleset.exact(index).spans(data, ends):
            yield Hit(rule, start, pem_end(data, start, end), ruleset.prefix(index, data[start:end]))

    def _judged(self, data: bytes, found: Iterator[Hit], tell: Tell | None) -> Iterator[tuple[Hit, str]]:
        for hit in found:
            why = self._reason(data, hit)
            if not why and self._trust and _allowed(data, hit):
                why = "a comment on its line asks to overlook it"
            if why and tell is not None:
                tell(hit, why)
            yield hit, why

    def _reason(self, data: bytes, hit: Hit) -> str:
        """The reason to drop it, or none. Remembered: versions of a file hold the same lines again and again."""
        seen = sighting(hit.rule, data, hit.start, hit.end, hit.prefix)
        key = (hit.rule.id, seen.value, seen.before, seen.after)
        why = self._judgements.get(key)
        if why is None:
            if len(self._judgements) >= MOST_REMEMBERED:
                self._judgements.clear()
            if len(self._alone) >= MOST_REMEMBERED:
                self._alone.clear()
            why = self._judgements[key] = reason(seen, self._alone)
        return why


class Position:
    """Lines and columns in one content. Newlines are counted once as long as offsets ascend."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._at, self._lines = 0, 0

    def of(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset in the content's data, both from 1."""
        content, data = self._content, self._content.data
        if offset < self._at:
            self._at, self._lines = 0, 0
        self._lines += data.count(b"\n", self._at, offset)
        self._at = offset
        newline = data.rfind(b"\n", 0, offset)
        column = offset - newline if newline >= 0 else content.column + offset + 1
        return content.line + self._lines + 1, column

    def match(self, hit: Hit, encoding: str = "plain") -> Match:
        """The match to report for a hit in the content's own data."""
        data = self._content.data
        line, column = self.of(hit.start)
        last = line + data.count(b"\n", hit.start, hit.end)
        return Match(hit.rule, self._content.place, SecretValue(data[hit.start:hit.end]), line, last, column, encoding,
                     hit.prefix)


def _allowed(data: bytes, hit: Hit) -> bool:
    start = data.rfind(b"\n", 0, hit.start) + 1
    end = data.find(b"\n", hit.end)
    line = data[start: end if end >= 0 else len(data)].lower()
    return any(word in line for word in _ALLOW)


__all__ = ["Detector", "Hit", "Position", "Tell"]
