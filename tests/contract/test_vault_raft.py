"""The vault store keeps the contract, on a real OpenBao node with Raft storage, by TLS of an authority of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.store import StoreContract
from tests.contract.vaults import Reopen, handles
from tests.real import openbao

pytestmark = pytest.mark.real("openbao")


@pytest.fixture(scope="module")
def server() -> Iterator[openbao.Api]:
    with openbao.Cluster() as running:
        yield running


class TestVaultOnRaft(StoreContract):
    @pytest.fixture
    def reopen(self, server: openbao.Api) -> Reopen:
        yield from handles(server)
