"""What is asked of a secret: can it be done, and is there anything to do? Answered by the engine before it does it,
and by `rotate --dry-run` instead of it, in the same words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from clawsecrets.errors import UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, Rotation, State
from clawsecrets.model.strategies import BACKING_OUT, table_for
from clawsecrets.ports import Store
from clawsecrets.rotate.elsewhere import carriers
from clawsecrets.rotate.gear import Gear
from clawsecrets.rotate.order import Order, Result, may_give


def ready(record: Record) -> Record:
    """The record itself. UsageError for one that nothing is done with: kept elsewhere, not confirmed, deleted."""
    name = record.secret.name
    if record.elsewhere:
        raise UsageError(f"{name} is kept in another store: {record.elsewhere}", "work with that one (--store)")
    if record.reconcile:
        raise UsageError(f"{name} comes from a restored backup and waits for your confirmation",
                         "clawsecrets restore --confirm")
    if record.secret.deleted_at:
        raise UsageError(f"{name} is deleted", f"clawsecrets undelete {name}")
    return record


def already(record: Record, order: Order, expected: int) -> bool:
    """Whether there is nothing to do: the version asked for is not current any more, and no unfinished rotation of it
    is left. UsageError for a version that never was."""
    current = current_of(record)
    if not 0 <= expected <= record.last_number:
        raise UsageError(f"{record.secret.name} has no version {expected}", f"version {current} is current")
    rotation = record.rotation
    if rotation is None or rotation.final:
        return current != expected or not order.begin
    return bool(order.from_version) and expected not in (current, rotation.old_version)


def carried_elsewhere(record: Record, rotation: Rotation, gear: Gear) -> bool:
    """Whether another host goes on with an unfinished rotation: it was begun here, and is carried out there."""
    outfit = gear.outfit(record.secret, rotation.strategy)
    return rotation.state is not State.PLANNED and bool(carriers(outfit, record.secret))


def require_taken(record: Record, order: Order, strategy: str) -> None:
    """UsageError where a beginning rotation would not take the supplied value."""
    if order.supplied is not None and strategy != "assisted":
        raise _takes_none(record.secret.name, strategy)


def require_joined(record: Record, rotation: Rotation, order: Order, store: Store) -> None:
    """UsageError where an unfinished one would not: a supplied value must not be dropped in silence, for the person
    believes that it is in use from now on."""
    new = record.version(rotation.new_version)
    if order.supplied is None or may_give(rotation):
        return
    require_taken(record, order, rotation.strategy)
    if new is not None and not new.erased_at and store.value(rotation.secret, new.number) != order.supplied:
        raise UsageError(f"{rotation.secret}: its unfinished rotation has another new value already",
                         f"finish it first: clawsecrets rotations resume {rotation.secret}, or abort it")


def joined(rotation: Rotation, order: Order, now: float) -> Rotation:
    """An unfinished rotation with the urgency of the order, out of STUCK where that, or the value given, leads out.

    One that is backing out stays as it is: it must end before a compromised value can be replaced.
    """
    urgent = replace(rotation, compromised=order.compromised or rotation.compromised,
                     revoke_unproven=order.revoke_unproven or rotation.revoke_unproven)
    stands = rotation.stuck_in or rotation.state
    if stands in BACKING_OUT or stands is State.UNDOING:
        urgent = rotation
    if urgent == rotation and (order.supplied is None or rotation.state is not State.STUCK):
        return rotation
    return urgent.resumed(table_for(urgent.strategy, compromised=urgent.compromised), now)


def current_of(record: Record) -> int:
    """The number of its current version; 0: it has none."""
    return record.current.number if record.current else 0


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a rotation would do, as far as the record says."""

    record: Record
    ends: Result | None = None
    """Nothing: it would end with this at once."""
    rotation: Rotation | None = None
    """It would go on with this one."""
    anew: bool = True
    """It would begin one (after that)."""


def foresee(name: str, order: Order, store: Store, gear: Gear, now: float) -> Foreseen:
    """What `Engine.rotate` would do with this order. Changes nothing. Its errors."""
    record = store.load(name)
    expected = order.from_version or current_of(record)
    ready(record)
    if already(record, order, expected):
        return Foreseen(record, Result(record, already=True))
    rotation = record.rotation
    if rotation is None or rotation.final:
        require_taken(record, order, gear.outfit(record.secret).strategy)
        return Foreseen(record)
    if carried_elsewhere(record, rotation, gear):
        return Foreseen(record, Result(record))
    require_joined(record, rotation, order, store)
    rotation = joined(rotation, order, now)
    if rotation.armed:  # what a kill left is settled first
        rotation = rotation.settle(table_for(rotation.strategy, compromised=rotation.compromised), Outcome.UNKNOWN, now)
    if rotation.state is State.STUCK:
        return Foreseen(record, Result(replace(record, rotation=rotation)))
    return Foreseen(record, rotation=rotation, anew=order.compromised and not rotation.compromised)


def _takes_none(name: str, strategy: str) -> UsageError:
    other = f"clawsecrets set {name} --refresh-token" if strategy == "refresh" else f"clawsecrets set {name}"
    return UsageError(f"{name} is rotated by itself ({strategy}): it takes no value from a person",
                      f"clawsecrets rotate {name}; or {other} to store one without rotating")
