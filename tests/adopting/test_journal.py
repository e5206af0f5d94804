"""What an adoption keeps in the store, when somebody put something else in its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clawsecrets.adopting.journal import Journal, Undo
from clawsecrets.adopting.plan import Plan
from clawsecrets.errors import StoreDamaged
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.own import PLAN, UNDO
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from tests.fakes import FakeClock, MemoryStore

STRANGE = [b"somebody's own value", b"{}", b"[]", b"null", b"\xff\xfe", b"x\x9c\x03\x00\x00\x00\x00\x01"]


@pytest.fixture
def journal() -> Journal:
    clock = FakeClock()
    made = Journal(MemoryStore(clock), clock.now, lambda action, secret="", version=0, **detail: AuditEvent(
        clock.now(), "tester@host/1", action, secret, version, "", detail))
    made.begin(Plan("/state", "/state/openclaw.json"))
    made.keep(Undo({"/state/.env": (0o600, SecretValue(b"A=first"))}, [], []))
    return made


def put(journal: Journal, name: str, value: bytes) -> None:
    """As a rotation, or `set`, did before they refused it."""
    record = journal.store.load(name)
    version = Version(record.last_number + 1, Stage.CURRENT, journal.now(), "0" * 16, origin="set")
    journal.store.commit([Change(record.put_current(version), journal.event("secret.set", name, version.number),
                                 {version.number: SecretValue(value)})])


@pytest.mark.parametrize("value", STRANGE)
@pytest.mark.parametrize(("name", "read"), [(PLAN, Journal.plan), (UNDO, Journal.undo)])
def test_what_is_none_of_an_adoption_is_one_line(journal: Journal, value: bytes, name: str,
                                                 read: Callable[[Journal], object]) -> None:
    put(journal, name, value)
    with pytest.raises(StoreDamaged) as told:
        read(journal)
    assert name in told.value.message and "\n" not in told.value.message
    assert f"clawsecrets delete {name}" in told.value.hint


@pytest.mark.parametrize("name", [PLAN, UNDO])
def test_when_it_is_purged_the_next_adoption_begins_anew(journal: Journal, name: str) -> None:
    put(journal, name, STRANGE[0])
    journal.store.purge(name, journal.event("secret.purged", name))
    journal.begin(Plan("/state", "/state/openclaw.json"))
    journal.keep(Undo({}, [], []))
    assert journal.plan().folder == "/state" and not journal.undo().files
