"""The real daemon tells people: by a webhook on loopback, over a reload, past a channel that hangs, over a kill."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary as canaries
from tests.cli.desk import Desk
from tests.daemon.running import Running, free_port
from tests.daemon.test_process import KEY, kept, versions
from tests.fake_services import Services
from tests.waiting import LONG

TOKEN = "canary0123456789abcdefcanary"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        yield made


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as made:
        yield made


def channel(desk: Desk, name: str, address: str) -> None:
    """Store the address, and name it in the configuration."""
    desk.ok("notify", "add", f"notify-{name}", stdin=address.encode())
    file = desk.home / "clawsecrets.toml"
    file.write_text(f'{file.read_text()}[notify.channels.{name}]\nsecret = "notify-{name}"\n')


def titles(services: Services) -> list[str]:
    return [json.loads(text)["title"] for text in services.texts()]


def leaks(desk: Desk, services: Services, daemon: Running) -> list[str]:
    """Values (of the provider's keys, of the address) in messages, in the log, in what stays in the state folder."""
    assert desk.fake is not None
    values = [item.value.encode() for item in desk.fake.ever("acme")] + [TOKEN.encode()]
    places = [*(got.body for got in services.got), daemon.file.read_bytes(),
              *(path.read_bytes() for path in desk.home.rglob("*notify.json"))]
    assert len(values) > 2 and len(places) > 2
    return [form for data in places for value in values for form in canaries.search(data, value)]


def test_a_rotation_is_told_after_a_reload_that_names_the_channel(desk: Desk, services: Services) -> None:
    port = free_port()
    kept(desk, port)
    with Running(desk, "one", port) as daemon:
        daemon.until_said("daemon.start", notices_to="log")
        channel(desk, "hook", f"json://u:{TOKEN}@{services.host}/{TOKEN}")
        daemon.send(signal.SIGHUP)
        daemon.until_said("daemon.reloaded", notices_to="log, hook")
        daemon.until(lambda: any("rotated" in title for title in titles(services)), "the message")
        assert services.got[0].path == f"/{TOKEN}"
        body = json.loads(services.texts()[-1])["message"]
        assert f"Secret: {KEY} (api-key, acme, version" in body
        assert daemon.end() == 0
        assert leaks(desk, services, daemon) == []


@pytest.mark.slow
def test_a_channel_that_hangs_holds_nothing_back_and_is_told_after_a_kill(desk: Desk, services: Services) -> None:
    port = free_port()
    kept(desk, port, '[notify]\ntimeout = "10s"\n')
    channel(desk, "hook", f"json://{services.host}/{TOKEN}")
    with Services() as other:
        other.broken = "hang"
        channel(desk, "phone", f"json://{other.host}/{TOKEN}?rto=600&cto=600")
        with Running(desk, "one", port) as daemon:
            daemon.until(lambda: len(services.got) >= 3, "messages by the one that works")
            daemon.until(lambda: versions(desk) >= 4, "rotations go on")
            daemon.until_said("notice.daemon", command="clawsecrets notify test phone")
            daemon.send(signal.SIGKILL)
            daemon.process.wait(LONG)
            assert leaks(desk, services, daemon) == []
        listed = json.loads(desk.ok("notify", "list", "--json").out)["channels"][1]
        assert listed["waiting"] > 0 and listed["tries"] > 0 and "no answer within 10 s" in listed["detail"]
        other.broken, other.got = "", []
        with Running(desk, "two", port) as daemon:
            daemon.until(lambda: other.got, "what was kept over the kill")
            assert "notices" in titles(other)[0] or "rotated" in titles(other)[0]
            assert daemon.end() == 0
