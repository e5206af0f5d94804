"""What the schedule will do: the same decisions as the daemon's, over records that are taken ahead in time. Pure.

Every rotation is taken to end well in the moment in which it begins, and every person to act at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from clawsecrets.model.need import NEVER, Act, Need, needs
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Rotation, State
from clawsecrets.model.schedule import Pace, Rule
from clawsecrets.model.secret import Stage, Version

MOST = 20_000
"""Rotations told at most, whatever the intervals."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One rotation that will be begun. Unix times."""

    secret: str
    at: float
    due: float
    why: str
    """By what it is due."""
    assisted: bool
    """A person will have to make the value."""
    outside: bool
    """Past its hard age, and not in one of its windows."""


def forecast(records: Iterable[Record], rules: Mapping[str, Rule], pace: Pace, now: float,
             until: float) -> tuple[list[Planned], list[Need]]:
    """What will be begun until then, in order; and the decisions that stand now (those held are among them)."""
    ahead = {record.secret.name: _settled(record, now) for record in records}
    held = needs(list(ahead.values()), rules, pace, now)
    found: list[Planned] = []
    at = now
    while at <= until and len(found) < MOST:
        decided = needs(list(ahead.values()), rules, pace, at)
        begun = [need for need in decided if need.act is Act.BEGIN]
        for need in begun:
            found.append(_planned(need, rules[need.secret], at))
            ahead[need.secret] = _replaced(ahead[need.secret], at)
        if begun:
            continue
        waiting = [need for need in decided if need.act is Act.WAIT]
        times = [need.at for need in waiting]
        times += [need.slot.span.closes for need in waiting if need.at == NEVER and need.slot is not None]
        at = min((time for time in times if time > at), default=NEVER)
    return found, held


def _settled(record: Record, now: float) -> Record:
    """As if the unfinished rotation that moves by itself had ended; held ones stay."""
    rotation = record.rotation
    if rotation is None or rotation.final or rotation.waits_for == "person" or record.reconcile:
        return record
    return _replaced(record, now)


def _replaced(record: Record, at: float) -> Record:
    rotation = Rotation("forecast", record.secret.name, "", State.DONE, at, at, finished_at=at)
    number = record.last_number + 1
    version = Version(number, Stage.CURRENT, at, origin="rotation")
    return replace(record, versions=(version,), last_number=number, rotation=rotation)


def _planned(need: Need, rule: Rule, at: float) -> Planned:
    due = need.due if need.due is not None else at
    span = rule.openings.first(at)
    outside = span is None or not span.holds(at)
    return Planned(need.secret, at, due, "outside of its window" if outside else _why(rule, due, at), rule.assisted,
                   outside)


def _why(rule: Rule, due: float, at: float) -> str:
    """What it comes by, or what keeps it from coming sooner."""
    first, free = rule.openings.first(due), replace(rule.openings, blackouts=()).first(due)
    if first is None or first.closes <= at:
        return "missed its window"
    if free is not None and max(due, free.opens) < first.opens:
        return "after a blackout"
    return "by its cron times" if rule.cron is not None else "by its age"
