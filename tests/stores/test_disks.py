"""Full and read-only disks, on small tmpfs mounts. Needs root; says so loudly where it is not."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clawsecrets.errors import StoreError, StoreGone
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores import sqlite, trying
from clawsecrets.stores.backup import backup, restore
from clawsecrets.stores.doctor import notes
from clawsecrets.stores.faults import io_failed, kept_from
from clawsecrets.stores.trying import unwritable
from tests.cli.desk import Desk
from tests.contract.store import change, event, fresh, put
from tests.stores.conftest import Place

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small tmpfs with these options; unmounted at the end."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        where = tmp_path / f"m{len(mounted)}"
        where.mkdir(mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "none", str(where)],
                              capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"NOT RUN: a tmpfs cannot be mounted here ({done.stderr.decode().strip()}); run as root")
        mounted.append(where)
        return where

    yield make
    for where in reversed(mounted):
        subprocess.run(["umount", "-l", str(where)], check=True)


def remount(where: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(where)], check=True)


def test_a_full_disk_loses_nothing(place: Place, mount: Mount) -> None:
    """Fill the data's disk by commits: one clear error, everything committed before is there, and it goes on."""
    disk = mount("size=400k")
    path = disk / "store.db"
    sqlite.create(path, place.anchor, [place.key])[0].close()
    store = sqlite.open_store(path, place.anchor, [place.key])
    stored: list[str] = []
    with pytest.raises(StoreError) as caught:
        for number in range(1000):
            put(store, f"s{number}", str(number) * 2000)
            stored.append(f"s{number}")
    assert "the disk is full" in caught.value.message
    assert "make space" in caught.value.hint
    assert len(stored) > 3
    assert sorted(store.names()) == sorted(stored)
    store.close()
    store = sqlite.open_store(path, place.anchor, [place.key])
    assert sorted(store.names()) == sorted(stored)
    assert list(store.check()) == []
    remount(disk, "size=4m")
    put(store, "after", "space again")
    assert store.value("after", 1) == SecretValue("space again")
    store.close()


def test_a_completely_full_disk_can_be_read(place: Place, mount: Mount) -> None:
    """Not a page is left, not even for the index of the write-ahead log."""
    disk = mount("size=400k")
    path = disk / "store.db"
    store, _ = sqlite.create(path, place.anchor, [place.key])
    put(store, "a", "kept")
    store.close()
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="space"):
        while True:
            filler.write(b"x" * 4096)
    store = sqlite.open_store(path, place.anchor, [place.key])
    assert store.value("a", 1) == SecretValue("kept")
    with pytest.raises(StoreError, match="the disk is full") as caught:
        put(store, "b")
    assert "make space" in caught.value.hint
    assert caught.value.exit_code == 3
    assert "read-only" not in caught.value.message
    with pytest.raises(StoreError, match="the disk is full"):
        store.acquire("a", "me", 1.0)
    store.close()
    (disk / "filler").unlink()
    store = sqlite.open_store(path, place.anchor, [place.key])
    put(store, "b")
    assert list(store.names()) == ["a", "b"]
    store.close()


def test_a_disk_that_takes_no_more_files_is_full_too(place: Place, mount: Mount) -> None:
    """Though it has bytes left."""
    disk = mount("size=4m,nr_inodes=10")
    path = disk / "store.db"
    store, _ = sqlite.create(path, place.anchor, [place.key])
    put(store, "a", "kept")
    store.close()
    assert unwritable(path, place.anchor) is None
    with pytest.raises(OSError, match="space"):
        for number in range(10):
            (disk / f"filler-{number}").touch()
    assert kept_from(path) is not None
    store = sqlite.open_store(path, place.anchor, [place.key])
    assert store.value("a", 1) == SecretValue("kept")
    with pytest.raises(StoreError, match="the disk is full") as caught:
        put(store, "b")
    assert "make space" in caught.value.hint
    for file in disk.glob("filler-*"):
        file.unlink()
    put(store, "b")
    store.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_that_is_used_up_is_a_full_disk(number: int) -> None:
    said = io_failed("write beside", Path("/x/store.db"), OSError(number, os.strerror(number)))
    assert said.message == "cannot write beside /x/store.db: the disk is full" and "make space" in said.hint


def test_a_full_state_disk_stops_the_commit_before_it_happens(place: Place, mount: Mount) -> None:
    disk = mount("size=16k")
    anchor = disk / "anchor"
    path = place.root / "d2" / "s.db"
    store, _ = sqlite.create(path, anchor, [place.key])
    put(store, "a")
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="space"):
        while True:
            filler.write(b"x" * 4096)
    with pytest.raises(StoreError, match=r"anchor.*the disk is full"):
        put(store, "b")
    assert list(store.names()) == ["a"]
    (disk / "filler").unlink()
    put(store, "b")
    assert list(store.names()) == ["a", "b"]
    store.close()


def test_a_full_disk_for_a_backup(place: Place, mount: Mount) -> None:
    disk = mount("size=64k")
    store = place.open()
    store.commit([change(fresh(f"n{i}"), {1: "x" * 3000}) for i in range(40)])
    with pytest.raises(StoreError) as caught:
        backup(store, disk / "b1")
    assert caught.value.hint
    assert list(disk.iterdir()) == []
    store.close()


@pytest.mark.parametrize("left_by", ["close", "kill", "kill, index lost"])
def test_a_read_only_disk_can_be_read(place: Place, mount: Mount, left_by: str) -> None:
    """Also with a write-ahead log that a killed process left there."""
    disk = mount("size=4m")
    path = disk / "store.db"
    store, code = sqlite.create(path, place.anchor, [place.key])
    put(store, "a", "on the disk")
    names = [] if left_by == "close" else ["store.db", "store.db-wal", *(["store.db-shm"] if left_by == "kill" else [])]
    for name in names:
        shutil.copy2(disk / name, disk / f"copy-{name}")
    store.close()
    for name in names:
        os.replace(disk / f"copy-{name}", disk / name)
    remount(disk, "ro")
    store = sqlite.open_store(path, place.anchor, [place.key])
    assert store.value("a", 1) == SecretValue("on the disk")
    assert list(store.check()) == []
    with pytest.raises(StoreError, match="read-only"):
        put(store, "b")
    with pytest.raises(StoreError, match="read-only"):
        store.acquire("a", "me", 1.0)
    assert isinstance(notes(store), list)
    backup(store, place.root / "b1")
    store.close()
    new = Place(place.root / "new")
    assert code is not None
    again = restore(place.root / "b1", new.path, new.anchor, code, [new.key], event())
    assert again.value("a", 1) == SecretValue("on the disk")
    again.close()


def test_a_read_only_state_folder_still_reads(place: Place, mount: Mount) -> None:
    disk = mount("size=1m")
    path, anchor = place.root / "d2" / "s.db", disk / "state" / "anchor"
    store, _ = sqlite.create(path, anchor, [place.key])
    put(store, "a")
    behind = anchor.read_bytes()
    put(store, "b")
    store.close()
    anchor.write_bytes(behind)
    remount(disk, "ro")
    store = sqlite.open_store(path, anchor, [place.key])
    assert list(store.names()) == ["a", "b"]
    assert any("could not be brought up to date" in line for line in notes(store))
    with pytest.raises(StoreError, match="anchor"):
        put(store, "c")
    assert list(store.names()) == ["a", "b"]
    store.close()


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="space"):
        while True:
            filler.write(b"x" * 4096)


@pytest.mark.parametrize("part", ["store", "anchor"])
@pytest.mark.parametrize("state", ["full", "read-only"])
def test_what_cannot_be_written_is_seen_before(place: Place, mount: Mount, part: str, state: str) -> None:
    disk = mount("size=400k")
    path = (disk if part == "store" else place.root / "d2") / "s.db"
    anchor = (disk if part == "anchor" else place.root) / "state" / "anchor"
    sqlite.create(path, anchor, [place.key])[0].close()
    before = sorted(disk.rglob("*"))
    assert unwritable(path, anchor) is None and sorted(disk.rglob("*")) == before
    if state == "full":
        fill(disk)
    else:
        remount(disk, "ro")
    cannot = unwritable(path, anchor)
    assert cannot is not None and (state if state == "full" else "ead-only") in cannot.message and cannot.hint
    assert ("anchor" in cannot.message) is (part == "anchor")
    if state == "full":
        (disk / "filler").unlink()
    else:
        remount(disk, "rw")
    assert unwritable(path, anchor) is None and sorted(disk.rglob("*")) == before


def test_what_only_writing_shows_is_seen_before_too(
        place: Place, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota that is used up: what the system says of the disk knows nothing of it."""
    disk = mount("size=400k")
    path = disk / "s.db"
    sqlite.create(path, place.anchor, [place.key])[0].close()
    monkeypatch.setattr(trying, "kept_from", lambda path: None)
    assert unwritable(path, place.anchor) is None
    fill(disk)
    cannot = unwritable(path, place.anchor)
    assert cannot is not None and "the disk is full" in cannot.message and cannot.hint


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_doctor_and_the_dry_run_say_that_the_anchor_cannot_be_written(
        tmp_path: Path, mount: Mount, state: str) -> None:
    disk = mount("size=64k")
    with Desk(tmp_path / "s") as desk:
        desk.provider(f'[store]\nanchor = "{disk}/state/anchor"\n')
        desk.init()
        desk.seeded()
        if state == "full":
            fill(disk)
        else:
            remount(disk, "ro")
        doctor, dry = desk.run("doctor"), desk.run("rotate", "acme-api-key", "--dry-run")
        why = "the disk is full" if state == "full" else "Read-only file system"
        for ran, code, level in ((doctor, 1, "[fail] store:"), (dry, 4, "[refused] store:")):
            told = " ".join(ran.out.split())
            assert ran.code == code and level in told and f"the store's anchor {disk}/state/anchor: {why}" in told, ran


def test_nothing_can_be_made_on_a_full_disk_and_nothing_stays(place: Place, mount: Mount) -> None:
    disk = mount("size=64k")
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="space"):
        while True:
            filler.write(b"x" * 4096)
    before = place.key.path.read_bytes()
    with pytest.raises(StoreError, match="the disk is full"):
        sqlite.create(disk / "store.db", place.root / "other", [place.key])
    assert [file.name for file in disk.iterdir()] == ["filler"]
    assert place.key.path.read_bytes() == before


def test_a_store_opened_while_the_disk_was_full_is_written_once_there_is_space(place: Place, mount: Mount) -> None:
    """Whoever has it open for years, as the daemon, could otherwise never write to it again."""
    disk = mount("size=400k")
    store, _ = sqlite.create(disk / "store.db", place.anchor, [place.key])
    store.close()
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="space"):
        while True:
            filler.write(b"x" * 4096)
    store = sqlite.open_store(disk / "store.db", place.anchor, [place.key])
    with pytest.raises(StoreError, match="the disk is full"):
        put(store, "a")
    (disk / "filler").unlink()
    put(store, "a", "space again")
    assert store.value("a", 1) == SecretValue("space again") and list(store.check()) == []
    put(store, "b")
    store.close()


def test_a_store_opened_on_a_read_only_disk_is_written_once_it_is_not(place: Place, mount: Mount) -> None:
    disk = mount("size=4m")
    store, _ = sqlite.create(disk / "store.db", place.anchor, [place.key])
    store.close()
    remount(disk, "ro")
    store = sqlite.open_store(disk / "store.db", place.anchor, [place.key])
    with pytest.raises(StoreError, match="is read-only here"):
        put(store, "a")
    remount(disk, "rw")
    other = sqlite.open_store(disk / "store.db", place.anchor, [place.key])
    put(other, "others")
    put(store, "a")
    assert sorted(store.names()) == sorted(other.names()) == ["a", "others"]
    other.close()
    store.close()


def test_another_file_in_its_place_is_not_taken_for_it(place: Place, mount: Mount) -> None:
    disk = mount("size=4m")
    store, _ = sqlite.create(disk / "store.db", place.anchor, [place.key])
    store.close()
    remount(disk, "ro")
    store = sqlite.open_store(disk / "store.db", place.anchor, [place.key])
    remount(disk, "rw")
    shutil.copy2(disk / "store.db", disk / "copy")
    (disk / "copy").replace(disk / "store.db")
    with pytest.raises(StoreGone, match="was removed or replaced"):
        put(store, "a")
    store.close()
