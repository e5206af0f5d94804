"""kill -9 at any instant of a commit, a rekey and a backup: the store opens, whole, with the old or the new state.

Two ways: a trace function in the child (nothing of it is in the product) kills it before the n-th line that it runs
in the store's modules, for every n of a sample; and the parent kills a working child at random times.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from clawsecrets.errors import StoreError
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.stores import sqlite
from clawsecrets.stores.backup import backup, restore
from clawsecrets.stores.recovery import RecoveryCode
from clawsecrets.stores.rekey import rekey
from clawsecrets.stores.sqlite import SqliteStore
from tests.contract.store import NOW, change, event, put
from tests.stores.conftest import Place
from tests.stores.test_processes import line as one_line

PRODUCT = str(Path(sqlite.__file__).parent)
KILLED = -signal.SIGKILL


def child(work: Callable[[], object], kill_before_line: int = 0) -> int:
    """Run `work` in a forked child; gives its status (negative: the signal). 0 = it came to its end."""
    number = os.fork()
    if number == 0:
        try:
            if kill_before_line:
                sys.settrace(killer(kill_before_line))
            work()
        except BaseException as error:
            os.write(2, f"child: {error!r}\n".encode())
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def killer(line: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that kills the process before the `line`-th line of the store's modules."""
    left = line

    def trace(frame: FrameType, what: str, _: object) -> object:
        nonlocal left
        if not frame.f_code.co_filename.startswith(PRODUCT):
            return None
        if what == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def points(fresh: Callable[[], object], work: Callable[[], object], most: int) -> list[int]:
    """A spread sample of the lines that `work` runs, their number found by halving; the last forty always."""

    def killed(line: int) -> bool:
        fresh()
        return child(work, line) == KILLED

    fresh()
    work()  # so that every child finds the same caches
    low, high = 1, 2
    while killed(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if killed(middle) else (low, middle)
    step = max(1, low // most)
    return sorted({*range(1, low + 1, step), *range(max(1, low - 40), low + 1)})


def erased(version: Version) -> Version:
    return replace(version, stage=Stage.REVOKED, erased_at=NOW)


def crashed(work: Callable[[], object], line: int) -> bool:
    """Whether it was killed there. The last lines may not be reached: what the parent has cached saves some."""
    status = child(work, line)
    assert status in (KILLED, 0)
    return status == KILLED


class Copies:
    """One prepared place, copied afresh for each crash (the store's paths stay the same)."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.kept = place.root.with_name(place.root.name + "-kept")
        shutil.copytree(place.root, self.kept)

    def fresh(self) -> None:
        shutil.rmtree(self.place.root)
        shutil.copytree(self.kept, self.place.root)


def committed(place: Place) -> None:
    store = place.open()
    record = store.load("a")
    record = record.put_current(Version(2, Stage.CURRENT, NOW)).change(1, lambda v: v)
    store.commit([change(record, {2: "new"})])
    store.close()


def sound(store: SqliteStore) -> SqliteStore:
    assert list(store.check()) == []
    assert store.verify_log() == ""
    return store


def test_killed_before_each_line_of_a_commit(place: Place) -> None:
    store = place.open()
    put(store, "a", "old")
    store.close()
    copies, seen, killed = Copies(place), set[int](), 0

    def work() -> None:
        committed(place)

    lines = points(copies.fresh, work, 90)
    for line in lines:
        copies.fresh()
        killed += crashed(work, line)
        store = sound(place.open())
        record = store.load("a")
        seen.add(record.last_number)
        assert (record.revision, len(list(store.events()))) == (record.last_number, record.last_number)
        assert store.value("a", record.last_number) == SecretValue({1: "old", 2: "new"}[record.last_number])
        put(store, "after", "works")
        store.close()
        place.open().close()
        assert sorted(p.name for p in place.anchor.parent.iterdir()) == ["anchor", "anchor.lock"]
    print(f"killed at {killed} of {len(lines)} points")
    assert killed > len(lines) * 0.7
    assert seen == {1, 2}, "both sides of the commit were met"


def test_killed_before_each_line_of_a_rekey(place: Place) -> None:
    store = place.open()
    put(store, "a", "old")
    store.close()
    copies, masters, killed = Copies(place), set[bool](), 0
    before = place.key.path.read_text()

    def work() -> None:
        store = place.open()
        rekey(store, event("store.rekeyed"))
        store.close()

    lines = points(copies.fresh, work, 90)
    for line in lines:
        copies.fresh()
        killed += crashed(work, line)
        store = sound(place.open())
        assert store.value("a", 1) == SecretValue("old")
        masters.add(len(list(store.events())) == 2)
        rekey(store, event("store.rekeyed"))
        store.close()
        sound(place.open()).close()
        sqlite.open_store(place.path, place.anchor, [RecoveryCode(place.code)]).close()
        assert before not in place.key.path.read_text() or len(place.key.path.read_text().splitlines()) > 1
    print(f"killed at {killed} of {len(lines)} points")
    assert killed > len(lines) * 0.7
    assert masters == {True, False}


def test_killed_before_each_line_of_a_backup(place: Place) -> None:
    store = place.open()
    put(store, "a", "old")
    store.close()
    copies, target, made, killed = Copies(place), place.root / "b1", set[bool](), 0

    def work() -> None:
        store = place.open()
        backup(store, target)
        store.close()

    lines = points(copies.fresh, work, 40)
    for number, line in enumerate(lines):
        copies.fresh()
        killed += crashed(work, line)
        made.add(target.exists())
        if target.exists():
            new = Place(place.root / f"r{number}")
            store = sound(restore(target, new.path, new.anchor, place.code, [new.key], event()))
            assert store.value("a", 1) == SecretValue("old")
            store.close()
        sound(place.open()).close()
    assert made == {True, False}
    assert killed > len(lines) * 0.7


def test_killed_at_random_times_while_committing(place: Place) -> None:
    """What the child said was committed is there; at most one more is."""
    store = place.open()
    put(store, "a", "0")
    store.close()
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for turn in range(12):
        reader, writer = os.pipe()

        def work(writer: int = writer) -> None:
            store = place.open()
            for _ in range(10_000):
                record = store.load("a")
                number = record.last_number + 1
                record = record.change(record.last_number, erased)
                record = record.put_current(Version(number, Stage.CURRENT, NOW))
                store.commit([change(record, {number: str(number)})])
                os.write(writer, f"{number}\n".encode())

        number = os.fork()
        if number == 0:
            try:
                work()
            finally:
                os._exit(3)
        os.close(writer)
        first = one_line(reader) if turn % 2 else ""  # every other time it has committed, however slow the machine is
        time.sleep(0.05 + dice.random() * 0.25)
        os.kill(number, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == KILLED
        said = [*first.split(), *os.read(reader, 1 << 20).decode().split()]
        os.close(reader)
        store = sound(place.open())
        record = store.load("a")
        if said:
            assert record.last_number in (int(said[-1]), int(said[-1]) + 1)
        assert store.value("a", record.last_number).reveal_text() in (str(record.last_number), "0")
        assert [v.number for v in store.history("a")] == list(range(1, record.last_number + 1))
        store.close()
    assert record.last_number > 5, "the child got to work"


def test_killed_while_it_is_made(tmp_path: Path) -> None:
    place = Place(tmp_path / "p")
    place.root.mkdir(mode=0o700)

    def work() -> None:
        sqlite.create(place.path, place.anchor, [place.key])[0].close()

    def fresh() -> None:
        shutil.rmtree(place.root)
        place.root.mkdir(mode=0o700)

    lines, killed = points(fresh, work, 25), 0
    for line in lines:
        fresh()
        killed += crashed(work, line)
        if not place.path.exists():
            work()
        sound(place.open()).close()
    assert killed > len(lines) * 0.7


def test_the_killer_kills_and_errors_show(place: Place) -> None:
    """The means of this file can fail: a child that raises is not taken for one that was killed or finished."""

    def bad() -> None:
        raise StoreError("no")

    assert child(bad) == 3
    assert child(lambda: place.open().close()) == 0
    assert child(lambda: place.open().close(), 1) == KILLED


if sys.platform != "linux":
    pytest.skip("fork and /proc are needed", allow_module_level=True)
