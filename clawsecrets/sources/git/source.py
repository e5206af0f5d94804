"""`GitSource`: a repository as a `Source`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from clawsecrets.model.finding import Coverage, Place, Provenance, Skipped
from clawsecrets.sources.git import shares
from clawsecrets.sources.git.database import Array, Database, load
from clawsecrets.sources.git.folder import Folder
from clawsecrets.sources.git.layout import Layout, find
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import BLOB, COMMIT, TAG, TREE
from clawsecrets.sources.git.part import Part


class GitSource:
    """Everything in a repository's object database, and its own files."""

    def __init__(self, path: Path, *, alternates: bool = False) -> None:
        self.layout: Layout = find(path, alternates)
        self._base: Database | None = None
        self._commits = 0

    def database(self) -> Database:
        """What there is to read, listed once."""
        if self._base is None:
            self._base = load(self.layout)
        return self._base

    def parts(self, workers: int) -> Sequence[Part]:
        """Shares of about equal work."""
        base = self.database()
        objects = Objects(self.layout.stores, self.layout.width)
        parts = [Part(base, objects) for _ in range(max(1, workers))]
        for kind in (BLOB, COMMIT, TAG, TREE, 0):
            for number, held in enumerate(base.packs):
                mask = held.must & (held.pack.kinds == kind)
                if mask.any():
                    for part, share in zip(parts, shares.cut(held.pack, held.root, mask, len(parts)), strict=True):
                        part.tasks.append((number, kind, share))
        turn = 0
        for number, held in enumerate(base.packs):
            for position in held.large.tolist():
                parts[turn % len(parts)].large.append((number, position))
                turn += 1
        names = list(base.loose)
        for i, part in enumerate(parts):
            part.loose = names[i::len(parts)]
        parts[-1].more = Folder(self.layout).contents
        return parts

    def size(self) -> int:
        """About how many bytes the parts will tell."""
        total = 0
        for held in self.database().packs:
            blobs = held.must & (held.pack.kinds == BLOB)
            total += int(held.pack.sizes[held.root[blobs]].sum())
        return total

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """Not yet."""
        return {place: [Provenance(place.kind, place.path or place.key)] for place in places}

    def coverage(self) -> Coverage:
        """What it is."""
        base = self.database()
        return Coverage((f"git {self.layout.top}",), shallow=self.layout.shallow, cached=base.cached,
                        skipped=(*self.layout.skipped, *base.skipped))
