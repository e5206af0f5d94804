"""Sleepers on the ways back, shared values and ids, late orphans, full disks, consumers that are down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from clawsecrets.errors import Fenced, NotFound, StoreBusy, StoreError, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import RETRY_AFTER, WATCHED, Record, Revocation, retry_at
from clawsecrets.model.rotation import Outcome, Rotation, State, Step
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change, Handover, Reply, Request
from clawsecrets.rotate.fenced import make_good
from clawsecrets.rotate.job import Done, Job
from clawsecrets.rotate.ledger import Ledger
from clawsecrets.rotate.proof import revoke_new, revoke_old
from tests.sim import gear
from tests.sim.gear import WorldGear
from tests.sim.test_more import state, world
from tests.sim.test_shared_target import Two
from tests.sim.world import NAME, Item, World


def ledger(of: World) -> Ledger:
    of.faulty = False
    return Ledger(of.store, WorldGear(of), of.clock, "sim", "ledger")


def edit(of: World, record: Record, values: dict[int, SecretValue] | None = None) -> Record:
    return of.store.commit([Change(record, AuditEvent(of.clock.now(), "t", "x", NAME), values or {})])[0]


def rotation_of(of: World) -> Rotation:
    rotation = of.store.load(NAME).rotation
    assert rotation is not None
    return rotation


# --- a sleeper on the other ways ---

WAYS = ("creating.create lost", "creating.create nothing", "creating.create lost x2", "created.test refuse",
        "delivered.prove refuse")


@pytest.mark.parametrize("fault", ["pause", "asleep"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("strategy", ["overlap", "assisted"])
def test_a_sleeper_kills_nothing_that_is_in_use(strategy: str, way: str, fault: str) -> None:
    script = (Item.parse(way),)
    span = World(strategy, script=script)
    span.rotate()
    for point in range(2, span.point + 1):
        it = World(strategy, {point: fault}, script)
        try:
            it.rotate()
        except Fenced:
            it.asleep = False
            it.check_end(it.store.load(NAME))


def test_a_round_has_a_label_of_its_own_and_a_resume_keeps_counting() -> None:
    it = world("overlap", "creating.create lost")
    record = it.run()
    rotation, current = rotation_of(it), record.current
    assert current is not None and rotation.labels == (f"{rotation.id}-1", f"{rotation.id}-2")
    assert current.label == rotation.label == f"{rotation.id}-2" and it.live[current.handle][1] == current.label
    blind = world("overlap", "creating.create lost", traits=("blind",))
    blind.run()
    assert state(blind) is State.STUCK
    before = rotation_of(blind).label
    blind.heal()
    assert before in rotation_of(blind).labels and rotation_of(blind).label != before


def test_discard_spares_what_the_newest_record_has() -> None:
    """Even under the label of its own round: another process may have taken the value over."""
    it = world("overlap", "creating.create before")
    it.run_once()
    it.script = ()
    record = it.store.load(NAME)
    value = SecretValue(it.mint(rotation_of(it).label))
    handle = next(reversed(it.live))
    known = Version(2, Stage.RETIRED, 0.0, it.store.fingerprint(value), handle)
    edit(it, replace(record, versions=(*record.versions, known), last_number=2), {2: value})
    it.rotate()
    assert handle in it.live


# --- one value or id, twice ---


def test_the_ledger_spares_a_value_that_was_put_back() -> None:
    it = world("overlap", traits=("undying",))
    it.run()
    record = it.store.load(NAME)
    value = SecretValue(it.old)
    back = Version(3, Stage.CURRENT, it.clock.now(), it.store.fingerprint(value))
    edit(it, record.put_current(back), {3: value})
    it.traits = frozenset()
    (tried,) = ledger(it).work(NAME, force=True)
    assert not tried.dead and it.old in it.live_values


def _one_id(strategy: str, monkeypatch: pytest.MonkeyPatch, *, dies: bool) -> World:
    """A provider whose credentials all have one id (a bot's): making the new one by hand kills the old, or not."""
    it = World(strategy, patience=1000.0)
    record = it.store.load(NAME)
    edit(it, record.change(1, lambda v: replace(v, handle="bot")))
    inner = gear._Issuer.create

    def create(self: gear._Issuer, request: Request) -> Reply:
        return replace(inner(self, request), handle="bot")

    def revoke(self: gear._Issuer, handle: str, value: SecretValue | None, request: Request) -> Reply:
        raise AssertionError("a revocation by a shared id")

    monkeypatch.setattr(gear._Issuer, "create", create)
    monkeypatch.setattr(gear._Issuer, "revoke", revoke)
    deliver = gear._App.prove

    def prove(self: gear._App, handover: Handover) -> Reply:
        reply = deliver(self, handover)
        if dies and self.w.state == "delivered":
            self.w.live = {h: item for h, item in self.w.live.items() if item[0] != self.w.old}
        return reply

    monkeypatch.setattr(gear._App, "prove", prove)
    return it


def test_a_bot_whose_old_token_died_by_the_new_is_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    it = _one_id("assisted", monkeypatch, dies=True)
    assert it.rotate().rotation.state is State.DONE  # type: ignore[union-attr]


def test_a_shared_id_is_never_revoked_by_rotation_or_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    it = _one_id("overlap", monkeypatch, dies=False)
    assert it.rotate().rotation.state is State.DONE_OWED  # type: ignore[union-attr]
    (tried,) = ledger(it).work(NAME, force=True)
    assert not tried.dead and "by hand" in tried.reply.detail
    it.live = {h: item for h, item in it.live.items() if item[0] != it.old}
    (tried,) = ledger(it).work(NAME, force=True)
    assert tried.dead and state(it) is State.DONE


def test_a_person_is_asked_where_one_id_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    it = _one_id("assisted", monkeypatch, dies=False)
    rotation = it.rotate().rotation
    assert rotation is not None and (rotation.state, rotation.waits_for) == (State.RETIRING, "person")


def test_backing_out_never_revokes_by_a_shared_id(monkeypatch: pytest.MonkeyPatch) -> None:
    it = _one_id("overlap", monkeypatch, dies=False)
    it.script = (Item.parse("created.test refuse"),)
    assert it.rotate().rotation.state is State.ABORTED_OWED  # type: ignore[union-attr]
    assert it.old in it.live_values


# --- late orphans ---


def test_what_comes_late_is_found_and_revoked() -> None:
    it = world("overlap", "creating.create nothing")
    record = it.run()
    (watch,) = record.revocations
    assert state(it) is State.DONE and watch.watch and not record.debts and not watch.needs_person
    it.mint(watch.label)
    book = ledger(it)
    assert book.due(it.clock.now() + RETRY_AFTER[0] + 1) == [NAME] and list(book.owed()) == []
    book.work(NAME, force=True)
    assert {value for value, _ in it.live.values()} == {it.used} and state(it) is State.DONE
    assert it.store.load(NAME).revocations  # still watched
    it.clock.sleep(WATCHED)
    book.work(NAME, force=True)
    assert not it.store.load(NAME).revocations


def test_what_comes_late_and_cannot_be_revoked_is_owed() -> None:
    it = world("overlap", "creating.create nothing")
    (watch,) = it.run().revocations
    it.mint(watch.label)
    it.traits = frozenset({"undying"})
    (tried,) = ledger(it).work(NAME, force=True)
    assert not tried.dead and state(it) is State.DONE_OWED
    assert [debt.reason for debt in it.store.load(NAME).debts] == ["orphan"]


def test_a_debt_of_an_earlier_rotation_is_not_this_ones() -> None:
    it = world("overlap")
    old = Revocation(0, "h9", it.clock.now() + 99.0, "orphan", rotation="another")
    edit(it, it.store.load(NAME).owe(old))
    assert it.rotate().rotation.state is State.DONE  # type: ignore[union-attr]


# --- right before a revocation ---


def proven() -> tuple[World, Job]:
    """A rotation whose new value is in use and proven, and what its next step is given."""
    it = world("overlap", patience=1.0)
    it.faulty = False
    it.rotate()
    assert state(it) is State.PROVEN
    maker, record = WorldGear(it), it.store.load(NAME)
    return it, Job(record, rotation_of(it), maker.outfit(record.secret), it.store, maker, it.clock.now())


def test_nothing_is_revoked_while_the_new_version_is_not_current() -> None:
    it, job = proven()
    live, known = dict(it.live), job.rotation
    turned = replace(known, new_version=known.old_version, old_version=known.new_version)
    reply = revoke_old(replace(job, rotation=turned)).reply
    assert (reply.outcome, it.live) == (Outcome.REFUSED, live)
    assert reply.detail == "the new version is not current: nothing is revoked"


@pytest.mark.parametrize("step", [revoke_old, revoke_new])
def test_who_was_taken_over_revokes_nothing_any_more(step: Callable[[Job], Done]) -> None:
    def taken() -> None:
        raise Fenced("the lease was taken over")

    it, job = proven()
    live = dict(it.live)
    with pytest.raises(Fenced):
        step(replace(job, renew=taken))
    assert it.live == live


# --- what a minted value survives ---


class Full:
    """The commit of a new value fails, the first `times` times."""

    def __init__(self, it: World, times: int, error: type[StoreError] = StoreError) -> None:
        self.inner, self.left = it.store.commit, times
        self.error = error
        it.store.commit = self  # type: ignore[method-assign, assignment]

    def __call__(self, changes: list[Change], lease: object = None, lead: object = None) -> object:
        if self.left and any(change.values for change in changes):
            self.left -= 1
            raise self.error("database or disk is full")
        return self.inner(changes, lease, lead)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [StoreError, StoreBusy])
def test_a_minted_value_waits_for_room(error: type[StoreError]) -> None:
    it = world("overlap")
    Full(it, 30, error)
    assert it.rotate().rotation.state is State.DONE  # type: ignore[union-attr]
    assert it.done["mint"] == 1


def test_a_minted_value_does_not_wait_for_ever_and_a_person_is_told() -> None:
    it = world("overlap")
    full = Full(it, 10**6)
    with pytest.raises(StoreError) as caught:
        it.rotate()
    label = rotation_of(it).label
    assert label in caught.value.hint and "rotations resume" in caught.value.hint
    full.left = 0
    assert it.rotate().rotation.state is State.DONE  # type: ignore[union-attr]
    assert len(it.live) == 1


def test_a_store_that_fails_in_the_middle_says_that_the_rotation_is_unfinished() -> None:
    it = world("overlap")
    full = Full(it, 10**6)
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            it.rotate()
        assert caught.value.message == f"database or disk is full; the rotation of {NAME} is unfinished"
        assert f"clawsecrets rotate {NAME}, or the daemon, then goes on with the rotation" in caught.value.hint
    full.left = 0
    assert it.rotate().rotation.state is State.DONE  # type: ignore[union-attr]


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_that_fails_before_or_after_it_says_nothing_of_the_kind(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise StoreError("the disk is gone")

    it = world("overlap")
    monkeypatch.setattr(it.store, "commit" if when == "before" else "release", failing)
    with pytest.raises(StoreError) as caught:
        it.rotate()
    assert (caught.value.message, caught.value.hint) == ("the disk is gone", "")
    rotation = it.store.load(NAME).rotation
    assert rotation is None if when == "before" else rotation is not None and rotation.state is State.DONE


def test_a_late_mint_that_cannot_be_revoked_is_owed_or_told() -> None:
    def sleeper() -> World:
        it = world("overlap", "creating.create asleep")
        it.traits = frozenset({"undying"})
        return it

    it = sleeper()
    with pytest.raises(Fenced):
        it.rotate()
    record = it.store.load(NAME)
    assert [debt.handle for debt in record.debts if debt.reason == "orphan"]
    assert state(it) in (State.DONE_OWED, State.ABORTED_OWED)


def test_a_late_mint_that_nobody_can_take_is_told() -> None:
    it = world("overlap", traits=("undying",))
    it.run()
    it.faulty, it.asleep, maker = False, True, WorldGear(it)
    record, rotation = it.store.load(NAME), rotation_of(it)
    job = Job(record, rotation, maker.outfit(record.secret), it.store, maker, it.clock.now())
    made = Reply(Outcome.OK, value=SecretValue(it.mint(rotation.label)), handle="h3")
    with pytest.raises(Fenced) as caught:
        make_good(job, Step.CREATE, made, lambda name, entry: False)
    assert "h3" in caught.value.message and rotation.label in caught.value.message
    assert "v3" not in caught.value.message


# --- consumers that are down ---


def _down(monkeypatch: pytest.MonkeyPatch, outcome: Outcome = Outcome.LATER) -> None:
    def gone(self: gear._App, handover: Handover) -> Reply:
        return Reply(outcome, "it does not answer")

    for call in ("preflight", "reload", "prove"):
        monkeypatch.setattr(gear._App, call, gone)


def test_a_consumer_that_is_down_does_not_stop_an_emergency(monkeypatch: pytest.MonkeyPatch) -> None:
    _down(monkeypatch)
    it = world("overlap", traits=("compromised",), patience=30.0)
    it.rotate()
    assert state(it) is State.STUCK and it.done["mint"] == 1 and "--revoke-unproven" in rotation_of(it).note


def test_forced_it_revokes_although_the_consumer_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    _down(monkeypatch)
    it = world("overlap", traits=("compromised", "forced"), patience=30.0)
    it.asleep = True  # the consumer is down, and so "has" the dead value
    rotation = it.rotate().rotation
    assert rotation is not None and rotation.state is State.DONE and len(rotation.caveats) == 2
    assert it.old not in it.live_values


def test_an_ordinary_rotation_wants_a_consumer_that_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def ill(self: gear._App, handover: Handover) -> Reply:
        return Reply(Outcome.REFUSED, "not well")

    monkeypatch.setattr(gear._App, "preflight", ill)
    it = world("overlap")
    assert it.rotate().rotation.state is State.ABORTED  # type: ignore[union-attr]
    it = world("overlap")
    it.asleep = True
    it.live.clear()  # the provider has killed it: no wonder that the consumer is not well
    assert it.rotate().rotation.state is State.DONE  # type: ignore[union-attr]


# --- honest ends ---


def test_a_persons_word_is_shown() -> None:
    it = world("overlap", traits=("undying",))
    it.run()
    it.live = {handle: item for handle, item in it.live.items() if item[0] != it.old}
    assert ledger(it).vouch(NAME, 1)
    record = it.store.load(NAME)
    version, rotation = record.version(1), rotation_of(it)
    assert rotation.state is State.DONE and "revoked on a person's word" in rotation.caveats
    assert version is None or (version.erased_at and not version.dead_at)


def test_what_could_not_be_tried_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    it = world("overlap", traits=("undying",))
    it.run()
    it.traits = frozenset()

    def untestable(self: gear._Issuer, value: SecretValue, request: Request) -> Reply:
        return Reply(Outcome.OK, untestable=True)

    monkeypatch.setattr(gear._Issuer, "test", untestable)
    (tried,) = ledger(it).work(NAME, force=True)
    assert tried.dead and any("no test" in caveat for caveat in rotation_of(it).caveats)
    assert not it.store.load(NAME).versions[0].dead_at


def test_a_refusal_that_was_seen_is_dated() -> None:
    it = world("overlap")
    record = it.run()
    assert record.versions[0].dead_at and not record.revocations


def test_why_it_was_given_up_is_told() -> None:
    it = world("overlap", "created.test refuse")
    it.run()
    assert state(it) is State.ABORTED and rotation_of(it).note == "refuse"
    it = world("overlap", "creating.create lost always")
    it.run()
    assert state(it) is State.ABORTED and "lost" in rotation_of(it).note
    it = world("overlap", "delivered.prove refuse")
    it.run()
    assert state(it) is State.ABORTED and "refuse" in rotation_of(it).note


def test_failures_are_counted_and_back_off() -> None:
    it = world("overlap")
    it.script = (Item.parse("creating.create refuse always"),)
    waits = []
    for _ in range(7):
        it.rotate()
        waits.append(retry_at(it.store.load(NAME)) - rotation_of(it).finished_at)
    assert waits == [3600.0, 7200.0, 14400.0, 28800.0, 57600.0, 86400.0, 86400.0]
    it.script = ()
    assert it.rotate().rotation.failures == 0 and retry_at(it.store.load(NAME)) == 0.0  # type: ignore[union-attr]


# --- delivery outside of a rotation ---


def test_deliver_writes_what_the_store_says_and_records_it() -> None:
    it = world("overlap")
    it.faulty = False
    it.target, it.asleep = {NAME: b"stale"}, True
    assert it.engine().deliver(NAME).reply.outcome is Outcome.OK
    assert it.target[NAME] == it.old and {ack.target for ack in it.store.load(NAME).acks} >= {"file"}
    actions = [chained.event.action for chained in it.store.events()]
    assert actions[-2:] == ["secret.delivering", "secret.delivered"]
    edit(it, replace(it.store.load(NAME), reconcile=True))
    with pytest.raises(UsageError, match="restored"):
        it.engine().deliver(NAME)


def test_a_neighbours_erased_value_is_looked_at_again() -> None:
    two = Two()
    inner, failing = two.store.value, [1]

    def value(name: str, number: int) -> SecretValue:
        if name == "b" and failing:
            failing.pop()
            raise NotFound("b version 1 has no value")
        return inner(name, number)

    two.store.value = value  # type: ignore[method-assign]
    assert two.write("a").outcome is Outcome.OK and two.file.holds_now == {"a": b"a1", "b": b"b1"}
    failing.extend([1] * 99)
    assert two.write("a").outcome is Outcome.UNKNOWN
