"""An image in a registry: its blobs by their digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clawsecrets.clients.registry import Repository
from clawsecrets.errors import ClawError
from clawsecrets.model.finding import Skipped
from clawsecrets.sources.image import documents
from clawsecrets.sources.image.blobs import Readable
from clawsecrets.sources.image.catalog import Catalog
from clawsecrets.sources.image.reading import Tee


class _Given:
    """Bytes that are there already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        """At most `size` of them."""
        data, self._data = self._data[:size], self._data[size:]
        return data

    def close(self) -> None:
        """Nothing."""


@dataclass
class Remote:
    """The blobs of one repository; a name is a digest."""

    repository: Repository
    remote: bool = True
    _manifests: dict[str, bytes] = field(default_factory=dict)

    def follow(self, catalog: Catalog) -> bool:
        """The image and everything that it refers to. NotFound, Incomplete when not even that can be had."""
        wanted = self.repository.reference.reference
        data = self.repository.manifest(wanted)
        tee = Tee(_Given(data), wanted.partition(":")[0] if documents.is_digest(wanted) else "sha256")
        tee.drain()
        if documents.is_digest(wanted) and tee.digest != wanted:
            catalog.skipped.append(Skipped(wanted, "its content is not what its digest says"))
        self._manifests[tee.digest] = data
        catalog.manifest(tee.digest, data)
        return True

    def files(self) -> Mapping[str, int]:
        """A registry lists none."""
        return {}

    def real(self, name: str) -> str:
        """A digest; whether it is there is seen when it is fetched."""
        return name if documents.is_digest(name) else ""

    def open(self, name: str) -> Readable:
        """A manifest or a blob. OSError."""
        if name in self._manifests:
            return _Given(self._manifests[name])
        return self.repository.blob(name)

    def document(self, name: str) -> Readable:
        """A manifest, else a blob: the registry keeps both apart. OSError."""
        try:
            return _Given(self.repository.manifest(name))
        except ClawError:
            return self.repository.blob(name)

    def faults(self) -> list[Skipped]:
        """None but those of reading."""
        return []

    def strings(self) -> Iterator[tuple[str, bytes]]:
        """None."""
        return iter(())
