"""Two slots in the simulated world: nobody's value is ended with the idle one, and the one in use is never touched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawsecrets.errors import Fenced
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.record import Record, Revocation
from clawsecrets.model.rotation import Outcome, Rotation, State, Wait
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.rotate import slots
from clawsecrets.rotate.gear import Outfit
from clawsecrets.rotate.job import Job
from clawsecrets.rotate.order import Order
from tests.sim.gear import WorldGear
from tests.sim.play import live_on
from tests.sim.test_more import state, world
from tests.sim.world import NAME, World


def looks(of: World, effect: str, where: str = "vacating") -> int:
    """How often something was asked in a state."""
    return of.seen.count((where, effect))


def test_the_first_time_everybody_shows_that_the_other_slot_is_not_used() -> None:
    it = world("alternate")
    record = it.run()
    assert state(it) is State.DONE and looks(it, "prove") == 1 and set(it.live) == {"two"}
    assert record.current is not None and record.current.handle == "two"
    it.rotate()
    assert state(it) is State.DONE and set(it.live) == {"one"}, "and back again"
    assert looks(it, "prove") == 1, "the store itself saw that slot's value die"


def test_who_uses_the_other_slot_keeps_it() -> None:
    it = world("alternate", traits=("other-uses",))
    it.run_once()
    assert state(it) is State.ABORTED and it.used in it.live_values and not it.done["create"]


@pytest.mark.parametrize("vouched", [True, False])
def test_where_nobody_can_show_it_a_person_is_asked_before_anything_happens(vouched: bool) -> None:
    it = world("alternate", traits=("unproven",))
    it.run_once()
    rotation = it.store.load(NAME).rotation
    assert rotation is not None and (rotation.state, rotation.waits_for) == (State.VACATING, Wait.PERSON)
    assert not it.done["create"] and len(it.live) == 2
    if not vouched:
        it.engine().abort(NAME)
        assert state(it) is State.ABORTED and len(it.live) == 2
        return
    it.engine().resume(NAME, vouched=True)
    rotation = it.store.load(NAME).rotation
    assert rotation is not None and rotation.state is State.DELIVERED and len(rotation.caveats) == 1


def test_a_leaked_value_waits_for_nobody_who_cannot_show_it_where_the_slot_is_known_to_be_free() -> None:
    it = world("alternate")
    it.run()
    it.traits = frozenset({"unproven", "compromised", "forced"})
    assert it.engine().rotate(NAME, Order(compromised=True, revoke_unproven=True)).record.rotation is not None
    assert state(it) is State.DONE and len(it.live) == 1


def test_without_a_value_in_the_store_nothing_is_replaced() -> None:
    it = world("alternate", traits=("unplaced",))
    it.live.pop("one")  # what the store holds is dead: which slot is in use?
    it.asleep = True
    it.run_once()
    assert state(it) is State.ABORTED and set(it.live) == {"two"} and not it.done["create"]


def edited(it: World, edit: object) -> Record:
    record = it.store.load(NAME)
    return it.store.commit([Change(edit(record), AuditEvent(0, "t", "x", NAME))])[0]  # type: ignore[operator]


def test_what_was_set_by_hand_over_a_slot_is_not_taken_for_free() -> None:
    """A person switched to the other slot's value with `set`: who still uses the former one is not known."""
    it = world("alternate")
    value = SecretValue(it.live["two"][0])
    record = it.store.load(NAME)
    new = Version(2, Stage.CURRENT, 0.0, it.store.fingerprint(value), "two")
    it.store.commit([Change(record.put_current(new), AuditEvent(0, "t", "secret.set", NAME), {2: value})])
    it.run_once()
    assert state(it) is State.ABORTED and "one" in it.live and it.used in it.live_values, "it is still used"
    it.target, it.used = {NAME: value.reveal()}, value.reveal()
    it.old = value.reveal()
    it.run_once()
    assert state(it) is State.DONE and set(it.live) == {"one"}


def test_a_debt_on_the_idle_slot_is_paid_by_filling_it() -> None:
    it = world("alternate", traits=("undying",))
    it.run()
    assert state(it) is State.DONE_OWED and set(it.live) == {"one", "two"}
    old, it.traits = it.old, frozenset()
    it.old = it.live["two"][0]
    record = it.rotate()
    assert looks(it, "prove") == 1 and old not in it.live_values
    it.pay()
    record = it.store.load(NAME)
    assert not record.debts and state(it) is State.DONE
    assert set(it.live) == {"one"} and it.used in it.live_values, "the ledger did not empty the slot that is in use"


def test_a_slot_whose_value_is_in_use_is_neither_filled_nor_emptied() -> None:
    it = world("alternate")
    record = it.store.load(NAME).add_version(Version(2, Stage.PENDING, 0.0, "f", "two"))
    it.store.commit([Change(record, AuditEvent(0, "t", "x", NAME), {2: SecretValue(it.live["two"][0])})])
    told = job(it, State.VACATING)
    assert slots.vacate(told).reply.outcome is Outcome.REFUSED
    assert slots.clear(replace(told, rotation=replace(told.rotation, state=State.CLEARING))).reply.outcome \
        is Outcome.REFUSED
    assert len(it.live) == 2


def job(it: World, at: State, **more: object) -> Job:
    record = it.store.load(NAME)
    rotation = Rotation("r", NAME, "alternate", at, 0.0, 0.0, old_version=1)
    return replace(Job(record, rotation, WorldGear(it).outfit(record.secret), it.store, WorldGear(it), it.clock.now()),
                   **more)  # type: ignore[arg-type]


def test_an_outfit_without_slots_refuses() -> None:
    it = world("alternate")
    bare = Outfit("alternate", WorldGear(it).outfit(it.store.load(NAME).secret).issuer, RotationPolicy())
    for step in (slots.vacate, slots.clear):
        assert step(replace(job(it, State.VACATING), outfit=bare)).reply.outcome is Outcome.REFUSED


def test_which_slot_is_in_use_is_written_down_before_the_other_is_touched() -> None:
    it = world("alternate", "creating.create before", traits=("unplaced",))
    it.run_once()
    version = it.store.load(NAME).version(1)
    assert version is not None and version.handle == "one" and not it.done["create"]
    record = it.run()
    assert looks(it, "locate") == 1
    it.check_end(record)


def test_a_sleeper_that_emptied_the_value_in_use_says_so() -> None:
    it = world("alternate", "creating.create pause")
    with pytest.raises(Fenced) as told:
        it.rotate()
    assert "dead" in told.value.hint
    assert it.engine().rotate(NAME, Order()).record.rotation is not None
    it.asleep = False
    assert state(it) is State.DONE and it.used in it.live_values


def test_a_sleeper_whose_slot_nobody_uses_takes_back_what_it_put_there() -> None:
    it = world("alternate", "creating.create asleep")
    real = it._take_over

    def aborted() -> None:
        faulty, it.faulty, it.asleep = it.faulty, False, True
        it.clock.sleep(91.0)
        it.store.dead.add(it.holder)
        it.engine().abort(NAME)
        it.faulty = faulty

    it._take_over = aborted  # type: ignore[method-assign]
    with pytest.raises(Fenced):
        it.rotate()
    it._take_over = real  # type: ignore[method-assign]
    it.asleep = False
    assert state(it) is State.ABORTED and set(it.live) == {"one"} and it.used in it.live_values


def test_an_orphan_entry_of_a_slot_in_use_kills_nothing() -> None:
    it = world("alternate")
    it.run()
    entry = Revocation(0, "two", it.clock.now(), "orphan", next_at=it.clock.now())
    edited(it, lambda record: record.owe(entry))
    it.pay()
    assert "two" in it.live and it.used in it.live_values


def test_it_ends_whatever_the_provider_answers_once() -> None:
    for answer in ("lost", "nothing", "refuse", "later"):
        for where in ("vacating.idle", "creating.create", "created.test", "retiring.revoke"):
            it = world("alternate", f"{where} {answer}")
            record = it.run()
            it.check_end(record)
            live_on(it, record)


