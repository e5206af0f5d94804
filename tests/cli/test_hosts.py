"""Two hosts on one store: two homes with two host names, the real commands, a fake provider."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import search
from tests.cli.desk import SCRIPT, Desk, Ran
from tests.waiting import LONG

KEY = "acme-api-key"


class Team:
    """Host a with the store, host b on the same one. Targets have the same names on both."""

    def __init__(self, root: Path) -> None:
        self.a, self.b = Desk(root / "a"), Desk(root / "b")
        self.fake = self.a.provider()
        self.plain = self.a.home.joinpath("clawsecrets.toml").read_text()
        self.a.init()
        self.first = self.a.seeded()
        self.said: list[Ran] = []

    def name(self, desk: Desk, more: str = "") -> None:
        """Give a host its name and its targets."""
        host = "a" if desk is self.a else "b"
        place = "" if desk is self.a else (
            f'[store]\nurl = "sqlite://{self.a.database}"\n'
            f'key = {{ source = "key-file", path = "{self.a.root}/keys/master.key" }}\n')
        desk.config(f'host = "{host}"\n{self.plain}{place}[injectors.out]\nkind = "directory"\n'
                    f'path = "{desk.root}/out"\n[consumers.app]\nkind = "command"\nprobe = ["{self.probe(desk)}"]\n'
                    f'{more}')

    def probe(self, desk: Desk) -> Path:
        """What shows that the app of a host uses what it is asked for: it reads the delivered file."""
        return desk.write("bin/probe", f'#!/bin/sh\n[ "$(cat)" = "$(cat {desk.root}/out/{KEY})" ]\n', 0o700)

    def bound(self) -> None:
        """The secret on both hosts, and both have it."""
        for desk in (self.a, self.b):
            self.name(desk)
            self.ok(desk, "configure", KEY, "--inject", "out", "--consume", "app")
        for desk in (self.a, self.b):
            self.ok(desk, "sync")

    def run(self, desk: Desk, *words: str) -> Ran:
        ran = desk.run(*words)
        self.said.append(ran)
        return ran

    def ok(self, desk: Desk, *words: str) -> Ran:
        ran = self.run(desk, *words)
        assert ran.code == 0, (words, ran)
        return ran

    def held(self, desk: Desk) -> str:
        return (desk.root / "out" / KEY).read_text()

    def current(self) -> str:
        return self.a.ok("get", KEY, "--raw").out

    def lives(self, value: str) -> bool:
        return value in {item.value for item in self.fake.live().values()}


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path)
    with made.a, made.b:
        yield made


def test_an_absent_host_is_waited_for_named_and_then_served(team: Team) -> None:
    team.bound()
    told = json.loads(team.ok(team.a, "show", KEY, "--json").out)
    assert told["injectors"] == ["out@a", "out@b"] and told["consumers"] == ["app@a", "app@b"]
    ran = team.run(team.a, "rotate", KEY)
    assert ran.code == 1 and "waiting for host b (out@b) to deliver it" in ran.everything
    assert team.held(team.a) == team.current() != team.first == team.held(team.b)
    assert "b (out@b)" in team.run(team.a, "status").everything
    shown = team.run(team.a, "rotations", "show", KEY)
    assert shown.code == 1 and "host b: out@b with version 2" in shown.out
    listed = team.run(team.a, "hosts", "--json")
    late = {host["host"]: host["behind"] for host in json.loads(listed.out)["hosts"]}
    assert listed.code == 1 and [item["target"] for item in late["b"]] == ["out@b", "app@b"]
    assert team.lives(team.first), "nothing is revoked under a host that has the old one"
    synced = json.loads(team.ok(team.b, "sync", "--json").out)
    assert synced["host"] == "b" and [(t["target"], t["version"]) for t in synced["synced"][0]["targets"]] == \
        [("out@b", 2), ("app@b", 2)]
    team.ok(team.a, "rotate", KEY)
    assert team.held(team.a) == team.held(team.b) == team.current() and not team.lives(team.first)
    assert team.ok(team.b, "sync").err == "nothing to do for b\n"
    assert team.ok(team.b, "hosts").code == 0
    for value in (team.first, team.current()):
        assert not search("\n".join(ran.everything for ran in team.said).encode(), value.encode())


def test_a_host_that_never_spoke_stops_a_rotation_before_it_begins(team: Team) -> None:
    for desk in (team.a, team.b):
        team.name(desk)
        team.ok(desk, "configure", KEY, "--inject", "out", "--consume", "app")
    ran = team.run(team.a, "rotate", KEY)
    assert ran.code == 4 and "host b (out@b) has not shown that it has the current version" in ran.everything
    assert len(team.fake.snapshot()["credentials"]) == 1, "nothing was minted"


def test_back_out_goes_round_all_hosts(team: Team) -> None:
    team.bound()
    assert team.run(team.a, "rotate", KEY).code == 1
    second = team.current()
    team.ok(team.b, "sync")
    ran = team.run(team.a, "rotations", "abort", KEY)
    assert ran.code == 1 and "waiting for host b (out@b) to deliver it" in ran.everything
    assert team.held(team.b) == second and team.lives(second), "b uses it still"
    team.ok(team.b, "sync")
    assert team.held(team.b) == team.first == team.held(team.a)
    team.run(team.a, "rotations", "resume", KEY)
    assert not team.lives(second) and team.lives(team.first)


def test_a_wrong_host_turns_it_back_and_says_why(team: Team) -> None:
    team.bound()
    assert team.run(team.a, "rotate", KEY).code == 1
    team.b.write("bin/probe", "#!/bin/sh\nexit 1\n", 0o700)
    assert team.run(team.b, "sync").code == 4
    assert team.run(team.a, "rotate", KEY).code == 1
    team.probe(team.b)
    team.ok(team.b, "sync")
    ran = team.run(team.a, "rotations", "resume", KEY)
    assert ran.code == 4 and "app@b" in ran.everything, ran
    assert team.held(team.a) == team.held(team.b) == team.current() == team.first


def test_a_host_that_is_gone_for_good_is_forgotten(team: Team) -> None:
    team.bound()
    assert team.run(team.a, "rotate", KEY).code == 1
    assert team.run(team.a, "hosts", "forget", "b").code == 2, "not without being asked"
    assert team.run(team.a, "hosts", "forget", "c", "--yes").code == 2
    team.ok(team.a, "hosts", "forget", "b", "--yes")
    team.ok(team.a, "rotate", KEY)
    assert not team.lives(team.first)
    log = team.ok(team.a, "audit-log", "--json").out
    assert '"host.forgotten"' in log and '"host.delivered"' in log
    assert team.run(team.b, "sync").err == "nothing to do for b\n"


def test_targets_from_before_there_were_several_are_adopted(team: Team) -> None:
    team.a.config(team.plain + f'[injectors.out]\nkind = "directory"\npath = "{team.a.root}/out"\n')
    assert team.run(team.a, "hosts", "adopt").code == 2, "one host needs no names"
    team.ok(team.a, "configure", KEY, "--inject", "out")
    assert json.loads(team.a.ok("show", KEY, "--json").out)["injectors"] == ["out"]
    team.name(team.a)
    refused = team.run(team.a, "rotate", KEY)
    assert refused.code == 2 and "clawsecrets hosts adopt" in refused.err
    team.ok(team.a, "hosts", "adopt")
    assert json.loads(team.a.ok("show", KEY, "--json").out)["injectors"] == ["out@a"]
    team.ok(team.a, "sync")
    assert team.held(team.a) == team.first


def test_a_name_that_is_none_is_refused_with_its_line(team: Team) -> None:
    team.a.config('host = "a b"\n' + team.plain)
    ran = team.run(team.a, "list")
    assert ran.code == 2 and "line 1" in ran.err and "host" in ran.err


def test_sync_killed_again_and_again_ends_where_it_should(team: Team) -> None:
    """The simulator kills at every point; here the real process, whenever it happens to be."""
    team.bound()
    assert team.run(team.a, "rotate", KEY).code == 1
    dice = random.Random(7)
    for _ in range(8):
        with subprocess.Popen([str(SCRIPT), "sync"], env=team.b.env, cwd=team.b.root, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(dice.uniform(0.0, 0.6))
            process.send_signal(signal.SIGKILL)
            process.wait(LONG)
        assert team.held(team.b) in (team.first, team.current()) and team.lives(team.held(team.b))
    team.ok(team.b, "sync")
    team.ok(team.a, "rotate", KEY)
    assert team.held(team.a) == team.held(team.b) == team.current() and not team.lives(team.first)
    assert not team.a.ok("audit-log", "verify").err.startswith("clawsecrets: error")
