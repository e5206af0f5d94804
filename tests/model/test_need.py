"""What is to be done now: one secret by itself, and among the others."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from clawsecrets.model.civil import UTC
from clawsecrets.model.forecast import forecast
from clawsecrets.model.need import Act, Need, circle, needs
from clawsecrets.model.policy import DAY, RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Rotation, State, Wait
from clawsecrets.model.schedule import Limit, Pace, Rule, due, share, slot
from clawsecrets.model.secret import Kind, Secret, Stage, Version
from clawsecrets.model.window import Openings, parse_blackout, parse_window

HOUR = 3600.0
NOW = 20_000 * DAY  # a Friday, 00:00 UTC
PACE = Pace(stagger=0.0)
WEEKLY = Openings((parse_window("Sun 03:00-05:00", lambda name: UTC),))
SUNDAY = NOW + 2 * DAY + 3 * HOUR


def record(name: str, age: float, *, group: str = "", rotation: Rotation | None = None, origin: str = "rotation",
           kind: Kind = Kind.API_KEY) -> Record:
    version = Version(1, Stage.CURRENT, NOW - age, origin=origin)
    return Record(Secret(name, "acme", kind, 0.0, group=group), (version,), rotation, last_number=1)


def made(at: float, expires_at: float = 0.0) -> Record:
    version = Version(1, Stage.CURRENT, at, origin="rotation", expires_at=expires_at)
    return Record(Secret("a", "acme", Kind.API_KEY, 0.0), (version,), last_number=1)


def rotation(state: State, **more: object) -> Rotation:
    made = Rotation("r1", "a", "overlap", state, NOW - HOUR, NOW - HOUR)
    return replace(made, **more)  # type: ignore[arg-type]


def rule(days: float = 30, **more: object) -> Rule:
    return replace(Rule(RotationPolicy(interval=days * DAY, grace=0.0), provider="acme"), **more)  # type: ignore[arg-type]


def decide(*records: Record, rules: dict[str, Rule] | None = None, pace: Pace = PACE,
           now: float = NOW) -> dict[str, Need]:
    chosen = {r.secret.name: (rules or {}).get(r.secret.name, rule()) for r in records}
    return {need.secret: need for need in needs(records, chosen, pace, now)}


# --- by itself ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "act"), [(29 * DAY, Act.WAIT), (30 * DAY, Act.BEGIN), (400 * DAY, Act.BEGIN)])
def test_by_age(age: float, act: Act) -> None:
    need = decide(record("a", age))["a"]
    assert need.act is act and need.due == NOW - age + 30 * DAY


def test_only_in_its_window_and_caught_up_once() -> None:
    rules = {"a": rule(openings=WEEKLY)}
    before = decide(record("a", 90 * DAY), rules=rules)["a"]
    assert before.act is Act.WAIT and before.at == SUNDAY and "window" in before.why
    assert decide(record("a", 90 * DAY), rules=rules, now=SUNDAY)["a"].act is Act.BEGIN
    assert decide(record("a", 90 * DAY), rules=rules, now=SUNDAY + 2 * HOUR)["a"].at == SUNDAY + 7 * DAY


def test_jitter_is_of_the_name_alone_and_stays_in_the_window() -> None:
    rules = {name: rule(openings=WEEKLY, jitter=10 * HOUR) for name in ("a", "b")}
    found = decide(record("a", 40 * DAY), record("b", 40 * DAY), rules=rules)
    assert found["a"].at != found["b"].at
    for name, need in found.items():
        assert need.at == SUNDAY + share(name) * HOUR  # half of two hours


def test_a_failure_backs_off_and_many_are_stuck() -> None:
    failed = rotation(State.ABORTED, finished_at=NOW - 60, failures=1, note="no")
    held = decide(record("a", 40 * DAY, rotation=failed))["a"]
    assert held.act is Act.WAIT and held.at == NOW - 60 + HOUR and "failed" in held.why
    twice = replace(failed, failures=2)
    assert decide(record("a", 40 * DAY, rotation=twice))["a"].at == NOW - 60 + 2 * HOUR
    often = replace(failed, failures=7)
    assert decide(record("a", 40 * DAY, rotation=often))["a"].at == NOW - 60 + DAY
    stuck = decide(record("a", 40 * DAY, rotation=replace(failed, failures=8)))["a"]
    assert stuck.act is Act.HELD and stuck.why.startswith("stuck: 8")


def test_a_clock_that_was_put_back_holds_nothing() -> None:
    ahead = rotation(State.ABORTED, finished_at=NOW + 30 * DAY, failures=3)
    assert decide(record("a", 40 * DAY, rotation=ahead))["a"].act is Act.BEGIN
    parked = rotation(State.PROVEN, armed=False, until=NOW + 9 * DAY, waits_for=Wait.TIME, entered_at=NOW + 8 * DAY)
    assert decide(record("a", 40 * DAY, rotation=parked))["a"].act is Act.GO_ON


@pytest.mark.parametrize(("state", "more", "act"), [
    (State.CREATED, {}, Act.GO_ON),
    (State.STUCK, {"armed": False, "waits_for": Wait.PERSON}, Act.HELD),
    (State.AWAITING, {"armed": False, "waits_for": Wait.PERSON}, Act.HELD),
    (State.RETIRING, {"armed": False, "waits_for": Wait.PERSON}, Act.ASK),
    (State.PROVEN, {"armed": False, "until": NOW + 1, "waits_for": Wait.TIME}, Act.WAIT),
    (State.PROVEN, {"armed": False, "until": NOW, "waits_for": Wait.TIME}, Act.GO_ON),
])
def test_unfinished_ones_go_on_at_any_time(state: State, more: dict[str, object], act: Act) -> None:
    rules = {"a": rule(openings=WEEKLY)}
    assert decide(record("a", 1 * DAY, rotation=rotation(state, **more)), rules=rules)["a"].act is act


def test_paused_with_its_reason_and_only_until_then() -> None:
    base = record("a", 40 * DAY)
    secret = replace(base.secret, paused_at=NOW - 5, pause_reason="holidays", paused_until=NOW + 9)
    paused = replace(base, secret=secret)
    need = decide(paused)["a"]
    assert need.act is Act.WAIT and need.why == "paused: holidays" and need.at == NOW + 9
    assert decide(paused, now=NOW + 9)["a"].act is Act.BEGIN
    for_ever = replace(base, secret=replace(secret, paused_until=0.0))
    assert decide(for_ever, now=NOW + 900 * DAY)["a"].act is Act.HELD
    going = replace(paused, rotation=rotation(State.CREATED))
    assert decide(going)["a"].act is Act.GO_ON  # half done is worse than paused


def test_past_its_hard_age_outside_of_windows_only_where_it_was_asked_for() -> None:
    old = record("a", 60 * DAY)
    assert decide(old, rules={"a": rule(openings=WEEKLY, hard_age=45 * DAY)})["a"].act is Act.WAIT
    asked = rule(openings=WEEKLY, hard_age=45 * DAY, outside=True)
    assert decide(old, rules={"a": asked})["a"].act is Act.BEGIN
    dark = Openings(WEEKLY.windows, (parse_blackout("01-01..12-30", UTC),))
    assert decide(old, rules={"a": replace(asked, openings=dark)})["a"].act is Act.WAIT


def test_cron_and_a_value_that_was_made_shortly_before() -> None:
    def cron(after: float) -> float:  # every ten days
        return (after // (10 * DAY) + 1) * 10 * DAY

    it = rule(cron=cron)
    base = NOW // (10 * DAY) * 10 * DAY
    assert due(it, made(base + HOUR)) == base + 10 * DAY
    assert due(it, made(base + 9 * DAY)) == base + 20 * DAY
    assert due(it, made(base + HOUR, base + 8 * DAY)) == base + HOUR + (8 * DAY - HOUR) * 2 / 3
    assert due(replace(it, policy=RotationPolicy(enabled=False)), made(base + HOUR, base + 8 * DAY)) is None


def test_before_the_provider_ends_it() -> None:
    assert due(rule(90), made(NOW, NOW + 60 * DAY)) == NOW + 53 * DAY
    assert due(rule(90), made(NOW, NOW + 3 * HOUR)) == NOW + 2 * HOUR


def test_what_ends_within_days_waits_for_no_window() -> None:
    held = {"a": rule(90, openings=Openings(WEEKLY.windows, (parse_blackout("01-01..12-31", UTC),)), jitter=DAY)}
    short, long = made(NOW - 8 * HOUR, NOW + 4 * HOUR), made(NOW - 60 * DAY, NOW + 6 * DAY)
    assert decide(short, rules=held)["a"].act is Act.BEGIN
    assert decide(long, rules=held)["a"].act is Act.HELD
    assert decide(long, rules={"a": rule(90, openings=WEEKLY)})["a"].at == SUNDAY


def test_beside_a_refresh_token_nobody_knows_how_long_a_value_lives() -> None:
    given = made(NOW - HOUR)
    token = Version(2, Stage.REFRESH, NOW - HOUR, origin="import")
    beside = replace(given, versions=(replace(given.versions[0], origin="import"), token), last_number=2)
    assert decide(beside, rules={"a": rule(openings=WEEKLY)})["a"].act is Act.BEGIN


def test_no_opening_in_sight() -> None:
    never = Openings(WEEKLY.windows, (parse_blackout("01-01..12-31", UTC),))
    assert slot("a", rule(openings=never), NOW, NOW, NOW) is None
    assert decide(record("a", 40 * DAY), rules={"a": rule(openings=never)})["a"].act is Act.HELD


# --- among the others ----------------------------------------------------------------------------------------------


def test_one_at_a_time_staggered() -> None:
    pace = Pace(stagger=600.0)
    found = decide(record("a", 40 * DAY), record("b", 41 * DAY), pace=pace)
    assert found["b"].act is Act.BEGIN and found["a"].act is Act.WAIT and found["a"].at == NOW + 600
    begun = record("b", 0.0, rotation=rotation(State.DONE, started_at=NOW - 100, finished_at=NOW - 50))
    assert decide(record("a", 40 * DAY), begun, pace=pace)["a"].at == NOW + 500


def test_never_two_of_a_group() -> None:
    found = decide(record("a", 40 * DAY, group="g"), record("b", 41 * DAY, group="g"), record("c", 40 * DAY))
    assert (found["b"].act, found["a"].act, found["c"].act) == (Act.BEGIN, Act.WAIT, Act.BEGIN)
    assert "b of its group g" in found["a"].why


def test_not_in_the_same_window_nor_within_a_day() -> None:
    rules = {name: rule(openings=WEEKLY) for name in ("a", "b")}
    done = replace(record("b", 0.0, group="g"), versions=(Version(1, Stage.CURRENT, SUNDAY + 60, origin="rotation"),))
    need = decide(record("a", 40 * DAY, group="g"), done, rules=rules, now=SUNDAY + HOUR)["a"]
    assert need.act is Act.WAIT and need.at == SUNDAY + 2 * HOUR and "this window" in need.why
    fresh = record("b", HOUR, group="g")
    need = decide(record("a", 40 * DAY, group="g"), fresh)["a"]
    assert need.act is Act.WAIT and need.at == NOW + 23 * HOUR
    imported = record("b", HOUR, group="g", origin="import")
    assert decide(record("a", 40 * DAY, group="g"), imported)["a"].act is Act.BEGIN


def test_in_a_window_that_several_wait_for_the_longest_due_goes() -> None:
    early, late = sorted("abcdefgh", key=share)[0], sorted("abcdefgh", key=share)[-1]
    rules = {name: rule(7, openings=WEEKLY, jitter=HOUR) for name in (early, late)}
    at = SUNDAY + share(early) * HOUR
    every = [record(early, 7 * DAY, group="g"), record(late, 14 * DAY, group="g")]
    found = decide(*every, rules=rules, now=at)
    assert found[early].act is Act.WAIT and f"{late} of its group g comes first" in found[early].why
    assert found[early].at == found[late].at == SUNDAY + share(late) * HOUR
    assert decide(*every, rules=rules, now=SUNDAY + HOUR)[late].act is Act.BEGIN
    failing = replace(every[1], rotation=rotation(State.ABORTED, finished_at=at - 60, failures=1))
    assert decide(every[0], failing, rules=rules, now=at)[early].act is Act.BEGIN, "one that fails keeps nobody"
    follows = {**rules, late: replace(rules[late], after=(early,))}
    assert decide(*every, rules=follows, now=at)[early].act is Act.BEGIN, "nor one that comes after it"


def test_one_that_only_waits_for_a_person_keeps_no_other_of_its_group() -> None:
    awaits = rotation(State.AWAITING, armed=False, waits_for=Wait.PERSON)
    found = decide(record("a", 40 * DAY, group="g"), record("b", 40 * DAY, group="g", rotation=awaits))
    assert found["a"].act is Act.BEGIN
    moving = record("b", 40 * DAY, group="g", rotation=rotation(State.DELIVERED, armed=False, waits_for=Wait.PERSON))
    assert decide(record("a", 40 * DAY, group="g"), moving)["a"].act is Act.WAIT


def test_who_comes_first() -> None:
    rules = {"key": rule(after=("admin",)), "admin": rule(), "gateway": rule(last=True)}
    every = [record("key", 35 * DAY), record("admin", 31 * DAY), record("gateway", 36 * DAY)]
    found = decide(*every, rules=rules)
    assert found["admin"].act is Act.BEGIN
    assert found["key"].act is Act.WAIT and "admin comes first" in found["key"].why
    assert found["gateway"].act is Act.WAIT
    alone = decide(record("key", 35 * DAY), record("admin", 1 * DAY), record("gateway", 36 * DAY), rules=rules)
    assert alone["key"].act is Act.BEGIN and alone["gateway"].act is Act.WAIT
    stuck = record("admin", 31 * DAY, rotation=rotation(State.STUCK, armed=False, waits_for=Wait.PERSON))
    assert decide(record("key", 35 * DAY), stuck, rules=rules)["key"].act is Act.BEGIN  # not for ever


def test_nobody_waits_for_others_past_a_window_of_its_own() -> None:
    rules = {"key": rule(openings=WEEKLY), "gateway": rule(openings=WEEKLY, last=True)}
    every = [record("key", 31 * DAY), record("gateway", 31 * DAY)]
    assert decide(*every, rules=rules, now=SUNDAY)["gateway"].act is Act.WAIT
    old = [record("key", 31 * DAY), record("gateway", 50 * DAY)]
    assert decide(*old, rules=rules, now=SUNDAY)["gateway"].act is Act.BEGIN


def test_a_provider_takes_so_many() -> None:
    pace = Pace(stagger=0.0, limits={"acme": Limit(2, HOUR)})
    recent = record("c", 1.0, rotation=rotation(State.DONE, started_at=NOW - 600))
    found = decide(record("a", 41 * DAY), record("b", 40 * DAY), recent, pace=pace)
    assert found["a"].act is Act.BEGIN and found["b"].act is Act.WAIT and found["b"].at == NOW - 600 + HOUR


@pytest.mark.parametrize(("after", "found"), [
    ({"a": ["b"], "b": ["c"], "c": []}, []),
    ({"a": ["a"]}, ["a", "a"]),
    ({"x": [], "a": ["b"], "b": ["c"], "c": ["a", "x"]}, ["a", "b", "c", "a"]),
    ({"a": ["gone"]}, []),
])
def test_circles(after: dict[str, list[str]], found: list[str]) -> None:
    assert circle(after) == found


# --- the forecast --------------------------------------------------------------------------------------------------


def test_the_forecast_keeps_interval_window_and_group() -> None:
    rules = {name: rule(openings=WEEKLY, jitter=HOUR) for name in ("a", "b")}
    every = [record("a", 31 * DAY, group="g"), record("b", 32 * DAY, group="g")]
    found, _ = forecast(every, rules, PACE, NOW, NOW + 120 * DAY)
    assert {planned.secret for planned in found[:2]} == {"a", "b"}
    assert found[1].at >= SUNDAY + 7 * DAY
    for planned in found:
        span = WEEKLY.first(planned.at)
        assert span is not None and span.holds(planned.at) and planned.due <= planned.at
    for name in ("a", "b"):
        times = [planned.at for planned in found if planned.secret == name]
        assert len(times) == 4 and all(b - a >= 30 * DAY for a, b in itertools.pairwise(times))


def test_the_forecast_ends_where_somebody_waits_for_ever() -> None:
    moving = record("b", 40 * DAY, group="g", rotation=rotation(State.DELIVERED, armed=False, waits_for=Wait.PERSON))
    found, held = forecast([record("a", 40 * DAY, group="g"), moving], {"a": rule(), "b": rule()}, PACE, NOW,
                           NOW + 3650 * DAY)
    assert found == [] and {need.act for need in held} == {Act.WAIT, Act.ASK}


@pytest.mark.parametrize(("age", "blackout", "why"), [
    (28 * DAY, "", "by its age"), (28 * DAY, "10-05..10-07", "after a blackout"),
    (28 * DAY, "10-09..10-11", "by its age"), (37 * DAY, "", "missed its window"),
])
def test_the_forecast_says_what_keeps_it(age: float, blackout: str, why: str) -> None:
    """A window that a blackout shuts is not one that was missed (day 20,000 is 4 October 2024)."""
    shut = (parse_blackout(blackout, UTC),) if blackout else ()
    for openings in (WEEKLY, Openings()):
        if not openings.windows and why == "missed its window":
            continue
        planned = forecast([record("a", age)], {"a": rule(openings=replace(openings, blackouts=shut))}, PACE, NOW,
                           NOW + 20 * DAY)[0][0]
        assert planned.why == why and planned.at >= planned.due and not planned.outside
