"""An engine's image of which all layers were seen before: only what the engine says about it is looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clawsecrets.model.finding import Kind, Skipped
from clawsecrets.sources.image.blobs import Readable
from clawsecrets.sources.image.catalog import Catalog, Text, Use


class Inspected:
    """`docker inspect` of an image, with its history: no files."""

    remote = False

    def __init__(self, facts: Mapping[str, Any], name: str) -> None:
        self._data = json.dumps(facts).encode()
        parts = (str(facts.get(part) or "") for part in ("Os", "Architecture", "Variant"))
        self._use = Use(name, "/".join(part for part in parts if part))

    def follow(self, catalog: Catalog) -> bool:
        """The one document."""
        catalog.texts["inspect"] = Text("inspect", Kind.IMAGE_CONFIG, self._data, [self._use])
        return True

    def files(self) -> Mapping[str, int]:
        """None."""
        return {}

    def real(self, name: str) -> str:
        """None."""
        return ""

    def open(self, name: str) -> Readable:
        """There is nothing to open."""
        raise FileNotFoundError(name)

    def document(self, name: str) -> Readable:
        """The same."""
        raise FileNotFoundError(name)

    def faults(self) -> list[Skipped]:
        """None."""
        return []

    def strings(self) -> Iterator[tuple[str, bytes]]:
        """None."""
        return iter(())
