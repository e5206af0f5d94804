"""The loop: take the lease, look up the row, do its step, commit where it leads. Crashes need no code of their own.

Every commit holds the rotation's next state, the labels and ledger that state means, and an audit event. The state
is durable before its step runs, so that after a kill the next run settles it with UNKNOWN and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from clawsecrets.errors import Fenced, StaleRecord, StoreBusy, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record, enter
from clawsecrets.model.rotation import Outcome, Rotation, State, Step, Wait
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.model.strategies import table_for
from clawsecrets.ports import Change, Clock, Lease, Progress, Reply, Store
from clawsecrets.rotate.gear import Gear
from clawsecrets.rotate.steps import STEPS, Done, Job

MINTING = frozenset({Step.CREATE, Step.RECOVER, Step.RECREATE, Step.OBTAIN})
RETRY_PAUSE = (0.5, 1.0, 2.0)
"""Seconds before an idempotent step is done again after UNKNOWN."""


@dataclass(frozen=True)
class Settings:
    """How patient and who. Seconds."""

    lease: float = 90.0
    patience: float = 30.0
    """How long one run waits for LATER before it leaves the rotation parked."""
    queue: float = 60.0
    """How long to wait for another process that rotates the same secret."""
    actor: str = ""
    holder: str = ""
    """Unique per process: the lease is taken in this name."""


@dataclass(frozen=True)
class Order:
    """What the operator asked of one rotation."""

    from_version: int = 0
    """Rotate only if this version is current; 0 = the one that is when the command begins."""
    compromised: bool = False
    revoke_unproven: bool = False
    supplied: SecretValue | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    record: Record
    already: bool = False
    """Another process had rotated it already; nothing was done."""


class Engine:
    """Rotates secrets of one store. `new_id` gives unique rotation ids (they label credentials)."""

    def __init__(self, store: Store, gear: Gear, clock: Clock, progress: Progress, new_id: Callable[[], str],
                 settings: Settings) -> None:
        self._store = store
        self._gear = gear
        self._clock = clock
        self._progress = progress
        self._new_id = new_id
        self._settings = settings

    # --- what commands call ------------------------------------------------------------------------------------

    def rotate(self, name: str, order: Order) -> Result:
        """Begin a rotation, or go on with an unfinished one, until it ends or must wait.

        StoreBusy after `queue` seconds of another process rotating it; Fenced when our lease was taken over.
        """
        expected = order.from_version or self._current(self._store.load(name))
        lease = self._acquire(name)
        try:
            record = self._ready(name)
            if self._current(record) != expected and (order.from_version or not record.rotating):
                return Result(record, already=True)
            begin = self._join if record.rotating else self._begin
            record = begin(record, order, lease)
            return Result(self._advance(record, lease, order.supplied))
        finally:
            self._store.release(lease)

    def resume(self, name: str, *, vouched: bool = False) -> Result:
        """Go on with an unfinished rotation. `vouched`: a person says that what it waits for has been done."""
        lease = self._acquire(name)
        try:
            record = self._ready(name)
            rotation = record.rotation
            if rotation is None or rotation.final:
                raise UsageError(f"{name} has no unfinished rotation", "clawsecrets rotations lists them")
            record = self._commit(record, rotation.resumed(self._clock.now()), lease, "resume", "")
            record = self._vouch(record, lease) if vouched else self._after_crash(record, lease)
            return Result(self._advance(record, lease, None))
        finally:
            self._store.release(lease)

    def abort(self, name: str) -> Result:
        """Back out of an unfinished rotation, as far as that is possible."""
        lease = self._acquire(name)
        try:
            record = self._ready(name)
            rotation = record.rotation
            if rotation is None or rotation.final:
                raise UsageError(f"{name} has no unfinished rotation", "clawsecrets rotations lists them")
            table = table_for(rotation.strategy, compromised=rotation.compromised)
            if rotation.armed and rotation.state is not State.STUCK:  # a crash: settle it before anything else
                record = self._settle(record, lease, Done(Reply(Outcome.UNKNOWN, "interrupted")))
                rotation = record.rotation or rotation
            problem = ""
            try:
                rotation = rotation.aborted(table, self._clock.now(), "aborted by a person")
            except ValueError as error:
                problem = str(error)
            if problem:
                raise UsageError(f"{name}: {problem}", f"clawsecrets rotations resume {name}")
            record = self._commit(record, rotation, lease, "abort", "")
            return Result(self._advance(record, lease, None))
        finally:
            self._store.release(lease)

    # --- the loop -----------------------------------------------------------------------------------------------

    def _advance(self, record: Record, lease: Lease, supplied: SecretValue | None) -> Record:
        start, asked = self._clock.now(), False
        while record.rotating:
            rotation = self._rotation(record)
            if rotation.state is State.STUCK:
                break
            if rotation.parked:
                if rotation.waits_for is Wait.PERSON and asked and supplied is None:
                    break
                wait = max(0.0, rotation.until - self._clock.now())
                if wait and self._clock.now() + wait > start + self._settings.patience:
                    break
                self._sleep(wait, lease)
                asked = True
                record = self._commit(record, rotation.arm(), lease, "", "")
            before = self._rotation(record)
            record = self._step(record, lease, supplied)
            after = self._rotation(record)
            if after.parked and after.waits_for is Wait.PERSON:
                asked, supplied = True, None
            if after.state is before.state and after.tries > before.tries:
                self._sleep(RETRY_PAUSE[min(after.tries, len(RETRY_PAUSE)) - 1], lease)
        return record

    def _step(self, record: Record, lease: Lease, supplied: SecretValue | None) -> Record:
        rotation = self._rotation(record)
        row = table_for(rotation.strategy, compromised=rotation.compromised)[rotation.state]
        self._store.renew(lease)
        outfit = self._gear.outfit(record.secret, rotation.strategy)
        self._progress.step(rotation.secret, rotation.state.value, row.step.value)
        job = Job(record, rotation, outfit, self._store, self._gear, self._clock.now(), supplied)
        done = STEPS[row.step](job)
        self._progress.result(rotation.secret, row.step.value, done.reply.outcome.value, done.reply.detail)
        try:
            return self._settle(record, lease, done, minting=row.step in MINTING)
        except Fenced:
            if row.step is Step.CREATE and rotation.strategy == "overlap" and done.reply.outcome is Outcome.OK:
                # Nobody will ever know of this one but us: the holder that took over discards by label and mints
                # its own. Killing it here is the only thing a fenced process may still do.
                outfit.issuer.revoke(done.reply.handle, done.reply.value, job.request)
            raise

    def _settle(self, record: Record, lease: Lease, done: Done, *, minting: bool = False) -> Record:
        rotation, reply, now = self._rotation(record), done.reply, self._clock.now()
        table = table_for(rotation.strategy, compromised=rotation.compromised)
        until = 0.0
        if reply.outcome is Outcome.LATER and not reply.person:
            until = now + max(0.2, reply.after or min(60.0, max(1.0, (now - rotation.entered_at) / 2)))
        settled = rotation.settle(table, reply.outcome, now, reply.detail, until=until, person=reply.person)
        if done.caveat and done.caveat not in settled.caveats:
            settled = replace(settled, caveats=(*settled.caveats, done.caveat))
        value = reply.value if minting and reply.outcome is Outcome.OK else None
        return self._commit(record, settled, lease, table[rotation.state].step.value, reply.detail, done, value)

    def _commit(self, record: Record, rotation: Rotation, lease: Lease, step: str, detail: str,
                done: Done | None = None, value: SecretValue | None = None) -> Record:
        """Make it durable. When somebody edited the record meanwhile (not its rotation), decide again on theirs."""
        known, now = record.rotation, self._clock.now()
        for _ in range(5):
            edited = done.edit(record) if done is not None else record
            minted = None if value is None or done is None else self._minted(edited, rotation, value, done.reply, now)
            moved = known is None or rotation.state is not known.state or minted is not None
            entered = enter(edited, rotation, now, minted) if moved else replace(edited, rotation=rotation)
            values = {} if minted is None or value is None else {minted.number: value}
            event = self._event(entered, rotation, step, detail)
            try:
                return self._store.commit([Change(entered, event, values)], lease)[0]
            except StaleRecord:
                record = self._store.load(record.secret.name)
            if record.rotation != known:
                break
        raise Fenced(f"{rotation.secret} was changed by another process", "run the command again")

    def _minted(self, record: Record, rotation: Rotation, value: SecretValue, reply: Reply, now: float) -> Version:
        return Version(
            number=record.last_number + 1, stage=Stage.PENDING, created_at=now,
            fingerprint=self._store.fingerprint(value), handle=reply.handle, identity=reply.identity,
            origin="rotation", label=rotation.id, expires_at=reply.expires_at,
        )

    # --- beginnings ----------------------------------------------------------------------------------------------

    def _begin(self, record: Record, order: Order, lease: Lease) -> Record:
        now, secret = self._clock.now(), record.secret
        rotation = Rotation(
            id=self._new_id(), secret=secret.name, strategy=self._gear.outfit(secret).strategy,
            state=State.PLANNED, started_at=now, entered_at=now, old_version=self._current(record),
            compromised=order.compromised, revoke_unproven=order.revoke_unproven,
        )
        return self._commit(record, rotation, lease, "begin", "")

    def _join(self, record: Record, order: Order, lease: Lease) -> Record:
        """An unfinished rotation: settle what a crash left, and take the new urgency over."""
        rotation = self._rotation(record)
        urgent = replace(rotation, compromised=order.compromised or rotation.compromised,
                         revoke_unproven=order.revoke_unproven or rotation.revoke_unproven)
        if urgent != rotation:
            if urgent.state is State.STUCK:
                urgent = urgent.resumed(self._clock.now())
            if urgent.state not in table_for(urgent.strategy, compromised=urgent.compromised):
                raise UsageError(f"{rotation.secret} is already backing out of a rotation",
                                 f"clawsecrets rotations resume {rotation.secret}")
            record = self._commit(record, urgent, lease, "urgent", "")
        return self._after_crash(record, lease)

    def _after_crash(self, record: Record, lease: Lease) -> Record:
        rotation = self._rotation(record)
        if rotation.armed and rotation.state is not State.STUCK and not rotation.final:
            return self._settle(record, lease, Done(Reply(Outcome.UNKNOWN, "interrupted")))
        return record

    def _vouch(self, record: Record, lease: Lease) -> Record:
        rotation = self._rotation(record)
        row = table_for(rotation.strategy, compromised=rotation.compromised).get(rotation.state)
        if row is None or not row.vouch:
            raise UsageError(f"{rotation.secret} is {rotation.state.value}: nothing there is a person's to vouch for",
                             f"clawsecrets rotations resume {rotation.secret}")
        done = Done(Reply(Outcome.OK, "a person vouched for it"), caveat=f"{row.step.value}: on a person's word")
        return self._settle(record, lease, done)

    def _ready(self, name: str) -> Record:
        record = self._store.load(name)
        if record.reconcile:
            raise UsageError(f"{name} comes from a restored backup and waits for your confirmation",
                             "clawsecrets restore --confirm")
        if record.secret.deleted_at:
            raise UsageError(f"{name} is deleted", f"clawsecrets undelete {name}")
        return record

    def _acquire(self, name: str) -> Lease:
        end = self._clock.now() + self._settings.queue
        while True:
            try:
                return self._store.acquire(name, self._settings.holder, self._settings.lease)
            except StoreBusy as busy:
                if self._clock.now() >= end:
                    raise StoreBusy(busy.message, busy.hint or "wait for it to end, then run it again") from None
            self._clock.sleep(0.1)

    def _sleep(self, seconds: float, lease: Lease) -> None:
        """Wait without losing the lease."""
        left = seconds
        while left > 0:
            piece = min(left, self._settings.lease / 3)
            self._clock.sleep(piece)
            self._store.renew(lease)
            left -= piece

    @staticmethod
    def _current(record: Record) -> int:
        return record.current.number if record.current else 0

    @staticmethod
    def _rotation(record: Record) -> Rotation:
        assert record.rotation is not None
        return record.rotation

    def _event(self, record: Record, rotation: Rotation, step: str, detail: str) -> AuditEvent:
        told: Mapping[str, str] = {"strategy": rotation.strategy}
        if step:
            told = {**told, "step": step}
        if detail:
            told = {**told, "note": detail}
        return AuditEvent(self._clock.now(), self._settings.actor, f"rotation.{rotation.state.value}",
                          record.secret.name, rotation.new_version or rotation.old_version, rotation.id, told)

