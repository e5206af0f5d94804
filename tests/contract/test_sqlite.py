"""The embedded store keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.ports import Store
from clawsecrets.stores import sqlite
from clawsecrets.stores.keys import KeyFile
from tests.contract.store import StoreContract


class TestSqlite(StoreContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], Store]:
        key = KeyFile(tmp_path / "key" / "master")
        path, anchor = tmp_path / "data" / "store.db", tmp_path / "state" / "anchor"
        sqlite.create(path, anchor, [key], recovery=False)[0].close()
        return lambda: sqlite.open_store(path, anchor, [key])
