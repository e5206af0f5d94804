"""The deep check: every row opened, and no row that nothing vouches for. Each fault is one line."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from clawsecrets.errors import StoreError
from clawsecrets.model import audit
from clawsecrets.model.audit import ChainedEvent
from clawsecrets.stores import lease, rows
from clawsecrets.stores.manifest import View
from clawsecrets.stores.seal import Keys

_BATCH = 1000


def faults(db: sqlite3.Connection, keys: Keys, view: View) -> list[str]:
    """One line per fault of the snapshot that is open; empty when sound."""
    found = _structure(db)
    for name in sorted(view.heads):
        found += _caught(lambda name=name: _check_record(db, keys, view, name))  # type: ignore[misc]
    found += _strays(db, view)
    found += _caught(lambda: lease.everyone(db, keys.lease) and None)
    log = log_fault(db, keys, view)
    return [*found, f"audit log: {log}"] if log else found


def log_fault(db: sqlite3.Connection, keys: Keys, view: View) -> str:
    """Empty when the audit chain is whole, else its first fault."""
    manifest = view.manifest
    try:
        return audit.verify(keys.audit, _events(db), bytes.fromhex(manifest.audit_head), manifest.audit_count)
    except StoreError as error:
        return error.message


def _events(db: sqlite3.Connection) -> Iterator[ChainedEvent]:
    last = 0
    while batch := list(rows.get_events(db, last, _BATCH)):
        last = batch[-1].seq
        yield from batch


def _structure(db: sqlite3.Connection) -> list[str]:
    lines = [str(row[0]) for row in db.execute("PRAGMA integrity_check(10)")]
    return [] if lines == ["ok"] else [f"database: {line.splitlines()[0]}" for line in lines if line]


def _caught(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except StoreError as error:
        return [error.message]
    return []


def _check_record(db: sqlite3.Connection, keys: Keys, view: View, name: str) -> None:
    body = rows.get_body(db, keys, name, view.heads[name])
    for number in body.values:
        rows.get_value(db, keys, body, number)
    rows.buried(db, keys, body)
    stored = db.execute("SELECT count(*) FROM vals WHERE name = ?", (name,)).fetchone()[0]
    if stored != len(body.values):
        raise StoreError(f"{name} has {stored} value rows, but {len(body.values)} were written")


def _strays(db: sqlite3.Connection, view: View) -> list[str]:
    found = []
    for table in ("bodies", "vals", "history"):
        query = f"SELECT DISTINCT name FROM {table}"  # noqa: S608 (fixed words)
        names = {str(row[0]) for row in db.execute(query)}
        found += [f"a row of {table} belongs to no record: {name!r}" for name in sorted(names - view.heads.keys())]
    return found
