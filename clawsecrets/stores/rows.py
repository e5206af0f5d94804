"""Sealed rows: a record's body, its values, its history, audit events. Each read checks what vouches for the row.

A body is sealed for (name, revision, deleted) and holds digests of its values' rows and of its history; its own
digest stands in its head, and the heads in the manifest.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawsecrets.model.audit import AuditEvent, ChainedEvent
from clawsecrets.model.audit import canonical as event_bytes
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.stores.codec import (
    canonical,
    event_from_plain,
    record_from_plain,
    record_to_plain,
    version_from_plain,
    version_to_plain,
)
from clawsecrets.stores.database import one, rows
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.manifest import Head
from clawsecrets.stores.seal import Keys, new_key

EMPTY_CHAIN = hashlib.sha256(b"clawsecrets-history-1").hexdigest()


@dataclass(frozen=True, slots=True)
class Body:
    """What is sealed of one secret beside its values."""

    record: Record
    values: Mapping[int, str] = field(default_factory=dict)
    """Digest of the value row of each version that has one."""
    buried: int = 0
    """Versions in the history."""
    chain: str = EMPTY_CHAIN
    """Digest over them."""


def value_digest(wrapped: bytes, sealed: bytes) -> str:
    """First 16 bytes of SHA-256 over the wrapped key and the sealed value, in hexadecimal."""
    return hashlib.sha256(wrapped + sealed).hexdigest()[:32]


def chained(chain: str, sealed: bytes) -> str:
    """The history's digest after one more row."""
    return hashlib.sha256(bytes.fromhex(chain) + hashlib.sha256(sealed).digest()).hexdigest()


def open_body(keys: Keys, name: str, head: Head, sealed: bytes) -> Body:
    """The body that a verified head vouches for. StoreDamaged."""
    if hashlib.sha256(sealed).digest() != head.digest:
        raise damaged(f"the record of {name} was altered or put back from an older file")
    plain = keys.record.open(sealed, name, head.revision, head.deleted)
    body = _parse_body(plain, head.revision)
    if body is None or body.record.secret.name != name:
        raise damaged(f"the record of {name} has another form than format 1")
    return body


def _parse_body(plain: bytes, revision: int) -> Body | None:
    try:
        content = json.loads(plain)
        count, chain = content["history"]
        values = {int(number): str(digest) for number, digest in content["values"].items()}
        return Body(record_from_plain(content["record"], revision), values, int(count), str(chain))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def put_body(db: sqlite3.Connection, keys: Keys, body: Body) -> Head:
    """Write a body and its head; the head is what the manifest must then count."""
    record = body.record
    name, deleted = record.secret.name, int(bool(record.secret.deleted_at))
    plain = canonical({
        "record": record_to_plain(record),
        "values": {str(number): digest for number, digest in body.values.items()},
        "history": [body.buried, body.chain],
    })
    sealed = keys.record.seal(plain, name, record.revision, deleted)
    head = Head(record.revision, deleted, hashlib.sha256(sealed).digest())
    db.execute("INSERT OR REPLACE INTO bodies (name, sealed) VALUES (?, ?)", (name, sealed))
    db.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?)", (name, *head))
    return head


def get_body(db: sqlite3.Connection, keys: Keys, name: str, head: Head) -> Body:
    """One record's body. StoreDamaged when it is gone or altered."""
    row = one(db, (bytes,), "SELECT sealed FROM bodies WHERE name = ?", (name,))
    if row is None:
        raise damaged(f"the record of {name} is gone")
    return open_body(keys, name, head, row[0])


def put_value(db: sqlite3.Connection, keys: Keys, name: str, number: int, value: SecretValue) -> str:
    """Seal a value under a data key of its own and give the row's digest."""
    data_key = new_key()
    sealed = keys.value_box(data_key).seal(value.reveal(), name, number)
    return put_sealed_value(db, name, number, keys.wrap.seal(data_key, name, number), sealed)


def put_sealed_value(db: sqlite3.Connection, name: str, number: int, wrapped: bytes, sealed: bytes) -> str:
    """Write a value row as it is and give its digest."""
    db.execute("INSERT OR REPLACE INTO vals VALUES (?, ?, ?, ?)", (name, number, wrapped, sealed))
    return value_digest(wrapped, sealed)


def get_value_row(db: sqlite3.Connection, body: Body, number: int) -> tuple[bytes, bytes]:
    """Wrapped key and sealed value that the body vouches for. StoreDamaged."""
    name = body.record.secret.name
    row = one(db, (bytes, bytes), "SELECT wrapped, sealed FROM vals WHERE name = ? AND number = ?", (name, number))
    if row is None:
        raise damaged(f"the value of {name} version {number} is gone")
    if value_digest(*row) != body.values.get(number):
        raise damaged(f"the value of {name} version {number} was altered or exchanged")
    return row[0], row[1]


def get_value(db: sqlite3.Connection, keys: Keys, body: Body, number: int) -> SecretValue:
    """One version's value. StoreDamaged."""
    name = body.record.secret.name
    wrapped, sealed = get_value_row(db, body, number)
    data_key = keys.wrap.open(wrapped, name, number)
    return SecretValue(keys.value_box(data_key).open(sealed, name, number))


def erase_values(db: sqlite3.Connection, name: str, numbers: Sequence[int]) -> None:
    """Destroy values with their data keys (PRAGMA secure_delete overwrites them)."""
    db.executemany("DELETE FROM vals WHERE name = ? AND number = ?", [(name, number) for number in numbers])


def bury(db: sqlite3.Connection, keys: Keys, body: Body, versions: Sequence[Version]) -> tuple[int, str]:
    """Append versions to the history; gives its new length and digest."""
    count, chain, name = body.buried, body.chain, body.record.secret.name
    for version in versions:
        count += 1
        sealed = keys.history.seal(canonical(version_to_plain(version)), name, count)
        db.execute("INSERT INTO history VALUES (?, ?, ?)", (name, count, sealed))
        chain = chained(chain, sealed)
    return count, chain


def buried(db: sqlite3.Connection, keys: Keys, body: Body) -> list[Version]:
    """The versions in the history, in the order of burial. StoreDamaged when they do not fit the body."""
    name, chain, found = body.record.secret.name, EMPTY_CHAIN, []
    query = "SELECT position, sealed FROM history WHERE name = ? ORDER BY position"
    for position, sealed in rows(db, (int, bytes), query, (name,)):
        chain = chained(chain, sealed)
        found.append(_parse_version(keys.history.open(sealed, name, position), name))
    if len(found) != body.buried or chain != body.chain:
        raise damaged(f"the history of {name} was altered: {body.buried} versions were written")
    return found


def _parse_version(plain: bytes, name: str) -> Version:
    try:
        return version_from_plain(json.loads(plain))
    except ValueError:
        pass
    raise damaged(f"the history of {name} has another form than format 1")


def forget(db: sqlite3.Connection, name: str) -> None:
    """Delete every row of a secret; leases stay, so that epochs never go back."""
    for table in ("heads", "bodies", "vals", "history"):
        db.execute(f"DELETE FROM {table} WHERE name = ?", (name,))  # noqa: S608 (fixed words)


def put_event(db: sqlite3.Connection, seq: int, event: AuditEvent, mac: bytes) -> None:
    """Append one audit event."""
    db.execute("INSERT INTO audit VALUES (?, ?, ?)", (seq, event_bytes(seq, event), mac))


def get_events(db: sqlite3.Connection, since: int, most: int) -> Iterator[ChainedEvent]:
    """Up to `most` events with a number above `since`. StoreDamaged when one cannot be read."""
    query = "SELECT seq, event, mac FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
    for seq, content, mac in rows(db, (int, bytes, bytes), query, (since, most)):
        event = _parse_event(content)
        if event is None:
            raise damaged(f"audit event {seq} was altered: it is not readable")
        yield ChainedEvent(seq, event, mac)


def _parse_event(content: bytes) -> AuditEvent | None:
    try:
        plain: Any = json.loads(content)
        return event_from_plain(plain)
    except (ValueError, RecursionError):
        return None
