"""Two daemons on two hosts of one store: one leads, the other serves its own host; gone, it is waited for and named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_hosts import KEY, Team
from tests.daemon.running import Running, free_port
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    with made.a, made.b:
        yield made


def rotation(team: Team) -> dict[str, str]:
    shown: dict[str, str] = json.loads(team.a.ok("show", KEY, "--json").out)["rotation"] or {"note": "", "state": ""}
    return shown


def test_one_leads_and_the_other_serves_its_host(team: Team) -> None:
    team.bound()
    ports = free_port(), free_port()
    for desk, port in zip((team.a, team.b), ports, strict=True):
        team.name(desk, f'[schedule.secrets.{KEY}]\nevery = "4s"\njitter = "0"\n'
                        f'[daemon]\ntick = "1s"\ntakeover = "5s"\nlog = "json"\nlisten = "127.0.0.1:{port}"\n')
    with Running(team.a, "one", ports[0]) as one:
        one.until_said("daemon.leads")
        one.until(lambda: "waiting for host b (out@b)" in rotation(team)["note"], "it waits for the other host")
        assert team.held(team.b) == team.first and team.lives(team.first)
        with Running(team.b, "two", ports[1]) as two:
            two.until_said("daemon.stands-by")
            two.until_said("sync.served", secret=KEY, outcome="ok")
            one.until(lambda: len(one.events("rotation.end")) >= 2, "two rotations ended")
            assert not two.events("rotation.begin") and not two.events("daemon.leads")
            assert all(event["state"] == "done" for event in one.events("rotation.end")), one.events("rotation.end")
            one.send(9)
            two.until_said("daemon.leads")
            two.until(lambda: "waiting for host a (out@a)" in rotation(team)["note"], "now the first one is missing")
            assert team.lives(team.held(team.a)) and team.lives(team.held(team.b))
            until(lambda: team.run(team.a, "sync").code == 0, "the first host is served by hand")
            two.until(lambda: two.events("rotation.end"), "it went on")
