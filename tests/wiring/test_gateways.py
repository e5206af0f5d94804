"""Which of a store's secrets open which gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, SecretValue
from clawsecrets.ports import Handover
from tests.consumers.fake_gateway import FakeGateway
from tests.wiring.bench import Bench, secret

GATEWAY, PASSWORD = "openclaw-gateway", "openclaw-gateway-password"


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    refs = {"gateway.auth.token": "openclaw-gateway-token", "models.providers.openai.apiKey": "openai-api-key"}
    with FakeGateway(refs, {"openclaw-gateway-token": "token-old", "openai-api-key": "sk-1"}) as running:
        yield running


@pytest.fixture
def bench(gateway: FakeGateway) -> Bench:
    """Both gateway variables imported and bound to `gw`; a second gateway's token, bound to `other`."""
    bench = Bench(f'[consumers.gw]\nkind = "openclaw"\nurl = "{gateway.url}"\n'
                  f'[consumers.other]\nkind = "openclaw"\nurl = "{gateway.url}"\n')
    for name, provider, consumer, value in (
        ("openclaw-gateway-password", PASSWORD, "gw", "a-password"),
        ("openclaw-gateway-token", GATEWAY, f"gw@{bench.shop.host}", "token-old"),
        ("another-gateway-token", GATEWAY, "other", "token-of-the-other"),
        ("elsewhere", GATEWAY, "gw@another-host", "token-of-another-host"),
        ("openai-api-key", "openai", "gw", "sk-1"),
    ):
        kind = Kind.GATEWAY_TOKEN if provider != "openai" else Kind.API_KEY
        bench.put(secret(name, provider, kind, consumers=(consumer,)), value)
    return bench


def test_the_token_is_the_gateway_s_own_though_there_is_a_password_too(bench: Bench, gateway: FakeGateway) -> None:
    token = bench.store.load("openclaw-gateway-token").secret
    (consumer,) = bench.shop.outfit(token).consumers.values()
    gateway.bundle["openclaw-gateway-token"] = "token-new"
    change = Handover(token.name, token.provider, token.kind.value, SecretValue("token-new"), 2,
                      SecretValue("token-old"))
    assert consumer.reload(change).outcome is Outcome.OK
    assert consumer.prove(change).outcome is Outcome.OK


def test_only_what_is_bound_to_a_gateway_is_tried_on_it(bench: Bench, gateway: FakeGateway) -> None:
    key = bench.store.load("openai-api-key").secret
    (consumer,) = bench.shop.outfit(key).consumers.values()
    change = Handover(key.name, key.provider, key.kind.value, SecretValue("sk-1"), 1)
    assert consumer.prove(change).outcome is Outcome.OK
    assert set(gateway.seen_tokens) == {"a-password", "token-old"}


def test_a_running_process_sees_a_token_that_came_later(bench: Bench, gateway: FakeGateway) -> None:
    key = bench.store.load("openai-api-key").secret
    (consumer,) = bench.shop.outfit(key).consumers.values()
    change = Handover(key.name, key.provider, key.kind.value, SecretValue("sk-1"), 1)
    gateway.token = "token-2"
    refused = consumer.prove(change)
    assert refused.outcome is Outcome.LATER
    bench.put(secret("second-token", GATEWAY, Kind.GATEWAY_TOKEN, consumers=("gw",)), "token-2")
    assert consumer.prove(change).outcome is Outcome.OK
