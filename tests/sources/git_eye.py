"""A detector that is only as clever as these tests need: it looks for the shape of planted tokens, and only where a
source says that something new may stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from clawsecrets.model.finding import Content, Place, Provenance, Skipped
from clawsecrets.scan_ports import Source
from tests.plants.git_plants import SHAPE


@dataclass
class Heard:
    """What parts told."""

    skips: list[Skipped] = field(default_factory=list)
    objects: int = 0
    size: int = 0
    left_out: int = 0
    works: list[int] = field(default_factory=list)
    """Of what is stored: what was done with, at each word."""

    def skipped(self, skipped: Skipped) -> None:
        self.skips.append(skipped)

    def looked(self, objects: int, size: int, work: int = 0) -> None:
        self.objects += objects
        self.size += size
        self.works.append(work)

    def cached(self, objects: int) -> None:
        self.left_out += objects

    def known(self, message: str) -> None:
        pass

    def extra(self, *values: str | int | bytes) -> None:
        pass


def read(contents: Iterable[Content], found: dict[str, set[Place]]) -> None:
    """The tokens in what one worker is given, as the real detector looks: at fresh ranges, and at all of a content
    whose base had any."""
    marked: set[int] = set()
    for content in contents:
        spans = [(0, len(content.data))]
        if content.fresh is not None and content.base not in marked:
            spans = list(content.fresh)
        for begin, end in spans:
            for hit in SHAPE.finditer(content.data[begin:end]):
                found.setdefault(hit[0].decode(), set()).add(content.place)
                marked.add(content.id)


def scan(source: Source, workers: int = 2) -> tuple[dict[str, set[Place]], list[Skipped], Heard]:
    """Tokens and places, everything that was skipped, and what else was told."""
    heard = Heard()
    found: dict[str, set[Place]] = {}
    for part in source.parts(workers):
        read(part.contents(heard), found)
    work = source.work()
    assert work is None or (sum(heard.works) == sum(work) and min(heard.works, default=0) >= 0)
    return found, [*source.coverage().skipped, *heard.skips], heard


def located(source: Source, found: dict[str, set[Place]]) -> dict[str, list[Provenance]]:
    """Tokens and where they can be reached."""
    ways = source.locate({place for places in found.values() for place in places})
    return {token: [way for place in places for way in ways[place]] for token, places in found.items()}
