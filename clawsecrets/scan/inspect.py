"""Looks at content of any kind: opens what is packed, decodes what is encoded, gives the rest to the detector.

    Inspector(detector, notes=notes).look(content)

What cannot be opened is told as Skipped, and its raw bytes are looked at all the same. Members of archives are places
of their own: `outer.zip!/inner.txt`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from clawsecrets.formats.bounds import DEFAULT, Budget, Limits
from clawsecrets.formats.sniff import HEAD, ends_in_zip, sniff
from clawsecrets.model.expression import APART
from clawsecrets.model.finding import Content, Dropped, Match, Place, Skipped
from clawsecrets.model.value import SecretValue
from clawsecrets.scan import decode
from clawsecrets.scan.derived import Derived
from clawsecrets.scan.detector import Hit, Position
from clawsecrets.scan.ranges import Events, Seen
from clawsecrets.scan.ruleset import GENERIC

_ENCODED = Limits(output=64 << 20, members=10_000, depth=3, whole=16 << 20)
"""Bounds of a container that is encoded in text."""


class Notes(Protocol):
    """Who is told what could not be opened."""

    def skipped(self, skipped: Skipped) -> None:
        """Something could not be looked at."""


class Detects(Protocol):
    """The detector."""

    dropped: list[Dropped]

    def look(self, content: Content, seen: Events | None = None) -> list[Match]:
        """The matches in content as it stands. `seen`: the candidates in it, when they are known."""

    def hits(self, data: bytes) -> list[Hit]:
        """Spans of secrets in decoded text."""


class Inspector:
    """Looks at contents, one after another: pieces of one content in their order. One for each process."""

    def __init__(self, detector: Detects, *, notes: Notes, limits: Limits = DEFAULT) -> None:
        self._detector, self.notes, self._limits = detector, notes, limits
        self._decoded: set[int] = set()
        """Ids of contents in which something encoded was found: what is built on them is decoded as a whole."""
        self._nested = 0
        self._opened: Place | None = None
        """Content in pieces that was read as a whole when its first piece came."""

    @property
    def dropped(self) -> list[Dropped]:
        """Candidates that a filter dropped, when the detector keeps them."""
        return self._detector.dropped

    def look(self, content: Content, seen: Seen | None = None) -> list[Match]:
        """Every secret in the content, in what it contains and in what it encodes. `seen`: what one pass over it, or
        over its fresh ranges, has seen, as places in its data."""
        if content.offset:
            return [] if content.place == self._opened else self._text(content)
        self._opened = None
        kind = kind_of(content.data) if seen is None else ""  # what waited is no container (batch.py)
        if not kind:
            return self._text(content, seen)
        found, whole = self._walked(content, kind, self._limits)
        if whole and content.whole is not None:
            self._opened = content.place
        return found

    def _walked(self, content: Content, kind: str, limits: Limits) -> tuple[list[Match], bool]:
        from clawsecrets.scan.walk import Walk  # with all readers of formats: a hook seldom needs them

        return Walk(self, Budget(limits)).top(content, kind)

    def hits(self, data: bytes) -> list[Hit]:
        """Spans of secrets in data as it stands."""
        return self._detector.hits(data)

    def text(self, content: Content) -> list[Match]:
        """The matches in content that is to be taken as it stands."""
        return self._text(content)

    # --- text -------------------------------------------------------------------------------------------------------

    def _text(self, content: Content, seen: Seen | None = None) -> list[Match]:
        """Content that is no container."""
        matches = self._detector.look(content, seen.rules if seen else None)
        plain = len(matches)
        if content.base in self._decoded:
            decoded = decode.derived(content.data)
        elif seen is None:
            decoded = decode.derived(content.data, content.fresh)
        else:
            decoded = decode.derived(content.data, seen=seen.shapes) if seen.shapes else []
        if decoded:
            packed = [(text, kind) for text in decoded if not text.step and (kind := sniff(text.data[:HEAD]))]
            boxes = {id(text) for text, _ in packed}
            matches += self.judged(content, [text for text in decoded if id(text) not in boxes], matches)
            for text, kind in packed:
                matches += self._encoded(content, text, kind)
            if len(matches) > plain and content.id:
                self._decoded.add(content.id)
        return matches

    def _encoded(self, content: Content, text: Derived, kind: str) -> list[Match]:
        """The matches in a container that is encoded in text: they stand where it stands."""
        if self._nested >= decode.DEPTH or text.origins[0] < content.overlap:
            return []
        self._nested += 1
        try:
            found, _ = self._walked(Content(text.data, content.place), kind, _ENCODED)
        finally:
            self._nested -= 1
        line, column = Position(content).of(text.origins[0])
        name = f"{text.encoding}+{kind}"
        return [match._replace(place=content.place, start_line=line, end_line=line, start_column=column,
                        encoding=name if match.encoding == "plain" else f"{name}+{match.encoding}") for match in found]

    def judged(self, content: Content, decoded: Sequence[Derived], known: Iterable[Match]) -> list[Match]:
        """The matches in texts that were decoded from the content, beyond those known: all in one call."""
        starts, size = [], 0
        for text in decoded:
            starts.append(size)
            size += len(text.data) + len(APART)
        hits = self._detector.hits(APART.join([text.data for text in decoded]))
        found: list[tuple[int, int, Hit, bytes, str]] = []
        for hit in hits:
            owner = bisect_right(starts, hit.start) - 1
            text, start = decoded[owner], hit.start - starts[owner]
            end = hit.end - starts[owner]
            if end > len(text.data) or start < text.context or not _believable(hit, text):
                continue
            if not text.rewritten(start, end):
                continue
            low, high = text.origin(start), text.origin(end - 1)
            value = text.data[start:end]
            if high + 1 > content.overlap:
                plain = content.data[low: low + len(value)] == value
                found.append((low, high, hit, value, "plain" if plain else text.encoding))
        return _placed(content, found, known)


def kind_of(data: bytes) -> str:
    """What container it is; empty for none."""
    return sniff(data[:HEAD]) or ("zip" if ends_in_zip(data) else "")


def _believable(hit: Hit, text: Derived) -> bool:
    """Decoded bytes that are not all text prove nothing but what has a form of its own."""
    if text.mixed:
        return hit.rule.confidence == "high" and hit.rule.provider != GENERIC
    return text.step != 0 or text.context > 0 or hit.rule.confidence != "low"


def _placed(content: Content, found: list[tuple[int, int, Hit, bytes, str]], known: Iterable[Match]) -> list[Match]:
    seen = {(match.start_line, match.start_column, match.rule.id) for match in known}
    where = Position(content)
    matches = []
    for low, high, hit, value, encoding in sorted(found, key=lambda one: (one[0], len(one[4]))):
        line, column = where.of(low)
        if encoding == "plain" and (line, column, hit.rule.id) in seen:
            continue
        key = (line, column, hit.rule.id) if encoding == "plain" else (line, column, hit.rule.id, value)
        if key in seen:
            continue
        seen.add(key)  # type: ignore[arg-type]
        last = line + content.data.count(b"\n", low, high)
        matches.append(Match(hit.rule, content.place, SecretValue(value), line, last, column, encoding, hit.prefix))
    return matches
