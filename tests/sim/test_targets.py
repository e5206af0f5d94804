"""What a target is to hold as a whole, asked before; and whether it still holds it, asked before anything dies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, State
from clawsecrets.ports import Reply
from clawsecrets.rotate import preflight
from clawsecrets.rotate.gear import Outfit
from tests.sim import gear
from tests.sim.gear import GRACE, WorldGear
from tests.sim.test_more import ALL, state, world
from tests.sim.world import NAME, World


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
    made, record = WorldGear(it), it.store.load(NAME)
    replies = list(preflight.checks(record, made.outfit(record.secret), it.store, made if with_gear else None))
    assert [r.detail for r in replies if r.outcome is Outcome.REFUSED] == ["injector file: refused"]


def unwell(monkeypatch: pytest.MonkeyPatch) -> tuple[World, Record, Outfit]:
    """A world in which nothing fails but the look at a consumer: it is down."""
    it = world()
    it.faulty = False
    record = it.store.load(NAME)
    outfit = WorldGear(it).outfit(record.secret)
    monkeypatch.setattr(outfit.consumers["app"], "preflight", lambda handover: Reply(Outcome.REFUSED, "it is down"))
    return it, record, outfit


def test_under_compromised_an_unwell_consumer_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    it, record, outfit = unwell(monkeypatch)
    plain = [r for r in preflight.checks(record, outfit, it.store) if r.outcome is not Outcome.OK]
    assert [r.detail for r in plain] == ["consumer app: it is down"]
    urgent = list(preflight.checks(record, outfit, it.store, compromised=True))
    assert all(r.outcome is Outcome.OK for r in urgent) and "it is down" in urgent[-1].detail


def test_what_nobody_could_validate_is_refused_once_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the dry run in the words of the rotation: both ask whether somebody can say which value is in effect."""
    it = world("self-issued")
    it.faulty = False
    monkeypatch.setattr(gear._App, "validates", False)
    record = it.store.load(NAME)
    dry = [r.detail for r in preflight.checks(record, WorldGear(it).outfit(record.secret), it.store)
           if r.outcome is Outcome.REFUSED]
    rotation = it.rotate().rotation
    assert state(it) is State.ABORTED and not it.done["deliver"]
    assert rotation is not None and dry == [rotation.note]
    assert "--strategy assisted" in rotation.note and "--consume TARGET" in rotation.note


@pytest.mark.parametrize(("reads", "staged"), [((), True), (("file",), True), (("other",), False)])
@pytest.mark.parametrize("host", ["", "@claw-1"])
def test_the_validating_consumer_must_read_one_of_the_targets(reads: tuple[str, ...], staged: bool, host: str) -> None:
    """It names what it reads without the host that the target has in the record."""
    outfit = WorldGear(world("self-issued")).outfit(world("self-issued").store.load(NAME).secret)
    app = outfit.consumers["app"]
    app.reads = reads  # type: ignore[misc]
    outfit = replace(outfit, injectors={f"file{host}": outfit.injectors["file"]})
    assert outfit.staged == ({f"file{host}"} if staged else frozenset())
    why = outfit.unvalidated(NAME)
    assert (why == "") is staged and ("--inject other" in why) is not staged


@pytest.mark.parametrize("outcome", [Outcome.LATER, Outcome.UNKNOWN])
def test_what_cannot_be_asked_is_refused_by_the_dry_run_as_by_the_rotation(
        outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world()
    it.faulty = False
    record = it.store.load(NAME)
    monkeypatch.setattr(gear._App, "preflight", lambda app, handover: Reply(outcome, "connection refused"))
    dry = [r for r in preflight.checks(record, WorldGear(it).outfit(record.secret), it.store)
           if r.outcome is not Outcome.OK]
    rotation = it.rotate().rotation
    assert rotation is not None and state(it) is State.ABORTED
    assert [(r.outcome, r.detail) for r in dry] == [(Outcome.REFUSED, rotation.note)]
    assert "consumer app: connection refused" in rotation.note


def test_of_a_dead_one_an_unwell_consumer_is_a_note_in_the_dry_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    it, record, outfit = unwell(monkeypatch)
    monkeypatch.setattr(outfit.issuer, "test", lambda value, request: Reply(Outcome.REFUSED))
    replies = list(preflight.checks(record, outfit, it.store))
    assert all(r.outcome is Outcome.OK for r in replies) and preflight.OF_DEAD in replies[-1].detail


def test_one_that_cannot_be_tested_is_not_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    it, record, outfit = unwell(monkeypatch)
    for reply in (Reply(Outcome.REFUSED, untestable=True), Reply(Outcome.UNKNOWN), Reply(Outcome.LATER)):
        monkeypatch.setattr(outfit.issuer, "test", lambda value, request, reply=reply: reply)
        last = list(preflight.checks(record, outfit, it.store))[-1]
        assert (last.outcome, last.detail) == (Outcome.REFUSED, "consumer app: it is down")


def test_of_what_another_host_carries_out_the_dry_run_says_so_and_asks_nothing_here() -> None:
    it = world("self-issued", traits=("other-host",))
    it.faulty, it.carries = False, Outcome.REFUSED
    record = it.store.load(NAME)
    record = replace(record, secret=replace(record.secret, consumers=("app@other",)))
    here = replace(WorldGear(it).outfit(record.secret), consumers={})
    [reply] = preflight.checks(record, here, it.store)
    assert reply.outcome is Outcome.OK
    assert reply.detail == "host other carries it out, and looks there whether it can"


@pytest.mark.parametrize("strategy", ALL)
def test_a_target_that_was_overwritten_once_is_written_again(strategy: str) -> None:
    it = world(strategy)
    it.faulty, it.spoiled = False, 1
    record = it.rotate()
    assert state(it) is State.DONE and record.rotation is not None and not record.rotation.caveats
    it.check_end(record)


@pytest.mark.parametrize("strategy", ALL)
def test_while_something_else_writes_a_target_nothing_is_concluded(strategy: str) -> None:
    it = world(strategy, patience=20.0)
    it.faulty, it.spoiled = False, 10_000
    rotation = it.rotate().rotation
    assert rotation is not None and state(it) is State.DELIVERED
    assert rotation.note == "something else writes it: file"
    if strategy in ("overlap", "assisted"):
        assert it.old in it.live_values
    it.spoiled, it.patience = 0, 200_000.0
    it.clock.sleep(60.0)
    it.check_end(it.rotate())
    assert state(it) is State.DONE


def test_under_compromised_it_ends_with_a_person_and_the_old_one_alive() -> None:
    it = world(traits=("compromised", "forced"))
    it.faulty, it.spoiled = False, 10_000
    rotation = it.rotate().rotation
    assert rotation is not None and state(it) is State.STUCK and "something else writes it: file" in rotation.note
    assert it.old in it.live_values


@pytest.mark.parametrize("strategy", ["overlap", "assisted"])
def test_a_target_that_is_overwritten_during_the_grace_stops_the_revocation(strategy: str) -> None:
    it = world(strategy, patience=1.0)
    it.faulty = False
    it.rotate()
    assert state(it) is State.PROVEN
    it.clock.sleep(GRACE)
    it.spoiled = 10_000
    it.rotate()
    assert state(it) is State.STUCK and it.old in it.live_values
    it.spoiled = 0
    it.engine().resume(NAME)
    it.clock.sleep(GRACE)
    it.check_end(it.rotate())
    assert state(it) is State.DONE


def test_it_is_asked_again_when_the_revocation_itself_comes_late() -> None:
    it = world("overlap", "retiring.revoke later", patience=200.0)
    it.rotate()
    assert state(it) is State.DONE
    it = world("overlap", "retiring.revoke before")
    it.run_once()
    it.store.dead.add(it.holder)
    it.faulty, it.spoiled = False, 10_000
    rotation = it.rotate().rotation
    assert rotation is not None and state(it) is State.RETIRING and "nothing was revoked" in rotation.note
    assert it.old in it.live_values
    it.spoiled = 0
    it.check_end(it.rotate())
    assert state(it) is State.DONE


def test_what_cannot_be_looked_at_is_a_caveat() -> None:
    it = world()
    it.faulty, it.unseen = False, True
    rotation = it.rotate().rotation
    assert rotation is not None and rotation.state is State.DONE
    assert rotation.caveats == ("could not look at what is in file",)
