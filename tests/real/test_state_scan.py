"""A scan of what a real gateway keeps: its configuration's secrets and its own key are found, and none of its ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.real.deployment import Deployment

pytestmark = [pytest.mark.real, pytest.mark.slow]

FIRST, SECOND = "4be1f09c27d86a35f1c07e92d4b8365a0f7d92c1e6b4835d", "93d07a5ce8b21f46d0e5937cb18a4f62e7c309d5b16fa284"
MCP_TOKEN, MCP_KEY = "x7Qm2vT9kLp4Zr8Wc1Nb6Yd3Hs5Gf0Je", "d41c7be90f2a6853c9e07b14fa86d235"
BOT = "8172635490:AAq8Zt3LwV5nXr2KdM7yBfPh4Sj6gTc1Ue9"
CONFIG: dict[str, Any] = {
    "mcp": {"servers": {"x": {"command": "/bin/true", "env": {"NOTES_TOKEN": MCP_TOKEN, "NOTES_API_KEY": MCP_KEY}}}},
    "channels": {"telegram": {"enabled": False, "botToken": BOT}},
}


def findings(here: Deployment) -> tuple[int, list[str]]:
    """How many secrets stand in the configuration and its copies; and of what stands elsewhere, rule and places."""
    planted, elsewhere = 0, []
    for finding in json.loads(here.claw("scan", "path", str(here.gateway.state_dir), "--json", code=1))["findings"]:
        places = {place["path"] for place in finding["locations"]}
        if all(path.startswith("openclaw.json") for path in places):
            planted += 1
        else:
            elsewhere.append(f"{finding['rule']} {sorted(places)}")
    return planted, elsewhere


def test_nothing_but_the_device_key_and_what_was_planted() -> None:
    with Deployment(CONFIG, plain=FIRST) as here:
        here.gateway.start()
        done = here.gateway.cli("config", "set", "gateway.auth.token", SECOND)
        assert done.returncode == 0, done.stderr
        for running in (True, False):
            if not running:
                here.gateway.stop()  # what stood in the log of the database stands in its pages now
            planted, elsewhere = findings(here)
            assert [found.split()[0] for found in elsewhere] == ["generic.private-key-pkcs8"], elsewhere
            assert planted == len({FIRST, SECOND, MCP_TOKEN, MCP_KEY, BOT})
