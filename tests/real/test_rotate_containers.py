"""Whole rotations by the command line into real containers: each way of delivery, and each way back.

A reader takes its secret every 50 ms and writes down whatever it saw: never anything but the old and the new value.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.desk import SCRIPT, Desk
from tests.fake_provider import FakeProvider
from tests.real import compose, containers
from tests.real.containers import seen, sees
from tests.real.docker import BASE, Dockerd
from tests.real.test_swarm import QUICK
from tests.waiting import LONG, until

pytestmark = [pytest.mark.real("docker", "compose"), pytest.mark.slow]

KEY = "acme-api-key"


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    yield from containers.swarm_engine()


@dataclass
class Place:
    """One deployment: `out` and `app` are the names of its injector and consumer."""

    engine: Dockerd
    desk: Desk
    fake: FakeProvider
    old: str
    check: str = "true"
    """The health check, for a shell."""

    @property
    def log(self) -> Path:
        return self.desk.root / "log"

    @property
    def folder(self) -> Path:
        return self.desk.root

    def targets(self, injector: str, consumer: str) -> None:
        """Configure them, and bind the key."""
        text = (self.desk.home / "clawsecrets.toml").read_text()
        self.desk.config(f'{text}\n[injectors.out]\n{injector}\n[consumers.app]\n{consumer}\n'
                         f'engine = "{self.engine.host}"\ntimeout = "30s"\n')
        self.desk.quick("configure", KEY, "--inject", "out", "--consume", "app")

    def compose(self, service: str, more: str = "") -> str:
        """A Compose file with the reader as service `app`; its path."""
        (self.folder / "loop.sh").write_text(containers.LOOP)
        check = json.dumps(self.check.replace("$", "$$"))
        return str(self.desk.write(
            "compose.yaml",
            f"services:\n  app:\n    image: {BASE}\n    network_mode: none\n    command: [sh, /loop.sh]\n"
            f"    volumes: ['./loop.sh:/loop.sh', './log:/log'{service}"
            f"    healthcheck: {{test: {check}, interval: 100ms, retries: 2}}\n{more}"))

    def up(self) -> None:
        self.engine.run(["docker-compose", "--file", self.folder / "compose.yaml", "up", "--detach"])

    def inject(self) -> None:
        self.desk.ok("inject", KEY)


@pytest.fixture
def place(engine: Dockerd, tmp_path: Path) -> Iterator[Place]:
    path = f"{compose.PROGRAM.parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    with Desk(tmp_path / "s") as desk:
        desk.env["PATH"] = f"{desk.env['PATH']}:{path}"
        desk.env["DOCKER_CONFIG"] = str(engine.base / "config")
        fake = desk.provider()
        desk.init()
        it = Place(engine, desk, fake, desk.seeded())
        it.log.mkdir()
        yield it
    names = engine.docker("service", "ls", "--quiet").decode().split()
    for name in names:
        engine.docker("service", "rm", name)
    until(lambda: not names or not engine.docker("ps", "--all", "--quiet", "--filter",
                                                 "label=com.docker.swarm.service.id"), "the end of the tasks")
    for container in engine.docker("ps", "--all", "--quiet").decode().split():
        engine.docker("rm", "--force", "--volumes", container)
    for secret in engine.docker("secret", "ls", "--quiet").decode().split():
        engine.docker("secret", "rm", secret)


# --- the ways of delivery: each starts a reader with the current value ------------------------------------------------


def env_file(place: Place) -> None:
    file = place.compose("]\n    env_file: [./app.env]\n")
    place.targets(f'kind = "env-file"\npath = "{place.folder}/app.env"\ndialect = "compose"\n'
                  f'names = {{ {KEY} = "KEY" }}', f'kind = "docker"\ncompose = "{file}"\nservice = "app"')
    place.inject()
    place.up()


def mounted_folder(place: Place) -> None:
    file = place.compose(f", './secrets:/run/s:ro']\n    environment: {{WHERE: /run/s/{KEY}}}\n")
    place.targets(f'kind = "directory"\npath = "{place.folder}/secrets"',
                  f'kind = "docker"\ncompose = "{file}"\nservice = "app"\naction = "none"\nfiles = ["/run/s"]\n'
                  "rereads = true")
    place.inject()
    place.up()


def compose_secret(place: Place) -> None:
    """A Compose file secret: the trap of a single mounted file, handled by a restart."""
    file = place.compose("]\n    environment: {WHERE: /run/secrets/key}\n    secrets: [key]\n",
                         f"secrets:\n  key: {{file: ./secrets/{KEY}}}\n")
    place.targets(f'kind = "directory"\npath = "{place.folder}/secrets"',
                  f'kind = "docker"\ncompose = "{file}"\nservice = "app"\naction = "restart"\n'
                  'files = ["/run/secrets"]')
    place.inject()
    place.up()


def memory(place: Place) -> None:
    file = place.compose(f", '{place.folder}/memory/secrets:/run/s:ro']\n    environment: {{WHERE: /run/s/{KEY}}}\n")
    (place.folder / "memory").mkdir()
    place.engine.run(["mount", "-t", "tmpfs", "tmpfs", place.folder / "memory"])
    place.targets(f'kind = "tmpfs-directory"\npath = "{place.folder}/memory/secrets"',
                  f'kind = "docker"\ncompose = "{file}"\nservice = "app"\naction = "restart"\nfiles = ["/run/s"]')
    place.inject()
    place.up()


def swarm(place: Place) -> None:
    place.engine.docker("service", "create", *QUICK, "--name", "app", "--mount",
                        f"type=bind,source={place.log},target=/log", "--env", f"WHERE=/run/secrets/{KEY}",
                        "--health-cmd", f"v=; read -r v < /run/secrets/{KEY} || [ -n \"$v\" ] || exit 0; {place.check}",
                        "--health-interval", "100ms", "--health-retries", "1", BASE, "sh", "-c", containers.LOOP)
    place.targets(f'kind = "swarm-secret"\nservices = ["app"]\nengine = "{place.engine.host}"\ntimeout = "60s"',
                  'kind = "swarm"\nservice = "app"')
    place.inject()


WAYS: list[Callable[[Place], None]] = [env_file, mounted_folder, compose_secret, memory, swarm]


@pytest.fixture(autouse=True)
def unmounted(place: Place) -> Iterator[None]:
    yield
    if (place.folder / "memory").is_mount():
        for container in place.engine.docker("ps", "--all", "--quiet").decode().split():
            place.engine.docker("rm", "--force", container)
        place.engine.run(["umount", place.folder / "memory"])


@pytest.mark.parametrize("way", WAYS)
def test_a_rotation_reaches_the_process_inside(place: Place, way: Callable[[Place], None]) -> None:
    way(place)
    sees(place.log, place.old.encode())
    ran = place.desk.run("rotate", KEY)
    assert ran.code == 0 and "rotated" in ran.out, ran
    new = place.desk.quick("get", KEY, "--raw").out
    assert new != place.old
    sees(place.log, new.encode())
    assert [value for value in seen(place.log) if value != "missing"] == [place.old, new]
    assert [one.value for one in place.fake.live().values()] == [new]
    assert place.old not in ran.everything and new not in ran.everything


@pytest.mark.parametrize("way", WAYS)
def test_a_failing_health_check_backs_out(place: Place, way: Callable[[Place], None]) -> None:
    """Healthy with the old value only: the old one is back everywhere, and the new one is dead."""
    place.check = f'l=none; while read -r x; do l=$x; done < /log/seen; [ "$l" = {place.old} ] || [ "$l" = missing ]'
    way(place)
    sees(place.log, place.old.encode())
    ran = place.desk.run("rotate", KEY)
    assert ran.code == 4, ran
    assert place.desk.quick("get", KEY, "--raw").out == place.old
    assert [one.value for one in place.fake.live().values()] == [place.old]
    sees(place.log, place.old.encode())
    values = [value for value in seen(place.log) if value != "missing"]
    assert values[0] == values[-1] == place.old and len(set(values)) == 2, values
    assert json.loads(place.desk.ok("list", "--json").out)["secrets"]


@pytest.mark.parametrize("way", [env_file, swarm])
@pytest.mark.parametrize("after", [0.0, 0.3, 0.8, 1.6])
def test_killed_in_the_middle_of_a_delivery_it_goes_on(place: Place, way: Callable[[Place], None], after: float
                                                       ) -> None:
    """SIGKILL some time after the new credential was made: the next command brings it to its end. Wherever it was
    killed, the reader saw the old and the new value and nothing else, and one credential lives."""
    way(place)
    sees(place.log, place.old.encode())
    process = subprocess.Popen([str(SCRIPT), "rotate", KEY], env=place.desk.env, cwd=place.desk.root,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    until(lambda: len(place.fake.live()) > 1 or process.poll() is not None, "the new credential")
    containers.wait(after)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(LONG)
    until(lambda: place.desk.run("rotations", "resume", KEY).code != 3, "its lease")
    place.desk.run("rotate", "--due")
    (live,) = (one.value for one in place.fake.live().values())
    assert place.desk.quick("get", KEY, "--raw").out == live != place.old
    sees(place.log, live.encode())
    assert [value for value in seen(place.log) if value != "missing"] == [place.old, live]
    names = place.engine.docker("secret", "ls", "--format", "{{.Name}}").decode().split()
    assert len(names) == (1 if way is swarm else 0), names
    assert not list(place.folder.glob("**/.clawsecrets-*.new"))
