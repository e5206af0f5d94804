"""What one secret alone does not show: sleepers, other hosts, shared targets, orders in the middle, the ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawsecrets.errors import Fenced, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Ack
from clawsecrets.model.rotation import State
from clawsecrets.model.secret import SecretValue, Stage
from clawsecrets.ports import Change
from clawsecrets.rotate.ledger import KEEP, Ledger
from clawsecrets.rotate.order import Order
from tests.sim.gear import GRACE, WorldGear
from tests.sim.play import live_on
from tests.sim.world import NAME, Item, World

ALL = ("overlap", "alternate", "assisted", "cut-over", "refresh", "self-issued")


def world(strategy: str = "overlap", *items: str, traits: tuple[str, ...] = (), patience: float = 200_000.0) -> World:
    return World(strategy, script=tuple(Item.parse(item) for item in items), traits=frozenset(traits),
                 patience=patience)


def state(of: World) -> State:
    rotation = of.store.load(NAME).rotation
    assert rotation is not None
    return rotation.state


# --- a sleeper ---


@pytest.mark.parametrize("fault", ["pause", "asleep"])
@pytest.mark.parametrize("strategy", ALL)
def test_a_sleeper_commits_nothing_at_any_point(strategy: str, fault: str) -> None:
    span = World(strategy)
    span.run()
    slept = 0
    for point in range(2, span.point + 1):
        it = World(strategy, {point: fault})
        try:
            it.rotate()
        except Fenced as error:
            slept += 1
            record = it.store.load(NAME)
            assert record.revision == it.after_takeover, it.trace
            if "run clawsecrets rotate" in error.hint:  # said: it replaced at the provider what the other had made
                it.asleep = strategy == "alternate"  # the outage of which it tells
                assert strategy in ("alternate", "cut-over")
                assert it.engine().rotate(NAME, Order()).record.rotation.state is State.DONE  # type: ignore[union-attr]
                record = it.store.load(NAME)
            it.asleep = False
            it.check_end(record)
    assert slept > span.point // 3


# --- other hosts ---


def _other_host(it: World, target: str, proof: str) -> None:
    record = it.store.load(NAME)
    assert record.rotation is not None
    acked = record.ack(Ack(target, record.rotation.new_version, it.clock.now(), proof))
    it.store.commit([Change(acked, AuditEvent(it.clock.now(), "other", "secret.delivered", NAME))])


def test_an_absent_host_blocks_the_revoke_and_is_named() -> None:
    it = world(traits=("other-host",), patience=1.0)
    it.faulty = False
    record = it.rotate()
    assert state(it) is State.PUBLISHED and "file@other" in record.rotation.note  # type: ignore[union-attr]
    _other_host(it, "file@other", "")
    it.clock.sleep(31.0)
    record = it.rotate()
    assert state(it) is State.DELIVERED and "app@other" in record.rotation.note  # type: ignore[union-attr]
    _other_host(it, "app@other", "")  # delivered is not proven
    it.clock.sleep(31.0)
    assert it.rotate().rotation.state is State.DELIVERED  # type: ignore[union-attr]
    assert it.old in it.live_values
    _other_host(it, "app@other", "seen")
    it.clock.sleep(31.0)
    it.rotate()
    it.clock.sleep(GRACE)
    _other_host(it, "app@other", "seen")
    record = it.rotate()
    assert record.rotation.state is State.DONE and it.old not in it.live_values  # type: ignore[union-attr]


def test_a_host_that_stays_away_is_never_revoked_under() -> None:
    it = world(traits=("other-host",), patience=1e9)
    record = it.rotate()
    assert record.rotation is not None and it.old in it.live_values
    assert record.rotation.state is State.ABORTED and "file@other" in record.rotation.note


# --- orders in the middle ---


@pytest.mark.parametrize("strategy", ["overlap", "assisted", "self-issued"])
def test_compromised_never_goes_back(strategy: str) -> None:
    """Wherever a rotation stands when the order comes, the leaked value is not what is current at the end."""
    backing = {"overlap": "delivered.prove refuse", "assisted": "delivered.prove refuse",
               "self-issued": "delivered.prove refuse"}[strategy]
    straight, back = World(strategy), world(strategy, backing)
    straight.run()
    back.run()
    for points, script in ((straight.point, ()), (back.point, (Item.parse(backing),))):
        for point in range(2, points + 1):
            it = World(strategy, {point: "before"}, script)
            it.run_once()
            it.faults, it.script, it.traits = {}, (), frozenset({"compromised"})
            before = it.store.load(NAME).rotation
            if before is not None and before.final:
                continue
            record = it.rotate()
            if record.rotation is not None and record.rotation.state is State.AWAITING:
                record = it.rotate()
            current = record.current
            assert record.rotation is not None and current is not None
            assert record.rotation.state is State.DONE, (it.trace, record.rotation)
            assert it.store.value(NAME, current.number).reveal() != it.old, it.trace


def test_compromised_does_not_wait_for_a_grace_that_runs() -> None:
    it = world(patience=1.0)
    assert it.rotate().rotation.state is State.PROVEN  # type: ignore[union-attr]
    it.traits = frozenset({"compromised"})
    assert it.rotate().rotation.state is State.DONE  # type: ignore[union-attr]
    assert it.old not in it.live_values


@pytest.mark.parametrize("strategy", ALL)
def test_abort_at_any_point_ends_honestly(strategy: str) -> None:
    straight = World(strategy)
    straight.run()
    for point in range(2, straight.point + 1):
        it = World(strategy, {point: "before"})
        it.run_once()
        rotation = it.store.load(NAME).rotation
        if rotation is None or rotation.final:
            continue
        try:
            it.engine().abort(NAME)
        except UsageError as error:
            assert "cannot be aborted" in error.message
        record = it.store.load(NAME)
        it.check_end(record) if record.rotation.final else live_on(it, record)  # type: ignore[union-attr]


def test_a_value_is_taken_once() -> None:
    """A value that the provider refuses is not tried again and again; the person is asked for another."""
    it = world("assisted", "created.test refuse always")
    it.engine().rotate(NAME, Order(supplied=SecretValue(it.mint("by-hand"))))
    assert state(it) is State.AWAITING
    assert [effect for _, effect in it.seen].count("obtain") == 1


def test_a_value_that_stands_in_the_store_is_not_taken() -> None:
    it = world("assisted")
    result = it.engine().rotate(NAME, Order(supplied=SecretValue(it.old)))
    assert state(it) is State.AWAITING and "version 1" in result.record.rotation.note  # type: ignore[union-attr]


def test_another_value_is_not_dropped_in_silence() -> None:
    it = world("assisted", "published.deliver before")
    it.run_once()
    with pytest.raises(UsageError, match="another new value"):
        it.engine().rotate(NAME, Order(supplied=SecretValue("something else")))
    with pytest.raises(UsageError, match="takes no value"):
        World("overlap").engine().rotate(NAME, Order(supplied=SecretValue("x")))


def test_from_version() -> None:
    it = world("overlap", "delivered.prove before")
    it.run_once()
    assert state(it) is State.DELIVERED
    with pytest.raises(UsageError, match="no version 9"):
        it.engine().rotate(NAME, Order(from_version=9))
    assert not it.engine().rotate(NAME, Order(from_version=1)).already  # it is that rotation: it goes on
    assert state(it) is State.DONE
    assert it.engine().rotate(NAME, Order(from_version=1)).already


def test_vouching_does_not_beat_what_is_seen() -> None:
    it = world("overlap", "delivered.prove vouch")
    it.run_once()
    it.used = it.old
    it.engine().resume(NAME, vouched=True)
    assert it.old in it.live_values
    assert state(it) is State.ABORTED


def test_vouching_is_for_rows_that_allow_it() -> None:
    it = world("assisted", patience=1.0)
    it.engine().rotate(NAME, Order())
    with pytest.raises(UsageError, match="nothing there is a person's"):
        it.engine().resume(NAME, vouched=True)


def test_a_hand_set_value_waits_for_the_rotation() -> None:
    it = world("overlap", "delivered.prove before")
    it.run_once()
    record = it.store.load(NAME)
    with pytest.raises(UsageError, match="being rotated"):
        record.put_current(replace(record.versions[0], number=3))


# --- the ledger ---


def _owing() -> tuple[World, Ledger]:
    it = world("overlap", traits=("undying",))
    it.run()
    assert state(it) is State.DONE_OWED
    it.faulty = False
    return it, Ledger(it.store, WorldGear(it), it.clock, "sim", "ledger")


def test_what_cannot_be_revoked_is_tried_on_schedule_and_stays() -> None:
    it, ledger = _owing()
    waits = []
    for _ in range(8):
        (entry,) = it.store.load(NAME).revocations
        waits.append(entry.next_at - it.clock.now())
        it.clock.time = entry.next_at
        assert [tried.dead for tried in ledger.work(NAME)] == [False]
        assert ledger.work(NAME) == []
    assert waits[1:] == [60.0, 300.0, 1800.0, 7200.0, 21600.0, 43200.0, 86400.0]
    (entry,) = it.store.load(NAME).revocations
    assert entry.needs_person and it.store.value(NAME, 1).reveal() == it.old
    it.live.pop(entry.handle)
    assert ledger.vouch(NAME, 1)
    assert state(it) is State.DONE and not it.store.load(NAME).revocations


def test_what_is_in_use_is_neither_revoked_nor_closed() -> None:
    it, ledger = _owing()
    record = it.store.load(NAME)
    (entry,) = record.revocations
    wrong = replace(record, revocations=(replace(entry, version=2),))
    it.store.commit([Change(wrong, AuditEvent(0, "t", "x", NAME))])
    it.traits = frozenset()
    (tried,) = ledger.work(NAME, force=True)
    assert not tried.dead and b"v2" in it.live_values
    with pytest.raises(UsageError, match="in use"):
        ledger.vouch(NAME, 2)


def test_a_revoked_value_that_lives_on_is_erased_after_a_week() -> None:
    it, ledger = _owing()
    it.traits = frozenset({"slow-death"})
    it.clock.sleep(KEEP + 1)
    (tried,) = ledger.work(NAME, force=True)
    assert not tried.dead
    record = it.store.load(NAME)
    version = record.version(1)
    assert version is not None and version.erased_at and version.stage is Stage.RETIRED and record.revocations
    (again,) = ledger.work(NAME, force=True)  # revoked once more, but nothing is left to try: never said to be dead
    assert not again.dead and "cannot be tried" in again.reply.detail and it.store.load(NAME).revocations
    assert ledger.vouch(NAME, 1) and not it.store.load(NAME).revocations


def test_an_orphan_that_stays_makes_it_owe() -> None:
    it = world("overlap", "creating.create after", "discarding.revoke refuse")
    record = it.run()
    assert record.rotation is not None and record.rotation.state is State.DONE_OWED
    assert [entry.reason for entry in record.debts] == ["orphan"]
    it.check_end(record)
    live_on(it, record)
    assert state(it) is State.DONE


def test_the_proof_is_repeated_after_the_grace() -> None:
    it = world("overlap", patience=1.0)
    assert it.rotate().rotation.state is State.PROVEN  # type: ignore[union-attr]
    it.used = it.old  # a restart that read a stale copy
    it.clock.sleep(GRACE)
    record = it.rotate()
    assert record.rotation is not None and record.rotation.stuck_in is State.PROVEN
    assert it.old in it.live_values
    it.engine().resume(NAME)
    assert it.used != it.old
