"""The manifest: one sealed row that vouches for all others.

`root` is SHA-256 over the heads of all records, sorted by name; a head's digest is that of the record's sealed
body, and the body holds digests of the record's values and history. So one row that was altered, added, removed,
swapped or put back from an older file does not fit. The key slots and the audit chain's head stand in it too.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from clawsecrets.stores.codec import canonical
from clawsecrets.stores.database import one, rows
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.keys import Slot
from clawsecrets.stores.seal import Keys


class Head(NamedTuple):
    """What stands in the open of one record, beside its name."""

    revision: int
    deleted: int
    """1: soft-deleted."""
    digest: bytes
    """SHA-256 of the sealed body."""


Heads = Mapping[str, Head]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The state of the whole store. Byte strings in hexadecimal."""

    generation: int
    """Grows with every commit."""
    root: str
    slots: str
    audit_head: str
    audit_count: int


@dataclass(frozen=True, slots=True)
class View:
    """One verified state of the store: what readers trust until the manifest changes."""

    manifest: Manifest
    sealed: bytes
    heads: dict[str, Head]

    @property
    def digest(self) -> str:
        """What the anchor remembers of this state."""
        return hashlib.sha256(self.sealed).hexdigest()


def root_of(heads: Heads) -> str:
    """SHA-256 over every head, sorted by name: length and bytes of the name, revision, deleted, digest."""
    total = hashlib.sha256()
    for name in sorted(heads):
        head, encoded = heads[name], name.encode()
        total.update(struct.pack(">H", len(encoded)) + encoded + struct.pack(">QB", head.revision, head.deleted))
        total.update(head.digest)
    return total.hexdigest()


def slots_digest(slots: Sequence[Slot]) -> str:
    """SHA-256 over the key slots in order, so that none can be added, removed or exchanged (the recovery
    recipient above all: the next rekey wraps the new master key to it)."""
    return hashlib.sha256(canonical([[s.kind, dict(s.params), s.wrapped.hex()] for s in slots])).hexdigest()


def read_sealed(db: sqlite3.Connection) -> bytes:
    """The sealed manifest as it stands in the file. StoreDamaged when it is gone."""
    row = one(db, (bytes,), "SELECT sealed FROM manifest WHERE id = 1")
    if row is None:
        raise damaged("the store's manifest is gone")
    return bytes(row[0])


def parse(plain: bytes) -> Manifest:
    """The manifest from its sealed JSON."""
    try:
        content = json.loads(plain)
        if content.keys() == {f.name for f in fields(Manifest)}:
            return Manifest(**content)
    except (ValueError, AttributeError):
        pass
    raise damaged("the store's manifest has another form than format 1")


def verified(db: sqlite3.Connection, keys: Keys, sealed: bytes, slots: Sequence[Slot]) -> View:
    """The view that a sealed manifest vouches for, every head checked. StoreDamaged names what does not fit."""
    manifest = parse(keys.manifest.open(sealed))
    heads = read_heads(db)
    if root_of(heads) != manifest.root:
        raise damaged("the records do not fit the manifest: rows were altered, removed, added or put back")
    if slots_digest(slots) != manifest.slots:
        raise damaged("the key slots do not fit the manifest: one was altered, removed or added")
    last = one(db, (int, bytes), "SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1")
    if manifest.audit_count != (last[0] if last else 0) or (last and last[1].hex() != manifest.audit_head):
        raise damaged("the audit log does not end where the manifest says: events were removed, added or altered")
    return View(manifest, sealed, heads)


def read_heads(db: sqlite3.Connection) -> dict[str, Head]:
    """Every head by name."""
    found: dict[str, Head] = {}
    columns = (str, int, int, bytes)
    for name, revision, deleted, digest in rows(db, columns, "SELECT name, revision, deleted, digest FROM heads"):
        if revision < 1 or deleted not in (0, 1) or len(digest) != 32 or len(name) > 128:
            raise damaged("a record's head is malformed")
        found[name] = Head(revision, deleted, digest)
    return found


def write(db: sqlite3.Connection, keys: Keys, manifest: Manifest, heads: dict[str, Head]) -> View:
    """Put a new manifest in place and give the view that it vouches for."""
    sealed = keys.manifest.seal(canonical(asdict(manifest)))
    db.execute("INSERT OR REPLACE INTO manifest (id, sealed) VALUES (1, ?)", (sealed,))
    return View(manifest, sealed, heads)
