"""Backup and restore. A backup is one store file that the recovery code alone opens, on any machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clawsecrets.errors import StoreError, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import State
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores import lease, manifest
from clawsecrets.stores.anchor import Anchor
from clawsecrets.stores.database import connect_copy, raw_connect, rollback, translated
from clawsecrets.stores.deepcheck import faults
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.files import building, make_private_folder
from clawsecrets.stores.keys import KeySource
from clawsecrets.stores.manifest import View
from clawsecrets.stores.recovery import KIND as RECOVERY
from clawsecrets.stores.recovery import RecoveryCode
from clawsecrets.stores.rekey import exchange_keys, recipients
from clawsecrets.stores.seal import Keys, new_key
from clawsecrets.stores.session import Session
from clawsecrets.stores.slots import Unlocked, made_slots, read_slots, unlock
from clawsecrets.stores.sqlite import SqliteStore, open_store


def backup(store: Session, path: Path) -> int:
    """Write one consistent, verified copy (0600) and give its generation. Works on a store that is only readable.

    StoreError when the file exists, cannot be written, or the store has no recovery code; StoreDamaged when the store
    is not sound.
    """
    path = path.absolute()
    if not any(slot.kind == RECOVERY for slot in store.unlocked.slots):
        raise StoreError("the store has no recovery code, so nothing could open a backup", "make it anew with `init`")
    with building(path) as draft, store.reading() as view:
        _copy(store.db, draft, path)
        _verify_copy(draft, store.unlocked.keys, view)
        return view.manifest.generation


def _copy(source: sqlite3.Connection, draft: Path, path: Path) -> None:
    with translated(path):
        target = raw_connect(draft, "mode=rw", 0.0)
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE").fetchall()
        finally:
            target.close()


def _verify_copy(draft: Path, keys: Keys, view: View) -> None:
    copy = connect_copy(draft)
    try:
        with translated(draft):
            copy.execute("BEGIN")
            again = manifest.verified(copy, keys, manifest.read_sealed(copy), read_slots(copy))
            found = faults(copy, keys, again)
            rollback(copy)
    finally:
        copy.close()
    if found or again.manifest != view.manifest:
        raise damaged(f"the store is not sound, so no backup was made: {found[0] if found else 'it changed'}")


def restore(backup_file: Path, path: Path, anchor_path: Path, recovery: SecretValue, sources: Sequence[KeySource],
            event: AuditEvent) -> SqliteStore:
    """Make a new store from a backup: new master key, every record in *reconcile*; gives it opened.

    The generation goes above the backup's and above what this machine has seen of that store. StoreError when there
    is a store at `path`, StoreLocked for a wrong code, StoreDamaged when the backup is not sound in every row.
    """
    if not sources:
        raise UsageError("the restored store needs a key", "choose --key-file, --passphrase-stdin, --keyring …")
    path = path.absolute()
    make_private_folder(path.parent)
    if path.exists():
        raise StoreError(f"there is a store at {path}; nothing was overwritten", "move it away first")
    copy = connect_copy(backup_file)
    try:
        unlocked, view = _open_sound(copy, backup_file, recovery)
        with building(path) as draft:
            _copy(copy, draft, path)
            _renew(draft, Anchor(anchor_path), unlocked, view, sources, event)
    finally:
        copy.close()
    return open_store(path, anchor_path, sources)


def _open_sound(copy: sqlite3.Connection, path: Path, recovery: SecretValue) -> tuple[Unlocked, View]:
    with translated(path):
        copy.execute("BEGIN")
        unlocked = unlock(copy, [RecoveryCode(recovery)])
        view = manifest.verified(copy, unlocked.keys, manifest.read_sealed(copy), unlocked.slots)
        found = faults(copy, unlocked.keys, view)
        rollback(copy)
    if found:
        raise damaged(f"the backup {path} is not sound: {found[0]}")
    return unlocked, view


def _renew(draft_file: Path, anchor: Anchor, unlocked: Unlocked, view: View, sources: Sequence[KeySource],
           event: AuditEvent) -> None:
    """Turn the draft, a copy of the backup, into a store of its own."""
    keys = Keys(new_key(), unlocked.keys.store)
    with translated(draft_file):
        db = raw_connect(draft_file, "mode=rw", 0.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            store = Session(draft_file, anchor, db, writable=True, sources=(), unlocked=unlocked, view=view)
            with made_slots(keys, [*sources, *recipients(unlocked.slots)]) as slots:
                with store.writing(accept=True) as draft:
                    exchange_keys(store, draft, keys, slots, edit=_in_reconcile)
                    lease.rewrite(db, keys.lease, lease.everyone(db, keys.lease), free=True)
                    store.note_event(draft, event)
                with store.reading() as after:
                    found = faults(db, keys, after)
                if found:
                    raise damaged(f"the restored store is not sound: {found[0]}")
        finally:
            db.close()


def _in_reconcile(record: Record) -> Record:
    """Its rotation went on after the backup was made, nobody knows how far: that is the outcome UNKNOWN, as after a
    crash. A parked one is armed, so that it is settled with it."""
    rotation = record.rotation
    if rotation is not None and not rotation.final and rotation.state is not State.STUCK:
        rotation = rotation.arm()
    return replace(record, rotation=rotation, reconcile=True, revision=record.revision + 1)
