"""Standard input, or any stream that can be read once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawsecrets.formats.pieces import cut
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes


@dataclass(frozen=True)
class StreamSource:
    """What `read(n)` gives, at most n bytes a call, empty at its end."""

    read: Callable[[int], bytes]
    name: str = "<stdin>"
    kind: Kind = Kind.STDIN

    def parts(self, workers: int) -> Sequence[StreamSource]:
        """It can be read by one only."""
        return [self]

    def contents(self, notes: Notes) -> Iterable[Content]:
        """Its pieces."""
        place = Place(self.kind, self.name, self.name)
        try:
            for number, piece in enumerate(cut(self.read)):
                notes.looked(0 if number else 1, len(piece.data) - piece.overlap)
                yield Content(piece.data, place, offset=piece.offset, line=piece.line, column=piece.column,
                              overlap=piece.overlap)
        except OSError as error:
            notes.skipped(Skipped(self.name, error.strerror or "it could not be read"))

    def work(self) -> None:
        """It is over when it is."""

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """It stands there."""
        return {place: (Provenance(self.kind, path=place.path),) for place in places}

    def coverage(self) -> Coverage:
        """What it is."""
        return Coverage((self.name,))
