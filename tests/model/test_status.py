"""What a person is told of a secret: the word, the urgency, and that `rotated` is said only when all was shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.model.policy import DAY, RotationPolicy, due_at
from clawsecrets.model.record import Record, Revocation, owing
from clawsecrets.model.rotation import FINAL, Rotation, State, Wait
from clawsecrets.model.secret import Kind, Secret, Stage, Version
from clawsecrets.model.status import SOON, Urgency, outcome_words, status, when_due

NOW = 1_000_000_000.0
POLICY = RotationPolicy(interval=30 * DAY, grace=0.0)
SECRET = Secret("a-key", "acme", Kind.API_KEY, NOW)


def record(age: float = DAY, **more: Any) -> Record:
    version = Version(1, Stage.CURRENT, NOW - age)
    return Record(SECRET, (version,), last_number=1, **more)


def rotation(state: State, **more: Any) -> Rotation:
    return Rotation("r-1", "a-key", "overlap", state, NOW - 60, NOW - 50, old_version=1, **more)


def told(found: Record, policy: RotationPolicy = POLICY) -> tuple[str, Urgency]:
    row = status(found, policy, NOW)
    return row.state, row.urgency


@pytest.mark.parametrize(("age", "word", "urgency"), [
    (0.0, "ok", Urgency.FINE),
    (30 * DAY - SOON - 1, "ok", Urgency.FINE),
    (30 * DAY - SOON, "due soon", Urgency.SOON),
    (30 * DAY - 1, "due soon", Urgency.SOON),
    (30 * DAY, "overdue", Urgency.OVERDUE),
    (300 * DAY, "overdue", Urgency.OVERDUE),
    (-5 * DAY, "ok", Urgency.FINE),
])
def test_by_age(age: float, word: str, urgency: Urgency) -> None:
    assert told(record(age)) == (word, urgency)


HOUR = 3600.0


@pytest.mark.parametrize(("life", "due"), [
    (12 * HOUR, 8 * HOUR), (4 * HOUR, 4 * HOUR * 2 / 3), (15 * DAY, 10 * DAY), (31 * DAY, 24 * DAY),
    (400 * DAY, 30 * DAY),
])
def test_what_ends_by_itself_is_due_before(life: float, due: float) -> None:
    assert due_at(POLICY, NOW, NOW + life) == pytest.approx(NOW + due)
    assert due_at(RotationPolicy(grace=0.0), NOW, NOW + life) == pytest.approx(NOW + life - min(life / 3, 7 * DAY))
    assert due_at(RotationPolicy(enabled=False), NOW, NOW + life) is None


def test_an_end_that_is_past_is_overdue_at_once() -> None:
    assert due_at(POLICY, NOW, NOW - 5) == NOW - 5


@pytest.mark.parametrize(("age", "word"), [(0.0, "ok"), (5.9 * HOUR, "ok"), (6.1 * HOUR, "due soon"),
                                           (8 * HOUR, "overdue")])
def test_a_short_life_is_soon_due_in_its_last_quarter_only(age: float, word: str) -> None:
    short = replace(record(age), versions=(Version(1, Stage.CURRENT, NOW - age, expires_at=NOW - age + 12 * HOUR),))
    assert told(short)[0] == word


def test_what_was_brought_beside_a_refresh_token_is_due_at_once() -> None:
    """Nobody knows when it ends. One that was made with it and has no end is left alone: it would be made for ever."""
    current, token = Version(1, Stage.CURRENT, NOW - 5, origin="import"), Version(2, Stage.REFRESH, NOW)
    brought = Record(SECRET, (current, token), last_number=2)
    assert when_due(brought, POLICY) == NOW - 5
    assert when_due(brought, replace(POLICY, enabled=False)) is None
    made = replace(brought, versions=(replace(current, origin="rotation"), token))
    assert when_due(made, POLICY) == NOW - 5 + 30 * DAY
    known = replace(brought, versions=(replace(current, expires_at=NOW + 6 * HOUR), token))
    assert when_due(known, POLICY) == pytest.approx(NOW + 4 * HOUR, abs=5)


def test_only_a_refresh_token_is_no_value_yet() -> None:
    found = Record(SECRET, (Version(1, Stage.REFRESH, NOW),), last_number=1)
    row = status(found, POLICY, NOW)
    assert (row.state, row.detail, row.version, row.due) == ("no value", "clawsecrets rotate a-key", 0, None)


def test_never_due() -> None:
    off = RotationPolicy(interval=DAY, grace=0.0, enabled=False)
    row = status(record(300 * DAY), off, NOW)
    assert (row.state, row.urgency, row.due, row.interval) == ("ok", Urgency.IDLE, None, None)


def test_a_clock_set_back_gives_no_negative_age() -> None:
    assert status(record(-DAY), POLICY, NOW).age == 0.0


def test_without_a_value() -> None:
    row = status(Record(SECRET), POLICY, NOW)
    assert (row.state, row.version, row.age, row.due) == ("no value", 0, None, None)
    assert row.urgency is Urgency.WAITING and "clawsecrets set a-key" in row.detail


@pytest.mark.parametrize(("found", "word", "urgency"), [
    (rotation(State.STUCK, stuck_in=State.DELIVERED, note="why"), "stuck", Urgency.STUCK),
    (rotation(State.AWAITING, armed=False, waits_for=Wait.PERSON), "waiting for the new value", Urgency.WAITING),
    (rotation(State.DELIVERED, armed=False, waits_for=Wait.PERSON), "delivered, consumer not proven", Urgency.WAITING),
    (rotation(State.RETIRING, armed=False, waits_for=Wait.PERSON), "waiting for you to revoke the old one",
     Urgency.WAITING),
    (rotation(State.PROBING, armed=False, waits_for=Wait.PERSON), "waiting for a person", Urgency.WAITING),
    (rotation(State.PROVEN, armed=False, waits_for=Wait.TIME, until=NOW + 3600), "in grace", Urgency.WORK),
    (rotation(State.CREATING), "rotating (creating)", Urgency.WORK),
    (rotation(State.ABORTED, finished_at=NOW, note="HTTP 403"), "last rotation failed", Urgency.FAILED),
    (rotation(State.DONE, finished_at=NOW), "ok", Urgency.FINE),
])
def test_by_rotation(found: Rotation, word: str, urgency: Urgency) -> None:
    assert told(record(rotation=found)) == (word, urgency)


def test_grace_says_how_long_and_never_less_than_nothing() -> None:
    waiting = rotation(State.PROVEN, armed=False, waits_for=Wait.TIME, until=NOW + 7200)
    assert "2h" in status(record(rotation=waiting), POLICY, NOW).detail
    assert "-" not in status(record(rotation=replace(waiting, until=NOW - 7200)), POLICY, NOW).detail


def test_a_debt_is_told_and_grows_urgent() -> None:
    entry = Revocation(1, "h", NOW - 60, "replaced")
    assert told(record(revocations=(entry,))) == ("revocation pending", Urgency.WORK)
    for _ in range(20):
        entry = entry.after_try(NOW, "HTTP 403")
    assert told(record(revocations=(entry,))) == ("revocation pending", Urgency.STUCK)


def test_every_debt_is_looked_at_and_a_watch_is_none() -> None:
    fresh, spent = Revocation(1, "h", NOW, "replaced"), Revocation(2, "h2", NOW, "replaced", tries=7, note="HTTP 403")
    row = status(record(revocations=(fresh, spent)), POLICY, NOW)
    assert (row.state, row.urgency, row.detail) == ("revocation pending", Urgency.STUCK, "HTTP 403")
    watch = Revocation(0, "", NOW, "watch", tries=9, label="r-1-1", rotation="r-1")
    assert told(record(revocations=(watch,))) == ("ok", Urgency.FINE) and not watch.needs_person
    done = rotation(State.DONE)
    assert not owing(record(revocations=(watch,)), done)


def test_a_restored_store_waits_whatever_else_is_true() -> None:
    stuck = record(300 * DAY, rotation=rotation(State.STUCK), reconcile=True)
    assert told(stuck) == ("restored, not confirmed", Urgency.WAITING)


@pytest.mark.parametrize(("tested", "proven", "word", "at"), [
    (0.0, 0.0, "-", 0.0), (NOW - 9, 0.0, "tested", NOW - 9), (NOW - 9, NOW - 3, "in use", NOW - 3)])
def test_last_proof(tested: float, proven: float, word: str, at: float) -> None:
    found = record()
    found = found.change(1, lambda version: replace(version, tested_at=tested, proven_at=proven))
    row = status(found, POLICY, NOW)
    assert (row.proof, row.proof_at) == (word, at)


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_words_and_only_done_is_rotated(state: State) -> None:
    words = outcome_words(rotation(state))
    assert words and (words == "rotated") == (state is State.DONE)
    assert state in FINAL or "unfinished" in words or state in (
        State.STUCK, State.AWAITING, State.DELIVERED, State.RETIRING, State.PROVEN)


def test_a_place_that_still_holds_the_old_value_is_work_and_has_its_own_words() -> None:
    done = rotation(State.DONE, caveats=("not proven in use", "still in /x: gateway.auth.token · mend it"))
    assert outcome_words(done) == "replaced, but still elsewhere"
    row = status(record(rotation=done), POLICY, NOW)
    assert (row.state, row.urgency, row.detail) == ("replaced, but still elsewhere", Urgency.WORK,
                                                    "still in /x: gateway.auth.token · mend it")


def test_caveats_are_never_plain_success() -> None:
    done = rotation(State.DONE, caveats=("not proven in use",))
    assert outcome_words(done) == "replaced, with caveats"
    assert "not proven" in status(record(rotation=done), POLICY, NOW).detail


@given(st.sampled_from(list(State)), st.floats(-400 * DAY, 400 * DAY), st.sampled_from(list(Wait)), st.booleans(),
       st.booleans())
def test_an_unfinished_or_overdue_secret_is_never_fine(state: State, age: float, wait: Wait, armed: bool,
                                                       owes: bool) -> None:
    found = record(age, rotation=rotation(state, waits_for=wait, armed=armed),
                   revocations=(Revocation(1, "h", NOW, "replaced"),) if owes else ())
    row = status(found, POLICY, NOW)
    calm = row.urgency in (Urgency.FINE, Urgency.IDLE, Urgency.SOON)
    assert not (calm and (state not in FINAL or owes or age >= 30 * DAY))
