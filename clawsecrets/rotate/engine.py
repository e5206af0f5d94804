"""The loop: take the lease, look up the row, do its step, commit where it leads. Crashes need no code of their own.

Every commit holds the rotation's next state, the labels and ledger that state means, and an audit event. The state
is durable before its step runs, so that after a kill the next run settles it with UNKNOWN and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from clawsecrets.errors import ClawError, Fenced, StaleRecord, StoreBusy, StoreError, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.hosts import AWAITED
from clawsecrets.model.record import Record, Revocation, owe_late
from clawsecrets.model.rotation import Outcome, Rotation, State, Step, Table, Wait
from clawsecrets.model.secret import SecretValue
from clawsecrets.model.strategies import table_for
from clawsecrets.ports import Clock, Lease, Progress, Reply, Store
from clawsecrets.rotate import admission
from clawsecrets.rotate.commits import TURNS, Commits
from clawsecrets.rotate.delivery import Delivered
from clawsecrets.rotate.elsewhere import carriers
from clawsecrets.rotate.fenced import end_spare, make_good
from clawsecrets.rotate.gear import Gear
from clawsecrets.rotate.job import Done, Job
from clawsecrets.rotate.order import Order, Result, Settings, may_give
from clawsecrets.rotate.redeliver import edit_secret, redeliver
from clawsecrets.rotate.steps import STEPS

MINTING = frozenset({Step.CREATE, Step.RECOVER, Step.RECREATE, Step.OBTAIN, Step.REFRESH})
TAKING = frozenset({Step.OBTAIN, Step.RECOVER, Step.REAUTHORIZE})
"""Steps that take the value which a person supplied."""
RETRY_PAUSE = (0.5, 1.0, 2.0)
"""Seconds before an idempotent step is done again after UNKNOWN."""


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
        self._stepping: set[str] = set()
        """Secrets of which a rotation was under way when this process was last heard of."""
        self._commits = Commits(store, clock, progress, settings.actor, settings.lead)

    # --- what commands call ------------------------------------------------------------------------------------

    def rotate(self, name: str, order: Order) -> Result:
        """Begin a rotation, or go on with an unfinished one, until it ends or must wait.

        `already` when the version asked for is not current any more and no unfinished rotation of it is left.
        StoreBusy after `queue` seconds of another process rotating it; Fenced when our lease was taken over.
        UsageError for a version that never was, or a supplied value that cannot be taken now.
        """
        expected = order.from_version or admission.current_of(self._store.load(name))
        lease = self._acquire(name)
        with self._telling(name, lease):
            for _ in range(TURNS - 1):
                with suppress(StaleRecord):  # edited between our look and our beginning: look again
                    return self._rotate(name, order, expected, lease)
            return self._rotate(name, order, expected, lease)

    def _rotate(self, name: str, order: Order, expected: int, lease: Lease) -> Result:
        """Under the lease. StaleRecord when somebody edited the record just as a rotation was to begin."""
        record = self._ready(name)
        if admission.already(record, order, expected):
            return Result(record, already=True)
        if record.rotating and admission.carried_elsewhere(record, self._rotation(record), self._gear):
            return Result(record)
        if not record.rotating:
            return Result(self._advance(self._begin(record, order, lease), lease, order.supplied))
        record = self._advance(self._join(record, order, lease), lease, order.supplied)
        rotation = self._rotation(record)
        if order.compromised and rotation.final and not rotation.compromised:
            # It was on its way back when the order came: the leaked value is current again, so begin anew.
            record = self._advance(self._begin(record, order, lease), lease, order.supplied)
        return Result(record)

    def resume(self, name: str, *, vouched: bool = False) -> Result:
        """Go on with an unfinished rotation. `vouched`: a person says that what it waits for has been done; that
        stands in for what cannot be seen, never against what is seen."""
        lease = self._acquire(name)
        with self._telling(name, lease):
            record, rotation = self._unfinished(name)
            if vouched:
                self._may_vouch(rotation)
            resumed = rotation.resumed(self._table(rotation), self._clock.now(), here=vouched)
            record = self._commit(record, resumed.arm() if vouched else resumed, lease, "resume", "")
            record = self._step(record, lease, None, vouched=True) if vouched else self._after_crash(record, lease)
            return Result(self._advance(record, lease, None))

    def abort(self, name: str) -> Result:
        """Back out of an unfinished rotation, as far as that is possible."""
        lease = self._acquire(name)
        with self._telling(name, lease):
            record, rotation = self._unfinished(name)
            record = self._after_crash(record, lease)  # what a crash left is settled before anything else
            rotation = self._rotation(record)
            if rotation.final:
                return Result(record)
            aborted, problem = rotation, ""
            try:
                aborted = rotation.aborted(self._table(rotation), self._clock.now(), "aborted by a person")
            except ValueError as error:
                problem = str(error)
            if problem:
                raise UsageError(f"{name}: {problem}", f"clawsecrets rotations resume {name}")
            record = self._commit(record, aborted, lease, "abort", "")
            return Result(self._advance(record, lease, None))

    @contextmanager
    def _telling(self, name: str, lease: Lease) -> Iterator[None]:
        """Release the lease at the end. Where the store fails in the middle of a rotation, its error says that, too."""
        self._stepping.discard(name)
        try:
            try:
                yield
            finally:
                self._store.release(lease)
        except (Fenced, StaleRecord, StoreBusy):
            raise
        except StoreError as error:
            if name in self._stepping:
                error.message += f"; the rotation of {name} is unfinished"
                error.hint = "; ".join(filter(None, (error.hint, f"clawsecrets rotate {name}, or the daemon, then goes "
                                                     "on with the rotation")))
            raise

    # --- the loop -----------------------------------------------------------------------------------------------

    def _advance(self, record: Record, lease: Lease, supplied: SecretValue | None) -> Record:
        start, asked, first = self._clock.now(), False, True
        while record.rotating and self._rotation(record).state is not State.STUCK:
            rotation = self._rotation(record)
            self._stepping.add(rotation.secret)
            if self._settings.stopping():
                parked = rotation.park(self._clock.now())
                return record if rotation.parked else self._commit(record, parked, lease, "", "")
            if rotation.parked:
                heard = first and rotation.note.startswith(AWAITED)  # another host may have spoken: look at once
                if not heard and not self._awaited(rotation, lease, start, past=asked and supplied is None):
                    break
                asked, first = True, False
                record = self._commit(record, rotation.arm(), lease, "", "")
            before = self._rotation(record)
            record = self._step(record, lease, supplied)
            after = self._rotation(record)
            if self._table(before)[before.state].step in TAKING and after.state is not before.state:
                supplied = None  # taken: when the provider refuses it, a person is asked for another
            if after.parked and after.waits_for is Wait.PERSON:
                asked, supplied = True, None
            if after.state is before.state and after.tries > before.tries:
                self._sleep(RETRY_PAUSE[min(after.tries, len(RETRY_PAUSE)) - 1], lease)
        if not record.rotating:
            self._stepping.discard(record.secret.name)
        return record

    def _awaited(self, rotation: Rotation, lease: Lease, start: float, *, past: bool) -> bool:
        """Wait for a parked rotation's time, if that is within this run's patience; whether to go on with it. `past`:
        the person that it may wait for was asked in this run."""
        if rotation.waits_for is Wait.PERSON and past:
            return False
        wait = max(0.0, rotation.until - self._clock.now())
        if wait and self._clock.now() + wait > start + self._settings.patience:
            return False
        self._sleep(wait, lease)
        return not self._settings.stopping()

    def _step(self, record: Record, lease: Lease, supplied: SecretValue | None, *, vouched: bool = False) -> Record:
        rotation = self._rotation(record)
        row = self._table(rotation)[rotation.state]
        self._store.renew(lease)
        outfit = self._gear.outfit(record.secret, rotation.strategy)
        self._progress.step(rotation.secret, rotation.state.value, row.step.value)
        job = Job(record, rotation, outfit, self._store, self._gear, self._clock.now(), supplied, vouched,
                  partial(self._store.renew, lease), self._settings.actor)
        done = STEPS[row.step](job)
        self._progress.result(rotation.secret, row.step.value, done.reply.outcome.value, done.reply.detail)
        try:
            return self._settle(record, lease, done, minting=row.step in MINTING)
        except Fenced as error:
            fenced = error
        if self._hand_in(rotation, done.reply):
            end_spare(job, row.step, done.reply)
        else:
            make_good(job, row.step, done.reply, self._owe_late)
        raise Fenced(fenced.message, fenced.hint)

    def _hand_in(self, rotation: Rotation, reply: Reply) -> bool:
        """A fenced process may hold the only live value (cut-over) or refresh token, while whoever took over is stuck
        for want of it. Then it takes the lease anew and gives it as a person would; whether that was done."""
        given = {"cut-over": reply.value, "refresh": reply.refresh}.get(rotation.strategy)
        if reply.outcome is not Outcome.OK or given is None:
            return False
        try:
            lease = self._store.acquire(rotation.secret, self._settings.holder, self._settings.lease)
        except StoreBusy:
            return False
        try:
            record = self._ready(rotation.secret)
            known = record.rotation
            if known is None or known.id != rotation.id or not may_give(known):
                return False
            record = self._join(record, Order(supplied=given), lease)
            self._advance(record, lease, given)
            return True
        finally:
            self._store.release(lease)

    def _owe_late(self, name: str, entry: Revocation) -> bool:
        """Put what a fenced process made and could not revoke into the ledger; False when another one is at work."""
        try:
            lease = self._store.acquire(name, self._settings.holder, self._settings.lease)
        except StoreError:
            return False
        try:
            event = AuditEvent(self._clock.now(), self._settings.actor, "revocation.owed", name, 0, entry.rotation,
                               {"reason": entry.reason, "note": entry.note})
            edit_secret(self._store, lease, name, lambda record: owe_late(record, entry), event)
            return True
        except ClawError:  # the record is gone, or the store cannot be written: a person is told instead
            return False
        finally:
            self._store.release(lease)

    def deliver(self, name: str) -> Delivered:
        """Write every target of the secret anew with what it is to hold now (`inject`).

        StoreBusy after `queue` seconds of another process rotating it; UsageError for a deleted one, and for one of a
        restored backup that is not confirmed.
        """
        lease = self._acquire(name)
        try:
            self._ready(name)
            return redeliver(self._store, self._gear, self._clock, lease, self._settings.actor)
        finally:
            self._store.release(lease)

    def _settle(self, record: Record, lease: Lease, done: Done, *, minting: bool = False) -> Record:
        rotation, reply, now = self._rotation(record), done.reply, self._clock.now()
        table = self._table(rotation)
        until = 0.0
        if reply.outcome is Outcome.LATER and not reply.person:
            until = now + max(0.2, reply.after or min(60.0, max(1.0, (now - rotation.entered_at) / 2)))
        settled = rotation.settle(table, reply.outcome, now, reply.detail, until=until, person=reply.person)
        for caveat in filter(None, (done.caveat, *done.more)):
            if caveat not in settled.caveats:
                settled = replace(settled, caveats=(*settled.caveats, caveat))
        if done.note and settled.done:
            settled = replace(settled, note=done.note)
        value = reply.value if minting and reply.outcome is Outcome.OK else None
        return self._commit(record, settled, lease, table[rotation.state].step.value, reply.detail, done, value)

    def _commit(self, record: Record, rotation: Rotation, lease: Lease, step: str, detail: str,
                done: Done | None = None, value: SecretValue | None = None) -> Record:
        return self._commits.write(record, rotation, lease, step, detail, done, value)

    # --- beginnings ----------------------------------------------------------------------------------------------

    def _begin(self, record: Record, order: Order, lease: Lease) -> Record:
        now, secret = self._clock.now(), record.secret
        strategy = self._gear.outfit(secret).strategy
        admission.require_taken(record, order, strategy)
        rotation = Rotation(
            id=self._new_id(), secret=secret.name, strategy=strategy,
            state=State.PLANNED, started_at=now, entered_at=now, old_version=admission.current_of(record),
            failures=record.rotation.failures if record.rotation else 0, compromised=order.compromised,
            revoke_unproven=order.revoke_unproven,
        )
        return self._commits.begin(record, rotation, lease)

    def _join(self, record: Record, order: Order, lease: Lease) -> Record:
        """An unfinished rotation: settle what a crash left, and take the new urgency over."""
        rotation = self._rotation(record)
        admission.require_joined(record, rotation, order, self._store)
        now = self._clock.now()
        urgent = admission.joined(rotation, order, now)
        given = order.supplied is not None and rotation.state is State.STUCK
        if urgent != rotation or given:
            record = self._commit(record, urgent, lease, "urgent" if not given else "resume", "")
        return self._after_crash(record, lease)

    def _after_crash(self, record: Record, lease: Lease) -> Record:
        rotation = self._rotation(record)
        if rotation.armed and rotation.state is not State.STUCK and not rotation.final:
            return self._settle(record, lease, Done(Reply(Outcome.UNKNOWN, "interrupted")))
        return record

    def _may_vouch(self, rotation: Rotation) -> None:
        row = self._table(rotation).get(rotation.stuck_in or rotation.state)
        if row is None or not row.vouch:
            raise UsageError(f"{rotation.secret} is {rotation.state.value}: nothing there is a person's to vouch for",
                             f"clawsecrets rotations resume {rotation.secret}")

    def _unfinished(self, name: str) -> tuple[Record, Rotation]:
        record = self._ready(name)
        if not record.rotating:
            raise UsageError(f"{name} has no unfinished rotation", "clawsecrets rotations lists them")
        others = self._carriers(record)
        if others and self._rotation(record).state is not State.PLANNED:
            raise UsageError(f"{name} is validated by a consumer on host {' or '.join(others)}: its rotation goes on "
                             "there", "run it on that host")
        return record, self._rotation(record)

    def _carriers(self, record: Record) -> Sequence[str]:
        """Other hosts of which one must carry its rotation out; none: this one can."""
        return carriers(self._gear.outfit(record.secret, self._rotation(record).strategy), record.secret)

    def _ready(self, name: str) -> Record:
        return admission.ready(self._store.load(name))

    def _acquire(self, name: str) -> Lease:
        end, pause, told = self._clock.now() + self._settings.queue, 0.1, False
        while True:
            try:
                return self._store.acquire(name, self._settings.holder, self._settings.lease)
            except StoreBusy as busy:
                if self._clock.now() >= end:
                    raise StoreBusy(busy.message, busy.hint or "wait for it to end, then run it again",
                                    busy.left) from None
                if not told:
                    self._progress.waits(name, busy.message, self._clock.now() + busy.left if busy.left else 0.0)
                told = True
            self._clock.sleep(pause)
            pause = min(2 * pause, 2.0)  # on a cluster each look is a write there

    def _sleep(self, seconds: float, lease: Lease) -> None:
        """Wait without losing the lease."""
        left = seconds
        while left > 0:
            piece = min(left, self._settings.lease / 3)
            self._clock.sleep(piece)
            self._store.renew(lease)
            left -= piece

    @staticmethod
    def _table(rotation: Rotation) -> Table:
        return table_for(rotation.strategy, compromised=rotation.compromised)

    @staticmethod
    def _rotation(record: Record) -> Rotation:
        assert record.rotation is not None
        return record.rotation
