"""What must be true of any table, and of the steps from state to state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawsecrets.model.record import RETRY_AFTER, Record, Revocation, enter, in_use, same_value_in_use
from clawsecrets.model.rotation import FINAL, MAX_HOPS, MAX_TRIES, Outcome, Rotation, Row, State, Step, Table, Wait
from clawsecrets.model.secret import Kind, Secret, Stage, Version
from clawsecrets.model.strategies import BACKING_OUT, MARKS, STRATEGIES, Mark, table_for

S = State
BOTH = [(strategy, leaked) for strategy in STRATEGIES for leaked in (False, True)]
NEEDS_UNKNOWN = {Step.CREATE, Step.RECREATE, Step.RELOAD, Step.REFRESH}
"""Steps that must not simply be done again when it is not known whether they happened."""


def rotation(state: State, **more: object) -> Rotation:
    return replace(Rotation("r", "acme", "overlap", state, 0.0, 0.0, old_version=1), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("strategy", "leaked"), BOTH)
def test_every_arrow_leads_to_a_row_or_to_an_end(strategy: str, leaked: bool) -> None:
    table = table_for(strategy, compromised=leaked)
    targets = {target for row in table.values() for target in row.targets()}
    assert targets <= set(table) | FINAL | {S.STUCK}
    assert set(table) <= targets | {S.PLANNED}, "a row that nothing leads to"


@pytest.mark.parametrize(("strategy", "leaked"), BOTH)
def test_an_end_can_be_reached_from_everywhere(strategy: str, leaked: bool) -> None:
    table = table_for(strategy, compromised=leaked)
    done: set[State] = set(FINAL)
    while more := {state for state, row in table.items() if row.targets() & done} - done:
        done |= more
    assert set(table) <= done


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_not_idempotent_says_where_unknown_leads(strategy: str) -> None:
    for state, row in STRATEGIES[strategy].items():
        again = strategy == "alternate" and state is S.CREATING_AGAIN  # a slot is given another value instead
        if row.step in NEEDS_UNKNOWN and not again and not (strategy == "self-issued" and row.step is Step.CREATE):
            assert row.unknown is not None, state
        if row.again is not None:
            assert row.over is not None, f"{state}: rounds must end somewhere"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_old_one_is_revoked_only_after_proof_and_grace(strategy: str) -> None:
    for table in (table_for(strategy), table_for(strategy, compromised=True)):
        for state, row in table.items():
            if S.RETIRING in row.targets():
                assert state is S.PROVEN and row.ok is S.RETIRING and row.step is Step.WAIT
            if S.PROVEN in row.targets():
                assert state is S.DELIVERED and row.ok is S.PROVEN and row.step is Step.CONFIRM


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_compromised_never_leads_back(strategy: str) -> None:
    table = table_for(strategy, compromised=True)
    assert not BACKING_OUT & {target for row in table.values() for target in row.targets()}
    assert not BACKING_OUT & set(table)
    assert not [state for state in table if MARKS.get(state) is Mark.DEMOTE]


def test_cut_over_has_no_abort_once_create_may_have_happened() -> None:
    table = STRATEGIES["cut-over"]
    for state, row in table.items():
        if S.ABORTED in row.targets():
            assert state in (S.PLANNED, S.CREATING)
    assert table[S.CREATING].unknown is S.PROBING_OLD


def test_a_refresh_token_that_may_be_spent_is_left_behind_by_nothing_but_an_answer() -> None:
    """From where it may be spent no arrow leads to an end, and only three lead to its next use: before it was ever
    used, where the provider is known to allow it, and with another one."""
    table = STRATEGIES["refresh"]
    assert [state for state, row in table.items() if row.step is Step.REFRESH] == [S.CREATING]
    assert {state for state, row in table.items() if S.CREATING in row.targets()} == \
        {S.PLANNED, S.DOUBTFUL, S.AWAITING}
    for state in (S.DOUBTFUL, S.AWAITING):
        assert not FINAL & table[state].targets()
        assert table[state].ok is S.CREATING and table[state].refused is S.STUCK and table[state].abort is None
    assert table[S.CREATING].unknown is S.DOUBTFUL and table[S.CREATING].refused is S.STUCK
    assert table[S.CREATING].resume is S.AWAITING and table[S.DOUBTFUL].resume is S.AWAITING


# --- settle ---


def test_unknown_is_done_again_a_bounded_number_of_times() -> None:
    table: Table = {S.DEMOTED: Row(Step.DELIVER, S.RESTORED, S.STUCK)}
    now = rotation(S.DEMOTED)
    for tries in range(1, MAX_TRIES):
        now = now.settle(table, Outcome.UNKNOWN, 1.0)
        assert (now.state, now.tries) == (S.DEMOTED, tries)
    assert now.settle(table, Outcome.UNKNOWN, 1.0).state is S.STUCK


def test_later_ends_at_the_deadline_but_not_for_a_person() -> None:
    table: Table = {S.DEMOTED: Row(Step.DELIVER, S.RESTORED, S.STUCK, deadline=10.0)}
    parked = rotation(S.DEMOTED).settle(table, Outcome.LATER, 9.9, until=12.0)
    assert parked.parked and parked.waits_for is Wait.TIME and parked.until == 12.0
    assert rotation(S.DEMOTED).settle(table, Outcome.LATER, 10.0).state is S.STUCK
    asked = rotation(S.DEMOTED).settle(table, Outcome.LATER, 1e9, person=True)
    assert asked.parked and asked.waits_for is Wait.PERSON


def test_a_refresh_token_enters_with_its_value_and_ends_the_former() -> None:
    start = record(Stage.CURRENT, Stage.REFRESH)
    made, spare = Version(3, Stage.PENDING, 1.0), Version(4, Stage.REFRESH, 1.0)
    after = enter(start, rotation(S.CREATED, strategy="refresh"), 1.0, made, spare)
    assert [v.stage for v in after.versions] == [Stage.CURRENT, Stage.REVOKED, Stage.PENDING, Stage.REFRESH]
    assert after.versions[1].erased_at and after.last_number == 4
    assert after.rotation is not None and after.rotation.new_version == 3
    assert after.refresh_token == spare and after.current == start.current
    alone = enter(start, rotation(S.CREATING, strategy="refresh"), 1.0, None, Version(3, Stage.REFRESH, 1.0))
    assert [v.stage for v in alone.versions] == [Stage.CURRENT, Stage.REVOKED, Stage.REFRESH]


def test_too_many_hops_stick_behind_the_step_that_was_done() -> None:
    """Or what was minted by it would be minted again by the next `resume`."""
    table = STRATEGIES["assisted"]
    stuck = rotation(S.AWAITING, hops=MAX_HOPS - 1).settle(table, Outcome.OK, 1.0)
    assert stuck.state is S.STUCK and stuck.stuck_in is S.CREATED
    assert stuck.resumed(table, 2.0).state is S.CREATED


def test_resume_goes_where_the_row_says_and_a_word_stays_here() -> None:
    table = STRATEGIES["overlap"]
    stuck = rotation(S.STUCK, stuck_in=S.DELIVERED, armed=False, rounds=3, hops=40)
    assert stuck.resumed(table, 1.0).state is S.PUBLISHED
    assert stuck.resumed(table, 1.0, here=True).state is S.DELIVERED
    assert (stuck.resumed(table, 1.0).rounds, stuck.resumed(table, 1.0).hops) == (1, 1)


def test_abort_is_refused_where_there_is_no_way_back() -> None:
    with pytest.raises(ValueError, match="cannot be aborted"):
        rotation(S.RETIRING).aborted(STRATEGIES["overlap"], 1.0, "")


# --- record ---


def record(*stages: Stage) -> Record:
    secret = Secret("acme", "acme", Kind.API_KEY, 0.0)
    versions = tuple(Version(number, stage, 0.0) for number, stage in enumerate(stages, start=1))
    return Record(secret, versions, last_number=len(stages))


def test_promote_and_demote_undo_each_other() -> None:
    start = record(Stage.CURRENT, Stage.PENDING)
    there = enter(start, rotation(S.PUBLISHED, new_version=2), 1.0)
    assert [v.stage for v in there.versions] == [Stage.PREVIOUS, Stage.CURRENT]
    assert enter(there, rotation(S.PUBLISHED, new_version=2), 2.0).versions == there.versions
    back = enter(there, rotation(S.DEMOTED, new_version=2), 3.0)
    assert back.versions == start.versions


def test_going_back_takes_the_old_one_out_of_the_ledger() -> None:
    owed = enter(record(Stage.PREVIOUS, Stage.CURRENT), rotation(S.PROVING_DEAD, new_version=2), 1.0)
    assert [entry.version for entry in owed.revocations] == [1]
    assert not enter(owed, rotation(S.DEMOTED, new_version=2), 2.0).revocations


def test_the_value_of_a_current_version_is_never_erased() -> None:
    with pytest.raises(ValueError, match="is current"):
        enter(record(Stage.CURRENT, Stage.PENDING), rotation(S.DONE, new_version=2), 1.0)


def test_a_value_refused_after_it_was_published_is_replaced_and_the_old_one_kept() -> None:
    """Cut-over: RECHECKING found the published one dead, and a third was made."""
    start = record(Stage.PREVIOUS, Stage.CURRENT, Stage.PENDING)
    after = enter(start, rotation(S.PUBLISHED, new_version=3), 1.0)
    assert [v.stage for v in after.versions] == [Stage.PREVIOUS, Stage.REVOKED, Stage.CURRENT]
    assert after.versions[1].erased_at and not after.versions[0].erased_at


def test_an_end_with_a_debt_says_so() -> None:
    orphan = Revocation(0, "h9", 5.0, "orphan", rotation="r")
    owing = replace(record(Stage.PREVIOUS, Stage.CURRENT), revocations=(orphan,))
    ended = enter(owing, rotation(S.DONE, new_version=2), 6.0)
    assert ended.rotation is not None and ended.rotation.state is S.DONE_OWED
    assert ended.versions[0].stage is Stage.REVOKED


def test_the_ledger_never_holds_one_credential_twice_or_forgets_another() -> None:
    first, again, other = (Revocation(0, h, 1.0, "orphan") for h in ("h1", "h1", "h2"))
    kept = record(Stage.CURRENT).owe(first).owe(again).owe(other)
    assert [entry.handle for entry in kept.revocations] == ["h1", "h2"]


def test_the_schedule_of_tries() -> None:
    entry = Revocation(1, "h", 0.0, "replaced")
    for wait in RETRY_AFTER:
        entry = entry.after_try(100.0, "no")
        assert entry.next_at == 100.0 + wait
    assert entry.needs_person


def test_what_shares_a_value_or_an_id_with_one_in_use_is_in_use() -> None:
    old, new = Version(1, Stage.RETIRED, 0.0, "f1", "h1"), Version(2, Stage.CURRENT, 0.0, "f2", "h2")
    entry = Revocation(1, "h1", 0.0, "replaced")
    apart = replace(record(), versions=(old, new), last_number=2)
    assert not in_use(apart, entry) and not in_use(apart, old) and not in_use(apart, new)
    for stage in (Stage.CURRENT, Stage.PENDING, Stage.PREVIOUS):
        for twin in (replace(new, handle="h1"), replace(new, fingerprint="f1")):
            shared = replace(apart, versions=(old, replace(twin, stage=stage)))
            assert in_use(shared, entry) and in_use(shared, old)
            assert same_value_in_use(shared, entry) is (twin.fingerprint == "f1")
    gone = replace(apart, versions=(old, replace(new, handle="h1", stage=Stage.REVOKED)))
    assert not in_use(gone, entry)
    nameless = replace(apart, versions=(replace(old, handle=""), replace(new, handle="")))
    assert not in_use(nameless, replace(entry, handle=""))
    assert in_use(apart, Revocation(0, "h2", 0.0, "orphan"))


def test_why_it_turned_back_is_kept_to_its_end() -> None:
    table = STRATEGIES["overlap"]
    turned = rotation(S.DELIVERED).settle(table, Outcome.REFUSED, 1.0, "it uses another")
    for _ in range(3):
        turned = turned.settle(table, Outcome.OK, 2.0)
    ended = turned.settle(table, Outcome.OK, 3.0)
    assert (ended.state, ended.note, ended.failures) == (S.ABORTED, "it uses another", 1)
    owing = turned.settle(table, Outcome.REFUSED, 3.0, "HTTP 403")
    assert (owing.state, owing.note) == (S.ABORTED_OWED, "it uses another; HTTP 403")
    assert rotation(S.CREATED).aborted(table, 1.0, "by a person").settle(table, Outcome.OK, 2.0).note == "by a person"


def test_labels_of_rounds_are_never_used_again() -> None:
    table = STRATEGIES["overlap"]
    second = rotation(S.DISCARDING).settle(table, Outcome.OK, 1.0)
    assert (second.turn, second.label, second.labels) == (2, "r-2", ("r-1", "r-2"))
    stuck = replace(second, state=S.STUCK, stuck_in=S.DISCARDING, rounds=3)
    assert stuck.resumed(table, 2.0).label == "r-2"
    assert stuck.resumed(table, 2.0).settle(table, Outcome.OK, 3.0).label == "r-3"
