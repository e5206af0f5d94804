"""A submodule's repository, seen from the superproject in whose folder it stands: its own files have their paths
there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from clawsecrets.model.finding import Coverage, Kind, Place, Provenance

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Part, Source


class Inside(NamedTuple):
    """`source`, whose folder is `prefix` below what is scanned."""

    source: Source
    prefix: str

    def parts(self, workers: int) -> Sequence[Part]:
        """The source's."""
        return self.source.parts(workers)

    def work(self) -> Iterable[int] | None:
        """The source's."""
        return self.source.work()

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """The source's, with the paths of its own files (its config, hooks …) as the superproject has them."""
        return {place: [one._replace(path=f"{self.prefix}/{one.path}") if one.kind is Kind.GIT_CONFIG else one
                        for one in found] for place, found in self.source.locate(places).items()}

    def coverage(self) -> Coverage:
        """The source's."""
        return self.source.coverage()
