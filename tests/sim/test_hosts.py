"""Two hosts on one store: no outage on either, whoever is absent, late, wrong, or killed at any point."""

from __future__ import annotations

import random
from functools import partial

import pytest

from clawsecrets.errors import UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.hosts import behind, hosts, without_host
from clawsecrets.model.rotation import State
from clawsecrets.ports import Change
from clawsecrets.rotate.order import Order
from clawsecrets.rotate.steps import FAR
from tests.sim.hosts import Hosts

DAY = 86400.0


def straight(it: Hosts) -> None:
    """The ordinary way: one leads, the other's daemon looks from time to time."""
    for _ in range(6):
        it.run(partial(it.rotate, "a", "k1"))
        it.run(partial(it.sync, "b"))
        it.clock.sleep(31.0)


def test_both_hosts_have_the_new_one_before_the_old_one_dies() -> None:
    it = Hosts()
    old = it.current("k1")
    it.rotate("a", "k1")
    assert it.rotation("k1").state is State.PUBLISHED and "host b (file@b)" in it.rotation("k1").note
    assert [(item.host, item.target) for item in behind(it.store.load("k1"))] == \
        [("b", "file@b"), ("a", "app@a"), ("b", "app@b")]
    for _ in range(5):  # waiting for b, nothing on a is reloaded again and again
        it.clock.sleep(31.0)
        it.rotate("a", "k1")
    assert it.reloads == {"a": 1, "b": 0} and old in it.live_values
    it.sync("b")
    it.clock.sleep(31.0)
    it.rotate("a", "k1")
    assert it.rotation("k1").state is State.DONE and not behind(it.store.load("k1"))
    assert it.reloads == {"a": 1, "b": 1}
    assert not it.sync("b"), "there is nothing left to do"
    it.check_end()


def test_the_revocation_waits_for_an_absent_host_for_ever_and_names_it() -> None:
    it = Hosts()
    old = it.current("k1")
    it.rotate("a", "k1")
    for _ in range(60):
        it.clock.sleep(DAY / 24)
        it.run(partial(it.rotate, "a", "k1"))
        it.check()
        assert old in it.live_values and it.rotation("k1").state is not State.DONE
        if it.rotation("k1").state is not State.PLANNED:
            assert "host b (file@b)" in it.rotation("k1").note
    it.heal()
    it.check_end()


def test_a_host_that_missed_several_gets_only_the_newest() -> None:
    it = Hosts()
    it.left_behind = {"b"}  # a person orders that nobody waits for it
    for number in (2, 3, 4):
        for _ in range(6):
            it.engine("a").rotate("k1", Order(from_version=number - 1, compromised=True, revoke_unproven=True))
            it.clock.sleep(FAR)
        rotation = it.rotation("k1")
        assert rotation.state is State.DONE and it.store.load("k1").last_number == number
        assert any("host b" in caveat for caveat in rotation.caveats), rotation.caveats
    before = len(it.trace)
    it.sync("b")
    assert [line.split(":")[1] for line in it.trace[before:] if "write" in line and "?" not in line] == \
        ["write file@b [('k1', 4), ('k2', 1)]"]
    it.left_behind = set()
    it.check_end()


def test_a_host_that_goes_back_to_the_old_one_stops_the_revocation() -> None:
    it = Hosts()
    it.sides["b"].down = True
    straight(it)
    assert it.rotation("k1").state is State.DELIVERED and "app@b: it does not answer" in it.rotation("k1").note
    it.sides["b"].down = False
    it.heal()
    assert it.rotation("k1").state is State.DONE
    it.check_end()


@pytest.mark.parametrize("fault", ["stubborn", "full"])
def test_a_host_that_is_wrong_turns_the_rotation_back_on_all(fault: str) -> None:
    it = Hosts()
    old = it.current("k1")
    setattr(it.sides["b"], fault, True)
    it.rotate("a", "k1")
    it.heal()
    assert it.rotation("k1").state is State.ABORTED and it.current("k1") == old
    assert ("app@b: it uses another one" if fault == "stubborn" else "file@b: it cannot carry that") \
        in it.rotation("k1").note
    it.check_end()


def test_a_host_whose_app_can_show_nothing_is_for_a_person() -> None:
    it = Hosts()
    it.sides["b"].mute = True
    straight(it)
    rotation = it.rotation("k1")
    assert rotation.state is State.DELIVERED and rotation.waits_for == "person"
    assert "app@b: it cannot show it" in rotation.note
    it.engine("a").resume("k1", vouched=True)
    it.heal()
    assert it.rotation("k1").state is State.DONE and any("app@b" in caveat for caveat in it.rotation("k1").caveats)


def test_what_one_secret_s_delivery_wrote_of_the_other_is_told() -> None:
    """k2 is published; b writes k1, and with it the newest k2, and is killed. k2 is backed out: b must be waited for,
    or the value that stands in its file would be revoked."""
    it = Hosts()
    it.rotate("a", "k2")
    it.rotate("a", "k1")
    before = it.point
    it.sync("b")
    first = next(int(line.split(":")[0]) for line in it.trace[before:] if "write file@b" in line and "?" not in line)
    again = Hosts()
    again.rotate("a", "k2")
    again.rotate("a", "k1")
    again.kill = {first}
    again.run(partial(again.sync, "b"))
    assert again.sides["b"].file["k2"] == again.current("k2") != again.sides["b"].used["k2"]
    again.run(partial(again.abort, "a", "k2"))
    again.check()
    assert again.rotation("k2").state in (State.DEMOTED, State.RESTORED) and "host b" in again.rotation("k2").note
    again.heal()
    assert again.rotation("k2").state is State.ABORTED
    again.check_end()


def test_killed_at_every_point() -> None:
    """The engine and the other host's sync, each killed at each of their points, forwards and backing out."""
    for back in (False, True):
        whole = Hosts()
        _story(whole, back)
        whole.heal()
        whole.check_end()
        for point in range(1, whole.point + 1):
            it = Hosts()
            it.kill = {point}
            _story(it, back)
            it.heal()
            it.check_end()
    assert whole.point > 60


def _story(it: Hosts, back: bool) -> None:
    it.run(partial(it.rotate, "a", "k1"))
    it.run(partial(it.sync, "b"))
    it.clock.sleep(31.0)
    if back:
        it.run(partial(it.abort, "a", "k1"))
        it.run(partial(it.sync, "b"))
        it.clock.sleep(31.0)
    for _ in range(3):
        it.run(partial(it.rotate, "b", "k1"))  # a person there goes on with it
        it.run(partial(it.sync, "a"))
        it.clock.sleep(31.0)


@pytest.mark.parametrize("seed", range(40))
def test_any_order_of_anything(seed: int) -> None:
    """Random orders of what both hosts do, killed and interrupted at random points."""
    for turn in range(12):
        dice = random.Random(seed * 1000 + turn)
        it = Hosts(("a", "b") if turn % 3 else ("a", "b", "c"))
        for _ in range(dice.randrange(6, 22)):
            _anything(it, dice)
        for side in it.sides.values():
            side.stubborn = side.full = side.down = False
            side.restart()
        it.heal(dice.choice(list(it.sides)))
        it.check_end()


def _anything(it: Hosts, dice: random.Random) -> None:
    host, name = dice.choice(list(it.sides)), dice.choice(["k1", "k2"])
    if dice.random() < 0.3:
        it.kill.add(it.point + dice.randrange(1, 25))
    if dice.random() < 0.3:
        other, one = dice.choice([h for h in it.sides if h != host]), dice.choice(["k1", "k2"])
        work = dice.choice([partial(it.sync, other), partial(it.rotate, other, one), partial(it.abort, other, one)])
        it.meanwhile[it.point + dice.randrange(1, 25)] = (other, partial(it.run, work))
    choice = dice.random()
    if choice < 0.35:
        it.run(partial(it.rotate, host, name))
    elif choice < 0.7:
        it.run(partial(it.sync, host))
    elif choice < 0.78:
        it.run(partial(it.abort, host, name))
    elif choice < 0.83:
        it.run(partial(it.resume, host, name))
    elif choice < 0.9:
        it.clock.sleep(dice.choice([1.0, 31.0, 700.0]))
    elif choice < 0.95:
        it.sides[host].restart()
    else:
        fault = dice.choice(["stubborn", "full", "down"])
        setattr(it.sides[host], fault, not getattr(it.sides[host], fault))


def test_a_forgotten_host_is_waited_for_no_more() -> None:
    it = Hosts()
    it.rotate("a", "k1")
    assert [host.name for host in hosts(it.store.records())] == ["a", "b"]
    for name in ("k1", "k2"):
        it.store.commit([Change(without_host(it.store.load(name), "b"), AuditEvent(0, "t", "host.forgotten", name))])
    del it.sides["b"]
    assert [host.name for host in hosts(it.store.records())] == ["a"]
    it.heal()
    assert it.rotation("k1").state is State.DONE
    it.check_end()


def test_a_self_issued_value_is_rotated_by_the_host_whose_consumer_validates_it() -> None:
    it = Hosts(strategy="self-issued")
    it.sides["b"].validates = True
    old = it.current("k1")
    it.rotate("a", "k1")
    assert it.rotation("k1").state is State.PLANNED and it.rotation("k1").note == "waiting for host b to carry it out"
    it.clock.sleep(31.0)
    it.sync("b")
    assert it.rotation("k1").state is State.PUBLISHED and "host a (file@a)" in it.rotation("k1").note
    assert it.sides["b"].used["k1"] == it.current("k1") != old
    with pytest.raises(UsageError, match="on host b"):
        it.abort("a", "k1")
    it.clock.sleep(31.0)
    before = it.store.load("k1")
    assert it.rotate("a", "k1") == before, "it goes on there, and is left alone here"
    for host in ("a", "b", "a", "b"):
        it.sync(host)
        it.clock.sleep(31.0)
    assert it.rotation("k1").state is State.DONE and not it.rotation("k1").caveats
    assert {side.used["k1"] for side in it.sides.values()} == {it.current("k1")}


def test_a_leader_whose_clock_is_years_ahead_does_not_keep_the_other_host_from_carrying_it_out() -> None:
    it = Hosts(strategy="self-issued")
    it.sides["b"].validates = True
    it.clock.time += 1000 * DAY
    it.rotate("a", "k1")
    it.clock.time -= 1000 * DAY
    it.sync("b")
    assert it.rotation("k1").state is State.PUBLISHED
    it.check()


def test_a_self_issued_value_whose_host_stays_away_is_not_touched() -> None:
    it = Hosts(strategy="self-issued")
    it.sides["b"].validates = True
    before = it.store.load("k1")
    for _ in range(30):
        it.run(partial(it.rotate, "a", "k1"))
        it.clock.sleep(31.0)
        if it.rotation("k1").final:
            break
    record = it.store.load("k1")
    assert it.rotation("k1").state is State.ABORTED and "host b" in it.rotation("k1").note
    assert (record.versions, record.acks) == (before.versions, before.acks)
