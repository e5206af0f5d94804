"""Delivering outside of a rotation: what each target is to hold now, written anew under the secret's lease."""

from __future__ import annotations

from collections.abc import Callable

from clawsecrets.errors import StaleRecord
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Change, Clock, Lease, Store
from clawsecrets.rotate.delivery import Delivered, deliver
from clawsecrets.rotate.gear import Gear

TURNS = 5


def edit_secret(store: Store, lease: Lease, name: str, edit: Callable[[Record], Record], event: AuditEvent) -> Record:
    """Commit an edit on the newest record, under the lease. StaleRecord when others keep changing it."""
    for _ in range(TURNS):
        try:
            return store.commit([Change(edit(store.load(name)), event)], lease)[0]
        except StaleRecord as error:
            stale = error
    raise StaleRecord(stale.message, "run the command again")


def redeliver(store: Store, gear: Gear, clock: Clock, lease: Lease, actor: str) -> Delivered:
    """Write the secret's targets of this host, and record who was served. The audit log holds the intent before
    anything is written."""
    name = lease.name

    def event(action: str, record: Record, note: str) -> AuditEvent:
        current = record.current
        detail = {"note": note} if note else {}
        return AuditEvent(clock.now(), actor, action, name, current.number if current else 0, "", detail)

    record = edit_secret(store, lease, name, lambda it: it, event("secret.delivering", store.load(name), ""))
    rotation = record.rotation
    outfit = gear.outfit(record.secret, rotation.strategy if rotation is not None and not rotation.final else "")
    store.renew(lease)
    done = deliver(store, gear, record, outfit, clock.now(), actor=actor)
    failed = done.reply.outcome is not Outcome.OK
    note = f"{done.reply.outcome.value}: {done.reply.detail}" if failed else done.reply.detail
    if done.acks:
        edit_secret(store, lease, name, lambda it: it.ack(*done.acks), event("secret.delivered", record, note))
    return done
