"""Nodes that lag behind for as long as they like: what they do not show yet is not said to be missing, or lost."""

from __future__ import annotations

import math

import pytest

from clawsecrets.errors import StoreDamaged, StoreError, StoreMissing, StoreUnreachable
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.policy import Place, text
from clawsecrets.stores.vault.store import VaultStore
from clawsecrets.stores.vault.transport import Connection
from tests.contract.store import put
from tests.stores.vault.conftest import Counted, Dev
from tests.stores.vault.wires import Behind, Leaderless

pytestmark = pytest.mark.real("openbao")
VALUE = "canary-c07e55"


@pytest.fixture
def made(dev: Dev, prefix: str) -> str:
    """The prefix of a store with one secret."""
    put(dev.create(prefix), "a", VALUE)
    return prefix


def cluster(dev: Dev, nodes: int) -> Connection:
    """The server as a cluster of so many nodes."""
    return Connection([dev.url] * nodes, lambda: SecretValue(dev.token))


def opened(dev: Dev, prefix: str, wire: Behind | Leaderless) -> VaultStore:
    """Without any time."""
    connection = Connection(wire.nodes, lambda: SecretValue(dev.token))
    return vault.open_store(connection, "secret", f"team/{prefix}", patience=Counted().patience(), wire=wire)


@pytest.mark.parametrize("deposed", [False, True], ids=["stands by", "takes itself for the leader"])
@pytest.mark.parametrize("lagging", [(0,), (0, 1)])
def test_a_store_is_found_though_the_first_nodes_never_show_it(
        dev: Dev, made: str, lagging: tuple[int, ...], deposed: bool) -> None:
    wire = Behind(cluster(dev, 3), dict.fromkeys(lagging, math.inf), deposed=deposed)
    store = opened(dev, made, wire)
    try:
        assert wire.stale > 1
        assert store.value("a", 1) == SecretValue(VALUE)
    finally:
        store.close()


@pytest.mark.parametrize("reads", [1, 2, 3, 7, 20])
def test_the_only_node_is_waited_for(dev: Dev, made: str, reads: int) -> None:
    wire = Behind(cluster(dev, 1), {0: reads})
    store = opened(dev, made, wire)
    try:
        assert wire.stale > reads and store.names() == ["a"]
    finally:
        store.close()


def test_where_no_node_shows_what_was_just_written_nothing_is_said_of_the_store(dev: Dev, made: str) -> None:
    with pytest.raises(StoreUnreachable, match="behind the others"):
        opened(dev, made, Behind(cluster(dev, 1), {0: math.inf}))
    assert dev.open(made).names() == ["a"], "it was touched"


def test_a_value_is_not_called_lost_by_nodes_that_lag_behind(dev: Dev, made: str) -> None:
    wire = Behind(cluster(dev, 1), {})
    store = opened(dev, made, wire)
    try:
        held = store.layout.value("a", store._records.body("a").values[1].document)
        wire.hidden = held
        assert store.value("a", 1) == SecretValue(VALUE) and wire.stale > 1
        dev.documents().forget(held)
        with pytest.raises(StoreDamaged, match="the value of a version 1 is gone"):
            store.value("a", 1)
    finally:
        store.close()


def test_a_node_that_knows_no_leader_is_left_for_one_that_does(dev: Dev, made: str) -> None:
    """No read is older than the opening of the store, also where the first node cannot say how old it is."""
    record = dev.open(made).layout.record("a")
    store = opened(dev, made, Leaderless(cluster(dev, 2), record))
    try:
        assert store.load("a").last_number == 1
    finally:
        store.close()


def test_where_no_node_knows_a_leader_what_there_is_can_be_read(dev: Dev, made: str) -> None:
    store = opened(dev, made, Leaderless(cluster(dev, 2), "nothing", alone=True))
    try:
        assert store.value("a", 1) == SecretValue(VALUE)
    finally:
        store.close()


def test_there_is_no_store_is_the_word_of_a_node_that_is_not_behind(dev: Dev, prefix: str) -> None:
    wire = Behind(cluster(dev, 1), {0: 5})
    with pytest.raises(StoreMissing, match=f"no store at secret/team/{prefix}"):
        opened(dev, prefix, wire)
    assert wire.stale > 5
    assert dev.documents().names(f"team/{prefix}") == [], "to look for one leaves nothing there"


def with_policy(dev: Dev, name: str, policy: str) -> Connection:
    """A login under that policy."""
    way = dev.transport()
    way.repeat("PUT", f"sys/policies/acl/{name}", {"policy": policy})
    made = way.write("POST", "auth/token/create", {"policies": [name]}, way.until())
    token = SecretValue(str(made.data["auth"]["client_token"]))
    return Connection([dev.url], lambda: token)


@pytest.mark.parametrize("role", ["reader", "rotator", "admin"])
def test_the_printed_policies_allow_to_ask(dev: Dev, prefix: str, role: str) -> None:
    place = Place("secret", f"team/{prefix}")
    with pytest.raises(StoreMissing):
        vault.open_store(with_policy(dev, f"{role}-{prefix}", text(role, place)), place.mount, place.prefix,
                         patience=Counted().patience())


def test_whose_policy_lets_nothing_be_written_is_told_what_to_allow(dev: Dev, prefix: str) -> None:
    """Nobody knows whether the node that was asked is behind: that is no proof."""
    connection = with_policy(dev, f"looks-{prefix}",
                             f'path "secret/data/team/{prefix}/*" {{ capabilities = ["read"] }}')
    with pytest.raises(StoreError, match="permission denied") as caught:
        vault.open_store(connection, "secret", f"team/{prefix}", patience=Counted().patience())
    assert not isinstance(caught.value, StoreMissing)
    assert f"secret/data/team/{prefix}/.clawsecrets/clock" in caught.value.hint
