"""Whatever is done to the file: the same data, or a StoreError. Never another value, never another exception."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.errors import StoreDamaged, StoreError, StoreOlder
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.stores.sqlite import SqliteStore
from tests.contract.store import NOW, change, event, put
from tests.stores.conftest import Place


def fill(store: SqliteStore) -> None:
    """Two secrets, one with a history, a lease and an event."""
    record = put(store, "a", "value of a")
    record = store.commit([change(record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "newer of a"})])[0]
    store.commit([change(record.change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW)))])
    put(store, "b", "value of a, but of b")
    store.acquire("a", "me", 60.0)
    store.log(event("value.read", "b"))


def everything_in(store: SqliteStore) -> object:
    """All that a store can be asked for, in a form that compares."""
    names = [*store.names(), *store.names(deleted=True)]
    records = [store.load(name) for name in names]
    values = [[store.value(r.secret.name, v.number).reveal() for v in r.versions] for r in records]
    histories = [store.history(name) for name in names]
    return names, records, values, histories, list(store.events()), list(store.records())


def edit(path: Path, *statements: str) -> None:
    """Change the file behind the store's back."""
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def shrunk(place: Place) -> bytes:
    """The store's file, checkpointed and with the smallest pages."""
    db = sqlite3.connect(place.path, isolation_level=None)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("PRAGMA page_size = 512")
    db.execute("VACUUM")
    db.close()
    return place.path.read_bytes()


@pytest.fixture
def in_memory(place: Place) -> Iterator[Place]:
    """The same place on a memory disk where there is one: thousands of openings should not wait for fsync."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        shutil.copytree(place.root, Path(folder, "root"))
        yield Place(Path(folder, "root"), place.code)


def test_every_byte_flipped_once(in_memory: Place) -> None:
    place = in_memory
    store = place.open()
    fill(store)
    store.close()
    content, seed = bytearray(shrunk(place)), random.randrange(1 << 30)
    print(f"seed {seed}, {len(content)} bytes")
    dice = random.Random(seed)
    store = place.open()
    expected = everything_in(store)
    store.close()
    same = refused = 0
    for position in range(len(content)):
        bit = 1 << dice.randrange(8)
        content[position] ^= bit
        place.path.write_bytes(content)
        try:
            store = place.open()
            try:
                assert everything_in(store) == expected, f"byte {position} changed what is read (bit {bit})"
                noticed = store.verify_log() != ""
                same, refused = same + (not noticed), refused + noticed
            finally:
                store.close()
        except StoreError as error:
            refused += 1
            assert "\n" not in error.message and error.message
        content[position] ^= bit
    print(f"{same} flips changed nothing, {refused} were refused")
    assert refused > len(content) // 3


def test_what_is_refused_is_not_held_open(place: Place) -> None:
    """Who keeps the errors, as a daemon's log may, keeps no descriptor with them."""
    whole = place.path.read_bytes()
    kept: list[StoreError] = []
    before = len(os.listdir("/proc/self/fd"))
    for length in (0, 1, 99, 100, 511, 512, 1536, len(whole) // 2):
        place.path.write_bytes(whole[:length])
        with pytest.raises(StoreError) as caught:
            place.open()
        kept.append(caught.value)
        assert len(os.listdir("/proc/self/fd")) == before, f"{length} bytes"
    assert len(kept) == 8


def test_truncated_anywhere(place: Place) -> None:
    store = place.open()
    fill(store)
    expected = everything_in(store)
    store.close()
    whole = place.path.read_bytes()
    for length in [0, 1, 99, 100, 511, *range(512, len(whole), 1024), len(whole) - 1]:
        place.path.write_bytes(whole[:length])
        with pytest.raises(StoreError):
            store = place.open()
            try:
                everything_in(store)
            finally:
                store.close()
    place.path.write_bytes(whole)
    store = place.open()
    assert everything_in(store) == expected
    store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM heads WHERE name = 'b'",
        "UPDATE heads SET deleted = 1 WHERE name = 'b'",
        "UPDATE heads SET revision = revision + 1 WHERE name = 'b'",
        "INSERT INTO heads SELECT 'c', revision, deleted, digest FROM heads WHERE name = 'b'",
        "DELETE FROM bodies WHERE name = 'b'",
        "UPDATE bodies SET sealed = (SELECT sealed FROM bodies WHERE name = 'a') WHERE name = 'b'",
        "DELETE FROM vals WHERE name = 'b'",
        "UPDATE vals SET sealed = (SELECT sealed FROM vals WHERE name = 'a') WHERE name = 'b'",
        "UPDATE vals SET (wrapped, sealed) = (SELECT wrapped, sealed FROM vals WHERE name = 'a') WHERE name = 'b'",
        "DELETE FROM history",
        "UPDATE history SET position = 2",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET event = CAST(replace(event, 'tester', 'nobody') AS BLOB) WHERE seq = 1",
        "INSERT INTO audit SELECT seq + 1, event, mac FROM audit ORDER BY seq DESC LIMIT 1",
        "DELETE FROM manifest",
        "DELETE FROM slots WHERE kind = 'recovery'",
        "INSERT INTO slots SELECT 9, kind, params, wrapped FROM slots WHERE id = 1",
        "UPDATE meta SET value = CAST('2' AS BLOB) WHERE key = 'format'",
        "UPDATE meta SET value = randomblob(60) WHERE key = 'lasting'",
        "CREATE TRIGGER t AFTER INSERT ON vals BEGIN DELETE FROM vals; END",
        "ALTER TABLE vals ADD COLUMN more TEXT",
    ],
)
def test_a_changed_row_is_named(place: Place, statement: str) -> None:
    store = place.open()
    fill(store)
    store.close()
    edit(place.path, statement)
    with pytest.raises(StoreError) as caught:
        store = place.open()
        try:
            everything_in(store)
            if fault := store.verify_log():  # the words are tested below
                raise StoreDamaged(fault)
        finally:
            store.close()
    assert caught.value.message and caught.value.hint
    assert "value of a" not in caught.value.message
    assert "newer" not in caught.value.message


def test_the_others_are_given_and_a_broken_row_is_told_to_who_asks(place: Place) -> None:
    store = place.open()
    fill(store)
    store.close()
    edit(place.path, "UPDATE bodies SET sealed = (SELECT sealed FROM bodies WHERE name = 'a') WHERE name = 'b'")
    store, broken = place.open(), dict[str, StoreError]()
    assert [record.secret.name for record in store.records(broken=broken.__setitem__)] == ["a"]
    assert list(broken) == ["b"] and isinstance(broken["b"], StoreDamaged)
    with pytest.raises(StoreDamaged):
        list(store.records())
    store.close()


def test_rows_from_the_older_file_do_not_fit(place: Place) -> None:
    """One secret put back to its older, correctly sealed rows; the rest stays new."""
    store = place.open()
    record = put(store, "a", "old")
    store.close()
    older = place.root / "older.db"
    shutil.copy(place.path, older)
    store = place.open()
    store.commit([change(record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "new"})])
    store.close()
    db = sqlite3.connect(place.path)
    db.execute("ATTACH ? AS o", (str(older),))
    for table in ("heads", "bodies"):
        db.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM o.{table} WHERE name = 'a'")
    db.commit()
    db.close()
    with pytest.raises(StoreDamaged, match="put back"):
        place.open()


@pytest.mark.parametrize("with_anchor", [False, True])
def test_the_whole_older_file(place: Place, with_anchor: bool) -> None:
    """Refused while the anchor is newer. With the older anchor too it opens: the documented limit."""
    store = place.open()
    put(store, "a", "old")
    store.close()
    shutil.copy(place.path, place.root / "older.db")
    shutil.copy(place.anchor, place.root / "older.anchor")
    store = place.open()
    put(store, "b", "new")
    store.close()
    shutil.copy(place.root / "older.db", place.path)
    if with_anchor:
        shutil.copy(place.root / "older.anchor", place.anchor)
        store = place.open()
        assert list(store.names()) == ["a"]
        store.close()
        return
    with pytest.raises(StoreOlder, match="generation 2, but 3") as caught:
        place.open()
    assert "--accept-older" in caught.value.hint
    store = place.open(accept_older=True)
    assert list(store.names()) == ["a"]
    store.close()
    store = place.open()  # anchored again, above all that was seen
    assert store.view.manifest.generation == 4
    store.close()


def test_a_fork_of_the_same_generation(place: Place) -> None:
    store = place.open()
    put(store, "a", "one")
    store.close()
    shutil.copy(place.path, place.root / "fork.db")
    anchor = place.anchor.read_bytes()
    store = place.open()
    put(store, "b", "mine")
    store.close()
    mine = place.path.read_bytes()
    shutil.copy(place.root / "fork.db", place.path)
    newest = place.anchor.read_bytes()
    place.anchor.write_bytes(anchor)
    store = place.open()
    put(store, "b", "theirs")
    store.close()
    assert place.path.read_bytes() != mine
    place.anchor.write_bytes(newest)
    with pytest.raises(StoreDamaged, match="not the one that was seen"):
        place.open()
    place.path.write_bytes(mine)
    store = place.open()
    assert store.value("b", 1) == SecretValue("mine")
    store.close()


def test_the_anchor_is_made_mended_and_guarded(place: Place) -> None:
    from clawsecrets.stores.doctor import notes

    store = place.open()
    put(store, "a")
    assert list(notes(store)) == []
    behind = place.anchor.read_bytes()
    put(store, "b")
    newest = place.anchor.read_bytes()
    store.close()
    place.anchor.write_bytes(behind)  # a crash between commit and anchor
    place.open().close()
    assert place.anchor.read_bytes() == newest
    place.anchor.write_bytes(newest.replace(b'"generation":3', b'"generation":2'))
    with pytest.raises(StoreDamaged, match="anchor"):
        place.open()
    place.open(accept_older=True).close()
    place.anchor.unlink()
    store = place.open()
    assert any("made anew at generation 4" in line for line in notes(store))
    store.close()
    assert place.anchor.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in place.anchor.parent.iterdir()) == ["anchor", "anchor.lock"]


def test_a_store_that_goes_back_while_it_is_open(place: Place) -> None:
    store = place.open()
    put(store, "a")
    sealed = place.root / "old.db"
    other = sqlite3.connect(place.path)
    other.execute("VACUUM INTO ?", (str(sealed),))
    put(store, "b")
    other.execute("ATTACH ? AS o", (str(sealed),))
    for table in ("manifest", "heads", "bodies", "audit"):
        other.execute(f"DELETE FROM {table}")
        other.execute(f"INSERT INTO {table} SELECT * FROM o.{table}")
    other.commit()
    other.close()
    with pytest.raises(StoreOlder):
        store.load("a")
    store.close()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM audit WHERE seq = 2", "event 2 is missing"),
        ("UPDATE audit SET event = CAST(replace(event, 'tester', 'no') AS BLOB) WHERE seq = 1", "event 1 was altered"),
        ("UPDATE audit SET event = CAST('{}' AS BLOB) WHERE seq = 1", "event 1 was altered"),
    ],
)
def test_verify_log_names_the_fault(place: Place, statement: str, words: str) -> None:
    store = place.open()
    fill(store)
    store.close()
    edit(place.path, statement)
    store = place.open()
    assert words in store.verify_log()
    with pytest.raises(StoreDamaged):
        list(store.events())
    assert any("audit log" in line for line in store.check())
    store.close()


def test_check_names_every_fault(place: Place) -> None:
    store = place.open()
    fill(store)
    store.close()
    edit(
        place.path,
        "UPDATE vals SET sealed = randomblob(40) WHERE name = 'b'",
        "UPDATE bodies SET sealed = randomblob(40) WHERE name = 'a'",
        "INSERT INTO vals VALUES ('ghost', 1, x'00', x'00')",
        "UPDATE leases SET epoch = 99",
    )
    store = place.open()
    found = list(store.check())
    store.close()
    for words in ("value of b version 1", "record of a", "'ghost'", "lease on a"):
        assert any(words in line for line in found), found


def test_erasing_leaves_no_trace_of_the_data_key(place: Place) -> None:
    store = place.open()
    record = put(store, "a")
    wrapped: bytes = store.db.execute("SELECT wrapped FROM vals").fetchone()[0]
    assert wrapped in place.path.read_bytes() + place.path.with_name("store.db-wal").read_bytes()
    record = store.commit([change(record.put_current(Version(2, Stage.CURRENT, NOW)), {2: "second"})])[0]
    store.commit([change(record.change(1, lambda v: replace(v, stage=Stage.REVOKED, erased_at=NOW)))])
    left = b"".join(file.read_bytes() for file in place.path.parent.iterdir())
    assert wrapped not in left
    store.close()


def test_nothing_readable_is_in_the_file(place: Place) -> None:
    store = place.open()
    put(store, "a", "canary-value-1234567890")
    content = b"".join(file.read_bytes() for file in place.path.parent.iterdir())
    store.close()
    assert b"canary" not in content + place.path.read_bytes()
    assert b"generic" not in content, "the provider stands in the sealed record"


