"""Who acts for a credential with two slots, by its provider file and by what is there."""

from __future__ import annotations

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.issuers.assisted import AssistedIssuer
from clawsecrets.issuers.postgres import PostgresIssuer
from clawsecrets.issuers.slots import SlotIssuer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, SecretValue
from clawsecrets.ports import Request
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
    assert "role_b is not set: clawsecrets configure db --option" in bench.shop.outfit(kept).lacking


def test_a_person_need_not_make_what_nobody_could_test(bench: Bench) -> None:
    kept = secret("db", "postgresql", options=ROLES[:1])
    assert "role_b is not set" in bench.shop.outfit(kept, "assisted").lacking
    assert not bench.shop.outfit(secret("db", "postgresql", options=ROLES), "assisted").lacking
    assert not bench.shop.outfit(secret("key", "openai")).lacking, "a person's value is tested without project_id"


@pytest.mark.parametrize("provider", ["postgresql", "mattermost", "vault-approle", "matrix"])
def test_without_a_base_url_it_is_said_where_that_stands(provider: str) -> None:
    bench = Bench("")
    bench.put(secret(bench.shop.provider(provider).admin), "pw")
    options = (*ROLES, *((name, "x") for name in bench.shop.provider(provider).options))
    kept = secret("db", provider, options=tuple(dict(reversed(options)).items()))
    outfit = bench.shop.outfit(kept)
    assert outfit.strategy == bench.shop.provider(provider).strategy, "it is no person's because of that"
    for chosen in ("", "assisted"):
        lacking = bench.shop.outfit(kept, chosen).lacking
        assert "base_url is not set" in lacking and f"[providers.{provider}]" in lacking and "c.toml" in lacking
    asked = Request("db", "r", admin=SecretValue("pw"), options=outfit.options)
    assert f"[providers.{provider}]" in outfit.issuer.create(asked).detail
    assert "(base_url is not set)" in outfit.issuer.describe("create", asked)


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
