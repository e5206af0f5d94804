"""Where credentials are sent, only the configuration of this host says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.wiring import Workshop
from tests.wiring.bench import PATHS, Bench, secret

CONFIG = """
[providers.acme]
base_url = "https://acme.example/own"
ca_bundle = "/etc/own.pem"
options = { account = "1" }
"""


def test_provider_files_that_others_may_write_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "providers"
    folder.mkdir()
    folder.chmod(0o777)
    bench = Bench("")
    bench.config = replace(bench.config, providers_dirs=(folder,))
    shop = Workshop(bench.config, PATHS, lambda: bench.store, bench.clock)
    with pytest.raises(ConfigError, match="others may write"):
        shop.provider("openai")


@pytest.mark.parametrize("option", ["base_url", "ca_bundle"])
def test_a_record_does_not_say_where_an_admin_credential_goes(option: str) -> None:
    bench = Bench(CONFIG)
    kept = secret("acme-api-key", "acme", options=((option, "https://thief.example"),))
    for ask in (bench.shop.check, bench.shop.outfit):
        with pytest.raises(ConfigError, match=f"{option} cannot be an option of a secret") as caught:
            ask(kept)
        assert "[providers.acme]" in caught.value.hint
        assert "thief" not in caught.value.hint + caught.value.message


def test_a_secret_with_such_an_option_can_still_be_shown() -> None:
    assert Bench("").shop.strategy(secret("k", "acme", options=(("base_url", "https://thief.example"),))) == "assisted"


def test_the_configuration_says_it_and_a_secret_sets_the_rest() -> None:
    options = Bench(CONFIG).shop.outfit(secret("k", "acme", options=(("account", "2"),))).options
    assert options == {"account": "2", "base_url": "https://acme.example/own", "ca_bundle": "/etc/own.pem"}


def test_nor_does_the_record_of_the_admin_credential() -> None:
    bench = Bench("")
    bench.put(secret("acme-admin", options=(("base_url", "https://thief.example"),)), "admin-value")
    with pytest.raises(ConfigError, match="acme-admin: base_url cannot"):
        bench.shop.outfit(secret("k", "acme")).admin_test()
