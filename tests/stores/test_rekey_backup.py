"""rekey, backup, restore."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clawsecrets.errors import StoreDamaged, StoreError, StoreLocked, StoreMissing, StoreOlder, UsageError
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores import sqlite
from clawsecrets.stores.backup import backup, restore
from clawsecrets.stores.doctor import notes
from clawsecrets.stores.keys import KeyFile, Passphrase
from clawsecrets.stores.recovery import RecoveryCode, new_code
from clawsecrets.stores.rekey import rekey
from tests.contract.store import change, event, put
from tests.stores.conftest import Place
from tests.stores.test_keys import CHEAP
from tests.stores.test_tampering import edit, everything_in, fill


def test_rekey_keeps_everything_but_the_key(place: Place) -> None:
    store = place.open()
    fill(store)
    before, mark = everything_in(store), store.fingerprint(SecretValue("x"))
    master = store.unlocked.keys.master
    old_line = place.key.path.read_text()
    wrapped: bytes = store.db.execute("SELECT wrapped FROM vals WHERE name = 'b'").fetchone()[0]
    assert list(rekey(store, event("store.rekeyed"))) == []
    for handle in (store, place.open()):
        assert handle.unlocked.keys.master != master
        assert list(handle.check()) == []
        assert everything_in(handle)[:4] == before[:4]  # type: ignore[index]
        assert handle.fingerprint(SecretValue("x")) == mark
        assert [e.event.action for e in handle.events()][-1] == "store.rekeyed"
        assert list(notes(handle)) == []
        handle.close()
    assert wrapped not in place.path.read_bytes()
    new_line = place.key.path.read_text()
    assert new_line != old_line
    assert len(new_line.splitlines()) == 1
    sqlite.open_store(place.path, place.anchor, [RecoveryCode(place.code)]).close()


def test_another_process_goes_on_after_a_rekey(place: Place) -> None:
    one, two = place.open(), place.open()
    put(one, "a", "before")
    lease = two.acquire("a", "two", 60.0)
    rekey(one, event())
    assert two.value("a", 1) == SecretValue("before")
    two.commit([change(two.load("a"))], lease)
    put(two, "b", "after")
    assert one.value("b", 1) == SecretValue("after")
    assert one.verify_log() == two.verify_log() == ""
    one.close()
    two.close()


def test_rekey_to_other_sources(place: Place) -> None:
    store = place.open()
    put(store, "a")
    new = Passphrase(SecretValue("words"), CHEAP)
    assert list(rekey(store, event(), [new])) == []
    put(store, "b")
    store.close()
    with pytest.raises(StoreLocked):
        place.open()
    assert place.key.path.read_text() == ""
    store = sqlite.open_store(place.path, place.anchor, [new])
    assert list(store.names()) == ["a", "b"]
    store.close()


def test_rekey_never_drops_a_way_in_silently(place: Place, tmp_path: Path) -> None:
    path, anchor = tmp_path / "d2" / "s.db", tmp_path / "a2" / "anchor"
    words = Passphrase(SecretValue("right"), CHEAP)
    sqlite.create(path, anchor, [place.key, words])[0].close()
    for sources in ([place.key], [place.key, Passphrase(SecretValue("wrong"), CHEAP)]):
        store = sqlite.open_store(path, anchor, sources)
        with pytest.raises(UsageError, match="also opens with a passphrase"):
            rekey(store, event())
        store.close()
    store = sqlite.open_store(path, anchor, [place.key, words])
    rekey(store, event())
    store.close()
    sqlite.open_store(path, anchor, [words]).close()


def test_rekey_refuses_a_broken_log(place: Place) -> None:
    store = place.open()
    fill(store)
    store.close()
    edit(place.path, "UPDATE audit SET event = CAST(replace(event, 'tester', 'nobody') AS BLOB) WHERE seq = 1")
    store = place.open()
    with pytest.raises(StoreDamaged, match="event 1"):
        rekey(store, event())
    assert len(place.key.path.read_text().splitlines()) == 1
    store.close()
    place.open().close()


def test_backup_and_restore_on_another_machine(place: Place, tmp_path: Path) -> None:
    store = place.open()
    fill(store)
    before = everything_in(store)
    generation = backup(store, tmp_path / "copy.clawbackup")
    store.close()
    file = tmp_path / "copy.clawbackup"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".copy")]
    shutil.rmtree(tmp_path / "key")
    shutil.rmtree(tmp_path / "data")
    shutil.rmtree(tmp_path / "state")
    content = file.read_bytes()
    elsewhere = Place(tmp_path / "elsewhere")
    again = restore(file, elsewhere.path, elsewhere.anchor, place.code, [elsewhere.key], event("store.restored"))
    assert file.read_bytes() == content
    assert again.view.manifest.generation > generation
    assert list(again.check()) == []
    assert all(record.reconcile for record in again.records())
    assert [again.value(n, again.load(n).last_number).reveal() for n in again.names()] == [
        v[-1] for v in before[2]]  # type: ignore[index]
    assert [again.history(n) for n in again.names()] == before[3]  # type: ignore[index]
    assert [e.event.action for e in again.events()][-1] == "store.restored"
    again.acquire("a", "nobody holds a restored lease", 1.0)
    again.close()
    elsewhere.open().close()
    sqlite.open_store(elsewhere.path, elsewhere.anchor, [RecoveryCode(place.code)]).close()


def test_restore_goes_above_what_this_machine_has_seen(place: Place, tmp_path: Path) -> None:
    store = place.open()
    put(store, "a")
    backup(store, tmp_path / "b1")
    for name in ("b", "c", "d"):
        put(store, name)
    newest = store.view.manifest.generation
    store.close()
    lost = place.path.rename(tmp_path / "lost.db")
    again = restore(tmp_path / "b1", place.path, place.anchor, place.code, [place.key], event())
    assert again.view.manifest.generation == newest + 1
    assert list(again.names()) == ["a"]
    again.close()
    shutil.copy(lost, place.path)
    with pytest.raises(StoreError):  # the lost one, put back: its key is not refused, its age is
        sqlite.open_store(place.path, place.anchor, [RecoveryCode(place.code)])


def test_restore_refuses(place: Place, tmp_path: Path) -> None:
    store = place.open()
    fill(store)
    backup(store, tmp_path / "b1")
    with pytest.raises(StoreError, match="exists already"):
        backup(store, tmp_path / "b1")
    store.close()
    new = Place(tmp_path / "new")
    with pytest.raises(StoreError, match="nothing was overwritten"):
        restore(tmp_path / "b1", place.path, place.anchor, place.code, [place.key], event())
    with pytest.raises(StoreLocked):
        restore(tmp_path / "b1", new.path, new.anchor, new_code(), [new.key], event())
    with pytest.raises(StoreMissing):
        restore(tmp_path / "b2", new.path, new.anchor, place.code, [new.key], event())
    edit(tmp_path / "b1", "UPDATE vals SET sealed = randomblob(50) WHERE name = 'b'")
    with pytest.raises(StoreDamaged, match="b version 1"):
        restore(tmp_path / "b1", new.path, new.anchor, place.code, [new.key], event())
    assert list(new.path.parent.iterdir()) == []
    assert not new.key.path.exists()


def test_a_damaged_store_makes_no_backup(place: Place, tmp_path: Path) -> None:
    store = place.open()
    fill(store)
    store.close()
    edit(place.path, "UPDATE vals SET sealed = randomblob(50) WHERE name = 'b'")
    store = place.open()
    with pytest.raises(StoreDamaged, match="b version 1"):
        backup(store, tmp_path / "b1")
    assert not (tmp_path / "b1").exists()
    store.close()


def test_without_a_recovery_code_there_is_no_backup(tmp_path: Path) -> None:
    store, code = sqlite.create(tmp_path / "d" / "s.db", tmp_path / "a", [KeyFile(tmp_path / "k")], recovery=False)
    assert code is None
    with pytest.raises(StoreError, match="no recovery code"):
        backup(store, tmp_path / "b1")
    store.close()


def test_an_older_backup_put_in_place_is_refused(place: Place, tmp_path: Path) -> None:
    store = place.open()
    put(store, "a")
    backup(store, tmp_path / "b1")
    put(store, "b")
    store.close()
    shutil.copy(tmp_path / "b1", place.path)
    with pytest.raises(StoreOlder):
        place.open()
