"""One open store file: what is read is verified first, what is written is whole or not there.

1. What is read is trusted only through a verified view: manifest opened, every head counted in its root (manifest.py).
   The view is renewed when the manifest row has changed.
2. What is written goes in one transaction with its audit events and a new manifest (generation + 1). The anchor is
   drafted before COMMIT and published after it (anchor.py).
3. Nothing is read from or written to a file that no longer stands at its path: SQLite would go on with it, and what it
   keeps would be gone with the last process that has it open.
4. Nothing of SQLite, the file system or the crypto gets out but errors.StoreError.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.errors import NotFound, StoreDamaged, StoreError, StoreGone, StoreLocked, StoreOlder
from clawsecrets.model import audit
from clawsecrets.model.audit import AuditEvent
from clawsecrets.stores import manifest, rows
from clawsecrets.stores.anchor import Anchor, Seen
from clawsecrets.stores.database import connect, rollback, shed_log, translated
from clawsecrets.stores.faults import RESTORE, io_failed, not_writable
from clawsecrets.stores.keys import KeySource
from clawsecrets.stores.manifest import Head, Manifest, View
from clawsecrets.stores.rows import Body
from clawsecrets.stores.seal import Keys
from clawsecrets.stores.slots import Unlocked, read_slots, unlock


@dataclass(slots=True)
class Draft:
    """What a transaction is about to make of the view."""

    unlocked: Unlocked
    """`rekey` puts the new keys here."""
    heads: dict[str, Head]
    audit_head: bytes
    audit_count: int
    erased: bool = False
    floor: int = 0
    """The generation must go above this."""

    def sealed(self, generation: int) -> Manifest:
        """The manifest that will vouch for it."""
        slots = manifest.slots_digest(self.unlocked.slots)
        return Manifest(generation, manifest.root_of(self.heads), slots, self.audit_head.hex(), self.audit_count)


class Session:
    """Verified reading and whole writing on one connection. Threads take turns."""

    def __init__(self, path: Path, anchor: Anchor, db: sqlite3.Connection, *, writable: bool,
                 sources: Sequence[KeySource], unlocked: Unlocked, view: View) -> None:
        self.path = path
        self.anchor = anchor
        self.writable = writable
        self.sources = tuple(sources)
        self.unlocked = unlocked
        self.anchor_behind = False
        """The last commit is durable, but its anchor could not be published: doctor says so."""
        self._db = db
        self._view = view
        self._file = _identity(path)
        self._turn = threading.RLock()

    @contextmanager
    def reading(self) -> Iterator[View]:
        """A verified view and a snapshot of the file that agree. StoreDamaged."""
        with self._turn, translated(self.path):
            self._db.execute("BEGIN")
            try:
                yield self._refresh()
            finally:
                rollback(self._db)

    @contextmanager
    def writing(self, *, accept: bool = False) -> Iterator[Draft]:
        """A transaction that ends with a new manifest and anchor, or as if it had never been.

        `accept`: what the anchor says against the file is overruled; the generation goes above both.
        """
        staged: Path | None = None
        with self._turn:
            try:
                with self._exclusive() as view:
                    seen = self._seen(view, accept=accept)
                    draft = Draft(self.unlocked, dict(view.heads), bytes.fromhex(view.manifest.audit_head),
                                  view.manifest.audit_count)
                    yield draft
                    floor = max(view.manifest.generation, seen.generation if seen else 0, draft.floor)
                    after = manifest.write(self._db, draft.unlocked.keys, draft.sealed(floor + 1), draft.heads)
                    staged, now = self._stage(after, seen)
            except BaseException:
                if staged is not None:
                    self.anchor.discard(staged)
                raise
            self._view, self.unlocked = after, draft.unlocked
            key = self.unlocked.lasting.anchor
            self.anchor_behind = not self.anchor.publish(staged, key, now, force=accept)
            if draft.erased:
                shed_log(self._db)

    @contextmanager
    def _exclusive(self) -> Iterator[View]:
        """The write lock and a verified view; COMMIT at the end, ROLLBACK when anything is raised."""
        with self._turn, translated(self.path):
            if not self.writable:
                self._open_for_writing()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._refresh()
                self._db.execute("COMMIT")
            except BaseException:
                rollback(self._db)
                raise

    def _open_for_writing(self) -> None:
        """What could be opened only for reading (the disk was full, or read-only) is opened anew: whoever stays, as the
        daemon does, could write to it never again. StoreError while it cannot be written; StoreGone."""
        self._require_same()
        wait = self._db.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
        db, writable = connect(self.path, wait)
        if not writable:
            db.close()
            raise not_writable(self.path)
        self._db.close()
        self._db, self.writable = db, True

    def _require_same(self) -> None:
        """That it is still the file that was opened. StoreGone."""
        if _identity(self.path) != self._file:
            raise StoreGone(f"{self.path} was removed or replaced while it was open",
                            "put it back where it is missing, then start again what was using it")

    def _refresh(self) -> View:
        """The view of the snapshot that is open, verified anew where the manifest row is another."""
        if self.writable:
            self._require_same()
        sealed = manifest.read_sealed(self._db)
        if sealed != self._view.sealed:
            if read_slots(self._db) != self.unlocked.slots:  # another process has changed the master key
                self.unlocked = self._unlocked_anew()
            view = manifest.verified(self._db, self._keys, sealed, self.unlocked.slots)
            if view.manifest.generation <= self._view.manifest.generation:
                raise StoreOlder(f"{self.path} went back to an older state while it was open", RESTORE)
            self._view = view
        return self._view

    def _unlocked_anew(self) -> Unlocked:
        """With the keys of the sources that it was opened with. StoreGone where the new one is elsewhere."""
        try:
            return unlock(self._db, self.sources)
        except StoreLocked:
            pass
        raise StoreGone(f"{self.path} was given a master key in another place while it was open",
                        "start again what was using it")

    def _seen(self, view: View, *, accept: bool) -> Seen | None:
        """What the anchor remembers; held against the view unless that is overruled."""
        try:
            lasting = self.unlocked.lasting
            seen = self.anchor.understood(self.anchor.content(), lasting.anchor, self._keys.store)
            if not accept:
                self.anchor.judge(seen, view.manifest.generation, view.digest)
            return seen
        except StoreDamaged:
            if not accept:
                raise
            return None

    def _stage(self, view: View, seen: Seen | None) -> tuple[Path, Seen]:
        generation = view.manifest.generation
        now = Seen(self._keys.store, generation, view.digest, seen.since if seen else generation)
        return self.anchor.stage(self.unlocked.lasting.anchor, now), now

    def mend_anchor(self, seen: Seen | None) -> None:
        """Bring a missing anchor, or one that a crash left behind, up to the view. Best effort: reading goes on."""
        view, key = self._view, self.unlocked.lasting.anchor
        if seen is None or seen.generation < view.manifest.generation:
            try:
                staged, now = self._stage(view, seen)
                self.anchor_behind = not self.anchor.publish(staged, key, now)
            except StoreError:
                self.anchor_behind = True

    @property
    def _keys(self) -> Keys:
        return self.unlocked.keys

    @property
    def view(self) -> View:
        """The newest verified view."""
        return self._view

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, for the modules of this package that work within `reading` and `writing`."""
        return self._db

    def body(self, heads: Mapping[str, Head], name: str) -> Body:
        """One record's body by verified heads. NotFound, StoreDamaged."""
        head = heads.get(name)
        if head is None:
            raise NotFound(f"there is no secret {name}", "`clawsecrets list` shows what there is")
        return rows.get_body(self._db, self._keys, name, head)

    def note_event(self, draft: Draft, event: AuditEvent) -> None:
        """Append an audit event within `writing`."""
        seq = draft.audit_count + 1
        draft.audit_head = audit.link(draft.unlocked.keys.audit, draft.audit_head, seq, event)
        draft.audit_count = seq
        rows.put_event(self._db, seq, event, draft.audit_head)


def _identity(path: Path) -> tuple[int, int]:
    """Which file stands there: device and inode; (0, 0) = none. StoreError when that cannot be seen now."""
    failed: OSError | None = None
    try:
        found = path.stat()
        return found.st_dev, found.st_ino
    except FileNotFoundError:
        return 0, 0
    except OSError as error:
        failed = error
    raise io_failed("look at the store", path, failed)
