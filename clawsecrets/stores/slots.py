"""The open part of the file: format, store id, key slots; and how a source turns it into keys."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.errors import StoreError, StoreLocked
from clawsecrets.stores.codec import canonical
from clawsecrets.stores.database import connect, rows, translated
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.keys import KeySource, Slot
from clawsecrets.stores.seal import FORMAT, KEY_BYTES, Keys, LastingKeys


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A store's keys, and how they were had."""

    keys: Keys
    lasting: LastingKeys
    slots: tuple[Slot, ...]
    slot: Slot
    """The one that opened."""
    source: KeySource
    """What opened it."""


def read_slots(db: sqlite3.Connection) -> tuple[Slot, ...]:
    """The key slots in order. StoreDamaged."""
    found = rows(db, (str, bytes, bytes), "SELECT kind, params, wrapped FROM slots ORDER BY id")
    return tuple(Slot(kind, _params(kind, params), wrapped) for kind, params, wrapped in found)


def _params(kind: str, content: bytes) -> dict[str, str | int]:
    try:
        params = json.loads(content)
        if isinstance(params, dict) and all(type(value) in (str, int) for value in params.values()):
            return params
    except (ValueError, RecursionError):
        pass
    raise damaged(f"the {kind!r} key slot has another form than format 1")


def write_slots(db: sqlite3.Connection, slots: Sequence[Slot]) -> None:
    """Replace every slot."""
    db.execute("DELETE FROM slots")
    for number, slot in enumerate(slots, start=1):
        params = canonical(dict(slot.params))
        db.execute("INSERT INTO slots VALUES (?, ?, ?, ?)", (number, slot.kind, params, slot.wrapped))


def write_meta(db: sqlite3.Connection, keys: Keys, seed: bytes) -> None:
    """Write format, store id and the sealed seed of the lasting keys."""
    meta = {"format": str(FORMAT).encode(), "store": keys.store.encode(), "lasting": keys.lasting.seal(seed)}
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta.items())


def read_meta(db: sqlite3.Connection) -> tuple[str, bytes]:
    """Store id and sealed seed. StoreError for a format that this program does not know, StoreDamaged."""
    meta: dict[str, bytes] = dict(rows(db, (str, bytes), "SELECT key, value FROM meta"))
    form, store = (meta.get(key, b"").decode("ascii", "replace") for key in ("format", "store"))
    if form.isdigit() and int(form) > FORMAT:
        raise StoreError(f"the store has format {form}, this program knows {FORMAT}", "install a newer clawsecrets")
    if form != str(FORMAT) or len(store) != 32 or meta.keys() != {"format", "store", "lasting"}:
        raise damaged("the store does not say its format and id")
    return store, meta["lasting"]


def described(path: Path) -> tuple[Slot, ...]:
    """The key slots of a store, to know what to ask a person for. Nothing in them is verified before it is opened.

    StoreMissing, StoreLocked (modes), StoreDamaged.
    """
    db, _ = connect(path, 5.0)
    try:
        with translated(path):
            return read_slots(db)
    finally:
        db.close()


def unlock(db: sqlite3.Connection, sources: Sequence[KeySource]) -> Unlocked:
    """The keys, by the first source that fits a slot and opens it. StoreLocked, StoreDamaged.

    When several fit and none opens, the error is that of the first.
    """
    store, sealed_seed = read_meta(db)
    slots = read_slots(db)
    errors: list[StoreError] = []
    for source in sources:
        for slot in slots:
            if slot.kind != source.kind:
                continue
            try:
                keys = Keys(source.open(store, slot), store)
                return Unlocked(keys, open_seed(keys, sealed_seed), slots, slot, source)
            except StoreError as error:
                errors.append(error)
    if errors:
        raise errors[0]
    kinds = ", ".join(sorted({slot.kind for slot in slots})) or "nothing"
    given = ", ".join(source.kind for source in sources) or "nothing"
    raise StoreLocked(f"the store opens with {kinds}, but {given} was given", "give the key that `init` was told of")


@contextmanager
def made_slots(keys: Keys, sources: Sequence[KeySource]) -> Iterator[list[Slot]]:
    """New slots for a master key; when the work inside fails, what they keep outside is destroyed again.

    Not for work that ends in a COMMIT which may have happened although it failed: see rekey.py.
    """
    slots: list[Slot] = []
    try:
        for source in sources:
            slots.append(source.create(keys.store, keys.master))
        yield slots
    except BaseException:
        forget_slots(keys.store, zip(sources, slots, strict=False))
        raise


def forget_slots(store: str, pairs: Iterable[tuple[KeySource, Slot]]) -> list[str]:
    """Destroy outside what these slots needed; gives one line for each where that failed."""
    left = []
    for source, slot in pairs:
        try:
            source.forget(store, slot)
        except StoreError as error:
            left.append(error.message)
    return left


def open_seed(keys: Keys, sealed: bytes) -> LastingKeys:
    """The lasting keys from their sealed seed. StoreDamaged."""
    seed = keys.lasting.open(sealed)
    if len(seed) != KEY_BYTES:
        raise damaged("the store's lasting key has the wrong length")
    return LastingKeys(seed, keys.store)
