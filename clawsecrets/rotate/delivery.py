"""Bringing values to targets: what each target is to hold now, computed from the records at the moment of writing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from clawsecrets.errors import NotFound
from clawsecrets.model.record import Ack, Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret
from clawsecrets.ports import Entry, Injector, Reply, Store
from clawsecrets.rotate.gear import Gear, Outfit

TURNS = 8
"""Deliveries to one target before it is said that others keep changing it."""


@dataclass(frozen=True)
class Delivered:
    """The answer of one delivery with the acknowledgements to record."""

    reply: Reply
    acks: tuple[Ack, ...] = ()


def entries_for(store: Store, gear: Gear | None, target: str, ahead: Record | None = None) -> Sequence[Entry]:
    """What `target` is to hold: every bound secret's served version. `ahead` replaces the stored record of its name.

    Read at the moment of writing, so that two rotations that share a target cannot undo each other's delivery.
    Without `gear` (a dry run's look) a value that is only staged counts as not there yet.
    """
    found: list[Entry] = []
    for record in store.records():
        if ahead is not None and record.secret.name == ahead.secret.name:
            record = ahead
        if target not in record.secret.injectors or _is_admin(gear, record.secret):
            continue
        staged = gear is not None and record.rotating and target in gear.outfit(record.secret).staged
        version = record.serving(staged=staged)
        if version is not None and not version.erased_at:
            value = store.value(record.secret.name, version.number)
            found.append(Entry(record.secret.name, version.number, value, record.secret.env))
    return found


def _is_admin(gear: Gear | None, secret: Secret) -> bool:
    return secret.kind is Kind.ADMIN if gear is None else gear.is_admin(secret)


def deliver(store: Store, gear: Gear, record: Record, outfit: Outfit, now: float,
            only: frozenset[str] | None = None) -> Delivered:
    """Write the record's targets of this host (`only` those named). The first answer that is not OK ends it."""
    acks: list[Ack] = []
    for target, injector in outfit.injectors.items():
        if only is not None and target not in only:
            continue
        reply = deliver_one(store, gear, record, target, injector)
        if reply.outcome is not Outcome.OK:
            return Delivered(reply, tuple(acks))
        version = record.serving(staged=target in outfit.staged)
        acks.append(Ack(target, version.number if version else 0, now, ""))
    return Delivered(Reply(Outcome.OK, f"{len(acks)} target(s)"), tuple(acks))


def deliver_one(store: Store, gear: Gear, record: Record, target: str, injector: Injector) -> Reply:
    """Write until what was written is still what is wanted: whoever writes last has looked after its write, so that
    two processes that deliver different secrets to one target cannot leave an older value of the other in it."""
    told: tuple[tuple[str, int], ...] = ()
    why = "others keep changing it"
    for _ in range(TURNS):
        try:
            entries = entries_for(store, gear, target, record)
        except NotFound as error:
            told, why = (), error.message  # erased between the look at its record and at its value: look again
            continue
        wanted = tuple((entry.name, entry.version) for entry in entries)
        if told and wanted == told:
            return Reply(Outcome.OK)
        reply = injector.deliver(entries)
        if reply.outcome is not Outcome.OK:
            return Reply(reply.outcome, f"{target}: {reply.detail}", after=reply.after, person=reply.person)
        told = wanted
        if not told:
            return reply
    return Reply(Outcome.UNKNOWN, f"{target}: {why}")


def missing_hosts(record: Record, version: int, mine: Collection[str], targets: Sequence[str], *,
                  proven: bool = False) -> Sequence[str]:
    """Targets of other hosts that have not acknowledged `version` yet (`proven`: with a proof)."""
    acked = {ack.target for ack in record.acks if ack.version == version and (ack.proof or not proven)}
    return [target for target in targets if target not in mine and target not in acked]
