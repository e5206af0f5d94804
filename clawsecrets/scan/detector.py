"""Finds secrets in raw bytes: Hyperscan for candidates, the rule's exact expression around each, reasons to drop.

    Detector(ruleset).look(content)     matches of one content, with lines and columns
    Detector(ruleset).hits(data)        what would be reported, as spans of `data` (for text that was decoded)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import hyperscan

from clawsecrets.model.finding import Content, Dropped, Match
from clawsecrets.model.value import SecretValue
from clawsecrets.scan import gates
from clawsecrets.scan.exact import pem_end, spans
from clawsecrets.scan.filters import reason, sighting
from clawsecrets.scan.mask import mask
from clawsecrets.scan.overlap import Hit, Tell, best
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
        self._found: set[int] = set()
        self._events: list[tuple[int, int]] = []
        self._scratch = hyperscan.Scratch(ruleset.database)
        self._scan = ruleset.database.scan
        add = self._events.append

        def note(index: int, start: int, end: int, flags: int, context: object) -> None:
            add((index, end))

        self._note = note

    # --- content ----------------------------------------------------------------------------------------------------

    def look(self, content: Content, encoding: str = "plain") -> list[Match]:
        """Every secret in the content that was not reported with the piece before."""
        data, fresh = content.data, content.fresh
        if fresh is not None and not (content.base and content.base in self._found):
            if len(fresh) == 1:
                data = data[fresh[0][0]:fresh[0][1]]
            else:
                data = b"\n".join([data[start:end] for start, end in fresh])
        if not self._candidates(data):
            return []
        if data is not content.data:
            if not self.explain and not self._settle(data, None):
                return []
            self._candidates(content.data)
        where = Position(content)
        hits = self._settle(content.data, self._teller(content) if self.explain else None)
        if content.id and hits:
            self._found.add(content.id)
        return [where.match(hit, encoding) for hit in hits if hit.end > content.overlap]

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
        return self._settle(data, tell) if self._candidates(data) else []

    def ends(self, data: bytes) -> tuple[list[int], list[int]]:
        """Where candidates end in the data, and what may be encoded in it: nothing of the rest is of interest."""
        self._candidates(data)
        return [end for _, end in self._events], gates.ends(data)

    def _candidates(self, data: bytes) -> bool:
        self._events.clear()
        self._scan(data, self._note, scratch=self._scratch)
        return bool(self._events)

    def _settle(self, data: bytes, tell: Tell | None) -> list[Hit]:
        """What the noted candidates come to."""
        by_rule: dict[int, list[int]] = {}
        for index, end in self._events:
            by_rule.setdefault(index, []).append(end)
        found = (hit for index, ends in by_rule.items() for hit in self._exact(index, data, sorted(ends)))
        return best(self._judged(data, found, tell), tell)

    def _exact(self, index: int, data: bytes, ends: Sequence[int]) -> Iterator[Hit]:
        ruleset = self.ruleset
        rule = ruleset.rules[index]
        for start, end in spans(ruleset.pattern(index), ruleset.reach(index), data, ends):
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
            why = self._judgements[key] = reason(seen)
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
