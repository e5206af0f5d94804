"""Key sources: what opens, what is refused, and that what is kept outside has the right modes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.errors import PasswordDeleteError

from clawsecrets.errors import StoreDamaged, StoreError, StoreLocked, StoreMissing, UsageError
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores import sqlite
from clawsecrets.stores.doctor import notes
from clawsecrets.stores.keys import KeyFile, KeySource, Passphrase, Slot, SystemdCredential, key_line
from clawsecrets.stores.oskeyring import OsKeyring
from clawsecrets.stores.recovery import ALPHABET, RecoveryCode, new_code, read_code, written
from clawsecrets.stores.slots import described
from tests.contract.store import put
from tests.stores.conftest import Place

CHEAP = {"iterations": 1, "lanes": 1, "memory": 64}


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring that keeps its entries in this process."""

    priority = 9  # type: ignore[assignment]

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError


class PlaintextKeyring(MemoryKeyring):
    """Goes by the name of the one that writes to a file in the open."""


class LockedKeyring(MemoryKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked("canary-in-the-library-error")


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    before, backend = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def round_trip(tmp_path: Path, source: KeySource, *again: KeySource) -> None:
    path, anchor = tmp_path / "d" / "s.db", tmp_path / "a" / "anchor"
    store, _ = sqlite.create(path, anchor, [source], recovery=False)
    put(store, "a", "kept")
    store.close()
    assert [slot.kind for slot in described(path)] == [source.kind]
    store = sqlite.open_store(path, anchor, again or [source])
    assert store.value("a", 1) == SecretValue("kept")
    assert list(notes(store)) == ["the store has no recovery code: without its key it is lost, and no backup can "
                                  "be made"]
    store.close()


def test_key_file(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "master"
    round_trip(tmp_path, KeyFile(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert file.read_text().startswith("clawsecrets-key-1:")
    moved = file.rename(tmp_path / "keys" / "elsewhere")
    sqlite.open_store(tmp_path / "d" / "s.db", tmp_path / "a" / "anchor", [KeyFile(moved)]).close()


def test_one_key_file_for_two_stores(tmp_path: Path) -> None:
    source = KeyFile(tmp_path / "keys" / "master")
    round_trip(tmp_path / "one", source)
    round_trip(tmp_path / "two", source)
    assert len(source.path.read_text().splitlines()) == 2
    sqlite.open_store(tmp_path / "one" / "d" / "s.db", tmp_path / "one" / "a" / "anchor", [source]).close()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_loose_key_file_is_refused_with_its_remedy(place: Place, mode: int) -> None:
    place.key.path.chmod(mode)
    with pytest.raises(StoreLocked, match="open to other users") as caught:
        place.open()
    assert caught.value.hint == f"run: chmod 600 {place.key.path}"
    assert os.system(caught.value.hint.removeprefix("run: ")) == 0
    place.open().close()


@pytest.mark.parametrize(("part", "mode", "remedy"), [("data", 0o750, "700"), ("data/store.db", 0o640, "600")])
def test_a_loose_store_is_refused_with_its_remedy(place: Place, part: str, mode: int, remedy: str) -> None:
    (place.root / part).chmod(mode)
    with pytest.raises(StoreLocked) as caught:
        place.open()
    assert caught.value.hint == f"run: chmod {remedy} {place.root / part}"
    assert os.system(caught.value.hint.removeprefix("run: ")) == 0
    place.open().close()


def test_what_the_store_makes_is_private(place: Place) -> None:
    before = os.umask(0)
    try:
        store = place.open()
        put(store, "a")
        for file in [*place.path.parent.iterdir(), *place.anchor.parent.iterdir()]:
            assert file.stat().st_mode & 0o077 == 0, file
        store.close()
    finally:
        os.umask(before)


def test_key_file_faults_are_told_apart(place: Place) -> None:
    right = place.key.path.read_bytes()
    label, _, line = key_line("0badc0de")
    cases: list[tuple[bytes, type[StoreError], str]] = [
        (line.encode(), StoreLocked, "does not hold this store's key"),
        (b"", StoreLocked, "does not hold"),
        (b"hello\n", StoreLocked, "line 1 is not a key"),
        (right[:-9] + b"\n", StoreLocked, "line 1 is not a key"),
        (line.replace(label, right.split(b":")[1].decode()).encode(), StoreDamaged, "does not open"),
    ]
    for content, kind, words in cases:
        place.key.path.write_bytes(content)
        with pytest.raises(kind, match=words) as caught:
            place.open()
        assert right.split(b":")[2].decode().strip() not in caught.value.message
    place.key.path.unlink()
    with pytest.raises(StoreLocked, match="No such file"):
        place.open()


def test_no_store(place: Place) -> None:
    place.path.unlink()
    with pytest.raises(StoreMissing) as caught:
        place.open()
    assert "clawsecrets init" in caught.value.hint


def test_passphrase(tmp_path: Path) -> None:
    round_trip(tmp_path, Passphrase(SecretValue("correct horse"), CHEAP), Passphrase(SecretValue("correct horse")))
    with pytest.raises(StoreLocked, match="passphrase is wrong"):
        sqlite.open_store(tmp_path / "d" / "s.db", tmp_path / "a" / "x", [Passphrase(SecretValue("wrong"))])
    with pytest.raises(StoreLocked, match="empty"):
        sqlite.create(tmp_path / "d2" / "s.db", tmp_path / "a" / "x", [Passphrase(SecretValue(""), CHEAP)])
    assert not (tmp_path / "d2" / "s.db").exists()


def test_a_passphrase_slot_cannot_exhaust_the_machine(tmp_path: Path) -> None:
    from tests.stores.test_tampering import edit

    round_trip(tmp_path, Passphrase(SecretValue("p"), CHEAP))
    edit(tmp_path / "d" / "s.db", "UPDATE slots SET params = CAST(replace(params, ':64', ':99999999') AS BLOB)")
    with pytest.raises(StoreDamaged, match="memory"):
        sqlite.open_store(tmp_path / "d" / "s.db", tmp_path / "a" / "x", [Passphrase(SecretValue("p"))])


def test_the_standard_cost_is_argon2id_with_64_mib(tmp_path: Path) -> None:
    slot = Passphrase(SecretValue("p")).create("0" * 32, bytes(32))
    assert {key: slot.params[key] for key in ("iterations", "lanes", "memory")} == {
        "iterations": 3, "lanes": 4, "memory": 65536}


def test_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SystemdCredential("clawsecrets-key")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(StoreLocked, match="no systemd credential"):
        round_trip(tmp_path / "x", source)
    (tmp_path / "creds").mkdir()
    (tmp_path / "creds" / "clawsecrets-key").write_text(key_line("cred")[2] + "\n")
    (tmp_path / "creds" / "clawsecrets-key").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "creds"))
    round_trip(tmp_path, source)
    with pytest.raises(StoreLocked):
        SystemdCredential("../creds/clawsecrets-key").create("0" * 32, bytes(32))


def test_keyring(tmp_path: Path, memory: MemoryKeyring) -> None:
    round_trip(tmp_path, OsKeyring())
    assert len(memory.entries) == 1
    memory.entries.clear()
    with pytest.raises(StoreLocked, match="does not hold this store's key"):
        sqlite.open_store(tmp_path / "d" / "s.db", tmp_path / "a" / "anchor", [OsKeyring()])


@pytest.mark.parametrize(
    "backend", [keyring.backends.fail.Keyring(), keyring.backends.null.Keyring(), PlaintextKeyring()]
)
def test_open_keyrings_are_refused_by_name(
    tmp_path: Path, memory: MemoryKeyring, backend: keyring.backend.KeyringBackend
) -> None:
    keyring.set_keyring(backend)
    with pytest.raises(StoreLocked, match=type(backend).__qualname__) as caught:
        round_trip(tmp_path, OsKeyring())
    assert "key file" in caught.value.hint


def test_a_locked_keyring_leaks_nothing(tmp_path: Path, memory: MemoryKeyring) -> None:
    round_trip(tmp_path, OsKeyring())
    keyring.set_keyring(LockedKeyring())
    with pytest.raises(StoreLocked) as caught:
        sqlite.open_store(tmp_path / "d" / "s.db", tmp_path / "a" / "anchor", [OsKeyring()])
    assert "canary" not in caught.value.message
    assert caught.value.__context__ is None


def test_several_ways_in(place: Place, tmp_path: Path) -> None:
    path, anchor = tmp_path / "d2" / "s.db", tmp_path / "a2" / "anchor"
    sources: list[KeySource] = [KeyFile(tmp_path / "k2"), Passphrase(SecretValue("p"), CHEAP)]
    store, code = sqlite.create(path, anchor, sources)
    store.close()
    assert code is not None
    for source in [*sources, RecoveryCode(code)]:
        sqlite.open_store(path, anchor, [source]).close()
    with pytest.raises(StoreLocked, match="opens with key-file, passphrase, recovery, but keyring was given"):
        sqlite.open_store(path, anchor, [OsKeyring()])
    with pytest.raises(UsageError):
        sqlite.create(tmp_path / "d3" / "s.db", anchor, [])


def test_create_overwrites_nothing(place: Place) -> None:
    before = place.path.read_bytes()
    with pytest.raises(StoreError, match="already"):
        sqlite.create(place.path, place.anchor, [place.key])
    assert place.path.read_bytes() == before
    assert len(place.key.path.read_text().splitlines()) == 1


def test_a_create_that_fails_leaves_nothing(place: Place, tmp_path: Path) -> None:
    with pytest.raises(StoreLocked):
        sqlite.create(tmp_path / "data" / "new.db", place.anchor, [place.key, Passphrase(SecretValue(""))])
    assert sorted(p.name for p in place.path.parent.iterdir()) == ["store.db"]
    assert len(place.key.path.read_text().splitlines()) == 1


# --- the recovery code -------------------------------------------------------------------------------------------


def test_the_code_opens_and_another_does_not(place: Place) -> None:
    sqlite.open_store(place.path, place.anchor, [RecoveryCode(place.code)]).close()
    sloppy = SecretValue(place.code.reveal_text().lower().replace("-", " ").replace("0", "o").replace("1", "l"))
    sqlite.open_store(place.path, place.anchor, [RecoveryCode(sloppy)]).close()
    with pytest.raises(StoreLocked, match="of another store"):
        sqlite.open_store(place.path, place.anchor, [RecoveryCode(new_code())])


def test_the_form_of_a_code(place: Place) -> None:
    groups = place.code.reveal_text().split("-")
    assert len(groups) == 9
    assert all(len(group) == 4 and set(group) <= set(ALPHABET) for group in groups)
    assert len(read_code(place.code)) * 8 == 160
    assert written(read_code(place.code)) == place.code.reveal_text()


def test_a_mistyped_code_is_told_apart() -> None:
    code, dice = new_code().reveal_text(), random.Random(1)
    for position, letter in enumerate(code):
        if letter != "-":
            other = dice.choice([x for x in ALPHABET if x != letter])
            typed = SecretValue(code[:position] + other + code[position + 1 :])
            with pytest.raises(StoreLocked, match="mistyped") as caught:
                read_code(typed)
            assert code[:4] not in caught.value.message
    for short in ("", code[:-1], code + "A", "ä" * 36, code.replace(code[0], "U")):
        with pytest.raises(StoreLocked):
            read_code(SecretValue(short))


def test_doctor_says_where_the_parts_lie(tmp_path: Path) -> None:
    key = KeyFile(tmp_path / "d" / "key")
    store, _ = sqlite.create(tmp_path / "d" / "s.db", tmp_path / "d" / "anchor", [key])
    found = list(notes(store))
    assert any("key file" in line and "beside" in line for line in found)
    assert any("anchor" in line and "beside" in line for line in found)
    store.close()


def test_a_lost_key_leaves_a_backup_and_the_recovery_code(tmp_path: Path) -> None:
    """No command takes the recovery code for the store itself, so none of the words may say so."""
    with pytest.raises(StoreLocked) as caught:
        KeyFile(tmp_path / "absent").open("store", Slot("key-file", {"key": "k"}, b""))
    assert "clawsecrets restore BACKUP --recovery-file FILE" in caught.value.hint
