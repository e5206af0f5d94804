"""What a person is told of a secret: one honest word for where it stands, and how urgent it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from clawsecrets.model.hosts import AWAITED, Behind, behind
from clawsecrets.model.own import of_adoption
from clawsecrets.model.policy import RotationPolicy, due_at, format_duration
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import FAILED, STILL_IN, Rotation, State, Wait
from clawsecrets.model.secret import paused

OTHER_SLOT = "waiting for your word that nobody uses the other slot"


class Urgency(IntEnum):
    """Sorted with the most urgent first."""

    STUCK = 0
    WAITING = 1
    OVERDUE = 2
    WORK = 3
    FAILED = 4
    SOON = 5
    FINE = 6
    IDLE = 7


STILL_ELSEWHERE = "replaced, but still elsewhere"
"""The old value is gone where it was delivered, and stands in another place that a process reads."""
SOON = 7 * 86400.0
"""Seconds before it is due in which a secret counts as soon due; of one that ends by itself soon, the last
quarter."""


@dataclass(frozen=True, slots=True)
class Status:
    """One row of the rotation table. Times are Unix seconds; 0.0 = never."""

    name: str
    kind: str
    provider: str
    version: int
    age: float | None
    """Seconds since the current version was made (or imported); None without one."""
    interval: float | None
    due: float | None
    """When it is due by age."""
    state: str
    detail: str
    proof: str
    proof_at: float
    urgency: Urgency


def when_due(record: Record, policy: RotationPolicy) -> float | None:
    """The Unix time at which the record's current value is due; None = never by itself.

    One that a person brought beside a refresh token is due at once: nobody knows when it ends.
    """
    current = record.current
    if current is None:
        return None
    if policy.enabled and record.refresh_token is not None and not current.expires_at and current.origin != "rotation":
        return current.created_at
    return due_at(policy, current.created_at, current.expires_at)


def status(record: Record, policy: RotationPolicy, now: float, due: float | None = None) -> Status:
    """The row of one record; `policy` leaves nothing open. `due`: where the schedule knows better (cron times)."""
    current = record.current
    if due is None:
        due = when_due(record, policy)
    soon = SOON
    if current is not None and due is not None and current.expires_at:
        soon = min(SOON, (due - current.created_at) / 4)
    state, detail, urgency = _state(record, due, now, soon)
    proof, proof_at = "-", 0.0
    if current and current.proven_at:
        proof, proof_at = "in use", current.proven_at
    elif current and current.tested_at:
        proof, proof_at = "tested", current.tested_at
    secret = record.secret
    return Status(
        secret.name, secret.kind.value, secret.provider, current.number if current else 0,
        max(0.0, now - current.created_at) if current else None,
        policy.interval if policy.enabled else None, due, state, detail, proof, proof_at, urgency,
    )


def _state(record: Record, due: float | None, now: float, soon: float) -> tuple[str, str, Urgency]:
    rotation = record.rotation
    if record.reconcile:
        return _held(record)
    if rotation is not None and not rotation.final:
        return _unfinished(rotation, now)
    if record.current is None:
        return _empty(record)
    if record.debts:
        entry = next((debt for debt in record.debts if debt.needs_person), record.debts[0])
        urgency = Urgency.STUCK if entry.needs_person else Urgency.WORK
        return "revocation pending", entry.note or entry.reason, urgency
    if paused(record.secret, now):
        urgency = Urgency.OVERDUE if due is not None and due <= now else Urgency.IDLE
        return "paused", record.secret.pause_reason, urgency
    if due is not None and due <= now:
        return "overdue", format_duration(now - due), Urgency.OVERDUE
    troubled = _troubled(record, rotation)
    if troubled is not None:
        return troubled
    if due is not None and due - now <= soon:
        return "due soon", "", Urgency.SOON
    caveats = "; ".join(rotation.caveats) if rotation is not None else ""
    return "ok", caveats, Urgency.FINE if due is not None else Urgency.IDLE


def _troubled(record: Record, rotation: Rotation | None) -> tuple[str, str, Urgency] | None:
    """What a finished rotation left to do."""
    late = behind(record)
    if late:
        return "a host is behind", _late(late), Urgency.WORK
    if shadowed(rotation):
        return STILL_ELSEWHERE, "; ".join(shadowed(rotation)), Urgency.WORK
    if rotation is not None and rotation.state in FAILED:
        return "last rotation failed", rotation.note, Urgency.FAILED
    return None


def _empty(record: Record) -> tuple[str, str, Urgency]:
    """One without a value. What undid an adoption is erased in time: nobody is to give it another."""
    if of_adoption(record.secret.name):
        return "erased", "", Urgency.IDLE
    verb = "set" if record.refresh_token is None else "rotate"
    return "no value", f"clawsecrets {verb} {record.secret.name}", Urgency.WAITING


def _held(record: Record) -> tuple[str, str, Urgency]:
    """One that nothing is done with."""
    if record.elsewhere:
        return "kept in another store", record.elsewhere, Urgency.IDLE
    return "restored, not confirmed", "clawsecrets restore --confirm", Urgency.WAITING


def _late(late: tuple[Behind, ...]) -> str:
    names = dict.fromkeys(item.host for item in late)
    return "; ".join(f"{host}: {', '.join(item.words for item in late if item.host == host)}" for host in names)


def _unfinished(rotation: Rotation, now: float) -> tuple[str, str, Urgency]:
    if rotation.state is State.STUCK:
        return "stuck", rotation.note, Urgency.STUCK
    if rotation.waits_for is Wait.PERSON:
        words = {
            State.AWAITING: _awaited(rotation),
            State.VACATING: OTHER_SLOT,
            State.DELIVERED: "delivered, consumer not proven",
            State.RETIRING: "waiting for you to revoke the old one",
        }
        return words.get(rotation.state, "waiting for a person"), rotation.note, Urgency.WAITING
    if rotation.parked and rotation.state is State.PROVEN:
        return "in grace", f"old one lives {format_duration(max(0.0, rotation.until - now))} more", Urgency.WORK
    if rotation.note.startswith(AWAITED):
        return "waiting for another host", rotation.note, Urgency.WAITING
    return f"rotating ({rotation.state.value})", rotation.note, Urgency.WORK


def shadowed(rotation: Rotation | None) -> tuple[str, ...]:
    """The caveats that name places where the old value still stands and is read; none while it is unfinished."""
    if rotation is None or not rotation.done:
        return ()
    return tuple(caveat for caveat in rotation.caveats if caveat.startswith(STILL_IN))


def _awaited(rotation: Rotation) -> str:
    return "waiting for a new refresh token" if rotation.strategy == "refresh" else "waiting for the new value"


def outcome_words(rotation: Rotation) -> str:
    """How a finished or waiting rotation is announced. `rotated` is said only when everything was shown."""
    if rotation.state is State.DONE:
        if shadowed(rotation):
            return STILL_ELSEWHERE
        return "replaced, with caveats" if rotation.caveats else "rotated"
    if rotation.state is State.VACATING and rotation.waits_for is Wait.PERSON:
        return OTHER_SLOT
    if rotation.state is State.ABORTED and rotation.strategy == "assisted":  # a person may have ended it by making one
        return "not rotated; the old one is kept"
    words = {
        State.DONE_OWED: "rotated, but the old one is not proven dead: revocation pending",
        State.ABORTED: "not rotated; the old one is still in use",
        State.ABORTED_OWED: "not rotated; the new one still has to be revoked: revocation pending",
        State.STUCK: "stuck: a person must decide",
        State.AWAITING: _awaited(rotation),
        State.DELIVERED: "delivered, consumer not proven",
        State.RETIRING: "in use; the old one still has to be revoked",
        State.PROVEN: "in use; the old one is kept for its grace",
    }
    return words.get(rotation.state, f"unfinished ({rotation.state.value})")
