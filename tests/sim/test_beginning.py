"""How a rotation begins while others edit the record, and which values it takes for new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from clawsecrets.errors import Fenced, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import State
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.rotate.order import Order
from tests.sim.test_more import ALL, state, world
from tests.sim.world import NAME, World


def commit(it: World, record: Record, value: bytes | None = None) -> Record:
    values = {record.last_number: SecretValue(value)} if value is not None else {}
    return it.store.commit([Change(record, AuditEvent(0.0, "t", "secret.set", NAME), values)])[0]


def meanwhile(it: World, edit: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The edit happens between the look of `rotate` and the first commit of its rotation."""
    real, edits = it.store.commit, [edit]

    def late(changes: list[Change], *lease: object) -> object:
        if edits and lease:
            edits.pop()()
        return real(changes, *lease)  # type: ignore[arg-type]

    monkeypatch.setattr(it.store, "commit", late)


@pytest.mark.parametrize("strategy", ALL)
def test_a_value_that_is_set_as_it_begins_is_not_forgotten(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    it = world(strategy)
    it.faulty = False

    def set_replace() -> None:
        record = it.store.load(NAME)
        value = it.old if strategy == "self-issued" else it.mint("by-hand")
        mark = it.store.fingerprint(SecretValue(value))
        number = record.last_number + 1
        version = Version(number, Stage.CURRENT, 0.0, mark, handle=next(reversed(it.live), ""), origin="set")
        commit(it, record.put_current(version), value)

    supplied = SecretValue(it.mint("by-hand")) if strategy == "assisted" else None
    meanwhile(it, set_replace, monkeypatch)
    result = it.engine().rotate(NAME, Order(supplied=supplied))
    assert result.already and result.record.current is not None
    assert result.record.current.number == (3 if strategy == "refresh" else 2)  # the second is its refresh token
    assert result.record.rotation is None


def test_another_edit_as_it_begins_is_kept_and_the_rotation_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    it = world()
    it.faulty = False

    def describe() -> None:
        record = it.store.load(NAME)
        commit(it, replace(record, secret=replace(record.secret, env="OTHER")))

    meanwhile(it, describe, monkeypatch)
    record = it.engine().rotate(NAME, Order()).record
    assert state(it) is State.DONE and record.secret.env == "OTHER"
    it.check_end(record)


def test_a_rotation_that_was_changed_by_another_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the lease says: only an edit beside the rotation is decided upon again."""
    it = world()
    it.faulty = False
    real, edits = it.store.commit, ["gone on with elsewhere"]

    def late(changes: list[Change], *lease: object) -> object:
        record = it.store.load(NAME)
        if edits and lease and record.rotation is not None:
            commit(it, replace(record, rotation=replace(record.rotation, note=edits.pop())))
        return real(changes, *lease)  # type: ignore[arg-type]

    monkeypatch.setattr(it.store, "commit", late)
    with pytest.raises(Fenced, match="was changed by another process"):
        it.engine().rotate(NAME, Order())
    rotation = it.store.load(NAME).rotation
    assert rotation is not None and (rotation.state, rotation.note) == (State.PLANNED, "gone on with elsewhere")
    assert not it.done["create"]


def test_a_deletion_as_it_begins_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    it = world()
    it.faulty = False

    def delete() -> None:
        record = it.store.load(NAME)
        commit(it, replace(record, secret=replace(record.secret, deleted_at=1.0)))

    meanwhile(it, delete, monkeypatch)
    with pytest.raises(UsageError, match="deleted"):
        it.engine().rotate(NAME, Order())
    assert not it.done["create"]


def test_a_revoked_value_is_not_taken_for_a_new_one() -> None:
    it = world("assisted")
    it.faulty = False
    it.rotate()
    assert state(it) is State.DONE
    it.live["back"] = (it.old, "dashboard")  # the provider accepts it again
    record = it.engine().rotate(NAME, Order(supplied=SecretValue(it.old))).record
    assert record.rotation is not None and state(it) is State.AWAITING
    assert record.rotation.note == "the value given was version 1, which is revoked; give the new one"


def test_a_value_that_the_provider_did_not_accept_yet_may_be_given_again() -> None:
    it = world("assisted", "created.test refuse", patience=1.0)
    it.person.append(it.mint("by-hand"))
    it.engine().rotate(NAME, Order(supplied=SecretValue(it.person[-1])))
    assert state(it) is State.AWAITING
    record = it.engine().rotate(NAME, Order(supplied=SecretValue(it.person[-1]))).record
    assert record.rotation is not None and record.rotation.new_version == 3
