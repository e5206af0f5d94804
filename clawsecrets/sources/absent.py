"""What was named and is not looked at: a source with nothing in it but the word that it was left out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawsecrets.model.finding import Coverage, Place, Provenance, Skipped

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Part


@dataclass(frozen=True)
class Absent:
    """Things that were not looked at, and why."""

    skipped: Sequence[Skipped]

    def parts(self, workers: int) -> Sequence[Part]:
        """None."""
        return ()

    def work(self) -> Iterable[int]:
        """None to be done."""
        return ()

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """Nothing was found."""
        return {}

    def coverage(self) -> Coverage:
        """The word."""
        return Coverage(skipped=tuple(self.skipped))
