"""Years of the daemon in seconds (years.py): every secret in time, never twice, never two of one group, or told why.

`make test` lives a few short lives, `make soak` three years of two hundred secrets. A failure names its seed:
    python -c "from tests.sim.years import life; life(SEED, SECRETS, YEARS)"
"""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

import clawsecrets.daemon.keeper as keeper_module
import clawsecrets.model.need as need_module
from bench import figures
from clawsecrets.model.forecast import forecast
from clawsecrets.model.need import Act, Need
from clawsecrets.model.policy import DAY
from clawsecrets.ports import Reply
from tests.sim import years
from tests.sim.years import done, life

SHORT = (14, 0.5)
"""Secrets, years."""


@pytest.mark.parametrize("seed", [0, 6, 15, 20, 44])
def test_a_quiet_year_keeps_every_interval(random_seed: int, seed: int) -> None:
    """0 stands for the run's own seed. In the others one of a group once kept the rest from its window for ever."""
    random_seed = seed or random_seed
    world = life(random_seed, 14, 1.0, troubles=False)
    found = done(world)
    for name, rule in world.rules.items():
        if not rule.assisted:
            assert rule.policy.interval is not None
            # an opening of a week may be waited for each time, and a redundancy group takes turns
            least = int(365 * DAY / (rule.policy.interval + 22 * DAY))
            assert least <= found[name] <= 365 * DAY / rule.policy.interval + 1, (random_seed, name, found[name])


def test_the_daemon_does_what_plan_says(random_seed: int) -> None:
    """Seven secrets, none of them assisted: the forecast of 120 days, and what a quiet world then sees."""
    world = years.Years(random.Random(random_seed), 7, troubles=False)
    world.rules = {name: replace(rule, policy=replace(rule.policy, grace=0.0)) for name, rule in world.rules.items()}
    start = world.clock.now()
    planned, _ = forecast(world.store.records(), world.rules, world.pace, start, start + 120 * DAY)
    world.live_through(121 * DAY)
    assert len(planned) > 10
    for name in world.rules:
        said = [item.at for item in planned if item.secret == name]
        done_at = [at for other, at in world.begins if other == name][: len(said)]
        off = [round(abs(a - b)) for a, b in zip(said, done_at, strict=True)]
        assert max(off, default=0) < 600, (random_seed, name, off)


@pytest.mark.parametrize("number", range(3))
def test_half_a_year_of_troubles(random_seed: int, number: int) -> None:
    world = life(random_seed + number, *SHORT)
    assert sum(done(world).values()) > 20, random_seed + number


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("number", range(3))
def test_three_years_of_two_hundred_secrets(random_seed: int, number: int) -> None:
    seed = random_seed + number
    print(f"seed {seed}")
    machine, began = figures.machine(), time.monotonic()
    world = life(seed, 200, 3.0)
    rotations = sum(done(world).values())
    found = {"secrets": 200, "years": 3, "rotations": rotations, "begun by the daemons": len(world.begins),
             "events": len(list(world.store.events())), "seconds": round(time.monotonic() - began)}
    figures.write("years", machine, {"lives": figures.read("years").get("lives", {}) | {f"seed {seed}": found}})
    assert rotations > 2000


@pytest.mark.slow
@pytest.mark.soak
def test_many_lives(random_seed: int) -> None:
    print(f"seeds from {random_seed}")
    for number in range(60):
        life(random_seed + number, 25, 1.0)


# --- and the checks can fail ---------------------------------------------------------------------------------------


def _lives(seeds: int = 4) -> None:
    for seed in range(seeds):
        life(seed, 18, 0.6)


def test_it_sees_one_of_a_group_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(need_module, "_held_by_group", lambda *args: None)
    with pytest.raises(AssertionError, match="of its group"):
        _lives()


def test_it_sees_a_rotation_outside_of_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = need_module.slot
    monkeypatch.setattr(need_module, "slot", lambda *args, urgent: slot(*args, urgent=True))
    with pytest.raises(AssertionError, match="outside of its windows"):
        _lives()


def test_it_sees_one_that_is_begun_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    due = need_module.due
    monkeypatch.setattr(need_module, "due", lambda rule, version: (due(rule, version) or 0.0) - DAY)
    with pytest.raises(AssertionError, match="before it was due"):
        _lives()


def test_it_sees_one_that_stops_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = need_module._alone

    def stops(record, *rest):  # type: ignore[no-untyped-def]
        return Need(record.secret.name, Act.NONE, "") if record.last_number > 3 else alone(record, *rest)

    monkeypatch.setattr(need_module, "_alone", stops)
    with pytest.raises(AssertionError, match=r"nothing kept it|nobody was told"):
        _lives()


def test_it_sees_that_nobody_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(years.Years, "tell", lambda self, notices: Reply(keeper_module.Outcome.OK))
    with pytest.raises(AssertionError, match="nobody was told"):
        _lives()


def test_the_same_seed_is_the_same_life() -> None:
    seed = random.Random(1).randrange(2**32)
    assert done(life(seed, 6, 0.3)) == done(life(seed, 6, 0.3))
