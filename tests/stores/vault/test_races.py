"""Several threads, processes and hosts on one store: nothing is lost, nothing happens twice, who slept is fenced."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

import clawsecrets.stores.vault
from clawsecrets.errors import Fenced, StaleRecord, StoreBusy
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change, Store
from clawsecrets.stores.vault import leasing
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.body import Holding
from clawsecrets.stores.vault.transport import Connection
from tests.contract.store import NOW, change, event, put
from tests.stores.vault.conftest import SHORT, Dev
from tests.stores.vault.wires import Waiting
from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.real("openbao")


def add_one(store: Store, name: str, by: str) -> None:
    """One more version, however often somebody else is faster."""
    while True:
        record = store.load(name)
        number = record.last_number + 1
        version = Version(number, Stage.CURRENT, NOW, handle=by)
        noted = AuditEvent(NOW, by, "added", name, number)
        try:
            store.commit([Change(record.put_current(version), noted, {number: SecretValue(f"value-{number}")})])
            return
        except StaleRecord:
            continue


def work(url: str, token: str, prefix: str, by: str, rounds: int) -> None:
    """What each process or thread does: logs and commits."""
    store = vault.open_store(Connection([url], lambda: SecretValue(token)), "secret", f"team/{prefix}", patience=SHORT)
    for number in range(rounds):
        store.log(AuditEvent(NOW, by, "logged", detail={"number": str(number)}))
        add_one(store, "shared", by)
    store.close()


def judge(dev: Dev, prefix: str, workers: list[str], rounds: int) -> None:
    store, total = dev.open(prefix), len(workers) * rounds
    record = store.load("shared")
    assert (record.last_number, record.revision) == (total + 1, total + 1)
    assert [store.value("shared", n) for n in (2, total + 1)] == [SecretValue(f"value-{n}") for n in (2, total + 1)]
    events = [item.event for item in store.events()]
    for by in workers:
        logged = [e.detail["number"] for e in events if (e.actor, e.action) == (by, "logged")]
        assert logged == [str(number) for number in range(rounds)], "an event was lost, doubled or moved"
    assert sorted(e.version for e in events if e.action == "added") == list(range(2, total + 2))
    assert store.verify_log() == "" and store.check() == []
    assert dev.public(prefix, "shared") == {"value": f"value-{total + 1}", "version": str(total + 1)}


def started(target: Callable[..., object], *arguments: object) -> subprocess.Popen[bytes]:
    """A function of this module in a process of its own. Wait for it: nothing else ends with the test, as what
    `multiprocessing` starts beside its processes would not."""
    program = ("import json, sys; from tests.stores.vault import test_races as here; "
               "getattr(here, sys.argv[1])(*json.load(sys.stdin))")
    process = subprocess.Popen([sys.executable, "-c", program, target.__name__], stdin=subprocess.PIPE, cwd=ROOT)
    assert process.stdin is not None
    with process.stdin as file:
        file.write(json.dumps(arguments).encode())
    return process


def test_two_processes_lose_and_double_nothing(dev: Dev, prefix: str) -> None:
    put(dev.create(prefix), "shared", "value-1")
    both = [started(work, dev.url, dev.token, prefix, by, 30) for by in ("a", "b")]
    assert [process.wait(LONG) for process in both] == [0, 0]
    judge(dev, prefix, ["a", "b"], 30)
    assert len(dev.documents().names(f"team/{prefix}/.clawsecrets/audit")) == 2, "over the end of a segment"


def test_threads_on_one_handle_lose_and_double_nothing(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    put(store, "shared", "value-1")

    def body(by: str) -> None:
        for number in range(8):
            store.log(AuditEvent(NOW, by, "logged", detail={"number": str(number)}))
            add_one(store, "shared", by)

    names = ["a", "b", "c", "d"]
    together([lambda by=by: body(by) for by in names])  # type: ignore[misc]
    judge(dev, prefix, names, 8)


def together(works: list[Callable[[], object]]) -> None:
    """All at once; the first error of any is raised."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert errors == []


def test_of_many_who_acquire_one_gets_it(dev: Dev, prefix: str) -> None:
    dev.create(prefix)
    got: list[int] = []

    def take(by: str) -> None:
        with suppress(StoreBusy):
            got.append(dev.open(prefix).acquire("a", by, 60.0).epoch)

    together([lambda by=by: take(by) for by in "abcdefgh"])  # type: ignore[misc]
    assert got == [1]


# --- who slept ------------------------------------------------------------------------------------------------------


def at_record(prefix: str, name: str) -> Callable[[str, str], bool]:
    return lambda method, path: method == "POST" and path == f"secret/data/team/{prefix}/.clawsecrets/records/{name}"


@pytest.mark.parametrize("commits", [False, True], ids=["took it over", "committed"])
def test_a_holder_that_slept_before_its_commit_is_fenced(dev: Dev, prefix: str, commits: bool) -> None:
    put(dev.create(prefix), "a")
    wire = Waiting(dev.connection(), lambda method, path: False)
    sleeper, waker, raised = dev.open(prefix, wire), dev.open(prefix), []
    lease = sleeper.acquire("a", "sleeper", 0.3)
    record = sleeper.load("a")
    wire.which = at_record(prefix, "a")

    def commit() -> None:
        try:
            changed = record.put_current(Version(2, Stage.CURRENT, NOW))
            sleeper.commit([Change(changed, event("slept"), {2: SecretValue("slept")})], lease)
        except Fenced as error:
            raised.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    assert wire.reached.wait(LONG)
    time.sleep(0.4)
    mine = waker.acquire("a", "waker", 60.0)
    if commits:
        changed = waker.load("a").put_current(Version(2, Stage.CURRENT, NOW))
        waker.commit([change(changed, {2: "woke"})], mine)
    before = waker.load("a")
    wire.go.set()
    thread.join(LONG)
    assert len(raised) == 1 and "waker" in raised[0].message
    assert waker.load("a") == before
    value, version = ("woke", "2") if commits else ("first", "1")
    assert dev.public(prefix, "a") == {"value": value, "version": version}
    assert "slept" not in [item.event.action for item in waker.events()]
    assert waker.check() == [], "its value document is gone, too"


@pytest.mark.parametrize("before", ["GET", "POST"])
def test_a_writer_that_slept_before_the_public_path_puts_no_old_value_back(
        dev: Dev, prefix: str, before: str) -> None:
    put(dev.create(prefix), "a", "value-1")
    public = f"secret/data/team/{prefix}/a"
    wire = Waiting(dev.connection(), lambda method, path: False)
    sleeper, waker = dev.open(prefix, wire), dev.open(prefix)
    sleeper.log(event())  # with what the first commit left to do already looked after
    sleeper.acquire("a", "sleeper", 60.0)
    wire.which = lambda method, path: (method, path) == (before, public)
    thread = threading.Thread(target=add_one, args=(sleeper, "a", "sleeper"))
    thread.start()
    assert wire.reached.wait(LONG)
    assert waker.load("a").last_number == 2
    add_one(waker, "a", "waker")
    assert dev.public(prefix, "a") == {"value": "value-3", "version": "3"}
    wire.go.set()
    thread.join(LONG)
    assert dev.public(prefix, "a") == {"value": "value-3", "version": "3"}
    assert [item.event.version for item in waker.events()][-2:] == [2, 3]
    assert waker.check() == []


def test_a_reader_that_slept_while_the_value_was_erased_finds_no_damage(dev: Dev, prefix: str) -> None:
    put(dev.create(prefix), "a", "value-1")
    wire = Waiting(dev.connection(), lambda method, path: method == "GET" and "/values/" in path)
    sleeper, waker, got = dev.open(prefix, wire), dev.open(prefix), []

    def read() -> None:
        try:
            sleeper.value("a", 1)
        except Exception as error:
            got.append(type(error).__name__)

    thread = threading.Thread(target=read)
    thread.start()
    assert wire.reached.wait(LONG)
    add_one(waker, "a", "waker")
    record = waker.load("a").change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW))
    waker.commit([change(record)])
    wire.go.set()
    thread.join(LONG)
    assert got == ["NotFound"]


def test_a_lead_that_is_lost_right_before_the_commit_fences(dev: Dev, prefix: str) -> None:
    put(dev.create(prefix), "a")
    wire = Waiting(dev.connection(), lambda method, path: method == "POST" and "/values/" in path)
    leader, other, raised = dev.open(prefix, wire), dev.open(prefix), []
    lead = leader.acquire("lead/here", "me", 60.0)

    def commit() -> None:
        try:
            changed = leader.load("a").put_current(Version(2, Stage.CURRENT, NOW))
            leader.commit([change(changed, {2: "second"})], None, lead)
        except Fenced as error:
            raised.append(error)

    thread = threading.Thread(target=commit)
    thread.start()
    assert wire.reached.wait(LONG)
    other.release(lead)
    other.acquire("lead/here", "another", 60.0)
    wire.go.set()
    thread.join(LONG)
    assert len(raised) == 1 and other.load("a").last_number == 1 and other.check() == []


# --- whose clock ----------------------------------------------------------------------------------------------------


def test_no_clock_of_a_host_counts() -> None:
    """Leases last by what the server says it wrote when; nothing of the package asks this host what time it is."""
    sources = [path.read_text() for path in Path(clawsecrets.stores.vault.__file__).parent.glob("*.py")]
    assert len(sources) > 10
    for word in ("time.time", "datetime.now", "utcnow", "boottime("):
        assert not [word for text in sources if word in text]


def test_a_lease_lasts_by_the_servers_clock(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    written = dev.documents().read
    lease = store.acquire("a", "me", 1000.0)
    path = f"team/{prefix}/.clawsecrets/records/a"
    begun = store._records.body("a").lease.at
    assert begun == written(path).created
    put(store, "a")  # another write of that document renews nothing
    assert store._records.body("a").lease.at == begun
    store.renew(lease)
    assert store._records.body("a").lease.at == written(path).created > begun
    assert abs(store._clock.now() - written(path).created) < LONG


def test_a_dead_process_of_this_host_is_replaced_at_once_and_any_other_is_waited_for(dev: Dev, prefix: str) -> None:
    store = dev.create(prefix)
    assert started(take_and_die, dev.url, dev.token, prefix).wait(LONG) == 0
    assert store.acquire("a", "heir", 60.0).epoch == 2
    for boot in ("", "11111111-2222-3333-4444-555555555555"):
        elsewhere = Holding("far@host/9", 1, 60.0, store._clock.now(), boot, 2**22 + 1, "1 x")
        with pytest.raises(StoreBusy, match="far@host/9"):
            leasing.refuse_live("a", elsewhere, store._clock)


def take_and_die(url: str, token: str, prefix: str) -> None:
    store = vault.open_store(Connection([url], lambda: SecretValue(token)), "secret", f"team/{prefix}")
    store.acquire("a", "dead@host/1", 1000.0)
