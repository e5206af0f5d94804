"""One key file for several processes at once: no key is lost, and a failed `create` leaves nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from clawsecrets.errors import StoreBusy, StoreError
from clawsecrets.stores import files, keys, sqlite
from clawsecrets.stores.keys import KeyFile
from clawsecrets.stores.rekey import rekey
from clawsecrets.stores.slots import described
from tests.contract.store import event, put
from tests.stores.test_processes import line, spawn
from tests.waiting import LONG


def parts(root: Path, name: str) -> tuple[Path, Path]:
    return root / name / "s.db", root / f"{name}-state" / "anchor"


def together(root: Path, works: Sequence[str], source: KeyFile) -> None:
    """One process per store, let go at the same moment: make it where it is missing, then give it a new key."""
    gate, start = os.pipe()

    def work(name: str, writer: int) -> None:
        os.close(start)
        os.read(gate, 1)
        path, anchor = parts(root, name)
        if not path.exists():
            sqlite.create(path, anchor, [source], recovery=False)[0].close()
        store = sqlite.open_store(path, anchor, [source])
        left = rekey(store, event())
        store.close()
        os.write(writer, b"left\n" if left else b"done\n")

    children = [spawn(lambda writer, name=name: work(name, writer)) for name in works]  # type: ignore[misc]
    os.close(gate)
    os.close(start)
    said = [line(reader) for _, reader in children]
    for number, reader in children:
        os.waitpid(number, 0)
        os.close(reader)
    assert said == ["done"] * len(works)


def test_four_stores_share_a_key_file(tmp_path: Path) -> None:
    source = KeyFile(tmp_path / "keys" / "master")
    for turn in range(6):
        names = [f"{turn}-{number}" for number in range(4)]
        together(tmp_path, names, source)
        for name in names:
            sqlite.open_store(*parts(tmp_path, name), [source]).close()
        assert len(source.path.read_text().splitlines()) == 4 * (turn + 1)


def test_a_second_writer_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first has read and is about to write when the second comes."""
    source, writing, go = KeyFile(tmp_path / "keys" / "master"), threading.Event(), threading.Event()
    source.create("0" * 32, b"m" * 32)
    real = files.write_private

    def slowly(path: Path, content: bytes) -> None:
        if threading.current_thread() is first:
            writing.set()
            assert go.wait(LONG)
        real(path, content)

    monkeypatch.setattr(keys, "write_private", slowly)
    first = threading.Thread(target=source.create, args=("1" * 32, b"m" * 32))
    second = threading.Thread(target=source.create, args=("2" * 32, b"m" * 32))
    first.start()
    assert writing.wait(LONG)
    second.start()
    second.join(0.2)
    go.set()
    first.join(LONG)
    second.join(LONG)
    found = list(keys.parse_keys(source.path.read_bytes(), source.path))
    assert sorted(label[:8] for label in found) == ["0" * 8, "1" * 8, "2" * 8]


def test_dropping_a_line_waits_too_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = KeyFile(tmp_path / "keys" / "master")
    slot = source.create("0" * 32, b"m" * 32)
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    with files.taking_turns(source.path):
        for act in (lambda: source.forget("0" * 32, slot), lambda: source.create("1" * 32, b"m" * 32)):
            with pytest.raises(StoreBusy, match="another process is writing"):
                act()
    source.forget("0" * 32, slot)
    assert source.path.read_bytes() == b""


def overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that takes no lock puts back what it read before."""
    real = files.write_private

    def lost(path: Path, content: bytes) -> None:
        before = path.read_bytes() if path.exists() else b""
        real(path, content)
        real(path, before)

    monkeypatch.setattr(keys, "write_private", lost)


def test_a_key_that_is_lost_as_it_is_written_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, (path, anchor) = KeyFile(tmp_path / "keys" / "master"), parts(tmp_path, "x")
    with monkeypatch.context() as patch:
        overwritten(patch)
        with pytest.raises(StoreError, match="lost the new key"):
            sqlite.create(path, anchor, [source])
    assert list(path.parent.iterdir()) == []
    sqlite.create(path, anchor, [source])[0].close()


def test_a_rekey_whose_key_is_lost_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, (path, anchor) = KeyFile(tmp_path / "keys" / "master"), parts(tmp_path, "x")
    store, _ = sqlite.create(path, anchor, [source])
    put(store, "a")
    before = described(path)
    with monkeypatch.context() as patch:
        overwritten(patch)
        with pytest.raises(StoreError, match="lost the new key"):
            rekey(store, event())
    store.close()
    assert described(path) == before
    sqlite.open_store(path, anchor, [source]).close()


@pytest.mark.parametrize("where", ["opened", "logged"])
def test_a_store_that_cannot_be_used_once_made_does_not_stay(tmp_path: Path, where: str,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    source, (path, anchor) = KeyFile(tmp_path / "keys" / "master"), parts(tmp_path, "x")
    other = source.create("1" * 32, b"m" * 32)
    kept = source.path.read_bytes()
    anchor.parent.mkdir()
    if where == "opened":
        anchor.mkdir()
    else:
        anchor.parent.chmod(0o777)
    with pytest.raises(StoreError):
        sqlite.create(path, anchor, [source], event=event())
    assert list(path.parent.iterdir()) == []
    assert source.path.read_bytes() == kept
    assert source.open("1" * 32, other) == b"m" * 32


def test_the_loser_of_two_inits_at_one_place_leaves_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, (path, anchor) = KeyFile(tmp_path / "keys" / "master"), parts(tmp_path, "x")
    real = sqlite._fill

    def winner(writer: int) -> None:
        monkeypatch.setattr(sqlite, "_fill", real)
        sqlite.create(path, anchor, [source])[0].close()
        os.write(writer, b"made\n")

    def overtaken(*given: object) -> None:
        number, reader = spawn(winner)
        assert line(reader) == "made"
        os.waitpid(number, 0)
        os.close(reader)
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite, "_fill", overtaken)
    with pytest.raises(StoreError, match="exists already"):
        sqlite.create(path, anchor, [source])
    assert len(source.path.read_text().splitlines()) == 1
    sqlite.open_store(path, anchor, [source]).close()
