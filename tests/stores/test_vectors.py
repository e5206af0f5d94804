"""Store files of every format version that was released: the good ones open for ever, the bad ones fail as listed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clawsecrets import errors
from clawsecrets.errors import StoreDamaged, StoreError, StoreOlder
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores import sqlite
from clawsecrets.stores.keys import KeyFile, KeySource, Passphrase
from clawsecrets.stores.recovery import RecoveryCode
from clawsecrets.stores.sqlite import SqliteStore
from tests.contract.store import everything, put

FORMATS = sorted((Path(__file__).parents[1] / "vectors" / "store").glob("format-*"))
LISTED: list[tuple[Path, dict[str, Any]]] = [(f, json.loads((f / "vectors.json").read_text())) for f in FORMATS]
GOOD = [pytest.param(folder, listed["good"], id=folder.name) for folder, listed in LISTED]
BAD = [pytest.param(folder, listed["good"], bad, id=f"{folder.name}/{bad['file']}")
       for folder, listed in LISTED for bad in listed["failing"]]


def opened(folder: Path, file: str, tmp_path: Path, source: KeySource) -> SqliteStore:
    """A private copy, opened (git does not keep modes)."""
    (tmp_path / "d").mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(folder / file, tmp_path / "d" / "store.db")
    (tmp_path / "d" / "store.db").chmod(0o600)
    return sqlite.open_store(tmp_path / "d" / "store.db", tmp_path / "anchor", [source])


def key_of(folder: Path, good: dict[str, Any], tmp_path: Path) -> KeyFile:
    shutil.copyfile(folder / good["key_file"], tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    return KeyFile(tmp_path / "key")


@pytest.mark.parametrize(("folder", "good"), GOOD)
@pytest.mark.parametrize("way", ["key-file", "passphrase", "recovery"])
def test_the_good_ones_open(folder: Path, good: dict[str, Any], tmp_path: Path, way: str) -> None:
    source: KeySource = {
        "key-file": key_of(folder, good, tmp_path),
        "passphrase": Passphrase(SecretValue(good["passphrase"])),
        "recovery": RecoveryCode(SecretValue(good["recovery_code"])),
    }[way]
    shutil.copyfile(folder / good["anchor"], tmp_path / "anchor")
    store = opened(folder, good["file"], tmp_path, source)
    assert store.view.manifest.generation == good["generation"]
    assert list(store.check()) == []
    for name, versions in good["values"].items():
        for number, value in versions.items():
            assert store.value(name, int(number)).reveal().hex() == value
    full = everything("full")
    older = replace(full.secret, paused_at=0.0, paused_until=0.0, pause_reason="")  # fields that came after the vectors
    assert store.load("full") == replace(full, secret=older, revision=1)
    assert [version.number for version in store.history("plain")] == good["history_of_plain"]
    assert list(store.names(deleted=True)) == ["gone"]
    assert len(list(store.events())) == good["events"]
    assert store.fingerprint(SecretValue("second")) == good["fingerprint_of_second"]
    put(store, "new")
    store.close()


@pytest.mark.parametrize(("folder", "good", "bad"), BAD)
def test_the_bad_ones_fail_as_listed(folder: Path, good: dict[str, Any], bad: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        store = opened(folder, bad["file"], tmp_path, key_of(folder, good, tmp_path))
        try:
            for name in [*store.names(), *store.names(deleted=True)]:
                for version in store.load(name).versions:
                    store.value(name, version.number)
                store.history(name)
            list(store.events())
            store.acquire("plain", "me", 1.0)
        finally:
            store.close()
    assert type(caught.value) is getattr(errors, bad["error"])
    assert bad["words"] in caught.value.message


@pytest.mark.parametrize(("folder", "good"), GOOD)
def test_an_anchor_ahead_of_a_vector_refuses_it(folder: Path, good: dict[str, Any], tmp_path: Path) -> None:
    key = key_of(folder, good, tmp_path)
    shutil.copyfile(folder / good["anchor"], tmp_path / "anchor")
    store = opened(folder, good["file"], tmp_path, key)
    put(store, "newer")
    store.close()
    with pytest.raises(StoreOlder):
        opened(folder, good["file"], tmp_path, key)


def test_there_are_vectors() -> None:
    assert [folder.name for folder in FORMATS] == ["format-1"]
    assert len(BAD) >= 15
    assert StoreDamaged.exit_code == 3
