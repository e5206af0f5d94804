"""`rotate --due`: what the daemon would do now, in the same order and at the same distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from clawsecrets.cli.output import moment
from clawsecrets.cli.session import Session
from clawsecrets.model.need import NEVER, Act, Need
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Wait

ACTING = frozenset({Act.BEGIN, Act.GO_ON, Act.ASK})


@dataclass(frozen=True)
class Turn:
    """Whether it is a secret's turn; if not, what is to be said of it."""

    now: bool
    left: dict[str, str] = field(default_factory=dict)


def chosen(session: Session) -> tuple[Sequence[str], dict[str, str]]:
    """What is to be done in this run; and what is due but left for another one, with the reason. What only waits for
    its window is neither."""
    records = list(session.store.records(broken=session.unreadable))
    session.timetable.check(records)
    now, by_name = session.clock.now(), {record.secret.name: record for record in records}
    needs, _ = session.timetable.needs(records, now)
    names = [need.secret for need in needs if _has_turn(need, by_name[need.secret])]
    left = {need.secret: _reason(need, now) for need in needs if need.secret not in names and _is_left(need, now)}
    return names, left


def turn(session: Session, name: str) -> Turn:
    """Wait until it is the turn of a chosen secret, as long as that is a matter of the stagger. It may be over by then:
    others rotate, too, and windows close."""
    end = session.clock.now() + session.timetable.pace.stagger
    while True:
        now = session.clock.now()
        records = {record.secret.name: record for record in session.store.records(broken=session.unreadable)}
        need = next((one for one in session.timetable.needs(records.values(), now)[0] if one.secret == name), None)
        if need is None:
            return Turn(False)
        if need.act in ACTING or (_has_turn(need, records[name]) and not need.turn):
            return Turn(True)
        if not need.turn or need.at > end:
            return Turn(False, {name: _reason(need, now)} if _is_left(need, now) else {})
        session.clock.sleep(max(0.0, need.at - now))


def _has_turn(need: Need, record: Record) -> bool:
    """What waits for a person is told again, with what they are to do."""
    rotation = record.rotation
    waits = record.rotating and rotation is not None and rotation.waits_for is not Wait.TIME and not record.reconcile
    return need.act in ACTING or need.turn or waits or (record.rotating and need.act is Act.WAIT)


def _is_left(need: Need, now: float) -> bool:
    """Whether it is due, and kept back by something else than its window or a person's pause."""
    if need.due is None or need.due > now or need.why.startswith("paused"):
        return False
    held_by_others = need.slot is not None and need.slot.begins <= now
    return need.act is Act.HELD or (need.act is Act.WAIT and (held_by_others or "failed" in need.why))


def _reason(need: Need, now: float) -> str:
    if "failed" in need.why and need.act is Act.WAIT:
        return f"{need.why}; it is tried again from {moment(need.at)} on (by name: at once)"
    later = now < need.at < NEVER
    return f"{need.why}; from {moment(need.at)} on" if later else need.why
