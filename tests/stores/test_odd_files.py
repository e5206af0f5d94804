"""Pipes, devices, folders and floods where a small file is expected: one clear line at once. And modes of folders."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clawsecrets.errors import StoreDamaged, StoreError, StoreGone, StoreLocked
from clawsecrets.stores import sqlite
from clawsecrets.stores.files import SMALL, make_folders, make_private_folder, read_private, write_private
from clawsecrets.stores.keys import KeyFile, SystemdCredential
from clawsecrets.stores.trying import unwritable
from tests.contract.store import put
from tests.stores.conftest import Place

ODD: dict[str, Callable[[Path], object]] = {
    "pipe": lambda path: os.mkfifo(path, 0o600),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(0o700),
    "flood": lambda path: write_private(path, b"#" * (SMALL + 1)),
}


@pytest.fixture(autouse=True)
def _never_hangs() -> Iterator[None]:
    """An open that waits for a writer is ended, as a failure."""
    def rung(*_: object) -> None:
        pytest.fail("it waited")

    before = signal.signal(signal.SIGALRM, rung)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("what", ODD)
def test_an_odd_key_file(place: Place, what: str) -> None:
    place.key.path.unlink()
    ODD[what](place.key.path)
    for act in (place.open, lambda: place.key.create("0" * 32, b"m" * 32)):
        with pytest.raises(StoreLocked, match="cannot read the key file") as caught:
            act()
        assert "not a regular file" in caught.value.message or "64 KiB" in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("name", ["the passphrase file", "the recovery file"])
def test_other_odd_private_files(tmp_path: Path, what: str, name: str) -> None:
    ODD[what](tmp_path / "f")
    with pytest.raises(StoreLocked, match=f"cannot read {name} .*: it is (not a regular file|larger than 64 KiB)"):
        read_private(tmp_path / "f", name)


@pytest.mark.parametrize("what", ODD)
def test_an_odd_credential(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ODD[what](tmp_path / "cred")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(StoreLocked, match="cannot be read"):
        SystemdCredential("cred").create("0" * 32, b"m" * 32)


def test_a_private_file_of_the_largest_size_and_through_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "f", tmp_path / "link"
    file.touch(0o600)
    file.write_bytes(b"x" * SMALL)
    link.symlink_to(file)
    assert read_private(link, "the key file") == b"x" * SMALL


@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_an_odd_anchor(place: Place, what: str) -> None:
    place.anchor.unlink()
    ODD[what](place.anchor)
    with pytest.raises(StoreError, match=r"cannot read the store's anchor .* not a regular file"):
        place.open()


@pytest.mark.parametrize("content", [b"[" * 20_000, b"[" * 200_000, b"#" * (SMALL + 1)])
def test_a_flooded_anchor_is_damage(place: Place, content: bytes) -> None:
    store = place.open()
    put(store, "a")
    store.close()
    whole = place.anchor.read_bytes()
    for flood in (content, whole + b" " * SMALL):
        place.anchor.write_bytes(flood)
        with pytest.raises(StoreDamaged, match=r"anchor .* was altered"):
            place.open()
    place.open(accept_older=True).close()
    place.open().close()


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_nothing_is_changed_while_others_may_write_where_the_anchor_is(place: Place, mode: int) -> None:
    """They could put an older one in its place."""
    path, anchor = place.root / "d2" / "s.db", place.root / "state" / "anchor"
    store, _ = sqlite.create(path, anchor, [place.key])
    put(store, "a")
    anchor.parent.chmod(mode)
    with pytest.raises(StoreLocked, match="open to other users") as caught:
        put(store, "b")
    assert caught.value.hint == f"run: chmod go-w {anchor.parent}" and list(store.names()) == ["a"]
    assert isinstance(unwritable(path, anchor), StoreLocked)
    anchor.parent.chmod(0o755)
    put(store, "b")
    assert unwritable(path, anchor) is None and list(store.names()) == ["a", "b"]
    store.close()


def test_nested_key_slots_are_damage(place: Place) -> None:
    import sqlite3

    with sqlite3.connect(place.path) as db:
        db.execute("UPDATE slots SET params = ?", (b"[" * 200_000,))
    db.close()
    with pytest.raises(StoreDamaged, match="another form"):
        place.open()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_every_folder_that_is_made_is_private(tmp_path: Path, umask: int) -> None:
    path, anchor, key = tmp_path / "a/b/c/s.db", tmp_path / "d/e/anchor", tmp_path / "f/g/key"
    before = os.umask(umask)
    try:
        make_private_folder(path.parent)
        make_private_folder(key.parent)
        make_folders(anchor.parent)
    finally:
        os.umask(before)
    for folder in (path, anchor, key):
        for part in (folder.parent, *folder.parent.parents):
            if part == tmp_path:
                break
            assert part.stat().st_mode & 0o777 == 0o700, part


def test_a_store_under_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        sqlite.create(tmp_path / "a/b/s.db", tmp_path / "d/e/anchor", [KeyFile(tmp_path / "f/g/key")])[0].close()
    finally:
        os.umask(before)
    for part in tmp_path.rglob("*"):
        assert part.stat().st_mode & 0o077 == 0, part


def test_a_folder_that_is_there_keeps_its_mode_and_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    make_folders(tmp_path / "open" / "in")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o755
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot make the folder"):
        make_private_folder(tmp_path / "file" / "in")


@pytest.mark.parametrize("folder", ["sticky", "/", "/usr", "/usr/lib"])
def test_nobody_is_told_to_close_a_folder_that_is_there_for_others(tmp_path: Path, folder: str) -> None:
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    with pytest.raises(StoreLocked, match="is there for them") as caught:
        make_private_folder(tmp_path / folder)
    assert "chmod" not in caught.value.hint and "another folder" in caught.value.hint


def test_an_anchor_in_a_folder_of_others_is_refused_with_another_place(tmp_path: Path) -> None:
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    store, _ = sqlite.create(tmp_path / "a/s.db", tmp_path / "sticky/anchor", [KeyFile(tmp_path / "key")])
    with pytest.raises(StoreLocked, match="is there for them") as caught:
        put(store, "a", b"first")
    store.close()
    assert "chmod" not in caught.value.hint


@pytest.mark.parametrize("what", ["removed", "moved away with its folder", "replaced by a copy"])
def test_a_file_that_goes_while_it_is_open(place: Place, what: str, tmp_path: Path) -> None:
    """SQLite goes on with a file that has no name any more: what it keeps there is lost when the process ends."""
    store = place.open()
    put(store, "a", b"first")
    if what == "removed":
        for part in place.path.parent.iterdir():
            part.unlink()
    elif what == "replaced by a copy":
        for part in list(place.path.parent.iterdir()):
            copy = part.with_name(f"{part.name}.copy")
            copy.write_bytes(part.read_bytes())
            copy.chmod(0o600)
            copy.replace(part)
    else:
        place.path.parent.rename(tmp_path / "elsewhere")
    for act in (lambda: put(store, "b", b"second"), lambda: store.load("a"),
                lambda: store.acquire("a", "me", 10.0)):
        with pytest.raises(StoreGone, match="was removed or replaced while it was open") as caught:
            act()
        assert caught.value.hint and caught.value.exit_code == 3
    store.close()
