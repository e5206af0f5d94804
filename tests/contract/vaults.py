"""Vault stores for the contract suite, on a real OpenBao server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Store
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.transport import Connection
from tests.real import openbao

Reopen = Iterator[Callable[[], Store]]
_count = itertools.count(1)


def handles(server: openbao.Api) -> Reopen:
    """Handles on a new store, below a prefix of its own."""
    connection = Connection([server.url], lambda: SecretValue(server.token), ca_file=str(server.ca_file or ""))
    prefix = f"team/{next(_count)}"
    opened = [vault.create(connection, "secret", prefix)]

    def again() -> Store:
        opened.append(vault.open_store(connection, "secret", prefix))
        return opened[-1]

    yield again
    for store in opened:
        store.close()
