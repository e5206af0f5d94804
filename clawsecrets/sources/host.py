"""This host: the usual places of credentials, and what containers hold in their environment and say in their logs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from clawsecrets.errors import ClawError
from clawsecrets.formats.pieces import cut
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped
from clawsecrets.sources.files import Chosen, FileSource, everything

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes, Part


class Said(Protocol):
    """A container's log."""

    @property
    def cut(self) -> bool:
        """After reading: whether there was more than is read."""

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at its end."""


class Containers(Protocol):
    """What is asked of an engine (clients/docker.py)."""

    def containers(self) -> Sequence[Mapping[str, Any]]:
        """All containers, stopped ones too. ClawError."""

    def inspect(self, container: str) -> Mapping[str, Any]:
        """Everything about one. ClawError."""

    def logs(self, container: str) -> Said:
        """What it said. ClawError."""


@dataclass(frozen=True)
class HostSource:
    """The files of `places`, and the containers of `engines` (name -> engine)."""

    places: Sequence[str]
    engines: Mapping[str, Containers]
    chosen: Chosen = everything

    @property
    def _files(self) -> FileSource:
        return FileSource(self.places, self.chosen, optional=True, label="host")

    def parts(self, workers: int) -> Sequence[Part]:
        """Files for all; the containers go to the last."""
        parts: list[Part] = list(self._files.parts(workers))
        parts[-1] = _Both(parts[-1], self.engines)
        return parts

    def work(self) -> Iterable[int] | None:
        """The files; how much containers say is not known before."""
        return None if self.engines else self._files.work()

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """A file by its path; a container by its name."""
        return {place: (Provenance(place.kind, path=place.path, container=_container(place)),) for place in places}

    def coverage(self) -> Coverage:
        """What it is."""
        return Coverage((f"host: {len(self.places)} places", *(f"containers of {name}" for name in self.engines)))


def _container(place: Place) -> str:
    return place.key if place.kind in (Kind.CONTAINER, Kind.LOG) else ""


@dataclass(frozen=True)
class _Both:
    files: Part
    engines: Mapping[str, Containers]

    def contents(self, notes: Notes) -> Iterable[Content]:
        """Files first."""
        yield from self.files.contents(notes)
        for name, engine in self.engines.items():
            try:
                found = engine.containers()
            except ClawError as error:
                notes.skipped(Skipped(f"containers of {name}", error.message))
                continue
            for container in found:
                yield from _contents(engine, container, notes)


def _contents(engine: Containers, container: Mapping[str, Any], notes: Notes) -> Iterator[Content]:
    ident = str(container.get("Id", ""))
    names = container.get("Names") or [ident[:12]]
    name = str(names[0]).lstrip("/")
    try:
        text = json.dumps(engine.inspect(ident), indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
        notes.looked(1, len(text))
        yield Content(text, Place(Kind.CONTAINER, name, f"{name} (inspect)"))
        log = engine.logs(ident)
        for number, piece in enumerate(cut(log.read)):
            notes.looked(0 if number else 1, len(piece.data) - piece.overlap)
            yield Content(piece.data, Place(Kind.LOG, name, f"{name} (logs)"), offset=piece.offset, line=piece.line,
                          column=piece.column, overlap=piece.overlap)
        if log.cut:
            notes.skipped(Skipped(f"container {name}", "its log is longer than is read; its end was not looked at"))
    except ClawError as error:
        notes.skipped(Skipped(f"container {name}", error.message))
    except OSError as error:
        notes.skipped(Skipped(f"container {name}", error.strerror or "the engine went away"))
