"""The embedded store: one SQLite file, sealed row by row, one writer at a time, readers never blocked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from clawsecrets.errors import NotFound, StoreDamaged, StoreError, UsageError
from clawsecrets.model import audit
from clawsecrets.model.audit import AuditEvent, ChainedEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.ports import Broken, Change, Lease
from clawsecrets.stores import lease as leases
from clawsecrets.stores import manifest, rows
from clawsecrets.stores.anchor import Anchor, Seen
from clawsecrets.stores.changes import plan
from clawsecrets.stores.database import connect, lay_out, one, raw_connect, rollback, translated
from clawsecrets.stores.deepcheck import faults, log_fault
from clawsecrets.stores.files import building, make_private_folder
from clawsecrets.stores.manifest import Manifest, View
from clawsecrets.stores.recovery import RecoveryCode, new_code
from clawsecrets.stores.rows import Body
from clawsecrets.stores.seal import Keys, mac, new_key
from clawsecrets.stores.session import Draft, Session
from clawsecrets.stores.slots import made_slots, unlock, write_meta, write_slots

if TYPE_CHECKING:
    from clawsecrets.ports import Store
    from clawsecrets.stores.keys import KeySource, Slot

_BATCH = 256
"""Records or events read in one snapshot while iterating."""


class SqliteStore(Session):
    """ports.Store on one SQLite file. One connection per process."""

    @property
    def identity(self) -> str:
        """store_ports.Identified. A restored backup is another store, with the same id in it."""
        there = os.stat(self.path)
        return f"sqlite {there.st_dev} {there.st_ino}"

    # --- reading -------------------------------------------------------------------------------------------------

    def names(self, *, deleted: bool = False, broken: Broken | None = None) -> Sequence[str]:
        with self.reading() as view:
            return sorted(name for name, head in view.heads.items() if bool(head.deleted) is deleted)

    def load(self, name: str) -> Record:
        with self.reading() as view:
            return self.body(view.heads, name).record

    def records(self, *, broken: Broken | None = None) -> Iterable[Record]:
        names = self.names()
        for start in range(0, len(names), _BATCH):
            yield from self._some(names[start : start + _BATCH], broken)

    def bound(self, target: str, *, broken: Broken | None = None) -> Iterable[Record]:
        return (record for record in self.records(broken=broken) if target in record.secret.injectors)

    def history(self, name: str) -> Sequence[Version]:
        with self.reading() as view:
            body = self.body(view.heads, name)
            every = [*rows.buried(self._db, self._keys, body), *body.record.versions]
        return sorted(every, key=lambda version: version.number)

    def value(self, name: str, number: int) -> SecretValue:
        with self.reading() as view:
            body = self.body(view.heads, name)
            if number not in body.values:
                raise NotFound(f"{name} has no value for version {number}: it was erased, or never there",
                               f"`clawsecrets history {name}` shows its versions")
            return rows.get_value(self._db, self._keys, body, number)

    def values(self, wanted: Sequence[tuple[str, int]]) -> Sequence[SecretValue]:
        return [self.value(name, number) for name, number in wanted]

    def fingerprint(self, value: SecretValue) -> str:
        return mac(self.unlocked.lasting.fingerprint, value.reveal()).hex()[:16]

    def events(self, *, since: int = 0) -> Iterable[ChainedEvent]:
        head = self._head_before(since)
        while True:
            with self.reading() as view:
                batch = list(rows.get_events(self._db, since, _BATCH))
                count, key = view.manifest.audit_count, self._keys.audit
            for item in batch:
                since, head = since + 1, audit.link(key, head, since + 1, item.event)
                if item.seq != since or item.mac != head:
                    raise StoreDamaged(f"audit event {since} was altered or removed",
                                       "`clawsecrets audit-log verify` says what is wrong")
                yield item
            if since >= count:
                return
            if not batch:
                raise StoreDamaged(f"the audit log ends at event {since}, but {count} were written",
                                   "`clawsecrets audit-log verify` says what is wrong")

    def verify_log(self) -> str:
        with self.reading() as view:
            return log_fault(self._db, self._keys, view)

    def check(self) -> Sequence[str]:
        with self.reading() as view:
            return faults(self._db, self._keys, view)

    # --- writing -------------------------------------------------------------------------------------------------

    def commit(self, changes: Sequence[Change], lease: Lease | None = None,
               lead: Lease | None = None) -> Sequence[Record]:
        if not changes:
            return ()
        names = [change.record.secret.name for change in changes]
        if len(set(names)) != len(names):
            raise UsageError("one commit cannot change a secret twice")
        with self.writing() as draft:
            for held in (lease, lead):
                if held is not None:
                    leases.require(self._db, self._keys.lease, held)
            return [self._apply(draft, change) for change in changes]

    def purge(self, name: str, event: AuditEvent) -> None:
        with self.writing() as draft:
            head = draft.heads.get(name)
            if head is None:
                raise NotFound(f"there is no secret {name}", "`clawsecrets list` shows what there is")
            if not head.deleted:
                raise UsageError(f"{name} is not deleted, and only a deleted secret can be purged", "delete it first")
            rows.forget(self._db, name)
            del draft.heads[name]
            draft.erased = True
            self.note_event(draft, event)

    def log(self, event: AuditEvent) -> None:
        with self.writing() as draft:
            self.note_event(draft, event)

    def acquire(self, name: str, holder: str, ttl: float) -> Lease:
        with self._exclusive():
            return leases.acquire(self._db, self._keys.lease, name, holder, ttl)

    def renew(self, lease: Lease) -> None:
        with self._exclusive():
            leases.renew(self._db, self._keys.lease, lease)

    def release(self, lease: Lease) -> None:
        with self._exclusive():
            leases.release(self._db, self._keys.lease, lease)

    def close(self) -> None:
        with self._turn, translated(self.path):
            self._db.close()

    # --- parts -------------------------------------------------------------------------------------------------

    def _some(self, names: Sequence[str], broken: Broken | None) -> list[Record]:
        found = []
        with self.reading() as view:
            for name in names:
                if name in view.heads and not view.heads[name].deleted:
                    try:
                        found.append(self.body(view.heads, name).record)
                    except StoreDamaged as error:
                        if broken is None:
                            raise
                        broken(name, error)
        return found

    def _apply(self, draft: Draft, change: Change) -> Record:
        name = change.record.secret.name
        old = self.body(draft.heads, name) if name in draft.heads else None
        todo = plan(change, old.record if old else None, old.values if old else ())
        digests = dict(old.values) if old else {}
        for number in todo.new:
            digests[number] = rows.put_value(self._db, self._keys, name, number, change.values[number])
        rows.erase_values(self._db, name, todo.erase)
        left = {number: digest for number, digest in digests.items() if number not in todo.erase}
        body = Body(todo.record, left, old.buried, old.chain) if old else Body(todo.record, left)
        count, chain = rows.bury(self._db, self._keys, body, todo.bury)
        draft.heads[name] = rows.put_body(self._db, self._keys, replace(body, buried=count, chain=chain))
        draft.erased = draft.erased or bool(todo.erase)
        self.note_event(draft, change.event)
        return todo.record

    def _head_before(self, seq: int) -> bytes:
        """The chain's head after event `seq`, from which the next one is checked."""
        with self.reading():
            if seq <= 0:
                return audit.genesis(self._keys.audit)
            row = one(self._db, (bytes,), "SELECT mac FROM audit WHERE seq = ?", (seq,))
            return bytes(row[0]) if row else b""


if TYPE_CHECKING:

    def _conforms(store: SqliteStore) -> Store:
        return store


def open_store(path: Path, anchor_path: Path, sources: Sequence[KeySource], *, accept_older: bool = False,
               wait: float = 5.0) -> SqliteStore:
    """Open and verify a store. `wait`: seconds that a commit waits for another writer.

    StoreMissing, StoreLocked, StoreOlder, StoreDamaged, StoreBusy, StoreError. `accept_older`: a file that the anchor
    contradicts is taken, and its generation goes above all that was seen.
    """
    path = path.resolve()
    anchor = Anchor(anchor_path)
    content = anchor.content()  # before the database, which may go on meanwhile
    db, writable = connect(path, wait)
    try:
        with translated(path):
            db.execute("BEGIN")
            unlocked = unlock(db, sources)
            view = manifest.verified(db, unlocked.keys, manifest.read_sealed(db), unlocked.slots)
            rollback(db)
        store = SqliteStore(path, anchor, db, writable=writable, sources=sources, unlocked=unlocked, view=view)
        _hold_against(store, content, view, accept_older=accept_older)
    except BaseException:
        rollback(db)
        db.close()
        raise
    return store


def _hold_against(store: SqliteStore, content: bytes | None, view: View, *, accept_older: bool) -> None:
    """The opened view against the anchor."""
    seen: Seen | None = None
    fault: StoreDamaged | None = None
    try:
        seen = store.anchor.understood(content, store.unlocked.lasting.anchor, store.unlocked.keys.store)
        store.anchor.judge(seen, view.manifest.generation, view.digest)
    except StoreDamaged as error:
        fault = error
    if fault is None:
        store.mend_anchor(seen)
    elif not accept_older:
        raise fault
    elif store.writable:
        with store.writing(accept=True):
            pass


def create(path: Path, anchor_path: Path, sources: Sequence[KeySource], *, recovery: bool = True,
           event: AuditEvent | None = None) -> tuple[SqliteStore, SecretValue | None]:
    """Make a store with one key slot per source; gives it opened, and the recovery code to be shown once.

    StoreError when there is one already, UsageError without a source, StoreLocked when the folder is loose. When
    anything is raised, neither store nor key stays.
    """
    if not sources:
        raise UsageError("a store needs a key", "choose --key-file, --passphrase-stdin, --keyring or a credential")
    path = path.absolute()
    make_private_folder(path.parent)
    if path.exists():
        raise StoreError(f"there is a store at {path} already", "use it, or choose another place with --store")
    code = new_code() if recovery else None
    keys = Keys(new_key(), token_hex(16))
    with made_slots(keys, [*sources, RecoveryCode(code)] if code is not None else sources) as slots:
        with building(path) as draft:
            _fill(draft, path, keys, slots)
            made = draft.stat().st_ino
            with suppress(OSError):
                anchor_path.unlink(missing_ok=True)  # of a store that stood here before: a new one begins
        return _first_opened(path, made, anchor_path, sources, event), code


def _fill(draft: Path, path: Path, keys: Keys, slots: Sequence[Slot]) -> None:
    """The draft of an empty store. StoreError."""
    with translated(path):
        db = raw_connect(draft, "mode=rw", 5.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            lay_out(db)
            write_slots(db, slots)
            write_meta(db, keys, new_key())
            empty = Manifest(1, manifest.root_of({}), manifest.slots_digest(slots), audit.genesis(keys.audit).hex(), 0)
            manifest.write(db, keys, empty, {})
            db.execute("COMMIT")
        finally:
            db.close()


def _first_opened(path: Path, made: int, anchor_path: Path, sources: Sequence[KeySource],
                  event: AuditEvent | None) -> SqliteStore:
    """The new store, opened by what is to open it from now on. When that fails nothing stays: its recovery code was
    shown to nobody, and its keys are about to be destroyed."""
    store: SqliteStore | None = None
    try:
        store = open_store(path, anchor_path, sources)
        if event is not None:
            store.log(event)
        return store
    except BaseException:
        with suppress(StoreError):
            if store is not None:
                store.close()
        with suppress(OSError):
            if path.stat().st_ino == made:
                for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                    part.unlink(missing_ok=True)
                anchor_path.unlink(missing_ok=True)
        raise
