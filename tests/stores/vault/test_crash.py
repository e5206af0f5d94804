"""A process that dies between any two of its requests leaves a commit or none, and what follows from it is done later.

Every operation is killed after each of its writes, then the store is opened anew by another process, which acquires,
commits or checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from unittest import mock

import pytest

from clawsecrets.errors import NotFound, StoreBusy, StoreError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.stores.vault import deepcheck
from clawsecrets.stores.vault.store import VaultStore
from tests.contract.store import NOW, fresh
from tests.stores.vault.conftest import Dev
from tests.stores.vault.wires import Dying, Killed, Refusing

pytestmark = pytest.mark.real("openbao")
NAME = "team/key"
ALL = 200
"""More writes than any operation makes."""


def said(action: str) -> AuditEvent:
    return AuditEvent(NOW, "tester@host/1", action, NAME)


def do(store: VaultStore, action: str, edit: Callable[[Record], Record], values: dict[int, str] | None = None) -> None:
    given = {number: SecretValue(value) for number, value in (values or {}).items()}
    try:
        record = store.load(NAME)
    except NotFound:
        record = Record(fresh(NAME).secret)
    store.commit([Change(edit(record), said(action), given)])


def make(store: VaultStore) -> None:
    do(store, "made", lambda record: record.add_version(Version(1, Stage.CURRENT, NOW)), {1: "value-1"})


def replaced(store: VaultStore) -> None:
    do(store, "set", lambda record: record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "value-2"})


def erased(store: VaultStore) -> None:
    do(store, "erased", lambda record: record.change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW)))


def deleted(store: VaultStore) -> None:
    do(store, "deleted", lambda record: replace(record, secret=replace(record.secret, deleted_at=NOW)))


def undeleted(store: VaultStore) -> None:
    do(store, "undeleted", lambda record: replace(record, secret=replace(record.secret, deleted_at=0.0)))


def purged(store: VaultStore) -> None:
    store.purge(NAME, said("purged"))


def logged(store: VaultStore) -> None:
    store.log(said("logged"))


def leased(store: VaultStore) -> None:
    lease = store.acquire(NAME, "me@host/1", 0.01)  # over by the time that anybody looks
    store.renew(lease)
    store.release(lease)


@dataclass(frozen=True)
class Case:
    """What is done before, what is killed, and what other readers get before and after."""

    before: tuple[Callable[[VaultStore], None], ...]
    work: Callable[[VaultStore], None]
    was: str
    becomes: str
    action: str = ""


CASES = {
    "first": Case((), make, "", "value-1", "made"),
    "replace": Case((make,), replaced, "value-1", "value-2", "set"),
    "erase": Case((make, replaced), erased, "value-2", "value-2", "erased"),
    "delete": Case((make,), deleted, "value-1", "", "deleted"),
    "undelete": Case((make, deleted), undeleted, "", "value-1", "undeleted"),
    "purge": Case((make, replaced, erased, deleted), purged, "", "", "purged"),
    "again": Case((make, deleted, purged), make, "", "value-1", "made"),
    "log": Case((make,), logged, "value-1", "value-1", "logged"),
    "lease": Case((make,), leased, "value-1", "value-1"),
}


def state(store: VaultStore) -> tuple[Record | None, dict[int, SecretValue], list[int]]:
    """All of the secret."""
    try:
        record = store.load(NAME)
    except NotFound:
        return None, {}, []
    live = [version.number for version in record.versions if not version.erased_at]
    return record, {number: store.value(NAME, number) for number in live}, \
        [version.number for version in store.history(NAME)]


def acquires(store: VaultStore) -> None:
    while True:
        try:
            store.release(store.acquire(NAME, "next@host/2", 60.0))
            return
        except StoreBusy as busy:
            assert busy.left <= 0.01, busy  # `leased`'s, which ends by itself
            time.sleep(busy.left)


def commits(store: VaultStore) -> None:
    try:
        record = store.load(NAME)
    except NotFound:
        store.acquire(NAME, "next@host/2", 60.0)
        return
    store.commit([Change(replace(record, reconcile=True), said("next"))])


def checks(store: VaultStore) -> None:
    store.check()


def run(dev: Dev, prefix: str, case: Case, number: int, follow: Callable[[VaultStore], None]) -> bool:
    """One life: prepared, killed after that write, looked at. False: it was over before."""
    world = dev.create(prefix)
    for step in case.before:
        step(world)
    old, count = state(world), len(list(world.events()))
    wire = Dying(dev.connection())
    store = dev.open(prefix, wire)
    wire.arm(number)
    with suppress(Killed):
        case.work(store)
    killed = wire.dead
    judge(dev, prefix, case, old, count, follow)
    return killed


def judge(dev: Dev, prefix: str, case: Case, old: object, count: int, follow: Callable[[VaultStore], None]) -> None:
    store = dev.open(prefix)
    new = state(store)
    held = new == old
    follow(store)
    public = dev.public(prefix, NAME)
    shown = "" if public is None else public["value"]
    actions = [item.event.action for item in store.events()]
    happened = len(actions) - count - actions.count("next")
    if case.action in ("logged", ""):
        assert held and happened in ((0, 1) if case.action else (0,))
    else:
        assert happened == (0 if held else 1), "an event for what did not happen, or none for what did"
        assert held or actions[count] == case.action
    assert shown == (case.was if held else case.becomes)
    assert actions.count("next") <= 1 and store.verify_log() == ""
    assert store.check() == []
    a_day_later(store)
    if not held and case.action == "erased":
        nothing_of("value-1", dev, prefix)
    store.acquire("another", "later@host/3", 60.0)


def a_day_later(store: VaultStore) -> None:
    """A value that was written and not committed is of no commit under way any more: it is named, and removed."""
    with mock.patch.object(deepcheck, "DAY", -1.0):
        left = store.check()
        assert all("belongs to no version" in line for line in left) and len(store.mend()) == len(left)
        assert store.check() == []


def nothing_of(value: str, dev: Dev, prefix: str) -> None:
    """No version of the public path holds it any more."""
    documents = dev.documents()
    about = documents.metadata(f"team/{prefix}/{NAME}")
    assert about is not None
    current = about["current_version"]
    assert all(entry["destroyed"] for number, entry in about["versions"].items() if int(number) != current)


@pytest.mark.slow
@pytest.mark.parametrize("follow", [acquires, commits, checks])
@pytest.mark.parametrize("name", CASES)
def test_killed_after_every_write(dev: Dev, prefix: str, name: str, follow: Callable[[VaultStore], None]) -> None:
    for number in range(1, ALL):
        if not run(dev, f"{prefix}-{number}", CASES[name], number, follow):
            assert number > (1 if name == "log" else 2), "it was never killed"
            return
    pytest.fail("it never ended")


def test_a_store_that_is_being_made_is_made_or_not(dev: Dev, prefix: str) -> None:
    for number in range(1, ALL):
        wire = Dying(dev.connection())
        wire.arm(number)
        with suppress(Killed):
            dev.create(f"{prefix}-{number}", wire=wire, event=said("store.created"))
        with suppress(StoreError):
            dev.create(f"{prefix}-{number}")
        store = dev.open(f"{prefix}-{number}")
        make(store)
        assert store.check() == [] and len(list(store.events())) in (1, 2)
        if not wire.dead:
            return
    pytest.fail("it never ended")


def test_the_kill_kills(dev: Dev, prefix: str) -> None:
    dev.create(prefix)
    wire = Dying(dev.connection())
    store = dev.open(prefix, wire)
    wire.arm(1)
    assert store.names() == []
    with pytest.raises(Killed):
        store.log(said("logged"))
    with pytest.raises(Killed):
        store.names()


@pytest.mark.parametrize("where", ["/audit/", f"/{NAME}", "/history/", "/values/"])
def test_what_could_not_be_done_is_told_and_done_later_whatever_is_written_meanwhile(
        dev: Dev, prefix: str, where: str) -> None:
    """The commit got in, what follows did not: the server refuses that path for a while."""
    make(dev.create(prefix))
    wire = Refusing(dev.connection(), where)
    store = dev.open(prefix, wire)
    lease = store.acquire(NAME, "me@host/1", 60.0)
    record = store.load(NAME).put_current(Version(2, Stage.CURRENT, NOW)).change(
        1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW))
    wire.from_number = 2 if where == "/values/" else 1  # the first one there is the new value's, before the commit
    with pytest.raises(StoreError, match="was changed, but not all that follows") as caught:
        store.commit([Change(record, said("set"), {2: SecretValue("value-2")})], lease)
    assert "the next command that works on" in caught.value.hint
    store.renew(lease)
    store.release(lease)
    wire.from_number = 0
    again = dev.open(prefix)
    again.acquire(NAME, "next@host/2", 60.0)
    assert [item.event.action for item in again.events()] == ["made", "set"]
    assert dev.public(prefix, NAME) == {"value": "value-2", "version": "2"}
    assert [version.number for version in again.history(NAME)] == [1, 2]
    assert again.check() == [] and again.verify_log() == ""
