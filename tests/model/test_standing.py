"""Which notices stand, for every way in which a record can stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawsecrets.model.need import needs
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import DAY, RotationPolicy
from clawsecrets.model.record import RETRY_AFTER, Record, Revocation
from clawsecrets.model.rotation import Rotation, State, Wait
from clawsecrets.model.schedule import Pace, Rule
from clawsecrets.model.secret import Kind, Secret, Stage, Version
from clawsecrets.model.standing import standing
from clawsecrets.model.window import Openings, parse_window
from tests.model.test_need import NOW, UTC

RULE = Rule(RotationPolicy(interval=30 * DAY), hard_age=45 * DAY)
SUNDAYS = Openings((parse_window("Sun 03:00-05:00", lambda name: UTC),))


def record(age: float, state: State | None = None, **more: object) -> Record:
    version = Version(2, Stage.CURRENT, NOW - age, origin="rotation")
    rotation = None
    if state is not None:
        rotation = Rotation("r1", "a", "overlap", state, NOW - 50, NOW - 50, 1, 2)
        rotation = replace(rotation, **more)  # type: ignore[arg-type]
    return Record(Secret("a", "acme", Kind.API_KEY, 0.0), (version,), rotation, last_number=2)


def stand(it: Record, rule: Rule = RULE, since: float = 0.0) -> list[Notice]:
    [need] = needs([it], {"a": rule}, Pace(0.0), NOW)
    return list(standing(it, rule, need, NOW, since))


def topics(it: Record, rule: Rule = RULE) -> list[tuple[Topic, Severity]]:
    return [(notice.topic, notice.severity) for notice in stand(it, rule)]


def test_a_fresh_one_has_none() -> None:
    assert stand(record(1 * DAY)) == [] and stand(record(29 * DAY)) == []


@pytest.mark.parametrize(("state", "found", "words"), [
    (State.DONE, (Topic.ROTATED, Severity.INFO), "rotated"),
    (State.DONE_OWED, (Topic.ROTATED, Severity.INFO), "not proven dead"),
    (State.ABORTED, (Topic.FAILED, Severity.WARNING), "not rotated; the old one is still in use: it refused"),
])
def test_what_ended(state: State, found: tuple[Topic, Severity], words: str) -> None:
    it = record(DAY, state, finished_at=NOW - 20, note="it refused", failures=int(state is State.ABORTED))
    [notice] = stand(it)
    assert (notice.topic, notice.severity) == found and words in notice.detail
    assert (notice.rotation, notice.at, notice.again) == ("r1", NOW - 20, 0.0)
    assert stand(it, since=NOW - 19) == [], "what ended before is no news"


def test_caveats_are_said() -> None:
    [notice] = stand(record(DAY, State.DONE, finished_at=NOW, caveats=("the old one could not be tried",)))
    assert notice.detail == "replaced, with caveats; the old one could not be tried"


@pytest.mark.parametrize(("state", "found", "command"), [
    (State.STUCK, Topic.STUCK, "clawsecrets rotations resume a"),
    (State.DELIVERED, Topic.UNPROVEN, "clawsecrets rotations resume a --done"),
    (State.RETIRING, Topic.WAITING, "clawsecrets rotations resume a"),
    (State.AWAITING, Topic.WAITING, "clawsecrets rotate a"),
])
def test_what_waits_for_a_person(state: State, found: Topic, command: str) -> None:
    it = record(DAY, state, armed=False, waits_for=Wait.PERSON, note="look at it")
    [notice] = stand(it)
    assert (notice.topic, notice.command, notice.detail) == (found, command, "look at it")
    assert notice.again == DAY


def test_too_many_failures_are_stuck() -> None:
    it = record(31 * DAY, State.ABORTED, finished_at=NOW - 9 * DAY, failures=8, note="HTTP 403")
    assert (Topic.STUCK, Severity.ERROR) in topics(it)
    stuck = next(notice for notice in stand(it) if notice.topic is Topic.STUCK)
    assert stuck.detail == "8 rotations in a row failed: HTTP 403" and stuck.command == "clawsecrets rotate a"


def test_pending_revocations_get_louder_when_a_person_is_needed() -> None:
    owed = Revocation(1, "h1", NOW - DAY, "replaced", tries=1, note="HTTP 500")
    it = replace(record(DAY), revocations=(owed, replace(owed, version=0, handle="h2", tries=0)))
    it = replace(it, rotation=Rotation("r1", "a", "overlap", State.DONE_OWED, 0.0, 0.0, finished_at=1.0))
    found = [notice for notice in stand(it, since=2.0) if notice.topic is Topic.REVOCATION]
    assert [notice.detail for notice in found] == ["version 1 (replaced): HTTP 500"], "what was not tried is no news"
    loud = replace(it, revocations=(replace(owed, tries=len(RETRY_AFTER)),))
    [notice] = stand(loud, since=2.0)
    assert notice.severity is Severity.ERROR and notice.key != found[0].key


def test_due_is_told_where_it_waits() -> None:
    waits = replace(RULE, openings=SUNDAYS)
    assert topics(record(31 * DAY), waits) == [(Topic.DUE, Severity.INFO)]
    assert stand(record(31 * DAY), waits)[0].detail == "waits for its window"
    assert stand(record(31 * DAY)) == [], "it is rotated in this moment"
    it = record(31 * DAY)
    held = replace(it, secret=replace(it.secret, paused_at=1.0, pause_reason="moving"))
    assert topics(held) == [(Topic.DUE, Severity.WARNING)] and stand(held)[0].detail == "paused: moving"


def test_hard_age_is_loud_and_says_why() -> None:
    waits = replace(RULE, openings=SUNDAYS)
    loud = stand(record(46 * DAY), waits)[0]
    assert (loud.topic, loud.severity, loud.again) == (Topic.HARD_AGE, Severity.CRITICAL, DAY)
    assert loud.detail == "46d old, past its hard limit: waits for its window"


def test_a_version_of_the_future_is_told() -> None:
    assert stand(record(-DAY / 2)) == []
    [notice] = stand(record(-3 * DAY))
    assert notice.topic is Topic.DRIFT and "the clock is or was wrong" in notice.detail


@pytest.mark.parametrize(("left", "mark", "days"), [
    (15 * DAY, None, 0), (14 * DAY, "14", 14), (13.5 * DAY, "14", 14), (7 * DAY, "7", 7), (3 * DAY, "3", 3),
    (DAY, "1", 1), (60.0, "1", 1), (0.0, "overdue", 0), (-2.5 * DAY, "overdue", -2),
])
def test_reminders(left: float, mark: str | None, days: int) -> None:
    assisted = replace(RULE, assisted=True, hard_age=None, openings=SUNDAYS)
    found = stand(record(30 * DAY - left), assisted)
    assert [notice.key for notice in found] == ([] if mark is None else [f"reminder:a:2:{mark}"])
    if mark is not None:
        assert found[0].days_left == days and found[0].command == "clawsecrets rotate a"


def test_every_notice_is_one_line_with_a_key_of_its_own() -> None:
    it = replace(record(60 * DAY, State.ABORTED, finished_at=NOW, failures=9, note="no"),
                 revocations=(Revocation(1, "h", 0.0, "replaced", tries=9),))
    found = stand(it)
    assert len({notice.key for notice in found}) == len(found) >= 4
    assert not any("\n" in notice.detail + notice.command for notice in found)
