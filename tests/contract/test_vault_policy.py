"""The whole contract under the printed rotator policy, not as root; and nothing more is allowed than is needed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import pytest

from clawsecrets.errors import StoreError
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Store
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.policy import ROLES, Place, rules, text
from clawsecrets.stores.vault.transport import Connection
from tests.contract.store import StoreContract
from tests.real import openbao

pytestmark = pytest.mark.real("openbao")
_count = itertools.count(1)
SHARED = {"shared-key": "secret/data/openclaw#OPENAI_API_KEY"}


@pytest.fixture(scope="module")
def server() -> Iterator[openbao.Dev]:
    with openbao.Dev() as running:
        yield running


def connection(server: openbao.Dev, role: str, place: Place) -> Connection:
    """A login that has the printed policy of a role, and not even the default one."""
    name = f"{role}-{next(_count)}"
    server.policy(name, text(role, place))
    token = SecretValue(server.make_token(name, no_default_policy=True))
    return Connection([server.url], lambda: token)


class TestUnderTheRotatorPolicy(StoreContract):
    @pytest.fixture
    def reopen(self, server: openbao.Dev) -> Iterator[Callable[[], Store]]:
        place = Place("secret", f"team/{next(_count)}")
        vault.create(connection(server, "admin", place), place.mount, place.prefix).close()
        opened: list[Store] = []

        def again() -> Store:
            opened.append(vault.open_store(connection(server, "rotator", place), place.mount, place.prefix))
            return opened[-1]

        yield again
        for store in opened:
            store.close()


@pytest.fixture
def place(server: openbao.Dev) -> Place:
    made = Place("secret", f"claw{next(_count)}", SHARED)
    vault.create(connection(server, "admin", made), made.mount, made.prefix).close()
    return made


OUTSIDE: Mapping[str, tuple[str, str, object]] = {
    "a path beside the prefix": ("POST", "secret/data/{prefix}-other/x", {"data": {}}),
    "a path that begins like it": ("GET", "secret/data/{prefix}x", None),
    "the mount's other secrets": ("LIST", "secret/metadata/", None),
    "another of the team's": ("GET", "secret/data/other", None),
    "to delete the team's own": ("DELETE", "secret/data/openclaw", None),
    "to destroy the team's own": ("DELETE", "secret/metadata/openclaw", None),
    "the mount's configuration": ("POST", "secret/config", {"max_versions": 1}),
    "the mount itself": ("DELETE", "sys/mounts/secret", None),
    "policies": ("POST", "sys/policies/acl/rotator", {"policy": ""}),
    "a token for others": ("POST", "auth/token/create", {}),
    "to seal": ("PUT", "sys/seal", None),
    "another store document": ("POST", "secret/data/{prefix}/.clawsecrets/store", {"data": {}}),
    "to destroy the store's keys": ("POST", "secret/destroy/{prefix}/.clawsecrets/store", {"versions": [1]}),
    "to delete the store's keys": ("DELETE", "secret/metadata/{prefix}/.clawsecrets/store", None),
    "to undo a deletion": ("POST", "secret/undelete/{prefix}/x", {"versions": [1]}),
}


@pytest.mark.parametrize("what", OUTSIDE)
@pytest.mark.parametrize("role", ["rotator", "reader", "consumer"])
def test_what_a_role_may_not(server: openbao.Dev, place: Place, role: str, what: str) -> None:
    server.api("POST", "secret/data/openclaw", {"data": {"OPENAI_API_KEY": "x"}})
    method, path, body = OUTSIDE[what]
    token = connection(server, role, place).token().reveal_text()
    assert server.request(method, path.format(prefix=place.prefix), body, token=token).status_code == 403


@pytest.mark.parametrize(("role", "method", "path"), [
    ("reader", "POST", "secret/data/{prefix}/one"), ("reader", "DELETE", "secret/data/{prefix}/one"),
    ("reader", "POST", "secret/data/{prefix}/.clawsecrets/records/one"), ("reader", "POST", "secret/data/openclaw"),
    ("reader", "POST", "secret/metadata/{prefix}/.clawsecrets/values/one/1"),
    ("consumer", "POST", "secret/data/{prefix}/one"), ("consumer", "POST", "secret/data/openclaw"),
    ("consumer", "GET", "secret/data/{prefix}/.clawsecrets/store"),
    ("consumer", "GET", "secret/data/{prefix}/.clawsecrets/values/one/1"),
    ("consumer", "LIST", "secret/metadata/{prefix}/"), ("consumer", "LIST", "secret/metadata/{prefix}/.clawsecrets"),
    ("consumer", "PUT", "auth/token/renew-self"),
])
def test_what_those_who_look_may_not(server: openbao.Dev, place: Place, role: str, method: str, path: str) -> None:
    token = connection(server, role, place).token().reveal_text()
    body = {"data": {}} if method == "POST" else None
    assert server.request(method, path.format(prefix=place.prefix), body, token=token).status_code == 403


def test_a_team_without_paths_of_its_own_gives_none_away() -> None:
    for role in ROLES:
        found = rules(role, Place("secret", "claw"))
        assert not any("openclaw" in path for path in found)
        assert all(path.startswith(("secret/", "auth/token/")) for path in found)


def test_who_is_refused_is_told_what_to_allow(server: openbao.Dev, place: Place) -> None:
    store = vault.open_store(connection(server, "reader", place), place.mount, place.prefix)
    try:
        with pytest.raises(StoreError, match="permission denied") as caught:
            store.acquire("one", "me", 10.0)
    finally:
        store.close()
    assert "clawsecrets vault policy" in caught.value.hint
    assert f"secret/metadata/{place.prefix}/.clawsecrets/records/one" in caught.value.message
