"""Addresses of channels: as they are now, and as they were read last where they cannot be read."""

from __future__ import annotations

import pytest

from clawsecrets.errors import NotFound, StoreError
from clawsecrets.model.secret import SecretValue
from clawsecrets.wiring import notifying
from clawsecrets.wiring.notifying import STALE, Addresses
from tests.contract.store import put
from tests.fakes import FakeClock, MemoryStore


def sealed(name: str) -> None:
    raise StoreError("it is sealed")


def gone(name: str) -> None:
    raise NotFound("there is no such secret")


def test_kept_while_they_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    put(store, "hook", "json://one")
    addresses = Addresses(store, clock, ["hook", "other"])
    with monkeypatch.context() as patch:
        patch.setattr(store, "load", sealed)
        clock.sleep(STALE)
        addresses.keep()
        assert addresses.of("hook") == SecretValue("json://one"), "read before anything was sent"
        assert addresses.of("other") == "it is sealed"
        assert "one" not in repr(vars(addresses))
    with monkeypatch.context() as patch:
        patch.setattr(store, "load", gone)
        assert addresses.of("hook") == notifying.missing("hook")
        patch.setattr(store, "load", sealed)
        assert addresses.of("hook") == "it is sealed", "one that was taken away is not kept"


def test_read_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    addresses = Addresses(store, clock, ["hook"])
    put(store, "hook", "json://one")
    addresses.keep()
    with monkeypatch.context() as patch:
        patch.setattr(store, "load", sealed)
        assert addresses.of("hook") == "it is sealed"
    clock.sleep(STALE)
    addresses.keep()
    monkeypatch.setattr(store, "load", sealed)
    assert addresses.of("hook") == SecretValue("json://one")
