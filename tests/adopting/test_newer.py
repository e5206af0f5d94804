"""Which value an undo may put in the place of one that was moved, by what the store says: nothing that is undecided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from clawsecrets.adopting.newer import Newer
from clawsecrets.errors import Refused, WorkLeft
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record, enter
from clawsecrets.model.rotation import Rotation, State
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change
from tests.fakes import FakeClock, MemoryStore

NAME = "groq-api-key"
STOOD, LATER = "value-that-stood", "value-of-later"


def commit(store: MemoryStore, record: Record, values: dict[int, str] | None = None) -> None:
    given = {number: SecretValue(value) for number, value in (values or {}).items()}
    store.commit([Change(record, AuditEvent(0.0, "t", "secret.set", NAME), given)])


def put(store: MemoryStore, record: Record, value: str) -> None:
    """As the current one."""
    version = Version(record.last_number + 1, Stage.CURRENT, 0.0, store.fingerprint(SecretValue(value)))
    commit(store, record.put_current(version), {version.number: value})


@pytest.fixture
def store() -> MemoryStore:
    """One secret, whose value stood on disk."""
    made = MemoryStore(FakeClock())
    put(made, Record(Secret(NAME, "groq", Kind.API_KEY, 0.0)), STOOD)
    return made


def newer(store: MemoryStore) -> Newer:
    return Newer(store, [NAME], [(NAME, SecretValue(STOOD))])


def rotating(record: Record) -> Record:
    return enter(record, Rotation("r", NAME, "overlap", State.PLANNED, 0.0, 0.0, old_version=1), 0.0)


def test_what_stood_there_comes_back_or_what_replaced_it(store: MemoryStore) -> None:
    assert newer(store).value(NAME, STOOD, "here") == newer(store).value(NAME, None, "here") == STOOD
    put(store, store.load(NAME), LATER)
    one = newer(store)
    assert one.value(NAME, STOOD, "here") == LATER and one.put == {NAME: (1, 2)}
    assert [value.reveal_text() for _, value in one.replaced()] == [STOOD]
    with pytest.raises(Refused, match="here: what stood there is no value of groq-api-key"):
        one.value(NAME, "somebody else's", "here")


@pytest.mark.parametrize(("edit", "said", "way_out"), [
    (rotating, "is in the middle of a rotation", "clawsecrets rotations resume groq-api-key"),
    (lambda record: replace(record, reconcile=True), "waits for your confirmation", "clawsecrets restore --confirm"),
    (lambda record: replace(record, elsewhere="sqlite:///there"), "is kept in another store", "--store"),
], ids=["rotating", "restored", "elsewhere"])
def test_where_nobody_can_say_which_value_is_current_nothing_is_put_back(
        store: MemoryStore, edit: Callable[[Record], Record], said: str, way_out: str) -> None:
    commit(store, edit(store.load(NAME)))
    with pytest.raises(Refused) as caught:
        newer(store)
    assert said in caught.value.message and way_out in caught.value.hint
    assert STOOD not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("what", ["nothing", "replaced", "begun", "purged"])
def test_what_was_changed_meanwhile_is_work_left(store: MemoryStore, what: str) -> None:
    one = newer(store)
    if what == "replaced":
        put(store, store.load(NAME), LATER)
    elif what == "begun":
        commit(store, rotating(store.load(NAME)))
    elif what == "purged":
        store.purge(NAME, AuditEvent(0.0, "t", "secret.purged", NAME))
    if what == "nothing":
        one.require_unchanged()
        return
    with pytest.raises(WorkLeft, match="groq-api-key was changed meanwhile: the files hold its version 1"):
        one.require_unchanged()
