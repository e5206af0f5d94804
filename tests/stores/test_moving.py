"""Copying a store: everything arrives, killed at any point it goes on, nothing is written over, one of two acts."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.errors import NotFound, StoreDamaged, UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Rotation, State
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Lease, Store
from clawsecrets.stores import sqlite
from clawsecrets.stores.comparing import compare, names_of, whole
from clawsecrets.stores.keys import KeyFile
from clawsecrets.stores.moving import COPIED, MOVED, SAME, UPDATED, Copy, End, Report
from tests.contract.store import NOW, event, everything
from tests.fakes import FakeClock

A, B = "sqlite:///a/store.db", "sqlite:///b/store.db"


def quiet(done: int, of: int, name: str) -> None:
    """Nobody is told."""


_opened: list[sqlite.SqliteStore] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test opened ends with it."""
    yield
    while _opened:
        _opened.pop().close()


def kept(store: sqlite.SqliteStore) -> Store:
    """Closed with the test."""
    _opened.append(store)
    return store


def made(root: Path) -> Store:
    """A new embedded store."""
    (root / "state").mkdir(parents=True, mode=0o700)
    key = KeyFile(root / "key" / "master")
    return kept(sqlite.create(root / "data" / "store.db", root / "state" / "anchor", [key])[0])


def again(root: Path, other: Path) -> Store:
    """The same store once more, at another place."""
    shutil.copytree(root, other)
    key = KeyFile(root / "key" / "master")
    return kept(sqlite.open_store(other / "data" / "store.db", other / "state" / "anchor", [key]))


def copy(source: Store, target: Store, *, retire: bool = False, dry_run: bool = False, back: bool = False) -> Report:
    ends = (End(source, B), End(target, A)) if back else (End(source, A), End(target, B))
    return Copy(*ends, FakeClock(), "tester@host/1", "host/1/x", retire, dry_run).run(quiet)


def grow(store: Store, name: str, versions: int, **fields: Any) -> Record:
    """A secret with that many versions; all but the last two are dead and erased."""
    record = Record(Secret(name, "generic", Kind.API_KEY, NOW, **fields))
    for number in range(1, versions + 1):
        value = SecretValue(f"value {number} of {name}")
        record = record.put_current(Version(number, Stage.CURRENT, NOW + number, store.fingerprint(value), f"h{number}",
                                            origin="set"))
        record = record.change(number - 2, lambda v: replace(v, stage=Stage.REVOKED, dead_at=NOW, erased_at=NOW))
        record = store.commit([Change(record, event(secret=name), {number: value})])[0]
    return record


def stocked(store: Store, count: int = 12, versions: int = 5) -> None:
    """A little of everything."""
    for number in range(count):
        grow(store, f"s/{number:04}", versions)
    full = everything("full")
    values = {1: SecretValue(b"\x00\xff"), 2: SecretValue("two")}
    full = replace(full, reconcile=False, versions=tuple(replace(v, fingerprint=store.fingerprint(values[v.number]))
                                                         for v in full.versions))
    store.commit([Change(full, event(), values)])
    parked = grow(store, "parked", 2)
    rotation = Rotation("rot-9", "parked", "overlap", State.PUBLISHED, NOW, NOW, 1, 2)
    store.commit([Change(replace(parked, rotation=rotation), event())])
    gone = grow(store, "gone", 1)
    store.commit([Change(replace(gone, secret=replace(gone.secret, deleted_at=NOW)), event())])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Store, Store]:
    source, target = made(tmp_path / "a"), made(tmp_path / "b")
    stocked(source)
    return source, target


def test_everything_arrives_and_is_held(pair: tuple[Store, Store]) -> None:
    source, target = pair
    before = {name: whole(source, name) for name in names_of(source)}
    report = copy(source, target)
    assert set(report.done.values()) == {COPIED} and report.complete and len(report.done) == 15
    assert compare(source, target, quiet) == []
    for name in names_of(source):
        there = whole(target, name)
        assert whole(source, name) == before[name], "the source is as it was"
        assert there.values == before[name].values
        assert [replace(v, fingerprint="") for v in there.history] == [replace(v, fingerprint="") for v in
                                                                      before[name].history]
        assert there.record.elsewhere == A and there.record.reconcile and there.record.rotation == \
            before[name].record.rotation
    assert [v.fingerprint for v in target.load("parked").versions] == \
        [target.fingerprint(target.value("parked", number)) for number in (1, 2)]
    assert not target.check() and not target.verify_log()
    assert names_of(target) == names_of(source) and list(target.names(deleted=True)) == ["gone"]


def test_the_target_s_log_names_the_source_s_head(pair: tuple[Store, Store]) -> None:
    source, target = pair
    *_, last = source.events()
    copy(source, target)
    first = next(iter(target.events())).event
    assert first.action == "store.copying"
    assert first.detail == {"source": A, "secrets": "15", "events": str(last.seq), "head": last.mac.hex()}
    *_, end = source.events()
    assert end.event.action == "store.copied-from" and end.event.detail["target"] == B


def test_a_second_copy_does_nothing_and_a_dry_run_writes_nothing(pair: tuple[Store, Store]) -> None:
    source, target = pair
    assert set(copy(source, target, dry_run=True).done.values()) == {COPIED}
    assert not names_of(target) and not list(target.events())
    copy(source, target)
    revisions = {name: target.load(name).revision for name in names_of(target)}
    assert set(copy(source, target).done.values()) == {SAME}
    assert {name: target.load(name).revision for name in names_of(target)} == revisions


def test_what_went_on_in_the_source_is_brought_up(pair: tuple[Store, Store]) -> None:
    source, target = pair
    copy(source, target)
    record = source.load("parked")
    record = replace(record, rotation=None)
    for number in (3, 4):
        record = record.put_current(Version(number, Stage.CURRENT, NOW, source.fingerprint(SecretValue(f"n{number}"))))
        record = record.change(number - 1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW))
        record = source.commit([Change(record, event(), {number: SecretValue(f"n{number}")})])[0]
    grow(source, "new", 2)
    report = copy(source, target)
    assert {name: what for name, what in report.done.items() if what != SAME} == {"parked": UPDATED, "new": COPIED}
    assert compare(source, target, quiet) == []
    with pytest.raises(NotFound):
        target.value("parked", 2)


def test_of_two_stores_only_one_acts(pair: tuple[Store, Store]) -> None:
    source, target = pair
    report = copy(source, target, retire=True)
    assert set(report.done.values()) == {MOVED}
    for name in names_of(source):
        here, there = source.load(name), target.load(name)
        assert here.reconcile and here.elsewhere == B and not there.reconcile and not there.elsewhere
    assert compare(source, target, quiet) == []
    grow_on(target, "parked")
    assert set(copy(source, target, retire=True).done.values()) == {MOVED}, "gone on there: left alone"
    assert target.load("parked").last_number == 3
    back = copy(target, source, retire=True, back=True)
    assert set(back.done.values()) == {MOVED} and back.complete
    assert compare(source, target, quiet) == []
    assert source.load("parked").last_number == 3 and not source.load("parked").elsewhere
    assert target.load("parked").elsewhere == A


def grow_on(store: Store, name: str) -> None:
    record = replace(store.load(name), rotation=None)
    number = record.last_number + 1
    value = SecretValue("later")
    record = record.put_current(Version(number, Stage.CURRENT, NOW, store.fingerprint(value)))
    store.commit([Change(record, event(), {number: value})])


def test_nothing_is_written_over(pair: tuple[Store, Store]) -> None:
    source, target = pair
    theirs = grow(target, "s/0001", 1)
    report = copy(source, target)
    assert list(report.refused) == ["s/0001"] and not report.complete and "not written over" in report.refused["s/0001"]
    assert target.load("s/0001") == theirs and target.value("s/0001", 1) == SecretValue("value 1 of s/0001")
    assert len(report.done) == 14
    assert any(line.startswith("s/0001: ") for line in compare(source, target, quiet))
    grow_on(target, "parked")  # somebody has worked with the held copy
    held = target.load("parked")
    report = copy(source, target)
    assert set(report.refused) == {"s/0001", "parked"} and target.load("parked") == held


def test_both_active_is_refused(pair: tuple[Store, Store]) -> None:
    source, target = pair
    copy(source, target)
    held = target.load("parked")
    target.commit([Change(replace(held, reconcile=False, elsewhere=""), event())])
    assert "both act" in copy(source, target).refused["parked"]


def test_a_restored_store_is_not_copied_before_it_is_confirmed(pair: tuple[Store, Store]) -> None:
    source, target = pair
    source.commit([Change(replace(source.load("parked"), reconcile=True), event())])
    report = copy(source, target)
    assert "restore --confirm" in report.refused["parked"] and "parked" not in names_of(target)


def test_one_that_is_at_work_is_left_for_the_next_run(pair: tuple[Store, Store]) -> None:
    source, target = pair
    lease = source.acquire("parked", "other/1", 60.0)
    report = copy(source, target)
    assert list(report.busy) == ["parked"] and "other/1" in report.busy["parked"] and not report.complete
    source.release(lease)
    assert copy(source, target).done["parked"] == COPIED


def test_a_damaged_log_stops_it(pair: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = pair
    monkeypatch.setattr(source, "verify_log", lambda: "event 3 was altered")
    with pytest.raises(StoreDamaged, match="event 3"):
        copy(source, target)
    assert not names_of(target)


def test_what_reads_back_otherwise_is_no_copy(pair: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = pair
    real = target.value
    monkeypatch.setattr(target, "value", lambda name, number: SecretValue("other") if name == "s/0003" and number == 4
                        else real(name, number))
    with pytest.raises(StoreDamaged, match=r"s/0003 was written to .* version 4"):
        copy(source, target)


def test_a_value_that_the_target_cannot_take_stops_no_other(pair: tuple[Store, Store],
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = pair
    real = target.commit

    def refuse(changes: Sequence[Change], lease: Lease | None = None, lead: Lease | None = None) -> Sequence[Record]:
        if changes[0].record.secret.name == "full":
            raise UsageError("full: the value is longer than 524288 bytes")
        return real(changes, lease, lead)

    monkeypatch.setattr(target, "commit", refuse)
    report = copy(source, target)
    assert report.refused == {"full": "full: the value is longer than 524288 bytes"} and len(report.done) == 14


class Killed(BaseException):
    """SIGKILL."""


class Fragile:
    """A store whose process is killed right before or right after one of its writes (`left` of them later)."""

    def __init__(self, store: Store, left: list[int]) -> None:
        self._store, self._left = store, left
        self._held: list[Lease] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in ("commit", "log", "acquire", "release"):
            return found

        def call(*args: Any, **named: Any) -> Any:
            self._point()
            answer = found(*args, **named)
            self._held += [answer] if name == "acquire" else []
            self._point()
            return answer

        return call

    def _point(self) -> None:
        self._left[0] -= 1
        if self._left[0] <= 0:
            raise Killed

    def bury(self) -> None:
        """The process is gone: its leases are anybody's."""
        for lease in self._held:
            self._store.release(lease)


def killed(source: Store, target: Store, point: int, *, retire: bool) -> bool:
    """One run that is killed at that point; whether it came to its end before."""
    left = [point]
    one, two = Fragile(source, left), Fragile(target, left)
    try:
        copy(one, two, retire=retire)  # type: ignore[arg-type]
        return True
    except Killed:
        return False
    finally:
        one.bury()
        two.bury()


@pytest.mark.parametrize("retire", [False, True])
def test_killed_at_every_point_it_goes_on(tmp_path: Path, retire: bool) -> None:
    """Every point of a copy of three secrets; what stands in between is whole, and at no time do both stores act."""
    point, ended = 0, False
    for root in ("a", "b"):
        with contextlib.closing(made(tmp_path / root)) as store:
            for number in range(3 if root == "a" else 0):
                grow(store, f"s{number}", 3)
    while not ended:
        point += 1
        source, target = (again(tmp_path / root, tmp_path / f"{root}{point}") for root in ("a", "b"))
        ended = killed(source, target, point, retire=retire)
        for name in names_of(target):
            both = source.load(name), target.load(name)
            assert any(record.reconcile for record in both), "two stores act"
            assert whole(target, name).values == whole(source, name).values
        report = copy(source, target, retire=retire)
        assert report.complete and compare(source, target, quiet) == [] and len(names_of(target)) == 3
        assert {target.load(name).reconcile for name in names_of(target)} == {not retire}
    assert point > 35


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_twenty_times(tmp_path: Path, seed: int) -> None:
    """The small form of `make soak`'s copy: 40 secrets of five versions."""
    dice = random.Random(seed)
    source, target = made(tmp_path / "a"), made(tmp_path / "b")
    stocked(source, 40)
    for _ in range(20):
        killed(source, target, dice.randrange(1, 120), retire=bool(seed))
    assert copy(source, target, retire=bool(seed)).complete
    assert compare(source, target, quiet) == [] and names_of(source) == names_of(target)
    assert not target.check() and not target.verify_log() and not source.verify_log()


# --- comparing ------------------------------------------------------------------------------------------------------


def test_each_difference_is_found(pair: tuple[Store, Store]) -> None:
    source, target = pair
    copy(source, target)

    def edit(name: str, **fields: Any) -> None:
        target.commit([Change(replace(target.load(name), **fields), event())])

    record = target.load("s/0000")
    edit("s/0000", secret=replace(record.secret, env="OTHER"))
    edit("s/0001", versions=record_versions(target, "s/0001", handle="x"))
    edit("full", acks=())
    edit("parked", rotation=None)
    grow_on(target, "s/0002")
    edit("s/0003", versions=record_versions(target, "s/0003", fingerprint="0" * 16))
    gone = target.load("s/0004")
    target.commit([Change(replace(gone, secret=replace(gone.secret, deleted_at=NOW)), event())])
    target.purge("s/0004", event())
    grow(target, "more", 1)
    found = compare(source, target, quiet)
    assert [line for line in found if not line.startswith("s/0002")] == [
        "full: acks differs", "more: is only in the second", "parked: rotation differs", "s/0000: secret differs",
        "s/0001: version 5 differs (handle)", "s/0003: version 5 has a fingerprint that is not its value's",
        "s/0004: is only in the first"]
    assert any("version 6 is only in the second" in line for line in found)
    assert not any("value 5" in line or "later" in line for line in found)


def record_versions(store: Store, name: str, **fields: Any) -> tuple[Version, ...]:
    versions = store.load(name).versions
    return (*versions[:-1], replace(versions[-1], **fields))
