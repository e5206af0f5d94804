"""A real OpenBao server for each file, a fresh prefix for each test, and a proxy that does what networks do."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.documents import Documents
from clawsecrets.stores.vault.store import VaultStore
from clawsecrets.stores.vault.transport import Connection, Patience, Transport, Wire
from tests.real import openbao
from tests.stores.vault.proxy import Proxy

_count = itertools.count(1)


@dataclass
class Dev:
    """A running dev server."""

    url: str
    token: str
    opened: list[Transport] = field(default_factory=list)
    stores: list[VaultStore] = field(default_factory=list)

    def connection(self, url: str = "") -> Connection:
        return Connection([url or self.url], lambda: SecretValue(self.token))

    def transport(self, url: str = "", patience: Patience | None = None, wire: Wire | None = None) -> Transport:
        made = Transport(self.connection(url), patience or SHORT, wire)
        self.opened.append(made)
        return made

    def create(self, prefix: str, **more: Any) -> VaultStore:
        """A new store below `team/PREFIX`."""
        return self._kept(vault.create(self.connection(), "secret", f"team/{prefix}", patience=SHORT, **more))

    def open(self, prefix: str, wire: Wire | None = None, **more: Any) -> VaultStore:
        """One more handle on it; `wire` does what it likes with requests."""
        return self._kept(vault.open_store(self.connection(), "secret", f"team/{prefix}", patience=SHORT, wire=wire,
                                           **more))

    def public(self, prefix: str, name: str) -> Mapping[str, Any] | None:
        """What any other reader gets."""
        return self.documents().read(f"team/{prefix}/{name}").content

    def _kept(self, store: VaultStore) -> VaultStore:
        self.stores.append(store)
        return store

    def documents(self, url: str = "", patience: Patience | None = None) -> Documents:
        return Documents(self.transport(url, patience), "secret", ["records/"])


SHORT = Patience(reads=20.0, writes=20.0, sleep=lambda seconds: time.sleep(min(seconds, 0.01)))
"""Pauses hardly, but is patient: a slow machine is no fault."""


class Counted:
    """Patience without time: each pause takes what it says, at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def patience(self) -> Patience:
        return Patience(30.0, 60.0, self.sleep, lambda: self.now)


@pytest.fixture(scope="module")
def server() -> Iterator[openbao.Dev]:
    with openbao.Dev() as running:
        yield running


@pytest.fixture
def dev(server: openbao.Dev) -> Iterator[Dev]:
    """What a test opens on it is closed with the test: each handle keeps connections."""
    made = Dev(server.url, server.token)
    yield made
    for one in (*made.opened, *made.stores):
        one.close()


@pytest.fixture
def prefix() -> str:
    return f"t{os.getpid()}-{next(_count)}"


@pytest.fixture
def proxy(dev: Dev) -> Iterator[Proxy]:
    made = Proxy(dev.url).start()
    yield made
    made.stop()
