"""The gateway client against a real gateway whose token comes from a real exec resolver."""

from __future__ import annotations

import json
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clawsecrets.clients.gateway import (
    GatewayClient,
    GatewayError,
    GatewayLost,
    GatewayRefused,
    GatewayRpcError,
    GatewayUnreachable,
    accepts,
    check_url,
)
from clawsecrets.errors import ConfigError
from clawsecrets.model.secret import SecretValue
from tests.real.openclaw import Gateway, exec_provider, exec_ref, replace_text
from tests.waiting import LONG

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("gateway-client")]

NAME = "openclaw-gateway-token"
WRONG = "wrong-0123456789abcdef0123456789abcdef"

RESOLVER = """#!{python}
import json, os, sys, time
held = json.load(open({held!r}))
asked = json.load(sys.stdin)["ids"]
time.sleep(held.get("sleep", 0))
while "until" in held and not os.path.exists(held["until"]):
    time.sleep(0.05)
if held.get("broken"):
    sys.exit(3)
print(json.dumps({{"protocolVersion": 1, "values": {{i: held["values"][i] for i in asked if i in held["values"]}}}}))
"""


@dataclass
class Live:
    """A running gateway and what its resolver answers."""

    gateway: Gateway
    held: Path
    number: int = 1

    @property
    def token(self) -> SecretValue:
        return SecretValue(f"token-{self.number}-0123456789abcdef0123456789abcdef")

    def answer(self, **more: object) -> None:
        values = {NAME: self.token.reveal_text(), "skill": f"skill-{self.number}"}
        replace_text(self.held, json.dumps({"values": values, **more}))

    def turn(self) -> SecretValue:
        """From now on the resolver gives another token; returns the one in effect."""
        old = self.token
        self.number += 1
        self.answer()
        return old


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("resolver")
    held, script = folder / "held.json", folder / "resolve"
    script.write_text(RESOLVER.format(python=sys.executable, held=str(held)))
    script.chmod(0o755)
    config = {
        "gateway": {"auth": {"mode": "token", "token": exec_ref(NAME)}},
        "secrets": {"providers": {"clawsecrets": exec_provider(script)}},
        "skills": {"entries": {"goplaces": {"enabled": True, "apiKey": exec_ref("skill")}}},
    }
    gateway = Gateway(config)
    started = Live(gateway, held)
    started.answer()
    with gateway:
        yield started


def everything(error: BaseException) -> str:
    """All that any printer of this error could show: words, causes, contexts, and the locals of every frame."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format()) + repr(error)


def raised(kind: type[GatewayError], act: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    assert caught.value.__context__ is None
    return everything(caught.value)


def test_the_right_token_is_accepted(live: Live) -> None:
    assert accepts(live.gateway.url, live.token, LONG) is True
    with GatewayClient(live.gateway.url, live.token, timeout=LONG) as client:
        assert client.hello["protocol"] == 4
        assert client.admin
        assert client.call("status")["degradedSecretOwners"] == []
    with GatewayClient(live.gateway.url, None, password=live.token, timeout=LONG):
        pass  # the gateway takes its one shared secret in either field


def test_a_wrong_one_is_refused_and_shown_nowhere(live: Live) -> None:
    wrong = SecretValue(WRONG)
    assert accepts(live.gateway.url, wrong, LONG) is False
    told = raised(GatewayRefused, lambda: GatewayClient(live.gateway.url, wrong, timeout=LONG).__enter__())
    assert "AUTH_TOKEN_MISMATCH" in told
    assert WRONG not in told
    assert WRONG not in repr(GatewayClient(live.gateway.url, wrong))


def test_without_a_credential_it_cannot_tell(live: Live) -> None:
    with pytest.raises(GatewayUnreachable, match="DEVICE_IDENTITY_REQUIRED"):
        accepts(live.gateway.url, None, LONG)


def test_wrong_tries_on_loopback_only_slow_down_and_a_right_one_ends_that(live: Live) -> None:
    """0.25 s, and twice as long each time. A busy machine adds to that and takes nothing away."""
    assert accepts(live.gateway.url, live.token, LONG) is True
    for delay in (0.25, 0.5, 1.0, 2.0):
        assert tried(live, SecretValue(WRONG), False) > 0.9 * delay
    end = time.monotonic() + LONG
    while max(tried(live, live.token, True), tried(live, SecretValue(WRONG), False)) > 2.0:  # the next were 4 s
        assert time.monotonic() < end, "a right one does not end it"


def tried(live: Live, token: SecretValue, right: bool) -> float:
    """Seconds until the gateway has said so."""
    begun = time.monotonic()
    assert accepts(live.gateway.url, token, LONG) is right
    return time.monotonic() - begun


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        told = raised(GatewayUnreachable, lambda: accepts(url, SecretValue(WRONG), 5.0))
    assert "connection refused" in told
    assert WRONG not in told


def test_one_that_listens_and_says_nothing() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"ws://127.0.0.1:{mute.getsockname()[1]}"
        told = raised(GatewayUnreachable, lambda: accepts(url, SecretValue(WRONG), 0.3))
    assert "no answer in time" in told
    assert WRONG not in told


def test_an_error_answer_has_code_and_message(live: Live) -> None:
    with GatewayClient(live.gateway.url, live.token, timeout=LONG) as client:
        with pytest.raises(GatewayRpcError) as caught:
            client.call("no.such.method")
        assert (caught.value.code, caught.value.retryable) == ("INVALID_REQUEST", False)
        assert "unknown method" in caught.value.message
        assert client.call("health")["ok"] is True, "the connection is still good"


def test_reload_changes_the_token_and_the_reply_comes_first(live: Live) -> None:
    old = live.turn()
    url = live.gateway.url
    with GatewayClient(url, old, timeout=LONG) as client, GatewayClient(url, old, timeout=LONG) as bystander:
        assert client.call("secrets.reload") == {"ok": True, "warningCount": 0}
        assert not accepts(live.gateway.url, old, LONG)
        assert accepts(live.gateway.url, live.token, LONG)
        with pytest.raises(GatewayError):
            bystander.call("health")
        with pytest.raises(GatewayUnreachable):
            client.call("health")


def test_a_failed_reload_keeps_the_old_token(live: Live) -> None:
    live.number += 1
    live.answer(broken=True)
    new, live.number = live.token, live.number - 1
    with GatewayClient(live.gateway.url, live.token, timeout=LONG) as client:
        told = raised(GatewayRpcError, lambda: client.call("secrets.reload"))
        assert "UNAVAILABLE secrets.reload failed" in told
        assert client.call("health")["ok"] is True, "the connection outlives it"
    assert accepts(live.gateway.url, live.token, LONG)
    assert not accepts(live.gateway.url, new, LONG)
    assert live.token.reveal_text() not in told
    live.answer()


def test_a_reply_that_does_not_come_in_time_is_lost_not_unreachable(live: Live) -> None:
    gate = live.held.with_name("gate")
    live.answer(until=str(gate))
    with GatewayClient(live.gateway.url, live.token, timeout=LONG) as client:
        told = raised(GatewayLost, lambda: client.call("secrets.reload", timeout=0.2))
    gate.touch()
    assert live.token.reveal_text() not in told
    live.answer()
    with GatewayClient(live.gateway.url, live.token, timeout=LONG) as client:
        client.call("secrets.reload")  # joins the slow one, so that the next test starts from rest


def test_a_value_missing_for_another_secret_is_a_warning_and_a_degraded_owner(live: Live) -> None:
    replace_text(live.held, json.dumps({"values": {NAME: live.token.reveal_text()}}))
    with GatewayClient(live.gateway.url, live.token, timeout=LONG) as client:
        assert client.call("secrets.reload") == {"ok": True, "warningCount": 1}
        owners = client.call("status")["degradedSecretOwners"]
        assert isinstance(owners, list)
        assert [(o["paths"], o["degradationState"]) for o in owners] == [(["skills.entries.goplaces.apiKey"], "stale")]
        live.answer()
        client.call("secrets.reload")
        assert client.call("status")["degradedSecretOwners"] == []


def test_a_gateway_that_ends_under_a_call_is_lost_and_one_that_starts_is_unreachable(live: Live) -> None:
    live.answer(sleep=3)
    with GatewayClient(live.gateway.url, live.token, timeout=LONG) as client:
        socket_ = client._socket
        assert socket_ is not None
        socket_.send(json.dumps({"type": "req", "id": "early", "method": "secrets.reload", "params": {}}))
        live.gateway.kill()
        with pytest.raises((GatewayLost, GatewayUnreachable)):
            client.call("health")
    live.answer()
    assert "connection refused" in raised(GatewayUnreachable, lambda: accepts(live.gateway.url, live.token, LONG))
    live.gateway.start(wait=False)
    end = time.monotonic() + LONG
    while True:  # nobody listens, or it says that it is starting: unreachable both times
        try:
            assert accepts(live.gateway.url, live.token, LONG) is True
            break
        except GatewayUnreachable:
            live.gateway.revived()
            assert time.monotonic() < end, live.gateway.log_text()[-3000:]
    assert live.gateway.http_status("/readyz") == 200


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ws://gateway.example:18789", "unencrypted"),
        ("ws://192.0.2.7:18789", "unencrypted"),
        ("http://127.0.0.1:18789", "must begin with ws"),
        ("ws://127.0.0.1:18789?token=x", "must not hold"),
        ("wss://user:pass@gateway.example", "must not hold"),
        ("wss://gateway.example:port", "is not a URL"),
        ("wss://", "must begin with ws"),
    ],
)
def test_urls_that_would_give_a_token_away(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        GatewayClient(url, SecretValue(WRONG))


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1", "ws://[::1]:1", "ws://localhost:1", "wss://gateway.example"])
def test_urls_that_are_fine(url: str) -> None:
    check_url(url)
