"""An image whose files can be read in any order, by several workers: an archive, a layout, a registry's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawsecrets.formats import tar
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped
from clawsecrets.sources.image import documents, texts
from clawsecrets.sources.image.blobs import Blobs, Readable
from clawsecrets.sources.image.catalog import Catalog, Layer, Text, Use, digest_of
from clawsecrets.sources.image.layers import TURN, Counter, Reading, Share, Turns
from clawsecrets.sources.image.reading import packed, passed

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes

LAYER = "image-layer"
"""First value of what parts tell the cache."""
Seen = Callable[[str], bool]
"""Whether a layer with this digest was found clean before."""
HEAD = 512
KEPT = 96 << 20
"""Bytes of documents that are held at once."""
SHARED = 8 << 20
"""Bytes. Smaller layers are not worth sharing."""
_UNPACKING, _HASHING = 3.0, 0.4
"""What a byte of a compressed layer costs, and of one that is only hashed, against one that is looked at."""


def nothing(digest: str) -> bool:
    """No cache."""
    return False


@dataclass
class ImageSource:
    """Everything in `blobs`, followed from its manifests or not."""

    label: str
    blobs: Blobs
    seen: Seen = nothing
    follow: Callable[[Catalog], bool] = lambda catalog: catalog.archive() | catalog.layout()
    """Fills the catalog; False when there is nothing to follow."""
    blob: Callable[[str], str] | None = None
    """The name of the file of a digest, where it is not that of an OCI layout."""
    cached: int = 0
    """Layers that were left out before anything was opened."""
    known: str = ""
    """The identity that its engine vouches for, if there is one."""
    _catalog: Catalog | None = None
    _skipped: list[Skipped] = field(default_factory=list)
    _kept: int = 0
    settled: bool = False
    """What was told of it before is told again: only that it is what it says is looked at."""

    def identity(self) -> str:
        """A hash of all that its layers and documents hash to, and of where each is used; empty where somebody does not
        say what a layer hashes to, or not all could be listed."""
        if self.known:
            return self.known
        catalog = self.catalog()
        layers = [(layer.name, self._told_digest(layer), layer.key, sorted(layer.uses), layer.encrypted)
                  for layer in catalog.layers.values()]
        if not all(digest for _, digest, *_ in layers) or self._skipped or catalog.skipped:
            return ""
        texts = [(text.name, text.kind.value, hashlib.sha256(text.data).hexdigest(), sorted(text.uses))
                 for text in catalog.texts.values()]
        strings = [(name, hashlib.sha256(text).hexdigest()) for name, text in self.blobs.strings()]
        told = repr((self.label, sorted(layers), sorted(texts), sorted(strings)))
        return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def settle(self) -> None:
        """Give nothing, but hash what is here."""
        self.settled = True

    def unsettle(self) -> None:
        """Give all again."""
        self.settled = False

    def parts(self, workers: int) -> Sequence[ImagePart]:
        """Layers by their size. Those that matter are shared, if they can be read in any place, and come last: then no
        worker waits for another."""
        catalog = self.catalog()
        parts = [ImagePart(self, number) for number in range(max(1, workers))]
        units = [(self._cost(layer), layer) for layer in catalog.layers.values()]
        matters = max(SHARED, sum(cost for cost, _ in units) / len(parts) / 4)
        loads = [0.0] * len(parts)
        shared: list[Layer] = []
        for cost, layer in sorted(units, key=lambda unit: -unit[0]):
            if cost > matters and len(parts) > 1 and self._divisible(layer):
                shared.append(layer)
            else:
                least = loads.index(min(loads))
                parts[least].layers.append((layer, Share()))
                loads[least] += cost
        parts[loads.index(min(loads))].texts = True
        counter, first = Counter(), 0
        turns = [Turns(counter) for _ in parts]
        for layer in shared:
            for part in parts:
                part.layers.append((layer, Share(part.number, len(parts), turns[part.number], first)))
            first += self.blobs.files().get(layer.name, 0) // TURN + 1
        return [part for part in parts if part.layers or part.texts]

    def work(self) -> Iterator[int] | None:
        """Layers as they are stored, and the documents; what a registry has costs what its line does."""
        if self.blobs.remote:
            return None
        return self._sizes()

    def _sizes(self) -> Iterator[int]:
        catalog, files = self.catalog(), self.blobs.files()
        yield sum(len(document.data) for document in catalog.texts.values())
        for layer in catalog.layers.values():
            yield files.get(layer.name, 0)

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """The images that hold the layer or document."""
        return located(places, uses_by_key(self.catalog()), self.label)

    def coverage(self) -> Coverage:
        """What it is."""
        catalog = self.catalog()
        layers = self.cached + sum(layer.claimed for layer in catalog.layers.values())
        return Coverage((f"image {self.label}",), layers=layers,
                        skipped=(*self._skipped, *catalog.skipped, *self.blobs.faults()))

    def catalog(self) -> Catalog:
        """Everything that is to be read."""
        if self._catalog is None:
            catalog = Catalog(self._get, self.blobs.real, label=self.label)
            if self.blob is not None:
                catalog.blob = self.blob
            if not self.follow(catalog):
                self._skipped.append(Skipped(self.label, "it has no manifest: this is no image, or not all of it"))
            for name in self.blobs.files():
                if name not in catalog.layers and name not in catalog.texts:
                    self._unreferred(catalog, name)
            self._catalog = catalog
        return self._catalog

    def _get(self, name: str) -> bytes | None:
        """A document. One that is not what its digest says is told, and read all the same."""
        real = self.blobs.real(name)
        if not real or self.blobs.files().get(real, 0) > documents.LARGEST:
            return None
        try:
            file = self.blobs.document(real)
            try:
                data = passed(file, documents.LARGEST + 1)
            finally:
                file.close()
        except OSError as error:
            self._skipped.append(Skipped(real, _why(error)))
            return None
        self._kept += len(data)
        if len(data) > documents.LARGEST or self._kept > KEPT:
            return None
        digest = digest_of(real)
        algorithm = digest.partition(":")[0]
        if digest and f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}" != digest:
            self._skipped.append(Skipped(real, "its content is not what its digest says"))
        return data

    def _unreferred(self, catalog: Catalog, name: str) -> None:
        """A file that no document refers to: read by its look."""
        head = self._head(name)
        if head[:1] in (b"{", b"[") and not tar.valid(head) and (data := self._get(name)) is not None:
            catalog.texts[name] = Text(name, Kind.IMAGE_ANNOTATION, data)
        else:
            catalog.layers[name] = Layer(name, digest_of(name))

    def _head(self, name: str) -> bytes:
        try:
            file = self.blobs.open(name)
            try:
                return passed(file, HEAD)
            finally:
                file.close()
        except OSError:
            return b""  # told when all of it is read

    def _divisible(self, layer: Layer) -> bool:
        """Whether any place of it can be read."""
        return not self.blobs.remote and not packed(self._head(layer.name)) and not self.skips(layer)

    def skips(self, layer: Layer) -> bool:
        """Whether it was found clean before. What is known by its diffID only counts if that is what is stored."""
        digest = self._told_digest(layer)
        return digest != "" and (self.settled or self.seen(digest))

    def _told_digest(self, layer: Layer) -> str:
        """What it must hash to as it is stored, if somebody says so."""
        return layer.digest or ("" if packed(self._head(layer.name)) else layer.diff_id)

    def _cost(self, layer: Layer) -> float:
        size = self.blobs.files().get(layer.name) or layer.size or 1
        if self.blobs.remote:
            return size
        if self.skips(layer):
            return size * _HASHING
        return size * (_UNPACKING if packed(self._head(layer.name)) else 1.0)


@dataclass
class ImagePart:
    """Some layers, or shares of them; one part has the documents as well."""

    source: ImageSource
    number: int
    layers: list[tuple[Layer, Share]] = field(default_factory=list)
    texts: bool = False

    def contents(self, notes: Notes) -> Iterable[Content]:
        """Documents first."""
        if self.texts and not self.source.settled:
            yield from self._documents(notes)
        sizes = self.source.blobs.files()
        for layer, share in self.layers:
            yield from self._layer(layer, share, sizes.get(layer.name, 0), notes)

    def _documents(self, notes: Notes) -> Iterator[Content]:
        if self.source.cached:
            notes.cached(self.source.cached)
        for name, text in self.source.blobs.strings():
            yield Content(text, Place(Kind.IMAGE_ANNOTATION, "", name or "(names)"))
        for document in self.source.catalog().texts.values():
            notes.looked(1, len(document.data), 0 if self.source.blobs.remote else len(document.data))
            yield from texts.contents(document)

    def _layer(self, layer: Layer, share: Share, size: int, notes: Notes) -> Iterator[Content]:
        def opened() -> Readable:
            return self.source.blobs.open(layer.name)

        if self.source.skips(layer):
            hashing = Reading(layer, _Unheard(notes), opened, share=share)
            if not self.source.blobs.remote:  # there, the digest is all that can be asked for
                hashing.hashed()
            if hashing.whole:
                notes.looked(0, 0, size)
                notes.cached(1)
                return  # else it only says that it is the one that was seen
        reading = Reading(layer, notes, opened, share=share, size=size)
        yield from reading.contents()
        digest = layer.digest or ("" if reading.packed else layer.diff_id)
        if reading.whole and digest:
            tell_cache(notes, layer.key, digest, share)


class _Unheard:
    """Notes that pass on counts, and no faults: whoever hashes will see, and read what is not as it should be."""

    def __init__(self, notes: Notes) -> None:
        self.looked, self.cached, self.known, self.extra = notes.looked, notes.cached, notes.known, notes.extra

    def skipped(self, skipped: Skipped) -> None:
        """Not told."""


def tell_cache(notes: Notes, key: str, digest: str, share: Share) -> None:
    """One share of a layer was given whole."""
    notes.extra(LAYER, key, digest, share.number, share.count)  # noqa: S610 - no Django here


def uses_by_key(catalog: Catalog) -> dict[str, list[Use]]:
    """Where layers and documents are used, by what their places go by."""
    found: dict[str, list[Use]] = {}
    for layer in catalog.layers.values():
        for key in {layer.key, layer.name}:
            found.setdefault(key, []).extend(layer.uses)
    for document in catalog.texts.values():
        found.setdefault(document.name, []).extend(document.uses)
    return found


def located(places: Collection[Place], uses: Mapping[str, Sequence[Use]], label: str) -> dict[Place, list[Provenance]]:
    """Provenances of places; what no image refers to belongs to the archive."""
    return {place: [_provenance(place, use, label) for use in uses.get(place.key, ())]
            or [_provenance(place, Use(), label)] for place in places}


def _provenance(place: Place, use: Use, label: str) -> Provenance:
    layer = use.layer or (place.key if documents.is_digest(place.key) else "")
    return Provenance(place.kind, path=place.path, image=use.image or label, platform=use.platform,
                      layer=layer if place.kind is Kind.IMAGE_LAYER else "", instruction=use.instruction)


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error) or "it could not be read"
