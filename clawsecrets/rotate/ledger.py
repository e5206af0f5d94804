"""The pending-revocation ledger: credentials that must die, tried again until they are proven dead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from clawsecrets.errors import StaleRecord, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record, Revocation, owing
from clawsecrets.model.rotation import Outcome, Rotation, State
from clawsecrets.model.secret import Stage
from clawsecrets.ports import Change, Clock, Handover, Lease, Reply, Store
from clawsecrets.rotate.gear import Gear, Outfit

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

    def owed(self) -> Iterator[tuple[str, Revocation]]:
        """Every open entry."""
        for record in self._store.records():
            for entry in record.revocations:
                yield record.secret.name, entry

    def work(self, name: str, *, force: bool = False) -> list[Tried]:
        """Try the entries of one secret that are due (`force`: all). Those of an unfinished rotation are its own."""
        lease = self._store.acquire(name, self._holder, self._ttl)
        tried: list[Tried] = []
        try:
            for entry in self._store.load(name).revocations:
                record = self._store.load(name)
                if _of_unfinished(record, entry) or record.reconcile:
                    continue
                if force or entry.next_at <= self._clock.now():
                    self._store.renew(lease)
                    reply, revoked = self._try(record, entry)
                    tried.append(Tried(name, entry, reply))
                    self._note(name, entry, reply, lease, revoked=revoked)
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
            for entry in record.revocations:
                if entry.version == version and (version or entry.handle == handle):
                    if _in_use(record, entry) or _of_unfinished(record, entry):
                        raise UsageError(f"{name} version {version} is in use or being rotated: it cannot be closed",
                                         f"clawsecrets rotations resume {name} --done")
                    self._note(name, entry, Reply(Outcome.OK, "a person vouched for it"), lease)
                    return True
            return False
        finally:
            self._store.release(lease)

    def _note(self, name: str, entry: Revocation, reply: Reply, lease: Lease, *, revoked: bool = False) -> None:
        """Commit the answer, on the newest record: others may edit it meanwhile."""
        for _ in range(5):
            try:
                self._store.commit([self._change(self._store.load(name), entry, reply, revoked=revoked)], lease)
                return
            except StaleRecord as error:
                stale = error
        raise StaleRecord(stale.message, "run the command again")

    def _try(self, record: Record, entry: Revocation) -> tuple[Reply, bool]:
        """The answer, and whether the provider says that it has revoked it."""
        if _in_use(record, entry):
            return Reply(Outcome.REFUSED, "it is in use: not revoked"), False
        version, value = record.version(entry.version), None
        if version is not None and not version.erased_at:
            value = self._store.value(record.secret.name, version.number)
        outfit = self._gear.outfit(record.secret)
        handle = version.handle if version is not None and version.handle else entry.handle
        request = outfit.request(record.secret.name, "", old=value, old_handle=handle)
        if outfit.tests_elsewhere and value is not None:
            return self._refused_by_consumers(record, outfit, entry), False
        reply = outfit.issuer.revoke(handle, value, request)
        if reply.outcome is Outcome.OK and value is None and entry.version:
            return Reply(Outcome.LATER, "revoked, but its value is erased: it cannot be tried"), True
        if reply.outcome is not Outcome.OK or value is None:
            return reply, False
        shown = outfit.issuer.test(value, request)
        if shown.untestable or shown.outcome is Outcome.REFUSED:
            return Reply(Outcome.OK, "tried and refused" if not shown.untestable else "revoked; it has no test"), True
        why = "revoked, but still accepted" if shown.outcome is Outcome.OK else shown.detail
        return Reply(Outcome.LATER, why), True

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

    def _change(self, record: Record, entry: Revocation, reply: Reply, *, revoked: bool) -> Change:
        now, dead = self._clock.now(), reply.outcome is Outcome.OK
        if dead:
            record = record.settle_debt(entry, now)
            record = replace(record, rotation=_paid(record, now))
        else:
            left = tuple(entry.after_try(now, reply.detail) if e == entry else e for e in record.revocations)
            record = replace(record, revocations=left)
            if revoked and now - entry.since > self._keep:
                record = record.change(entry.version, lambda v: replace(v, erased_at=now))
        action = "revocation.done" if dead else "revocation.tried"
        rotation = record.rotation.id if record.rotation else ""
        event = AuditEvent(now, self._actor, action, record.secret.name, entry.version, rotation,
                           {"reason": entry.reason, "note": reply.detail})
        return Change(record, event)


def _in_use(record: Record, entry: Revocation) -> bool:
    version = record.version(entry.version)
    return version is not None and version.stage in (Stage.CURRENT, Stage.PENDING)


def _of_unfinished(record: Record, entry: Revocation) -> bool:
    rotation = record.rotation
    if rotation is None or rotation.final or not entry.version:
        return False
    return entry.version in (rotation.old_version, rotation.new_version)


def _paid(record: Record, now: float) -> Rotation | None:
    """The last rotation, no longer owing when nothing of it is left in the ledger."""
    rotation = record.rotation
    if rotation is None or owing(record, rotation) or rotation.state not in _PAID:
        return rotation
    return replace(rotation, state=_PAID[rotation.state], finished_at=now, note="")
