"""The container as README sets it up: built by Docker, run by Compose; it rotates, it is shut in, it stops cleanly."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import canary
from tests.cli.desk import PROVIDERS
from tests.daemon.running import free_port
from tests.fake_provider import ADMIN, FakeProvider
from tests.real import compose, docker, python_base
from tests.real.docker import Dockerd
from tests.real.terminal import at_terminal
from tests.real.test_service import CONFIG, KEY
from tests.waiting import LONG, until

ROOT = Path(__file__).resolve().parents[2]
USER = 10001
WHERE = "/srv/clawsecrets"
"""The folder that README names."""
OVERRIDE = """services:
  clawsecrets:
    network_mode: host
    volumes: ["{folder}/bot:/srv/bot"]
    healthcheck: {{interval: 1s, timeout: 30s, retries: 60}}
"""
"""What a deployment adds: here the fake provider's loopback, the folder of a target, and a shorter wait."""
pytestmark = [pytest.mark.real("compose"), pytest.mark.slow]


def documented() -> list[list[str]]:
    """README's lines that build and start the container."""
    section = (ROOT / "README.md").read_text().split("**A container**")[1]
    block = section.split("```console\n")[1].split("```")[0]
    return [re.sub(r"\s+#.*", "", line).split() for line in block.splitlines()]


class Deployment:
    """README's lines, typed: with the base image of this machine, in a scratch folder instead of /srv/clawsecrets."""

    def __init__(self, engine: Dockerd, fake: FakeProvider, folder: Path) -> None:
        self.engine, self.fake, self.folder, self.port = engine, fake, folder, free_port()
        self.value = fake.seed("acme").value
        self.terminal = ""
        for words in documented():
            self._type(words)
        self.command("set", "acme-admin", data=ADMIN)
        self.command("configure", KEY, "--handle", next(iter(fake.live("acme"))), "--inject", "bot-files", "--consume",
                     "bot")
        self.configure("2s")  # from now on: the daemon is running
        self.compose("kill", "-s", "HUP", "clawsecrets")

    def _type(self, words: list[str]) -> None:
        words = [word.replace(WHERE, str(self.folder)) for word in words]
        if words[:2] == ["docker", "build"]:
            self._host([*words[:2], "--network=none", "--build-arg", f"BASE={python_base.TAG}", *words[2:]])
        elif words[0] == "cd":
            assert words == ["cd", str(self.folder)]
            self._configure()
        elif words[:3] == ["docker", "compose", "run"]:
            self.terminal = at_terminal(self._words(words[2:]), self.engine.environment(), self.folder)
        elif words[:3] == ["docker", "compose", "exec"]:
            self.command("set", KEY, "--provider", "acme", data=self.value)
        elif words[:2] == ["docker", "compose"]:
            self.compose(*words[2:])
        else:
            self._host(words)

    def _host(self, words: list[str]) -> None:
        """A line that is typed at the root of the clone."""
        done = subprocess.run(words, cwd=ROOT, env=self.engine.environment(), capture_output=True, timeout=LONG,
                              check=False)
        assert done.returncode == 0, (words, done.stdout.decode()[-2000:], done.stderr.decode()[-2000:])

    def configure(self, every: str) -> None:
        """Write the configuration; acme-api-key is due so often."""
        text = CONFIG.format(port=self.port, key=KEY, url=self.fake.url)
        (self.folder / "etc" / "clawsecrets.toml").write_text(text.replace('every = "2s"', f'every = "{every}"'))

    def _configure(self) -> None:
        assert "[daemon]" in (self.folder / "etc" / "clawsecrets.toml").read_text()
        self.configure("30d")
        shutil.copytree(PROVIDERS, self.folder / "etc" / "providers")
        (self.folder / "bot").mkdir()
        os.chown(self.folder / "bot", USER, USER)
        (self.folder / "override.yml").write_text(OVERRIDE.format(folder=self.folder))

    def _words(self, words: Sequence[str]) -> list[str]:
        return [str(compose.PROGRAM), "-f", "compose.yml", "-f", "override.yml", "--project-name", "clawsecrets",
                *words]

    def compose(self, *words: str, data: str = "") -> str:
        """`docker compose`, and it must succeed; what it printed."""
        done = subprocess.run(self._words(words), cwd=self.folder, env=self.engine.environment(), input=data.encode(),
                              capture_output=True, timeout=LONG, check=False)
        assert done.returncode == 0, (words, done.stdout.decode()[-2000:], done.stderr.decode()[-2000:])
        return done.stdout.decode()

    def command(self, *words: str, data: str = "") -> str:
        """clawsecrets in the running container."""
        return self.compose("exec", "-T", "clawsecrets", "clawsecrets", *words, data=data)

    def inspect(self) -> dict[str, Any]:
        """What the engine says of the container."""
        found: list[dict[str, Any]] = json.loads(self.engine.docker("inspect", self.compose("ps", "-aq").strip()))
        return found[0]

    def logs(self) -> list[dict[str, str]]:
        """What the daemon logged."""
        lines = self.compose("logs", "--no-log-prefix", "--no-color").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def alive(self) -> list[str]:
        """The values that the provider accepts."""
        return [item.value for item in self.fake.live("acme").values()]

    def delivered(self) -> str:
        """What stands in the folder of the target."""
        (file,) = (self.folder / "bot" / "secrets").iterdir()
        return file.read_text()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    storage = "overlay2" if docker.overlay_fits(tmp_path_factory.mktemp("layers")) else "vfs"
    with FakeProvider() as fake, Dockerd(storage) as engine:
        python_base.load(engine)
        made = Deployment(engine, fake, folder)
        yield made
        made.compose("down", "--volumes", "--timeout", "10")


def test_it_rotates_shut_in_and_stops_cleanly(deployment: Deployment) -> None:
    assert re.search(r"\n    [0-9A-Z-]{20,}\n", deployment.terminal), "no recovery code was shown"

    def ended() -> int:
        logs = deployment.logs()
        states = [line["state"] for line in logs if line["event"] == "rotation.end"]
        assert set(states) <= {"done"}, logs
        return len(states)

    until(lambda: ended() >= 2, "two rotations")
    assert deployment.value not in deployment.alive()
    until(lambda: deployment.inspect()["State"]["Health"]["Status"] == "healthy", "its health")

    process = deployment.inspect()["State"]["Pid"]
    (daemon,) = Path(f"/proc/{process}/task/{process}/children").read_text().split()  # below docker-init
    found = dict(re.findall(r"^(\w+):\s*(.*)$", Path(f"/proc/{daemon}/status").read_text(), re.M))
    assert found["Uid"].split() == found["Gid"].split() == [str(USER)] * 4
    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == "0" * 16
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    mounts = [line.split() for line in Path(f"/proc/{daemon}/mounts").read_text().splitlines()]
    writable = {words[1] for words in mounts
                if words[3].startswith("rw") and not re.match(r"/(dev|proc|sys)\b", words[1])}
    assert writable <= {"/tmp", "/var/lib/clawsecrets", "/srv/bot", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}

    assert any(line["event"] == "daemon.reloaded" for line in deployment.logs())
    deployment.compose("stop")
    state = deployment.inspect()["State"]
    assert (state["Status"], state["ExitCode"], state["OOMKilled"]) == ("exited", 0, False)
    assert deployment.logs()[-1]["event"] == "daemon.stopped"
    assert deployment.delivered() in deployment.alive()  # SIGTERM may have parked a rotation: then two are alive


def test_another_container_goes_on_with_the_store(deployment: Deployment) -> None:
    """Its name is the former one's (`hostname`), its process another: it leads at once, and says what it is."""
    deployment.compose("rm", "--force")
    before = deployment.alive()
    deployment.compose("up", "-d")
    until(lambda: deployment.alive() != before and len(deployment.alive()) == 1, "a rotation")
    until(lambda: any(line["event"] == "rotation.end" for line in deployment.logs()), "its end")
    assert json.loads(deployment.command("show", KEY, "--json"))["version"] > 2
    deployment.compose("stop")
    assert deployment.delivered() in deployment.alive()  # SIGTERM may have parked a rotation: then two are alive


def test_no_value_is_in_the_logs_or_what_the_engine_knows(deployment: Deployment) -> None:
    said = json.dumps([deployment.logs(), deployment.inspect()]).encode()
    assert b"rotation.end" in said
    key = (deployment.folder / "key" / "clawsecrets-key").read_text().strip().rpartition(":")[2]
    for value in (deployment.value, ADMIN, deployment.delivered(), key):
        assert not canary.search(said, value.encode())
