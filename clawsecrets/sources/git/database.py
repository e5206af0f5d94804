"""All objects of a repository, as far as that is told before any is read: packs, loose ids, what is given twice, what
is asked for, and what an earlier scan found clean."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clawsecrets.model.finding import Skipped
from clawsecrets.sources.git import loose, shares
from clawsecrets.sources.git.arrays import distinct
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.layout import Layout, listed
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import BLOB, COMMIT, TAG, TREE, Pack

Array = NDArray[Any]

GIVE, CLEAN, ELSEWHERE = 0, 1, 2
"""What happens to an object: it is given; left out since it was found clean; left out since it is given elsewhere, or
was not asked for."""
_FEW, _STEPS = 12, 64
"""Bits of the table at least, and ids that begin alike at most: others than git's may be anything."""
_TYPES = {"commit": COMMIT, "tree": TREE, "blob": BLOB, "tag": TAG}


@dataclass
class Held:
    """A pack, and what is to be done with its objects."""

    pack: Pack
    roles: Array
    """GIVE, CLEAN or ELSEWHERE, by position."""
    root: Array
    must: Array
    """Whether it must be made: to be given, or because one that is given is built on it."""
    large: Array
    """Positions of those that come in pieces."""


@dataclass
class Database:
    """What there is to read."""

    layout: Layout
    packs: list[Held] = field(default_factory=list)
    loose: dict[str, int] = field(default_factory=dict)
    """Ids -> which of the layout's object folders they stand in."""
    all_loose: dict[str, int] = field(default_factory=dict)
    """As `loose`, with those that are left out."""
    skipped: list[Skipped] = field(default_factory=list)
    cached: int = 0
    numbers: Array = field(default_factory=lambda: np.zeros(0, np.uint64))
    """The first 8 bytes of every id that is there, ascending."""
    promisor: bool = False
    _fan: Array | None = None
    """Where the numbers begin whose first bits are 0, 1, 2, ...; None: there are few, or they are not evenly spread."""
    _shift: np.uint64 = field(default_factory=lambda: np.uint64(0))

    def known(self, numbers: Array) -> Array:
        """Which ids, by their first 8 bytes, are there."""
        return self.places(numbers)[1]

    def places(self, numbers: Array) -> tuple[Array, Array]:
        """Of ids, by their first 8 bytes: the place of each in `numbers`, and whether it is there."""
        every, last = self.numbers, len(self.numbers) - 1
        if last < 0:
            return np.zeros(len(numbers), np.int64), np.zeros(len(numbers), bool)
        if self._fan is None:
            at = np.minimum(np.searchsorted(every, numbers), last)
            return at, np.asarray(every[at] == numbers)
        at = np.minimum(self._fan[numbers >> self._shift], last).astype(np.int64)
        low = np.flatnonzero(every[at] < np.minimum(numbers, every[last]))
        while len(low):
            at[low] += 1
            low = low[every[at[low]] < np.minimum(numbers[low], every[last])]
        return at, np.asarray(every[at] == numbers)

    def number(self, numbers: Array) -> None:
        """Take these as `numbers`. Where many are looked for, one step of a table replaces most of a bisection."""
        self.numbers, self._fan = numbers, None
        bits = len(numbers).bit_length() - 1
        if bits >= _FEW:
            self._shift = np.uint64(64 - bits)
            fan = np.searchsorted(numbers, np.arange(1 << bits, dtype=np.uint64) << self._shift)
            if int(np.diff(fan).max()) <= _STEPS:
                self._fan = fan.astype(np.int32)


class Seen(Protocol):
    """What an earlier scan found clean under the same rules."""

    def pack(self, checksum: bytes) -> bool:
        """Whether that is so of every object of the pack with this checksum."""

    def among(self, ids: Array) -> Array:
        """Of which of these ids (ascending, dtype S20 or S32) that is so, as a mask."""


def load(layout: Layout, wanted: Collection[bytes] | None = None, seen: Seen | None = None) -> Database:
    """Read the indexes of all packs and list all loose objects. `wanted`: only these ids."""
    base = Database(layout)
    chosen = None if wanted is None else np.array(sorted(wanted), dtype=f"S{layout.width}")
    names: list[Array] = []
    checksums: set[bytes] = set()
    for pack in _packs(layout, base):
        if pack.checksum in checksums:
            continue
        if pack.outside:
            _types(pack, layout)
        checksums.add(pack.checksum)
        base.promisor = base.promisor or pack.promisor
        its = pack.sorted_names()
        roles = np.full(pack.count, GIVE, np.uint8)
        for earlier in names:
            roles[among(its, earlier)] = ELSEWHERE
        if chosen is not None:
            roles[~among(its, chosen)] = ELSEWHERE
        if seen is not None:
            clean = np.ones(pack.count, bool) if seen.pack(pack.checksum) else seen.among(its)
            roles[(roles == GIVE) & clean] = CLEAN
        base.cached += int((roles == CLEAN).sum())
        names.append(its)
        base.packs.append(_held(pack, roles[pack.order]))
    _loose(base, names, chosen, seen)
    _number(base)
    return base


def _types(pack: Pack, layout: Layout) -> None:
    """Find out what the deltas are whose base is not in their pack (git itself writes no such packs)."""
    objects = Objects(layout.stores, layout.width)
    for position, name in pack.outside.items():
        try:
            pack.kinds[position] = _TYPES[objects.read(name.hex())[0]]
        except (Damaged, OSError):
            continue  # the part that makes it tells why
    objects.close()
    pack.inherit()


def _packs(layout: Layout, base: Database) -> list[Pack]:
    found = []
    for store in layout.stores:
        try:
            files = {path.name for path in listed(store / "pack")}
        except OSError as error:
            base.skipped.append(Skipped(f"{store}/pack", f"cannot be read: {error.strerror}"))
            continue
        for name in sorted(files):
            stem, _, suffix = name.rpartition(".")
            if suffix == "pack" and stem + ".idx" not in files:
                base.skipped.append(Skipped(name, "the pack has no index; `git index-pack` makes it"))
            elif suffix == "idx" and stem + ".pack" not in files:
                base.skipped.append(Skipped(name, "the index has no pack: its objects are gone"))
            elif suffix == "pack":
                try:
                    found.append(Pack(store / "pack" / name, layout.width))
                except Damaged as error:
                    base.skipped.append(Skipped(name, str(error)))
                except OSError as error:
                    base.skipped.append(Skipped(name, f"cannot be read: {error.strerror}"))
    return sorted(found, key=lambda pack: -pack.count)


def _held(pack: Pack, roles: Array) -> Held:
    large = shares.large(pack)
    give = roles == GIVE
    must = give if give.all() else shares.needed(pack, give)
    if len(large):
        must = must.copy()
        must[large] = False
    return Held(pack, roles, shares.roots(pack), must, large[give[large]])


def among(some: Array, others: Array) -> Array:
    """Which of `some` are in `others` too (both ids in ascending order)."""
    if not len(others) or not len(some):
        return np.zeros(len(some), bool)
    at = np.minimum(np.searchsorted(others, some), len(others) - 1)
    return np.asarray(others[at] == some)


def _loose(base: Database, names: list[Array], chosen: Array | None, seen: Seen | None) -> None:
    found: dict[str, int] = {}
    for number, store in enumerate(base.layout.stores):
        try:
            for name in loose.ids(store, base.layout.width):
                found.setdefault(name, number)
        except OSError as error:
            base.skipped.append(Skipped(f"{error.filename or store}", f"cannot be read: {error.strerror}"))
    if not found:
        return
    base.all_loose = found
    ordered = sorted(found)
    ids = np.frombuffer(bytes.fromhex("".join(ordered)), dtype=f"S{base.layout.width}")
    give = np.ones(len(ordered), bool)
    for earlier in names:
        give &= ~among(ids, earlier)
    if chosen is not None:
        give &= among(ids, chosen)
    base.numbers = eight(ids, base.layout.width)
    if seen is not None:
        clean = give & seen.among(ids)
        base.cached += int(clean.sum())
        give &= ~clean
    base.loose = {name: found[name] for name, wanted in zip(ordered, give.tolist(), strict=True) if wanted}


def eight(ids: Array, width: int) -> Array:
    """The first 8 bytes of each id as a number."""
    rows = np.frombuffer(ids.tobytes(), np.uint8).reshape(-1, width)
    return np.ascontiguousarray(rows[:, :8]).view(">u8").reshape(-1).astype(np.uint64)


def _number(base: Database) -> None:
    parts = [base.numbers, *(eight(held.pack.sorted_names(), base.layout.width) for held in base.packs)]
    parts = [part for part in parts if len(part)]
    if parts:
        base.number(parts[0] if len(parts) == 1 else distinct(np.concatenate(parts)))
