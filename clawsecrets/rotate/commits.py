"""Making a rotation's next state durable: record, labels, ledger, new value and audit event in one commit.

A value that was just minted is in memory only until its commit: that commit alone is tried for long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial

from clawsecrets.errors import Fenced, StaleRecord, StoreDamaged, StoreError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record, enter
from clawsecrets.model.rotation import Rotation
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change, Clock, Lease, Progress, Reply, Store
from clawsecrets.rotate.job import Done

TURNS = 5
"""Commits tried while somebody else edits the same record."""
PATIENCE = 600.0
"""Seconds for which a minted value is tried to be written while the store is busy or its disk is full."""
PAUSE = 5.0

Call = Callable[[], Record]


def nobody() -> Lease | None:
    """There is no lead to be lost."""
    return None


class Commits:
    """Writes rotations of one store."""

    def __init__(self, store: Store, clock: Clock, progress: Progress, actor: str,
                 lead: Callable[[], Lease | None] = nobody) -> None:
        self._store = store
        self._clock = clock
        self._progress = progress
        self._actor = actor
        self._lead = lead

    def begin(self, record: Record, rotation: Rotation, lease: Lease) -> Record:
        """Make a rotation's first state durable. StaleRecord when somebody edited the record meanwhile: what it
        replaces must be decided anew, on theirs. Fenced, too, when another has taken the lead."""
        entered = enter(record, rotation, self._clock.now(), None)
        change = Change(entered, self.event(entered, rotation, "begin", ""))
        return self._store.commit([change], lease, self._lead())[0]

    def write(self, record: Record, rotation: Rotation, lease: Lease, step: str, detail: str,
              done: Done | None = None, value: SecretValue | None = None) -> Record:
        """Make it durable. When somebody edited the record meanwhile (not its rotation), decide again on theirs.

        Fenced when its rotation was changed. With a minted `value` a store that is busy or cannot be written is tried
        again for ten minutes; then its error, with what to do.
        """
        if value is None and (done is None or done.reply.refresh is None):
            return self._write(record, rotation, lease, step, detail, done, None, lambda call: call())
        label = rotation.label if record.rotation is None else record.rotation.label
        hint = (f"a new credential labelled {label} may live and could not be stored: free the store (disk, other "
                f"processes), then: clawsecrets rotations resume {rotation.secret}")
        return self._write(record, rotation, lease, step, detail, done, value,
                           lambda call: self._patiently(call, lease, rotation.secret, step, hint))

    def _write(self, record: Record, rotation: Rotation, lease: Lease, step: str, detail: str, done: Done | None,
               value: SecretValue | None, tried: Callable[[Call], Record]) -> Record:
        known, now = record.rotation, self._clock.now()
        refresh = None if done is None else done.reply.refresh
        for _ in range(TURNS):
            edited = done.edit(record) if done is not None else record
            minted = None if value is None or done is None else self._minted(edited, rotation, value, done.reply, now)
            spare = None if refresh is None else self._refresh(edited, minted, refresh, now)
            moved = known is None or rotation.state is not known.state or minted is not None
            entered = enter(edited, rotation, now, minted, spare) if moved or spare is not None \
                else replace(edited, rotation=rotation)
            values = {version.number: held for version, held in ((minted, value), (spare, refresh))
                      if version is not None and held is not None}
            change = Change(entered, self.event(entered, entered.rotation or rotation, step, detail), values)
            try:
                return tried(partial(self._commit, change, lease))
            except StaleRecord:
                record = tried(partial(self._store.load, rotation.secret))
            if record.rotation != known:
                break
        raise Fenced(f"{rotation.secret} was changed by another process", "run the command again")

    def _commit(self, change: Change, lease: Lease) -> Record:
        return self._store.commit([change], lease)[0]

    def _patiently(self, call: Call, lease: Lease, name: str, step: str, hint: str) -> Record:
        end = self._clock.now() + PATIENCE
        while True:
            try:
                return call()
            except (Fenced, StaleRecord, StoreDamaged):
                raise
            except StoreError as error:
                trouble = error
            if self._clock.now() >= end:
                raise type(trouble)(trouble.message, hint)
            self._progress.result(name, step, "later", f"{trouble.message}; the new value is kept and tried again")
            self._clock.sleep(PAUSE)
            with suppress(StoreError):  # where it can be renewed; the commit itself tells when it was taken over
                self._store.renew(lease)

    def _minted(self, record: Record, rotation: Rotation, value: SecretValue, reply: Reply, now: float) -> Version:
        label = record.rotation.label if record.rotation is not None else rotation.label
        return Version(
            number=record.last_number + 1, stage=Stage.PENDING, created_at=now,
            fingerprint=self._store.fingerprint(value), handle=reply.handle, identity=reply.identity,
            origin="rotation", label=label, expires_at=reply.expires_at,
        )

    def _refresh(self, record: Record, minted: Version | None, token: SecretValue, now: float) -> Version:
        """The refresh token as a version of its own, after the minted one. It carries no label: labels are for finding
        values at the provider."""
        last = record.last_number if minted is None else minted.number
        return Version(last + 1, Stage.REFRESH, now, self._store.fingerprint(token), origin="rotation")

    def event(self, record: Record, rotation: Rotation, step: str, detail: str) -> AuditEvent:
        """The audit event of a rotation's new state."""
        told: Mapping[str, str] = {"strategy": rotation.strategy}
        if step:
            told = {**told, "step": step}
        if detail:
            told = {**told, "note": detail}
        return AuditEvent(self._clock.now(), self._actor, f"rotation.{rotation.state.value}",
                          record.secret.name, rotation.new_version or rotation.old_version, rotation.id, told)
