"""Who acts for a credential with two slots, by its provider file and by what is there."""

from __future__ import annotations

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.issuers.assisted import AssistedIssuer
from clawsecrets.issuers.postgres import PostgresIssuer
from clawsecrets.issuers.slots import SlotIssuer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind
from tests.wiring.bench import Bench, secret

TEXT = """
[providers.postgresql]
base_url = "postgresql://db.example:5432/app"
timeout = "7s"
"""
ROLES = (("role_a", "app_a"), ("role_b", "app_b"))


@pytest.fixture
def bench() -> Bench:
    return Bench(TEXT)


def test_two_roles_of_a_database(bench: Bench) -> None:
    kept = secret("db", "postgresql", options=ROLES)
    assert bench.shop.strategy(kept) == "assisted", "without the admin credential a person makes the new one"
    assert isinstance(bench.shop.outfit(kept).issuer, AssistedIssuer)
    bench.put(secret("postgresql-admin", "postgresql-admin", Kind.ADMIN), "pw")
    assert bench.shop.strategy(secret("db", "postgresql", options=ROLES[:1])) == "assisted", "which is the other one?"
    outfit = bench.shop.outfit(kept)
    assert outfit.strategy == "alternate"
    assert isinstance(outfit.issuer, PostgresIssuer) and isinstance(outfit.slots, PostgresIssuer)
    assert outfit.admin_test().outcome is Outcome.OK
    assert outfit.options["base_url"] == "postgresql://db.example:5432/app"


def test_where_the_database_is_only_the_configuration_says(bench: Bench) -> None:
    kept = secret("db", "postgresql", options=(*ROLES, ("base_url", "postgresql://evil.example/app")))
    with pytest.raises(ConfigError, match="base_url cannot be an option"):
        bench.shop.outfit(kept)


def test_a_forced_strategy_says_which_option_is_missing(bench: Bench) -> None:
    kept = secret("db", "postgresql", options=ROLES[:1], strategy="alternate")
    reply = bench.shop.outfit(kept).admin_test()
    assert reply.outcome is Outcome.REFUSED and "role_b is not set" in reply.detail


def test_two_keys_over_http(bench: Bench) -> None:
    kept = secret("key", "pairco")
    assert isinstance(bench.shop.outfit(kept).issuer, AssistedIssuer)
    bench.put(secret("pairco-admin"), "pw")
    outfit = bench.shop.outfit(kept)
    assert isinstance(outfit.issuer, SlotIssuer) and isinstance(outfit.slots, SlotIssuer)
    assert bench.shop.outfit(kept, "overlap").slots is None


@pytest.mark.parametrize(("url", "words"), [
    ("postgresql://user:pw@db.example/app", "must not hold a user"), ("postgresql://db.example", "must be postgresql://"),
])
def test_a_wrong_address_is_named(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Bench(f'[providers.postgresql]\nbase_url = "{url}"\n')
