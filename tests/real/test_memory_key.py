"""A model key that OpenClaw's memory search uses too, rotated: the gateway's process keeps the old one for embeddings
until it ends (measured on 2026.9.6), so nothing is revoked before that. The provider's own log is the witness."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from tests.fake_provider import ADMIN
from tests.real.deployment import CONSUMER, TOKEN, Deployment
from tests.real.models import Models
from tests.real.openclaw import exec_ref
from tests.waiting import LONG, until

pytestmark = [pytest.mark.real, pytest.mark.slow]

KEY = "acme-api-key"
TOKEN_VALUE = secrets.token_hex(24)
PROVIDERS = Path(__file__).parents[1] / "data" / "providers"

@dataclass
class Site:
    """The deployment, the provider, and what the gateway's users do meanwhile."""

    here: Deployment
    models: Models
    searches: int = 0

    def search(self) -> Any:
        """What an agent does to remember, and what it gets. Every question is embedded, for none was asked before."""
        self.searches += 1
        answer = self._post("/tools/invoke", {"tool": "memory_search",
                                              "args": {"query": f"which boat is number {self.searches}?"}})
        return json.loads(answer["result"]["content"][0]["text"])

    def chat(self) -> None:
        """A question to the agent."""
        self._post("/v1/chat/completions", {"model": "openclaw", "messages": [{"role": "user", "content": "well?"}]})

    def _post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.here.gateway.port}{path}", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN_VALUE}"})
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            return json.loads(answer.read())

    def both(self) -> list[tuple[str, str]]:
        """What a search and a question make the gateway ask of the provider: what, and with which key."""
        since = len(self.models.log)
        found = self.search()
        assert (found["provider"], "error" in found) == ("openai", False), found
        self.chat()
        return list(dict.fromkeys((one.what, one.key) for one in self.models.log[since:]))

    def current(self) -> str:
        """The handle of the key that the store gives out."""
        value = self.here.value(KEY).reveal_text()
        return next(item.handle for item in self.models.ever("acme") if item.value == value)

    def rotate(self) -> dict[str, Any]:
        """`clawsecrets rotate KEY`, again as long as all that it lacks is an answer of the gateway: a look may take
        10 s, and a busy machine more."""
        end = time.monotonic() + LONG
        while True:
            told: dict[str, Any] = json.loads(self.here.claw("rotate", KEY, "--json", code=None))["rotations"][0]
            if told["rotation"]["state"] == "done" or told["rotation"]["waits_for"] == "person":
                return told
            assert time.monotonic() < end, told

    def restart(self) -> None:
        """The gateway's process ends, and another begins."""
        self.here.gateway.stop()
        self.here.gateway.start()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Models() as models, Deployment(_config(models), plugins=True) as here:
        notes = here.gateway.state_dir / "workspace" / "memory"
        notes.mkdir(parents=True)
        (notes / "2026-01-01.md").write_text("# the boats\nNumber one is red.\n")
        key = models.seed("acme")
        here.make_store(f"OPENCLAW_GATEWAY_TOKEN={TOKEN_VALUE}")
        here.settings.write_text(f'providers_dirs = ["{PROVIDERS}"]\n' + here.settings.read_text()
                                 + f'[providers.acme]\nbase_url = "{models.url}"\n')
        here.claw("set", KEY, "--provider", "acme", stdin=key.value)
        here.claw("set", "acme-admin", stdin=ADMIN)
        here.claw("configure", KEY, "--handle", key.handle)
        here.bind(TOKEN)
        here.bind(KEY)
        here.gateway.start()
        yield Site(here, models)


def _config(models: Models) -> dict[str, Any]:
    return {
        "gateway": {"http": {"endpoints": {"chatCompletions": {"enabled": True}}}},
        "models": {"providers": {"openai": {"baseUrl": f"{models.url}/v1", "api": "openai-completions",
                                            "apiKey": exec_ref(KEY), "models": [{"id": "m", "name": "m"}]}}},
        "agents": {"defaults": {"model": {"primary": "openai/m"}}},
        "memory": {"search": {"provider": "openai", "model": "text-embedding-3-small"}},
    }


def test_without_leave_to_restart_nothing_is_revoked_and_the_command_is_named(site: Site) -> None:
    old = site.current()
    assert site.both() == [("embeddings", old), ("chat", old)]
    told = site.rotate()
    new = site.current()
    assert (told["exit_code"], told["outcome"], told["rotation"]["state"]) == (
        1, "delivered, consumer not proven", "delivered")
    assert "memory search" in told["rotation"]["note"]
    assert "openclaw gateway restart" in told["rotation"]["note"]
    assert site.both() == [("embeddings", old), ("chat", new)], "the trap: a reload does not reach memory search"
    assert site.rotate()["rotation"]["state"] == "delivered"
    assert site.models.revoked() == []


def test_once_it_was_restarted_the_same_command_ends_it(site: Site) -> None:
    old, new = sorted(site.models.live("acme"))
    assert site.current() == new
    site.restart()
    assert site.rotate()["outcome"] == "rotated"
    assert site.both() == [("embeddings", new), ("chat", new)]
    assert site.models.revoked() == [old]
    assert site.models.too_late() == []


def test_with_leave_to_restart_the_old_one_is_revoked_only_when_no_request_uses_it_any_more(site: Site) -> None:
    """Searches and questions go on all the while."""
    here, old, mark = site.here, site.current(), site.here.base / "restart"
    here.settings.write_text(here.settings.read_text().replace(
        f"\n[consumers.{CONSUMER}]\n", f'\n[consumers.{CONSUMER}]\ntimeout = "5m"\nrestart = ["touch", "{mark}"]\n'))
    since = len(site.models.log)
    with Busy(site), ThreadPoolExecutor(1) as pool:
        rotating = pool.submit(site.rotate)
        until(lambda: mark.exists() or rotating.done(), "the restart command")
        served = len(site.models.log)
        until(lambda: site.models.used(old, "embeddings", since=served), "a search after the reload, with the old key")
        assert site.models.revoked()[-1] != old
        site.restart()  # here, for a process that a thread started ends with that thread (openclaw._die_with_parent)
        assert rotating.result(LONG)["outcome"] == "rotated"
        revoked, new = len(site.models.log), site.current()
        until(lambda: site.models.used(new, "embeddings", since=revoked)
              and site.models.used(new, "chat", since=revoked), "searches and questions after the end")
    assert old not in site.models.live("acme")
    assert site.models.revoked()[-1] == old
    assert site.models.too_late() == []
    assert [one for one in site.models.log[since:] if one.status == 401] == [], "no request was ever refused"


def test_no_value_is_in_its_log(site: Site) -> None:
    log = site.here.gateway.log_text()
    assert [item.handle for item in site.models.ever("acme") if item.value in log] == []


class Busy:
    """Searches and asks in a thread of its own. The gateway is away for a while, and what it answers while it goes may
    be anything; what it asks of the provider is in the log."""

    def __init__(self, site: Site) -> None:
        self._site, self._over = site, threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._over.wait(0.5):
            for act in (self._site.search, self._site.chat):
                with contextlib.suppress(OSError, http.client.HTTPException, LookupError, ValueError):
                    act()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join(LONG)
