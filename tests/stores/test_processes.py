"""Leases and locks between processes: dead, stopped and living holders, readers beside a writer."""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.errors import Fenced, StaleRecord, StoreBusy, StoreError
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.stores import lease as leases
from clawsecrets.stores import sqlite
from tests.contract.store import NOW, change, event, fresh, put
from tests.stores.conftest import Place
from tests.waiting import LONG


def spawn(work: Callable[[int], object]) -> tuple[int, int]:
    """Fork; the child gets the writing end of a pipe. Gives its id and the reading end."""
    reader, writer = os.pipe()
    number = os.fork()
    if number == 0:
        try:
            work(writer)
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}\n".encode())
        os._exit(0)
    os.close(writer)
    return number, reader


def line(reader: int) -> str:
    """One line from a child."""
    got = b""
    while not got.endswith(b"\n"):
        got += os.read(reader, 1) or b"\n"
    return got.decode().strip()


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The clock of leases stands so much ahead from now on, in this process: no test is too slow for a short lease."""
    real = leases.boottime
    monkeypatch.setattr(leases, "boottime", lambda: real() + seconds)


def holder(place: Place, ttl: float) -> Callable[[int], None]:
    """Take the lease, say so, wait for SIGCONT or the end, then try to commit and say how that went."""

    def work(writer: int) -> None:
        store = place.open()
        record = store.load("a")
        lease = store.acquire("a", "child", ttl)
        os.write(writer, b"held\n")
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            store.commit([change(record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "child's"})], lease)
            os.write(writer, b"committed\n")
        except (Fenced, StaleRecord) as error:
            os.write(writer, f"{type(error).__name__}\n".encode())

    return work


def test_a_dead_holder_is_replaced_at_once(place: Place) -> None:
    store = place.open()
    put(store, "a")
    number, reader = spawn(holder(place, 3600.0))
    assert line(reader) == "held"
    with pytest.raises(StoreBusy, match="child"):
        store.acquire("a", "me", 1.0)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    began = time.monotonic()
    assert store.acquire("a", "me", 1.0).epoch == 2
    assert time.monotonic() - began < LONG, "it would have been the dead one's for an hour"
    os.close(reader)
    store.close()


def test_a_stopped_holder_keeps_it_until_it_expires_and_then_commits_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.open()
    record = put(store, "a")
    number, reader = spawn(holder(place, 3600.0))
    assert line(reader) == "held"
    os.waitpid(number, os.WUNTRACED)
    with pytest.raises(StoreBusy):
        store.acquire("a", "me", 60.0)
    later(monkeypatch, 3600.0)
    lease = store.acquire("a", "me", 60.0)
    assert lease.epoch == 2
    os.kill(number, signal.SIGCONT)
    assert line(reader) == "Fenced"
    os.waitpid(number, 0)
    os.close(reader)
    assert store.load("a") == record
    mine = record.put_current(Version(2, Stage.CURRENT, NOW))
    store.commit([change(mine, {2: "mine"})], lease)
    assert store.value("a", 2) == SecretValue("mine")
    store.close()


@pytest.mark.parametrize("what", ["boot", "start"])
def test_a_holder_of_another_life_is_replaced(place: Place, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Another boot, or a process id that was given again: same pid, other start."""
    store = place.open()
    store.acquire("a", "before", 3600.0)
    with pytest.raises(StoreBusy):
        store.acquire("a", "me", 1.0)
    if what == "boot":
        monkeypatch.setattr(leases, "boot_id", lambda: "another boot")
    else:
        real = leases.process_start
        monkeypatch.setattr(leases, "process_start", lambda pid: f"1{real(pid)}")
    assert store.acquire("a", "me", 1.0).epoch == 2
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide its processes from another user")
@pytest.mark.parametrize("gone", [False, True])
def test_a_holder_that_proc_hides_is_alive(gone: bool) -> None:
    """As in a service with ProtectProc=invisible, whose user is not the one that runs a command by hand."""
    other = subprocess.Popen(["sleep", "3600"])
    try:
        row = leases.Row("a", "me", 1, 0.0, leases.boot_id(), other.pid, leases.process_start(other.pid))
        if gone:
            other.kill()
            other.wait()
        number = os.fork()
        if number == 0:
            os._exit(_alive_as_nobody(row))
        code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    finally:
        other.kill()
        other.wait()
    if code == 3:
        pytest.skip("no file system can be mounted here: hiding processes cannot be tried")
    assert code == (0 if gone else 1)


def _alive_as_nobody(row: leases.Row) -> int:
    """In a child: 1 when the holder is taken for alive where /proc hides other users' processes; 2 when it does not."""
    libc = ctypes.CDLL(None)
    if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 0x44000, None) \
            or libc.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=2"):  # CLONE_NEWNS; MS_REC | MS_PRIVATE
        return 3
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)  # group 0 sees everything
    os.setresuid(65534, 65534, 65534)
    try:
        return 2 if Path(f"/proc/{row.pid}").exists() else int(leases.alive(row))
    except BaseException:
        return 4


def test_a_holder_in_another_pid_namespace_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    store = place.open()
    store.acquire("a", "in a container", 3600.0)
    monkeypatch.setattr(leases, "_namespace", lambda: "pid:[1]")
    with pytest.raises(StoreBusy, match="in a container"):
        store.acquire("a", "me", 1.0)
    later(monkeypatch, 3600.0)
    assert store.acquire("a", "me", 1.0).epoch == 2
    store.close()


def test_readers_are_not_blocked_by_a_writer(place: Place) -> None:
    store = place.open()
    put(store, "a", "old")
    blocker = sqlite3.connect(place.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    patient = sqlite.open_store(place.path, place.anchor, [place.key], wait=2 * LONG)
    assert patient.value("a", 1) == SecretValue("old")
    assert time.monotonic() - began < LONG, "it waited for the writer"
    patient.close()
    other, began = place.open(), time.monotonic()
    with pytest.raises(StoreBusy) as caught:
        put(other, "b")
    assert 0.9 < time.monotonic() - began < LONG
    assert caught.value.hint
    blocker.execute("ROLLBACK")
    blocker.close()
    put(other, "b")
    other.close()
    store.close()


def opened(place: Place) -> sqlite.SqliteStore:
    """Open it, however busy it is."""
    while True:
        try:
            return place.open()
        except StoreBusy:
            continue


def test_many_processes_write_and_none_is_lost(place: Place) -> None:
    store = place.open()
    put(store, "shared", "0")

    def work(writer: int) -> None:
        store = opened(place)
        done = 0
        while done < 8:
            record = store.load("shared")
            number = record.last_number + 1
            try:
                store.commit([change(record.put_current(Version(number, Stage.CURRENT, NOW)), {number: str(number)})])
                done += 1
            except (StaleRecord, StoreBusy):
                continue
        os.write(writer, b"done\n")

    children = [spawn(work) for _ in range(4)]
    for number, reader in children:
        assert line(reader) == "done"
        os.waitpid(number, 0)
        os.close(reader)
    assert store.load("shared").last_number == 33
    assert list(store.check()) == []
    assert [item.seq for item in store.events()] == list(range(1, 34))
    store.close()
    place.open().close()


def test_several_records_in_one_commit_are_whole_or_nothing(place: Place) -> None:
    store = place.open()
    kept = put(store, "kept")
    stale = change(kept.put_current(Version(2, Stage.CURRENT, NOW)))
    with pytest.raises(StoreError):
        store.commit([change(fresh("x"), {1: "x"}), stale])
    assert list(store.names()) == ["kept"]
    assert len(list(store.events())) == 1
    store.commit([change(fresh(f"n{i}"), {1: str(i)}) for i in range(50)])
    assert len(store.names()) == 51
    assert len(list(store.events())) == 51
    store.close()


def test_a_lone_surrogate_is_a_usage_error(place: Place) -> None:
    from clawsecrets.errors import UsageError

    store = place.open()
    with pytest.raises(UsageError):
        store.log(event("x", why="\udc80"))
    assert list(store.events()) == []
    store.close()


def test_the_boot_clock_runs(tmp_path: Path) -> None:
    assert leases.boottime() > 0
    assert leases.boot_id()
    assert leases.process_start(os.getpid())
    assert leases.process_start(2**22 + 1) == ""
