"""An image archive that comes by once: standard input, a compressed archive, an engine's `save`.

Documents often come behind the layers they describe: layers are read as they come, by the names of their files; what
they belong to is found at the end and kept in memory that the worker shares with its parent.
"""

from __future__ import annotations

import json
import os
import posixpath
import weakref
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawsecrets.errors import ClawError
from clawsecrets.formats import streams, tar
from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.errors import Unreadable
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped
from clawsecrets.sources.image import documents, texts
from clawsecrets.sources.image.blobs import MOST_FILES, Readable, behind, inside
from clawsecrets.sources.image.catalog import Catalog, Layer, Text, Use, digest_of
from clawsecrets.sources.image.layers import LIMITS, Reading, Share
from clawsecrets.sources.image.reading import Reads, Tee, packed, passed
from clawsecrets.sources.image.source import HEAD, KEPT, Seen, located, nothing, tell_cache, uses_by_key

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes


@dataclass
class PassingImage:
    """What `open` gives, once."""

    label: str
    open: Callable[[], Readable]
    """OSError, ClawError."""
    sparse: bool = False
    """An engine's: it keeps only the platforms that it needs."""
    seen: Seen = nothing
    known: str = ""
    """The identity that its engine vouches for, if there is one."""
    settled: bool = False
    """What was told of it before is told again."""
    _memory: int = field(default_factory=lambda: os.memfd_create("image"))

    def __post_init__(self) -> None:
        weakref.finalize(self, os.close, self._memory)

    def identity(self) -> str:
        """What it is known by; empty where nobody says what passes by."""
        return self.known

    def settle(self) -> None:
        """Give nothing."""
        self.settled = True

    def unsettle(self) -> None:
        """Give all again."""
        self.settled = False

    def parts(self, workers: int) -> Sequence[PassingImage]:
        """It can be read by one only."""
        return [self]

    def contents(self, notes: Notes) -> Iterable[Content]:
        """Layers as they come, documents at the end."""
        if self.settled:
            return
        try:
            file = self.open()
        except ClawError as error:
            notes.skipped(Skipped(f"image {self.label}", error.message))
            return
        except OSError as error:
            notes.skipped(Skipped(f"image {self.label}", str(error)))
            return
        passing = _Passing(self, notes)
        try:
            yield from passing.contents(file)
        finally:
            file.close()
        catalog = passing.catalog
        self._remember(uses_by_key(catalog), sum(layer.claimed for layer in catalog.layers.values()))

    def work(self) -> None:
        """It is over when it is."""

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """The images that hold the layer or document."""
        uses, _ = self._remembered()
        return located(places, uses, self.label)

    def coverage(self) -> Coverage:
        """What it is."""
        return Coverage((f"image {self.label}",), layers=self._remembered()[1])

    def _remember(self, uses: Mapping[str, Sequence[Use]], layers: int) -> None:
        data = json.dumps([uses, layers]).encode()
        os.ftruncate(self._memory, 0)
        while data:
            data = data[os.pwrite(self._memory, data, os.fstat(self._memory).st_size):]

    def _remembered(self) -> tuple[dict[str, list[Use]], int]:
        size = os.fstat(self._memory).st_size
        if not size:
            return {}, 0
        uses, layers = json.loads(os.pread(self._memory, size, 0))
        return {key: [Use(*use) for use in found] for key, found in uses.items()}, layers


class _Member:
    """One file of the outer archive; what was read of it comes first."""

    def __init__(self, head: bytes, member: tar.Member) -> None:
        self._tee = Tee(member, "", head)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes. OSError when the archive ends."""
        return self._tee.read(size)

    def close(self) -> None:
        """Nothing: the walk goes on."""


class _Passing:
    """One archive as it passes by."""

    def __init__(self, source: PassingImage, notes: Notes) -> None:
        self.source, self.notes = source, notes
        self.documents: dict[str, bytes] = {}
        self.readings: dict[str, Reading] = {}
        self.links: dict[str, str] = {}
        self.catalog = Catalog(self._document, self._real, sparse=source.sparse, label=source.label)
        self._kept = 0
        self._ended = False

    def contents(self, file: Readable) -> Iterator[Content]:
        """All of it. Faults are told."""
        label = f"image {self.source.label}"
        try:
            head = passed(file, HEAD)
            outer: Reads = Tee(file, "", head)
            if kind := packed(head):
                outer = streams.decompressed(outer, kind, Budget(LIMITS))
            for member in tar.walk(outer.read):
                if len(self.documents) + len(self.readings) + len(self.links) > MOST_FILES:
                    raise Unreadable(f"it has more than {MOST_FILES} files: this is no image archive")
                yield from self._member(member)
        except Unreadable as error:
            self.notes.skipped(Skipped(label, error.reason))
        except OSError as error:
            self.notes.skipped(Skipped(label, str(error)))
        yield from self._end(label)

    def _member(self, member: tar.Member) -> Iterator[Content]:
        name = inside(member.name)
        place = Place(Kind.IMAGE_ANNOTATION, "", name)
        if member.linkname:
            base = posixpath.dirname(name) if member.type == tar.SYMLINK else ""
            self.links[name] = inside(posixpath.normpath(posixpath.join(base, member.linkname)))
            yield Content(os.fsencode(member.linkname), place)
        if member.notes:
            yield Content(member.notes, place)
        yield Content(os.fsencode(name), place)
        if not member.size and member.type != tar.FILE:
            return
        while name in self.documents or name in self.readings:
            name += " (again)"  # a later one hides it from others, not from us
        name = name or "(behind the end of the archive)"
        head = passed(member, HEAD if member.size < 0 else min(HEAD, member.size))
        layer = tar.valid(head) or packed(head) or member.size < 0
        if not layer and member.size <= documents.LARGEST and self._kept + member.size <= KEPT:
            self.documents[name] = head + member.read()
            self._kept += member.size
        else:
            yield from self._layer(name, head, member)

    def _layer(self, name: str, head: bytes, member: tar.Member) -> Iterator[Content]:
        layer = Layer(name, digest_of(name))
        reading = Reading(layer, self.notes, lambda: _Member(head, member), again=False, unpack=True)
        self.readings[name] = reading
        if layer.digest and self.source.seen(layer.digest):
            reading.hashed()
            self.notes.cached(1)
            reading.archive = True
            return
        yield from reading.contents()

    def _end(self, label: str) -> Iterator[Content]:
        """What the documents say of it, and they themselves."""
        catalog = self.catalog
        if not catalog.archive() | catalog.layout():
            self.notes.skipped(Skipped(label, "it has no manifest: this is no image, or not all of it"))
        for name, data in self.documents.items():
            if name in catalog.layers:
                self._no_layer(catalog.layers[name], data)
            if name not in catalog.texts:
                catalog.texts[name] = Text(name, Kind.IMAGE_ANNOTATION, data)
            self._check(name, data)
        for name, reading in self.readings.items():
            self._settle(catalog.layers.setdefault(name, reading.layer), reading)
        for skipped in catalog.skipped:
            self.notes.skipped(skipped)
        for document in catalog.texts.values():
            self.notes.looked(1, len(document.data))
            yield from texts.contents(document)

    def _no_layer(self, layer: Layer, data: bytes) -> None:
        if layer.encrypted:
            self.notes.skipped(Skipped(f"layer {layer.key}", "it is encrypted"))
        elif layer.claimed and data:
            self.notes.skipped(Skipped(f"layer {layer.key}", "it is no archive of files"))

    def _settle(self, layer: Layer, reading: Reading) -> None:
        """What could not be known when the layer came by."""
        wanted = layer.diff_id if not layer.digest else ""
        if wanted and wanted != (reading.plain or reading.stored):
            self._fault(layer, reading, "its content is not what its digest says")
        if layer.encrypted:
            self._fault(layer, reading, "it is encrypted")
        elif layer.claimed and not reading.archive and reading.stored != _EMPTY:
            self._fault(layer, reading, "it is no archive of files, or its compression is not known")
        if reading.whole:
            tell_cache(self.notes, reading.layer.key, layer.digest or reading.stored, Share())

    def _fault(self, layer: Layer, reading: Reading, reason: str) -> None:
        reading.whole = False
        self.notes.skipped(Skipped(f"layer {layer.name}", reason))

    def _check(self, name: str, data: bytes) -> None:
        digest = digest_of(name)
        if digest and _hashed(digest.partition(":")[0], data) != digest:
            self.notes.skipped(Skipped(name, "its content is not what its digest says"))

    def _document(self, name: str) -> bytes | None:
        return self.documents.get(self._real(name))

    def _real(self, name: str) -> str:
        there: ChainMap[str, object] = ChainMap(self.documents, self.readings)  # type: ignore[arg-type]
        return behind(name, there, self.links)


def _hashed(algorithm: str, data: bytes) -> str:
    tee = Tee(_Nothing(), algorithm, data)
    tee.drain()
    return tee.digest


class _Nothing:
    def read(self, size: int, /) -> bytes:
        """Nothing."""
        return b""


_EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
