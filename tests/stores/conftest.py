"""A store in a temporary folder, laid out as it is in earnest: data, key and state apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clawsecrets.model.secret import SecretValue
from clawsecrets.stores import sqlite
from clawsecrets.stores.keys import KeyFile
from clawsecrets.stores.sqlite import SqliteStore


@dataclass
class Place:
    """Where one store and what belongs to it lie."""

    root: Path
    code: SecretValue = field(default_factory=lambda: SecretValue(""))

    @property
    def path(self) -> Path:
        return self.root / "data" / "store.db"

    @property
    def anchor(self) -> Path:
        return self.root / "state" / "anchor"

    @property
    def key(self) -> KeyFile:
        return KeyFile(self.root / "key" / "master")

    def open(self, *, accept_older: bool = False) -> SqliteStore:
        return sqlite.open_store(self.path, self.anchor, [self.key], accept_older=accept_older, wait=1.0)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A new store with a recovery code; `place.open()` opens it."""
    where = Place(tmp_path)
    store, code = sqlite.create(where.path, where.anchor, [where.key])
    store.close()
    assert code is not None
    where.code = code
    yield where
