"""What a target is to hold as a whole, asked before; and whether it still holds it, asked before anything dies."""

from __future__ import annotations

import pytest

from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Reply
from clawsecrets.rotate import preflight
from tests.sim.gear import WorldGear
from tests.sim.test_more import ALL, state, world
from tests.sim.world import NAME


@pytest.mark.parametrize("strategy", ALL)
def test_what_a_target_could_not_carry_is_refused_before_anything_is_made(strategy: str) -> None:
    it = world(strategy)
    it.carries = Outcome.REFUSED
    it.rotate()
    assert state(it).value == "aborted"
    assert not (it.done["create"] or it.done["mint"] or it.done["obtain"]) or strategy == "assisted"
    it.check_always()


@pytest.mark.parametrize("with_gear", [True, False])
def test_a_dry_run_says_it_too(with_gear: bool) -> None:
    it = world("cut-over")
    it.faulty, it.carries = False, Outcome.REFUSED
    gear, record = WorldGear(it), it.store.load(NAME)
    replies = list(preflight.checks(record, gear.outfit(record.secret), it.store, gear if with_gear else None))
    assert [r.detail for r in replies if r.outcome is Outcome.REFUSED] == ["injector file: refused"]


def test_under_compromised_an_unwell_consumer_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    it = world()
    it.faulty = False
    record = it.store.load(NAME)
    outfit = WorldGear(it).outfit(record.secret)
    monkeypatch.setattr(outfit.consumers["app"], "preflight", lambda handover: Reply(Outcome.REFUSED, "it is down"))
    plain = [r for r in preflight.checks(record, outfit, it.store) if r.outcome is not Outcome.OK]
    assert [r.detail for r in plain] == ["consumer app: it is down"]
    urgent = list(preflight.checks(record, outfit, it.store, compromised=True))
    assert all(r.outcome is Outcome.OK for r in urgent) and "it is down" in urgent[-1].detail
