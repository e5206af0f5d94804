"""What a look at all of a store says of its being written."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawsecrets.stores.session import Session
from clawsecrets.wiring import stores
from tests.wiring.test_keys import Home, ask


def test_a_store_that_could_only_be_opened_for_reading_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all that can be tried can be written by now: a disk that was full a moment ago."""
    home, opened = Home(tmp_path), stores._open_embedded

    def for_reading(*given: object, **options: object) -> Session:
        store = opened(*given, **options)  # type: ignore[arg-type]
        store.writable = False
        return store

    assert stores.health(home.config(""), home.paths, ask).unwritable is None
    monkeypatch.setattr(stores, "_open_embedded", for_reading)
    cannot = stores.health(home.config(""), home.paths, ask).unwritable
    assert cannot is not None and "could be opened only for reading" in cannot.message and cannot.hint
