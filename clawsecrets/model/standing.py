"""Which notices stand now: read off the records at every tick, so that none is lost with a process. Pure.

What happened (a rotation that ended) is read off the record that it left, and told once by its key. Who is told what
already is remembered by the daemon, not here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from clawsecrets.model.hosts import SILENT, behind
from clawsecrets.model.need import Act, Need
from clawsecrets.model.notice import REMIND_DAYS, Notice, Severity, Topic
from clawsecrets.model.policy import DAY, format_duration
from clawsecrets.model.record import Record, Revocation
from clawsecrets.model.rotation import FAILED, Rotation, State, Wait
from clawsecrets.model.schedule import Rule, past_hard_age
from clawsecrets.model.status import outcome_words

WEEK = 7 * DAY
FUTURE = DAY
"""Seconds by which a version may seem to be made in the future before somebody is told."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What every notice of one record says alike."""

    record: Record
    need: Need
    now: float

    def notice(self, topic: Topic, severity: Severity, mark: str, detail: str, *, at: float = 0.0, command: str = "",
               again: float = 0.0, days_left: int | None = None) -> Notice:
        """A notice of this record; `mark` tells it from others of the same topic."""
        secret, rotation, current = self.record.secret, self.record.rotation, self.record.current
        return Notice(topic, severity, f"{topic.value}:{secret.name}:{mark}", at or self.now, secret.name,
                      secret.provider, secret.kind.value, current.number if current else 0, detail,
                      self.need.due or 0.0, days_left, rotation.id if rotation else "", (), command, again)


def standing(record: Record, rule: Rule, need: Need, now: float, since: float) -> Iterator[Notice]:
    """The notices that stand for one secret. `since`: what ended before that time is no news."""
    if record.elsewhere:
        return  # whoever keeps the other store tells of it
    told, rotation = _Told(record, need, now), record.rotation
    if rotation is not None:
        yield from _of_rotation(told, rotation, since)
        if rotation.final:
            yield from (_owed(told, entry) for entry in record.debts if entry.tries)
    if need.why.startswith("stuck: ") and rotation is not None and rotation.final:
        yield told.notice(Topic.STUCK, Severity.ERROR, rotation.id, f"{need.why[7:]}: {rotation.note}",
                          command=f"clawsecrets rotate {record.secret.name}", again=DAY)
    yield from _of_age(told, rule, need, now)
    yield from _of_hosts(told, now)


def _of_hosts(told: _Told, now: float) -> Iterator[Notice]:
    """Hosts that have been behind for a while: each blocks what is to be revoked."""
    record, rotation = told.record, told.record.rotation
    late = behind(record)
    since = max([record.current.created_at if record.current is not None else 0.0,
                 rotation.entered_at if rotation is not None and record.rotating else 0.0])
    for host in dict.fromkeys(item.host for item in late):
        mine = [item for item in late if item.host == host]
        began = max([since, *(item.ack.at for item in mine if item.ack is not None)])
        if now - began >= SILENT:
            yield told.notice(Topic.WAITING, Severity.WARNING, f"host:{host}:{mine[0].version}",
                              f"host {host} has not shown that it has version {mine[0].version}: "
                              f"{', '.join(item.words for item in mine)}; if it is gone for good: clawsecrets hosts "
                              f"forget {host}", at=began, command="clawsecrets hosts", again=DAY)


def _of_rotation(told: _Told, rotation: Rotation, since: float) -> Iterator[Notice]:
    name = rotation.secret
    if rotation.final:
        if rotation.finished_at >= since:
            words = "; ".join([outcome_words(rotation), *rotation.caveats])
            if rotation.state in FAILED:
                words = f"{outcome_words(rotation)}: {rotation.note}"
            topic, severity = (Topic.FAILED, Severity.WARNING) if rotation.state in FAILED \
                else (Topic.ROTATED, Severity.INFO)
            yield told.notice(topic, severity, rotation.id, words, at=rotation.finished_at)
    elif rotation.state is State.STUCK:
        yield told.notice(Topic.STUCK, Severity.ERROR, f"{rotation.id}:{rotation.hops}", rotation.note,
                          at=rotation.entered_at, command=f"clawsecrets rotations resume {name}", again=DAY)
    elif rotation.waits_for is Wait.PERSON:
        yield from _of_person(told, rotation)


def _of_person(told: _Told, rotation: Rotation) -> Iterator[Notice]:
    name, mark = rotation.secret, f"{rotation.id}:{rotation.state.value}"
    if rotation.state is State.DELIVERED:
        yield told.notice(Topic.UNPROVEN, Severity.WARNING, mark, rotation.note, at=rotation.entered_at,
                          command=f"clawsecrets rotations resume {name} --done", again=DAY)
    elif rotation.state is State.AWAITING and told.need.due is not None and told.need.due <= told.now:
        return  # the reminder says it
    else:
        asked = rotation.state is State.AWAITING
        yield told.notice(Topic.WAITING, Severity.WARNING, mark, rotation.note, at=rotation.entered_at, again=DAY,
                          command=f"clawsecrets rot{'ate' if asked else 'ations resume'} {name}")


def _owed(told: _Told, entry: Revocation) -> Notice:
    which = f"version {entry.version}" if entry.version else f"an orphan ({entry.handle})"
    severity = Severity.ERROR if entry.needs_person else Severity.WARNING
    mark = f"{entry.version}:{entry.handle}:{'person' if entry.needs_person else 'tried'}"
    note = f": {entry.note}" if entry.note else ""
    return told.notice(Topic.REVOCATION, severity, mark, f"{which} ({entry.reason}){note}", at=entry.since,
                       command=f"clawsecrets revocations retry {told.record.secret.name}", again=WEEK)


def _of_age(told: _Told, rule: Rule, need: Need, now: float) -> Iterator[Notice]:
    name, current = told.record.secret.name, told.record.current
    if current is None:
        return
    if current.created_at - now > FUTURE:
        yield told.notice(Topic.DRIFT, Severity.ERROR, f"clock:{current.number}", "its current version was made in the "
                          "future, so the clock is or was wrong; it is due by that time only",
                          command=f"clawsecrets rotate {name}", again=WEEK)
    if past_hard_age(told.record, rule, now):
        age = format_duration(now - current.created_at)
        yield told.notice(Topic.HARD_AGE, Severity.CRITICAL, str(current.number),
                          f"{age} old, past its hard limit: {need.why}",
                          command=f"clawsecrets rotate {name}", again=DAY)
    if need.due is None:
        return
    if rule.assisted and need.act is not Act.GO_ON:
        yield from _reminder(told, need.due, current.number, now)
    elif need.due <= now and need.act in (Act.WAIT, Act.HELD):
        yield told.notice(Topic.DUE, Severity.INFO if need.act is Act.WAIT else Severity.WARNING,
                          f"{current.number}:{need.act.value}", need.why, at=need.due,
                          command=f"clawsecrets rotate {name}" if need.act is Act.HELD else "", again=WEEK)


def _reminder(told: _Told, due: float, version: int, now: float) -> Iterator[Notice]:
    left = math.ceil((due - now) / DAY)
    step = min((day for day in REMIND_DAYS if left <= day), default=None) if due > now else 0
    if step is None:
        return
    when = "overdue" if due <= now else str(step)
    detail = f"overdue by {format_duration(now - due)}" if due <= now else f"due in {format_duration(due - now)}"
    yield told.notice(Topic.REMINDER, Severity.WARNING if left <= 1 else Severity.INFO, f"{version}:{when}", detail,
                      at=now, command=f"clawsecrets rotate {told.record.secret.name}",
                      again=DAY if due <= now else 0.0, days_left=left)
