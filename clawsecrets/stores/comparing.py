"""Are two stores the same? Compared record by record, version by version and value by value; nothing is written.

What belongs to a store and not to the secret is left out: revisions, which of two stores acts, and the fingerprint of
a value that is there (each store has a key of its own; that it fits its value is looked at). Values are compared in
memory and never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

from clawsecrets.errors import NotFound
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.ports import Store

TURNS = 3
"""Looks at one secret while others change it."""
Progress = Callable[[int, int, str], None]
"""Done, of how many, the secret."""


@dataclass(frozen=True)
class Whole:
    """Everything that a store has of one secret."""

    record: Record
    history: tuple[Version, ...]
    values: dict[int, SecretValue]


def names_of(store: Store) -> list[str]:
    """Every name, deleted ones too."""
    return sorted({*store.names(), *store.names(deleted=True)})


def whole(store: Store, name: str) -> Whole:
    """Read it all as of one moment. NotFound when it is not there."""
    record = store.load(name)
    for _ in range(TURNS):
        try:
            history = tuple(store.history(name))
            values = {v.number: store.value(name, v.number) for v in record.versions if not v.erased_at}
        except NotFound:
            history, values = (), {}
        again = store.load(name)
        if again == record:
            break
        record = again
    return Whole(record, history, values)


def differences(one: Whole | None, other: Whole | None) -> Iterator[str]:
    """In what they differ, one line each, without any value; nothing when they are the same."""
    if one is None or other is None:
        if one is not other:
            yield "is only in the first" if other is None else "is only in the second"
        return
    for field in fields(Record):
        if field.name in ("revision", "reconcile", "elsewhere", "versions"):
            continue
        if getattr(one.record, field.name) != getattr(other.record, field.name):
            yield f"{field.name.replace('_', ' ')} differs"
    yield from _versions(one, other)
    for number in sorted(one.values.keys() & other.values.keys()):
        if one.values[number] != other.values[number]:
            yield f"version {number} has another value"


def _versions(one: Whole, other: Whole) -> Iterator[str]:
    mine, theirs = ({v.number: _alike(v, each) for v in each.history} for each in (one, other))
    for number in sorted(mine.keys() | theirs.keys()):
        if number not in theirs or number not in mine:
            yield f"version {number} is only in the {'first' if number in mine else 'second'}"
        elif mine[number] != theirs[number]:
            wrong = [f.name for f in fields(Version)
                     if getattr(mine[number], f.name) != getattr(theirs[number], f.name)]
            yield f"version {number} differs ({', '.join(wrong)})"
    live, there = ([v.number for v in each.record.versions] for each in (one, other))
    if live != there and mine.keys() == theirs.keys():
        yield "other versions are kept"


def _alike(version: Version, of: Whole) -> Version:
    """The version without what is the store's own."""
    return replace(version, fingerprint="") if version.number in of.values else version


def fits(store: Store, found: Whole) -> Iterator[str]:
    """Versions whose fingerprint is not that of their value under the store's key."""
    for version in found.record.versions:
        value = found.values.get(version.number)
        if value is not None and version.fingerprint and version.fingerprint != store.fingerprint(value):
            yield f"version {version.number} has a fingerprint that is not its value's"


def compare(one: Store, other: Store, progress: Progress) -> Sequence[str]:
    """Every difference between two stores, one line each."""
    here, there = set(names_of(one)), set(names_of(other))
    every, found = sorted(here | there), []
    for count, name in enumerate(every):
        progress(count, len(every), name)
        pair = (whole(one, name) if name in here else None, whole(other, name) if name in there else None)
        if any(differences(*pair)):  # one of them may have been changed between the two looks
            pair = (whole(one, name) if name in here else None, whole(other, name) if name in there else None)
        lines = list(differences(*pair))
        for store, part in zip((one, other), pair, strict=True):
            lines += fits(store, part) if part is not None else ()
        found += [f"{name}: {line}" for line in lines]
    progress(len(every), len(every), "")
    return found
