"""Single-use refresh tokens in the simulated world: never lost, never used twice, whatever happens."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from clawsecrets.errors import Fenced, UsageError
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.rotation import Outcome, Rotation, State, Wait
from clawsecrets.model.secret import SecretValue, Stage
from clawsecrets.ports import Reply
from clawsecrets.rotate import refreshing
from clawsecrets.rotate.gear import Outfit
from clawsecrets.rotate.job import Job
from clawsecrets.rotate.order import Order
from tests.sim.gear import WorldGear
from tests.sim.play import live_on
from tests.sim.test_more import state, world
from tests.sim.world import CRASHES, FAULTS, NAME, World


def go(traits: frozenset[str], faults: dict[int, str]) -> World:
    """One life to its very end. The world itself breaks when a spent refresh token is used again."""
    it = World("refresh", faults, traits=traits)
    record = it.run()
    it.check_end(record)
    live_on(it, record)
    return it


@pytest.mark.parametrize("compromised", [False, True])
@pytest.mark.parametrize("traits", ["deadly", "silent", "deadly helped", "silent helped"])
def test_where_a_second_use_ends_everything_there_is_none(traits: str, compromised: bool) -> None:
    chosen = frozenset(traits.split()) | ({"compromised"} if compromised else set())
    span = go(chosen, {}).point + 8
    for point in range(1, span):
        for fault in FAULTS:
            go(chosen, {point: fault})


@pytest.mark.parametrize("traits", ["deadly", "silent helped"])
def test_nor_after_two_crashes(traits: str) -> None:
    chosen = frozenset(traits.split())
    span = go(chosen, {}).point + 8
    for first, second in itertools.combinations(range(1, span), 2):
        for kinds in itertools.product(CRASHES, repeat=2):
            go(chosen, {first: kinds[0], second: kinds[1]})


def test_value_and_refresh_token_are_one_commit() -> None:
    it = world("refresh")
    before = it.store.load(NAME).refresh_token
    seen: list[tuple[State, list[Stage]]] = []
    real = it.store.commit

    def commit(changes, *leases):  # type: ignore[no-untyped-def]
        done = real(changes, *leases)
        rotation = done[0].rotation
        if rotation is not None:
            seen.append((rotation.state, [v.stage for v in done[0].versions if not v.erased_at]))
        return done

    it.store.commit = commit  # type: ignore[method-assign]
    it.rotate()
    assert (State.CREATED, [Stage.CURRENT, Stage.PENDING, Stage.REFRESH]) in seen
    assert all(stages.count(Stage.REFRESH) == 1 for _, stages in seen), "never none, never two"
    after = it.store.load(NAME).refresh_token
    assert before is not None and after is not None and after.number != before.number


class Told:
    """A refresher whose answers are told; it counts how often the refresh token was used."""

    def __init__(self, *replies: Reply) -> None:
        self.replies, self.used = list(replies), 0

    def refresh(self, request: object) -> Reply:
        self.used += 1
        return self.replies.pop(0)

    def ask_again(self, request: object) -> Reply:
        return Reply(Outcome.REFUSED, "it may be spent")

    def reauthorize(self, request: object) -> Reply:
        return Reply(Outcome.LATER, "authorize anew", person=True)


def job(it: World, told: Told, **more: object) -> Job:
    record = it.store.load(NAME)
    rotation = Rotation("r", NAME, "refresh", State.CREATING, 0.0, 0.0, old_version=1)
    outfit = replace(WorldGear(it).outfit(record.secret), refresher=told)
    return replace(Job(record, rotation, outfit, it.store, WorldGear(it), it.clock.now()), **more)  # type: ignore[arg-type]


NEW, NEXT = SecretValue("new"), SecretValue("next")


def test_who_was_taken_over_uses_nothing() -> None:
    def renew() -> None:
        raise Fenced("taken over")

    told = Told(Reply(Outcome.OK, value=NEW, refresh=NEXT))
    with pytest.raises(Fenced):
        refreshing.refresh(job(world("refresh"), told, renew=renew))
    assert told.used == 0


def test_the_same_refresh_token_again_is_no_new_one() -> None:
    it = world("refresh")
    token = it.store.load(NAME).refresh_token
    assert token is not None
    held = it.store.value(NAME, token.number)
    done = refreshing.refresh(job(it, Told(Reply(Outcome.OK, value=NEW, refresh=held))))
    assert done.reply.outcome is Outcome.OK and done.reply.value == NEW and done.reply.refresh is None


def test_an_answer_without_a_usable_value_keeps_its_refresh_token() -> None:
    it = world("refresh")
    none = refreshing.refresh(job(it, Told(Reply(Outcome.OK, refresh=NEXT))))
    assert none.reply.outcome is Outcome.UNKNOWN and none.reply.refresh == NEXT
    old = refreshing.refresh(job(it, Told(Reply(Outcome.OK, value=SecretValue(it.old), refresh=NEXT))))
    assert old.reply.outcome is Outcome.LATER and "version 1 again" in old.reply.detail
    assert old.reply.refresh == NEXT


def test_a_refresh_token_is_kept_whatever_the_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine commits it with a LATER, too: it may be the only one that works."""
    it, real = world("refresh"), WorldGear.outfit
    told = Told(Reply(Outcome.LATER, "not now", after=1e6, refresh=NEXT))
    monkeypatch.setattr(WorldGear, "outfit", lambda self, secret, strategy="": replace(
        real(self, secret, strategy), refresher=told))
    it.rotate()
    record = it.store.load(NAME)
    assert record.rotation is not None and record.rotation.state is State.CREATING and record.rotation.parked
    assert record.refresh_token is not None
    assert it.store.value(NAME, record.refresh_token.number) == NEXT


def test_a_lost_request_may_still_arrive_so_the_old_one_is_asked_after_a_while() -> None:
    it = world("refresh", "creating.refresh before", traits=("deadly",))
    began = it.clock.now()
    current = it.run().current
    assert state(it) is State.DONE
    assert current is not None and 30.0 <= current.created_at - began < 60.0


def test_a_stuck_one_takes_a_refresh_token_and_nothing_that_was_used() -> None:
    it = world("refresh", "creating.refresh after", traits=("deadly",))
    spent = SecretValue(next(iter(it.tokens)))
    record = it.run()
    assert record.rotation is not None and record.rotation.stuck_in is State.DOUBTFUL
    kept = it.engine().rotate(NAME, Order(supplied=spent)).record.rotation
    assert kept is not None and kept.state is State.AWAITING and kept.waits_for is Wait.PERSON
    assert "used before" in kept.note
    done = it.engine().rotate(NAME, Order(supplied=SecretValue(it.authorize()))).record
    assert done.rotation is not None and done.rotation.state is State.DONE
    it.check_end(done)


def test_a_person_gives_nothing_where_nothing_is_asked_for() -> None:
    it = world("refresh")
    with pytest.raises(UsageError, match="takes no value from a person") as caught:
        it.engine().rotate(NAME, Order(supplied=NEXT))
    assert "--refresh-token" in caught.value.hint
    it = world("refresh", "published.deliver later always", patience=10.0)
    it.run_once()
    assert state(it) is State.PUBLISHED
    with pytest.raises(UsageError, match="takes no value from a person"):
        it.engine().rotate(NAME, Order(supplied=NEXT))


@pytest.mark.parametrize("trait", ["deadly", "silent"])
def test_who_holds_the_only_pair_hands_its_refresh_token_in(trait: str) -> None:
    """Asleep after the exchange: the one that took over is stuck, and only the sleeper knows the next token."""
    it = world("refresh", "creating.refresh asleep", traits=(trait,))
    with pytest.raises(Fenced):
        it.rotate()
    it.asleep = False
    record = it.store.load(NAME)
    assert record.rotation is not None and record.rotation.state is State.DONE, it.trace
    it.check_end(record)
    assert it.done["revoke"] == 2, "the replaced value, and that of the sleeper's pair"


def test_nobody_is_asked_each_time_where_nobody_can_show_it() -> None:
    it = world("refresh", traits=("unproven", "expiring"))
    record = it.run()
    assert record.rotation is not None and record.rotation.state is State.DONE
    assert [caveat for caveat in record.rotation.caveats if caveat.startswith("not proven in use")]
    assert it.clock.now() >= it.ends and not it.done["revoke"] > 1
    it.check_end(record)


def test_but_a_person_is_where_the_old_one_does_not_end() -> None:
    it = world("refresh", traits=("unproven",))
    it.run()
    rotation = it.store.load(NAME).rotation
    assert rotation is not None and rotation.state is State.DELIVERED and rotation.waits_for is Wait.PERSON
    assert not it.done["revoke"]


def test_an_outfit_without_a_refresher_refuses() -> None:
    it = world("refresh")
    bare = replace(job(it, Told()), outfit=Outfit("refresh", WorldGear(it).outfit(it.store.load(NAME).secret).issuer,
                                                  RotationPolicy()))
    for step in (refreshing.refresh, refreshing.ask_again, refreshing.reauthorize):
        assert step(bare).reply.outcome is Outcome.REFUSED
