"""The pending-revocation ledger: credentials that must die, tried again until they are proven dead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from clawsecrets.errors import StaleRecord, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import WATCHED, Record, Revocation, in_use, left_by, owe_late, owing, same_value_in_use
from clawsecrets.model.rotation import Outcome, Rotation, State, Wait
from clawsecrets.model.secret import SecretValue, Stage
from clawsecrets.ports import Broken, Change, Clock, Handover, Lease, Reply, Request, Store
from clawsecrets.rotate.gear import Gear, Outfit
from clawsecrets.rotate.job import known
from clawsecrets.rotate.proof import BY_WORD

IN_USE = "it is in use: not revoked"
KEEP = 7 * 86400.0
"""Seconds that the value of a credential is kept which the provider says is revoked, but which is not proven dead."""
_PAID = {State.DONE_OWED: State.DONE, State.ABORTED_OWED: State.ABORTED}


@dataclass(frozen=True)
class Tried:
    """One entry and how the try ended."""

    secret: str
    entry: Revocation
    reply: Reply

    @property
    def dead(self) -> bool:
        """Whether the entry is closed now."""
        return self.reply.outcome is Outcome.OK


@dataclass(frozen=True)
class Answer:
    """How a try ended, and what is to be kept of it."""

    reply: Reply
    revoked: bool = False
    """The provider says that it has revoked something."""
    caveat: str = ""
    seen: bool = False
    """OK: it was seen to be refused."""
    owe: tuple[Revocation, ...] = ()
    """Found, and could not be revoked."""


@dataclass(frozen=True)
class HeldBack:
    """Why an entry is not tried by itself or by `revocations retry`, and the command that brings it on."""

    why: str
    command: str


def held_back(record: Record, entry: Revocation) -> HeldBack | None:
    """What keeps an entry from being tried; None: nothing does."""
    name, rotation = record.secret.name, record.rotation
    if record.reconcile:
        return HeldBack("it comes from a restored backup that is not confirmed", "clawsecrets restore --confirm")
    if rotation is None or not _of_unfinished(record, entry):
        return None
    if rotation.state is State.STUCK:
        why = "is stuck"
    elif rotation.waits_for is Wait.PERSON and rotation.state in (State.RETIRING, State.PROVING_DEAD):
        why = "waits for you to revoke it, and for --done if it cannot be tried"
    else:
        why = f"is unfinished ({rotation.state.value})"
    note = f": {rotation.note}" if rotation.note else ""
    return HeldBack(f"its rotation {why}{note}", f"clawsecrets rotations resume {name}")


class Ledger:
    """Works off the debts of one store."""

    def __init__(self, store: Store, gear: Gear, clock: Clock, actor: str, holder: str, lease: float = 90.0,
                 keep: float = KEEP) -> None:
        self._store = store
        self._gear = gear
        self._clock = clock
        self._actor = actor
        self._holder = holder
        self._ttl = lease
        self._keep = keep

    def owed(self, broken: Broken | None = None) -> Iterator[tuple[str, Revocation]]:
        """Every open debt; `broken` as for the store's records."""
        for record in self._store.records(broken=broken):
            for entry in record.debts:
                yield record.secret.name, entry

    def due(self, now: float, broken: Broken | None = None) -> list[str]:
        """Names of the secrets whose ledger has an entry to be worked on now; watches too. `broken` as for the store's
        records."""
        return [record.secret.name for record in self._store.records(broken=broken) if not record.reconcile
                and any(e.next_at <= now and not _of_unfinished(record, e) for e in record.revocations)]

    def work(self, name: str, *, force: bool = False) -> list[Tried]:
        """Try the entries of one secret that are due (`force`: all). Those of an unfinished rotation are its own.

        Watches are looked after as well, but told of only when something was found.
        """
        lease = self._store.acquire(name, self._holder, self._ttl)
        tried: list[Tried] = []
        try:
            for entry in self._store.load(name).revocations:
                record = self._store.load(name)
                if held_back(record, entry) is not None:
                    continue
                if force or entry.next_at <= self._clock.now():
                    self._store.renew(lease)
                    answer = self._look(record, entry, lease) if entry.watch else self._try(record, entry)
                    if not entry.watch or answer.owe or answer.revoked:
                        tried.append(Tried(name, entry, answer.reply))
                    self._note(name, entry, answer, lease)
        finally:
            self._store.release(lease)
        return tried

    def vouch(self, name: str, version: int, handle: str = "") -> bool:
        """A person says that it is dead. False when no such entry stands in the ledger.

        UsageError for one that is in use, or that an unfinished rotation is still working on.
        """
        lease = self._store.acquire(name, self._holder, self._ttl)
        try:
            record = self._store.load(name)
            for entry in record.debts:
                if entry.version == version and (version or entry.handle == handle):
                    if _serves(record, entry) or _of_unfinished(record, entry):
                        raise UsageError(f"{name} version {version} is in use or being rotated: it cannot be closed",
                                         f"clawsecrets rotations resume {name} --done")
                    answer = Answer(Reply(Outcome.OK, "a person vouched for it"), caveat=f"revoked {BY_WORD}")
                    self._note(name, entry, answer, lease)
                    return True
            return False
        finally:
            self._store.release(lease)

    def _note(self, name: str, entry: Revocation, answer: Answer, lease: Lease) -> None:
        """Commit the answer, on the newest record: others may edit it meanwhile."""
        for _ in range(5):
            try:
                self._store.commit([self._change(self._store.load(name), entry, answer)], lease)
                return
            except StaleRecord as error:
                stale = error
        raise StaleRecord(stale.message, "run the command again")

    def _try(self, record: Record, entry: Revocation) -> Answer:
        """Revoke it and try it; never by an id, nor of a value, that another version in use has too."""
        version, value = record.version(entry.version), None
        if _serves(record, entry) or (not entry.version and in_use(record, entry)):
            return Answer(Reply(Outcome.REFUSED, IN_USE))
        if version is not None and not version.erased_at:
            value = self._store.value(record.secret.name, version.number)
        outfit = self._gear.outfit(record.secret)
        handle = version.handle if version is not None and version.handle else entry.handle
        request = outfit.request(record.secret.name, "", old=value, old_handle=handle)
        if outfit.tests_elsewhere and value is not None:
            return Answer(self._refused_by_consumers(record, outfit, entry), seen=True)
        if in_use(record, entry):
            return _only_tried(outfit, value, request)
        reply = outfit.issuer.revoke(handle, value, request)
        if reply.outcome is Outcome.OK and value is None and entry.version:
            return Answer(Reply(Outcome.LATER, "revoked, but its value is erased: it cannot be tried"), revoked=True)
        if reply.outcome is not Outcome.OK or value is None:
            return Answer(reply)
        shown = outfit.issuer.test(value, request)
        if shown.untestable:
            return Answer(Reply(Outcome.OK, "revoked; it has no test"), True, "revoked, could not be tried: no test")
        if shown.outcome is Outcome.REFUSED:
            return Answer(Reply(Outcome.OK, "tried and refused"), True, seen=True)
        why = "revoked, but still accepted" if shown.outcome is Outcome.OK else shown.detail
        return Answer(Reply(Outcome.LATER, why), True)

    def _look(self, record: Record, entry: Revocation, lease: Lease) -> Answer:
        """Whether something came late under a watched label. Closed when nothing did, long enough after the loss."""
        name, outfit = record.secret.name, self._gear.outfit(record.secret)
        request = outfit.request(name, entry.label)
        reply, found = outfit.issuer.find(request)
        if reply.outcome is not Outcome.OK:
            return Answer(Reply(Outcome.LATER, reply.detail))
        killed, owed = 0, []
        for item in found:
            self._store.renew(lease)
            if known(self._store.load(name), item):
                continue
            answer = outfit.issuer.revoke(item.handle, None, request)
            killed += answer.outcome is Outcome.OK
            if answer.outcome is not Outcome.OK:
                owed.append(Revocation(0, item.handle, self._clock.now(), "orphan", next_at=self._clock.now(),
                                       note=answer.detail, label=entry.label, rotation=entry.rotation))
        if killed or owed:
            told = f"{killed} made late: revoked" + (f"; {len(owed)} could not be revoked" if owed else "")
            return Answer(Reply(Outcome.LATER, told), killed > 0, owe=tuple(owed))
        old = self._clock.now() - entry.since >= WATCHED
        return Answer(Reply(Outcome.OK if old else Outcome.LATER, "nothing came late" if old else "nothing so far"))

    def _refused_by_consumers(self, record: Record, outfit: Outfit, entry: Revocation) -> Reply:
        current, name = record.current, record.secret.name
        if current is None:
            return Reply(Outcome.LATER, "there is no current version to compare with")
        handover = Handover(name, record.secret.provider, record.secret.kind.value,
                            self._store.value(name, current.number), current.number,
                            self._store.value(name, entry.version))
        for target, consumer in outfit.consumers.items():
            reply = consumer.probe(handover) if consumer.validates else Reply(Outcome.OK)
            if reply.outcome is not Outcome.OK:
                return replace(reply, detail=f"{target}: {reply.detail}")
        return Reply(Outcome.OK, "tried and refused")

    def _change(self, record: Record, entry: Revocation, answer: Answer) -> Change:
        now, reply = self._clock.now(), answer.reply
        dead = reply.outcome is Outcome.OK
        for debt in answer.owe:
            record = owe_late(record, debt)
        if dead:
            record = record.settle_debt(entry, now, seen=answer.seen)
            record = replace(record, rotation=_paid(record, entry, answer.caveat, now))
        else:
            left = tuple(entry.after_try(now, reply.detail) if e == entry else e for e in record.revocations)
            record = replace(record, revocations=left)
            if answer.revoked and entry.version and now - entry.since > self._keep:
                record = record.change(entry.version, lambda v: replace(v, erased_at=now))
        action = ("watch" if entry.watch else "revocation") + (".done" if dead else ".tried")
        rotation = entry.rotation or (record.rotation.id if record.rotation else "")
        event = AuditEvent(now, self._actor, action, record.secret.name, entry.version, rotation,
                           {"reason": entry.reason, "note": reply.detail})
        return Change(record, event)


def _only_tried(outfit: Outfit, value: SecretValue | None, request: Request) -> Answer:
    """It has the id of one in use: a revocation could kill that one. It may be dead already."""
    if value is not None:
        shown = outfit.issuer.test(value, request)
        if shown.outcome is Outcome.REFUSED and not shown.untestable:
            return Answer(Reply(Outcome.OK, "tried and refused"), seen=True)
    return Answer(Reply(Outcome.LATER, "one in use has the same id at the provider, so nothing is revoked by it: "
                                       "revoke it by hand"))


def _serves(record: Record, entry: Revocation) -> bool:
    """Whether it is itself in use: its own version, or its value as another version."""
    version = record.version(entry.version)
    own = version is not None and version.stage in (Stage.CURRENT, Stage.PENDING)
    return own or same_value_in_use(record, entry)


def _of_unfinished(record: Record, entry: Revocation) -> bool:
    rotation = record.rotation
    if rotation is None or rotation.final or not entry.version:
        return False
    return entry.version in (rotation.old_version, rotation.new_version)


def _paid(record: Record, entry: Revocation, caveat: str, now: float) -> Rotation | None:
    """The last rotation, no longer owing when nothing of it is left in the ledger."""
    rotation = record.rotation
    if rotation is None:
        return None
    if caveat and left_by(entry, rotation) and caveat not in rotation.caveats:
        rotation = replace(rotation, caveats=(*rotation.caveats, caveat))
    if owing(record, rotation) or rotation.state not in _PAID:
        return rotation
    state = _PAID[rotation.state]
    return replace(rotation, state=state, finished_at=now, note=rotation.reason if state is State.ABORTED else "")
