"""`GitSource`: a repository as a `Source`.

For a cache of what was found clean: `GitSource(seen=…)` leaves out what `seen` knows (a `database.Seen`: it is asked
with the ids of objects, and with the checksum of a whole pack), and tells how many by `Coverage.cached`. After a scan
`given()` says what was looked at, pack by pack. Whoever keeps that leaves out the ids of places with matches, and all
of a pack (and all loose objects) when anything was Skipped that was not by choice: an object that is built on a broken
one was not seen either, and is not named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clawsecrets.model.finding import Coverage, Place, Provenance, Skipped
from clawsecrets.sources.git import loose, refs, shares
from clawsecrets.sources.git import narrow as narrowing
from clawsecrets.sources.git.database import GIVE, Array, Database, Held, Seen, load
from clawsecrets.sources.git.edges import Edges
from clawsecrets.sources.git.folder import Folder
from clawsecrets.sources.git.layout import Layout, find, owned
from clawsecrets.sources.git.locate import Locator
from clawsecrets.sources.git.memory import Memory
from clawsecrets.sources.git.narrow import Narrow
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import BLOB, COMMIT, TAG, TREE
from clawsecrets.sources.git.part import Part
from clawsecrets.sources.git.steady import standing
from clawsecrets.sources.git.ways import Ways


class Given(NamedTuple):
    """What was looked at of one pack, or of the loose objects."""

    checksum: bytes
    """The pack's; empty for loose objects."""
    whole: bool
    """Whether that is all of the pack (what was clean before included)."""
    ids: Array
    """In ascending order, dtype S20 or S32 (which shows an id without the NULs at its end: use `tobytes`)."""


class GitSource:
    """Everything in a repository's object database, and its own files; or less, with `narrow`."""

    def __init__(self, path: Path, *, narrow: Narrow | None = None, alternates: bool = False,
                 trust_owner: bool = False, seen: Seen | None = None) -> None:
        """The repository at `path` or around it; UsageError when nothing is there, Incomplete when it is none.

        `alternates`: the operator allows object folders outside of it. `trust_owner`: the operator says that it is
        fine that it belongs to somebody else."""
        self.layout: Layout = find(path, alternates)
        self._narrow = narrow or Narrow()
        self._seen = seen
        self._owned = owned(self.layout, trust_owner)
        self._base: Database | None = None
        self._refs = refs.Refs()
        self._later: list[Skipped] = []
        self._located: tuple[Locator, Ways] | None = None
        self._edges: list[Edges] = []
        """What the parts note; nothing when they do not read all trees."""

    def database(self) -> Database:
        """What there is to read, listed once."""
        if self._base is None:
            wanted = narrowing.wanted(self._narrow, self.layout) if self._narrow else None
            self._base = base = load(self.layout, wanted, self._seen)

            def there(names: Sequence[str]) -> Sequence[bool]:
                numbers = np.fromiter((int(name[:16], 16) for name in names), np.uint64, len(names))
                return list(map(bool, base.known(numbers)))

            if wanted:
                self._later += _missing(wanted, there, self.layout.width)
            self._refs = refs.read(self.layout, there)
        return self._base

    def parts(self, workers: int) -> Sequence[Part]:
        """Shares of about equal work. UsageError when what was asked for is not there, Incomplete when it cannot be
        listed."""
        base = self.database()
        parts = [Part(base, Objects(self.layout.stores, self.layout.width)) for _ in range(max(1, workers))]
        for kind in (BLOB, COMMIT, TAG, 0, TREE):
            for number, held in enumerate(base.packs):
                mask = held.must & (held.pack.kinds == kind)
                if mask.any():
                    for part, its in zip(parts, _shared(held, kind, mask, len(parts)), strict=True):
                        part.tasks.append((number, kind, its))
        turn = 0
        for number, held in enumerate(base.packs):
            for position in held.large.tolist():
                parts[turn % len(parts)].large.append((number, position))
                turn += 1
        names = list(base.loose)
        for i, part in enumerate(parts):
            part.loose = names[i::len(parts)]
        self._edges = _edges(base, len(parts)) if not self._narrow else []
        for part, edges in zip(parts, self._edges, strict=False):
            part.edges = edges
        if not self._narrow:
            parts[-1].more = Folder(self.layout, sorted(self._refs.tips)).contents
        return parts

    def work(self) -> Iterable[int]:
        """All objects that must be read."""
        base = self.database()
        for held in base.packs:
            yield held.pack.stored(held.must) + held.pack.stored(held.large)
        for name, number in base.loose.items():
            yield loose.stored(self.layout.stores[number], name)

    def given(self) -> Sequence[Given]:
        """What the parts give, or gave."""
        base = self.database()
        found = []
        for held in base.packs:
            give = np.zeros(held.pack.count, bool)
            give[held.pack.order] = held.roles == GIVE
            whole = bool((held.roles <= GIVE + 1).all())
            found.append(Given(held.pack.checksum, whole, held.pack.sorted_names()[give]))
        ids = np.frombuffer(bytes.fromhex("".join(sorted(base.loose))), f"S{self.layout.width}")
        return [*found, Given(b"", True, ids)]

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """The first commit that brought each, and the refs that lead there."""
        base = self.database()
        objects = Objects(self.layout.stores, self.layout.width, loose=base.all_loose)
        ways = Ways(base, objects, self._edges)
        self._edges = []  # they tell it once
        locator = Locator(self.layout, objects, self._refs, ways)
        found = locator.locate(places)
        self._later += locator.skipped
        self._located = locator, ways
        return found

    def memory(self) -> Memory | None:
        """What `locate` said, for a later scan. None where there is nothing, or too much, to remember."""
        if self._located is None or not self._located[0].told:
            return None
        locator, ways = self._located
        return ways.memory(locator.told, locator.order)

    def standing(self) -> Mapping[str, Any] | None:
        """Where its refs lead, for a later scan (quick.py)."""
        return standing(self._refs)

    def coverage(self) -> Coverage:
        """What it is."""
        base = self.database()
        words = f"git {refs.shown(str(self.layout.top))}" + (f" ({self._narrow.words()})" if self._narrow else "")
        commits = sum(int(((held.pack.kinds == COMMIT) & (held.roles == GIVE)).sum()) for held in base.packs)
        return Coverage(
            (words,), cached=base.cached, refs=len(self._refs.tips), commits=commits, shallow=self.layout.shallow,
            skipped=(*self.layout.skipped, *self._owned, *base.skipped, *self._refs.skipped, *self._later),
        )


def _shared(held: Held, kind: int, mask: Array, count: int) -> Sequence[Iterable[shares.Share]]:
    """The objects of `mask` for so many parts. Of blobs, each takes what comes next: they are most of the work, and no
    estimate knows what is in them."""
    if kind == BLOB:
        return [shares.pool(held.pack, held.root, mask, count)] * count
    return [[share] for share in shares.cut(held.pack, held.root, mask, count)]


def _edges(base: Database, count: int) -> list[Edges]:
    """For so many parts; none when they will not read all trees."""
    if base.cached or any(np.isin(held.pack.kinds[held.large], (TREE, COMMIT)).any() for held in base.packs):
        return []
    try:
        return [Edges(base.places, base.layout.width) for _ in range(count)]
    except OSError:
        return []  # no place for them: git tells it


def _missing(wanted: Collection[bytes], there: Callable[[Sequence[str]], Sequence[bool]], width: int) -> list[Skipped]:
    """What was asked for, and is not in the database."""
    names = [name.hex() for name in sorted(wanted)]
    return [Skipped(name, "it is missing from the repository")
            for name, is_there in zip(names, there(names), strict=True) if not is_there]
