"""A stand-in for the detector: looks for known tokens in everything that a source gives. Not a test file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from clawsecrets.model.finding import Content, Place, Provenance, Skipped
from clawsecrets.scan_ports import Source


@dataclass
class Told:
    """Notes that remember."""

    skips: list[Skipped] = field(default_factory=list)
    objects: int = 0
    bytes: int = 0
    seen: int = 0
    works: list[int] = field(default_factory=list)
    extras: list[tuple[str | int | bytes, ...]] = field(default_factory=list)

    def skipped(self, skipped: Skipped) -> None:
        """Kept."""
        self.skips.append(skipped)

    def looked(self, objects: int, size: int, work: int = 0) -> None:
        """Counted."""
        self.objects += objects
        self.bytes += size
        self.works.append(work)

    def cached(self, objects: int) -> None:
        """Counted."""
        self.seen += objects

    def known(self, message: str) -> None:
        """Not needed."""

    def extra(self, *values: str | int | bytes) -> None:
        """Kept."""
        self.extras.append(values)


class Seen(NamedTuple):
    """One token where it was found."""

    token: str
    place: Place
    line: int
    provenances: Sequence[Provenance]


@dataclass
class Looked:
    """What a whole source gave."""

    found: list[Seen]
    told: Told
    skipped: tuple[Skipped, ...]
    """By the parts and by the coverage, those left out by choice not among them."""
    contents: int

    def of(self, token: str) -> list[Seen]:
        """Where one token was found."""
        return [seen for seen in self.found if seen.token == token]

    @property
    def reasons(self) -> str:
        """All reasons, for messages."""
        return "; ".join(f"{item.what}: {item.reason}" for item in self.skipped)


def look(source: Source, tokens: Iterable[str], workers: int = 2) -> Looked:
    """Read all parts one after the other, and find the tokens."""
    told, hits, contents = Told(), list[tuple[str, Place, int]](), 0
    wanted = [(token, token.encode()) for token in tokens]
    for part in source.parts(workers):
        for content in part.contents(told):
            contents += 1
            hits += [(token, content.place, line(content, at)) for token, data in wanted
                     if (at := content.data.find(data)) >= 0 and at + len(data) > content.overlap]
    work = source.work()
    assert work is None or (sum(told.works) == sum(work) and min(told.works, default=0) >= 0)
    places = source.locate({place for _, place, _ in hits})
    skipped = (*told.skips, *source.coverage().skipped)
    return Looked([Seen(token, place, number, places[place]) for token, place, number in hits], told,
                  tuple(item for item in skipped if not item.by_choice), contents)


def line(content: Content, at: int) -> int:
    """The line of a place in the content."""
    return content.line + content.data.count(b"\n", 0, at) + 1
