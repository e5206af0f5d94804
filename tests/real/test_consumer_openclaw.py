"""The OpenClaw consumer against a real gateway: its token, a model key, a skill key and a Telegram bot token."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clawsecrets.consumers.openclaw import OpenClawConsumer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover
from tests.real.openclaw import Gateway, exec_provider, exec_ref, replace_text
from tests.waiting import LONG, until

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("gateway-consumer"), pytest.mark.slow]

TOKEN = "openclaw-gateway-token"
GATEWAY = "openclaw-gateway"


def provider_of(name: str) -> str:
    return GATEWAY if name == TOKEN else "any"


RESOLVER = """#!{python}
import json, sys
values = json.load(open({held!r}))
asked = json.load(sys.stdin)["ids"]
print(json.dumps({{"protocolVersion": 1, "values": {{i: values[i] for i in asked if i in values}}}}))
"""


class Telegram(ThreadingHTTPServer):
    """The part of the Bot API that a polling bot needs; it knows one token."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Bot)
        self.valid = ""
        self.polled_with: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Bot(BaseHTTPRequestHandler):
    server: Telegram

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, bot, method = (self.path.split("?")[0] + "//").split("/")[:3]
        token = bot.removeprefix("bot")
        if token != self.server.valid:
            return self._say(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
        if method == "getUpdates":
            self.server.polled_with.append(token)
            time.sleep(0.2)
        me = {"id": 1, "is_bot": True, "first_name": "Claw", "username": "claw_bot"}
        return self._say(200, {"ok": True, "result": {"getMe": me, "getUpdates": []}.get(method, True)})

    do_GET = do_POST

    def _say(self, status: int, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Site:
    gateway: Gateway
    held: Path
    telegram: Telegram
    values: dict[str, str] = field(default_factory=dict)

    def write(self, **changes: str) -> None:
        self.values.update({name.replace("_", "-"): value for name, value in changes.items()})
        replace_text(self.held, json.dumps(self.values))

    def write_environment(self) -> None:
        """What the gateway reads when its process begins."""
        (self.gateway.state_dir / ".env").write_text(f"ENVY_API_KEY={self.values['envy-api-key']}\n")

    def consumer(self, restart: Sequence[str] = ()) -> OpenClawConsumer:
        return OpenClawConsumer("gateway", self.gateway.url, GATEWAY.__eq__, lambda: [SecretValue(self.values[TOKEN])],
                                timeout=60.0, reload_timeout=LONG, restart=restart)

    def change(self, name: str, new: str) -> Handover:
        """The resolver gives `new` from now on."""
        old = self.values[name]
        self.write(**{name: new})
        return Handover(name, provider_of(name), "other", SecretValue(new), 2, SecretValue(old))

    def as_it_is(self, name: str) -> Handover:
        value = SecretValue(self.values[name])
        return Handover(name, provider_of(name), "other", value, 1, value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("resolver")
    held, script, telegram = folder / "held.json", folder / "resolve", Telegram()
    script.write_text(RESOLVER.format(python=sys.executable, held=str(held)))
    script.chmod(0o755)
    root = f"http://127.0.0.1:{telegram.server_address[1]}"
    model = {"baseUrl": "http://127.0.0.1:9/v1", "models": [{"id": "m", "name": "m"}]}
    providers = {name: {**model, "apiKey": exec_ref(f"{name}-api-key")} for name in ("openai", "other")}
    providers["envy"] = {**model, "apiKey": {"source": "env", "provider": "default", "id": "ENVY_API_KEY"}}
    gateway = Gateway(
        {
            "gateway": {"auth": {"mode": "token", "token": exec_ref(TOKEN)}},
            "secrets": {"providers": {"clawsecrets": exec_provider(script)}},
            "skills": {"entries": {"goplaces": {"enabled": True, "apiKey": exec_ref("goplaces")}}},
            "models": {"providers": providers},
            "channels": {"telegram": {"enabled": True, "botToken": exec_ref("telegram"), "apiRoot": root}},
        },
        plugins=True,
    )
    running = Site(gateway, held, telegram)
    telegram.valid = "100:first"
    running.write(**{TOKEN: "gateway-token-1", "goplaces": "place-1", "telegram": "100:first",
                     "openai-api-key": "sk-openai-1", "other-api-key": "sk-other-1", "envy-api-key": "sk-envy-1"})
    running.write_environment()
    with gateway:
        yield running
    telegram.shutdown()


def test_preflight(site: Site) -> None:
    for name in site.values:
        reply = site.consumer().preflight(site.as_it_is(name))
        assert reply.outcome is Outcome.OK, reply
    strange = Handover("elsewhere", "any", "other", SecretValue("nowhere"), 1, None)
    assert site.consumer().preflight(strange).outcome is Outcome.REFUSED


@pytest.mark.parametrize("name", ["goplaces", "other-api-key"])
def test_a_secret_is_proven_only_after_the_reload(site: Site, name: str) -> None:
    handover = site.change(name, f"{name}-2")
    assert site.consumer().prove(handover).outcome is Outcome.REFUSED
    assert site.consumer().reload(handover).outcome is Outcome.OK
    reply = site.consumer().prove(handover)
    assert reply.outcome is Outcome.OK, reply
    assert reply.proof


def test_a_key_that_memory_search_uses_is_not_proven(site: Site) -> None:
    handover = site.change("openai-api-key", "sk-openai-2")
    assert site.consumer().reload(handover).outcome is Outcome.OK
    reply = site.consumer().prove(handover)
    assert (reply.outcome, reply.person) == (Outcome.LATER, True), reply
    assert "memory search" in reply.detail
    assert site.consumer().probe(handover).outcome is Outcome.OK


@pytest.mark.parametrize(("name", "from_file"), [("openai-api-key", False), ("envy-api-key", True)],
                         ids=["memory search", "environment"])
def test_the_restart_reaches_what_a_reload_does_not(site: Site, tmp_path: Path, name: str, from_file: bool) -> None:
    """The gateway's process ends and begins anew while the consumer waits; then it is proven by when it began."""
    mark = tmp_path / "mark"
    handover = site.change(name, f"{site.values[name]}-anew")
    if from_file:
        site.write_environment()
    handover = replace(handover, since=time.time())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(site.consumer(restart=["touch", str(mark)]).reload, handover)
        until(lambda: mark.exists() or waiting.done(), "the restart command")
        if mark.exists():  # here, for a process that a thread started ends with that thread (openclaw._die_with_parent)
            site.gateway.stop()
            site.gateway.start()
        reply = waiting.result(LONG)
    assert reply.outcome is Outcome.OK and "started anew" in reply.detail, reply
    proof = site.consumer().prove(handover)
    assert proof.outcome is Outcome.OK and "began with the new value" in proof.proof, proof


def test_what_comes_from_its_environment_is_left_to_a_person(site: Site) -> None:
    handover = site.change("envy-api-key", "sk-envy-9")
    site.write_environment()
    assert site.consumer().reload(handover).outcome is Outcome.OK
    reply = site.consumer().prove(handover)
    assert (reply.outcome, reply.person) == (Outcome.LATER, True), reply
    assert "models.providers.envy.apiKey comes from its environment" in reply.detail


def test_a_bot_token_is_proven_by_its_channel(site: Site) -> None:
    handover = site.change("telegram", "100:second")
    site.telegram.valid = "100:second"
    assert site.consumer().reload(handover).outcome is Outcome.OK
    reply = patiently(site, handover)
    assert reply is Outcome.OK
    until(lambda: site.telegram.polled_with[-1:] == ["100:second"], "the bot asking with its new token")


def test_a_bot_token_that_telegram_refuses_is_refused_although_the_reload_was_fine(site: Site) -> None:
    handover = site.change("telegram", "100:bad")
    assert site.consumer().reload(handover).outcome is Outcome.OK
    assert patiently(site, handover) is Outcome.REFUSED


def patiently(site: Site, handover: Handover) -> Outcome:
    end = time.monotonic() + LONG
    while (reply := site.consumer().prove(handover)).outcome is Outcome.LATER:
        assert time.monotonic() < end, reply
        time.sleep(0.5)
    return reply.outcome


def test_the_gateway_token(site: Site) -> None:
    handover = site.change(TOKEN, "gateway-token-2")
    assert site.consumer().probe(handover).outcome is Outcome.REFUSED
    assert site.consumer().reload(handover).outcome is Outcome.OK
    assert site.consumer().probe(handover).outcome is Outcome.OK
    assert site.consumer().prove(handover).proof
    assert site.consumer().reload(handover).outcome is Outcome.OK, "again, as after a crash"


def test_a_resolver_without_the_token_keeps_the_old_one(site: Site) -> None:
    kept = site.values.pop(TOKEN)
    site.write()
    handover = Handover(TOKEN, GATEWAY, "other", SecretValue("gateway-token-3"), 3, SecretValue(kept))
    assert site.consumer().reload(handover).outcome is Outcome.REFUSED
    assert site.consumer().probe(handover).outcome is Outcome.REFUSED
    site.write(**{TOKEN: kept})


def test_no_value_is_in_the_gateways_log(site: Site) -> None:
    log = site.gateway.log_text()
    assert [value for value in site.values.values() if value in log] == []
