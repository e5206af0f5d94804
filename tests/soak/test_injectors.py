"""Many rotations in one process, with every kind of injector that a container host has, and real containers that read:
nothing is left behind. The figures go to bench/results/injectors.json.

    INJECTORS_SOAK_ROTATIONS=20 python -m bench.soak injectors       a short one

One secret in an env file (a Compose service is recreated for each), a folder, a folder in memory, a resolver bundle,
Swarm secrets (a service is updated), and Podman's secrets. The consumers look into the containers after each rotation.
What stands there is counted every LOOK rotations, and the figures are written then: a run that is ended has them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import figures
from clawsecrets import wiring
from clawsecrets.model.rotation import State
from clawsecrets.rotate.order import Order
from tests.cli.desk import Desk
from tests.fake_provider import FakeProvider
from tests.fakes import Quiet
from tests.real import containers
from tests.real.docker import BASE, Dockerd
from tests.real.podman import Podman, podman
from tests.real.test_swarm import QUICK
from tests.waiting import until

pytestmark = [pytest.mark.real("docker", "compose"), pytest.mark.soak]

ROTATIONS = int(os.environ.get("INJECTORS_SOAK_ROTATIONS", "1000"))
WARM_UP = 3
"""Rotations before anything is counted: what is opened once, stays open."""
LOOK = 50
KEY = "acme-api-key"
TARGETS = ("env", "files", "memory", "bundle", "swarm", "podman")
SETTINGS = """
[injectors.env]
kind = "env-file"
path = "{0}/out/app.env"
dialect = "compose"
names = {{ acme-api-key = "KEY" }}
[injectors.files]
kind = "directory"
path = "{0}/out/files"
[injectors.memory]
kind = "tmpfs-directory"
path = "{0}/memory/files"
[injectors.bundle]
kind = "resolver-bundle"
path = "{0}/out/bundle"
[injectors.swarm]
kind = "swarm-secret"
services = ["swarmed"]
engine = "{1}"
[injectors.podman]
kind = "podman-secret"
[consumers.app]
kind = "docker"
compose = "{0}/compose.yaml"
service = "app"
files = ["/run/s", "/run/m"]
engine = "{1}"
settle = "0s"
[consumers.tasks]
kind = "swarm"
service = "swarmed"
engine = "{1}"
"""
COMPOSE = """services:
  app:
    image: {1}
    network_mode: none
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
    env_file: [./out/app.env]
    volumes: ['{0}/out/files:/run/s:ro', '{0}/memory/files:/run/m:ro']
"""


@pytest.fixture
def engine() -> Iterator[Dockerd]:
    yield from containers.swarm_engine()


@pytest.fixture
def pods() -> Iterator[Podman]:
    with podman() as it:
        yield it


@pytest.fixture
def desk(engine: Dockerd, pods: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A store with one key, bound to all of it, and the readers started."""
    with Desk(tmp_path / "s") as it:
        for folder in ("out", "memory", "log"):
            (it.root / folder).mkdir()
        engine.run(["mount", "-t", "tmpfs", "tmpfs", it.root / "memory"])
        it.env = {**os.environ, **it.env, "PATH": f"{it.env['PATH']}:{os.environ['PATH']}"}
        it.provider(SETTINGS.format(it.root, engine.host))
        settings = (it.home / "clawsecrets.toml").read_text()
        it.config(settings.replace('patience = "1s"', 'patience = "5m"'))  # a replaced task serves for a second or more
        it.write("compose.yaml", COMPOSE.format(it.root, BASE))
        it.init()
        it.seeded()
        it.ok("configure", KEY, *(word for name in TARGETS for word in ("--inject", name)), "--consume", "app",
              "--consume", "tasks")
        engine.docker("service", "create", *QUICK, "--update-order", "start-first", "--name", "swarmed", "--mount",
                      f"type=bind,source={it.root}/log,target=/log", "--env", f"WHERE=/run/secrets/{KEY}", BASE, "sh",
                      "-c", containers.LOOP)
        it.ok("inject", KEY)
        engine.run(["docker-compose", "--file", it.root / "compose.yaml", "up", "--detach"])
        for name, text in it.env.items():
            monkeypatch.setenv(name, text)
        yield it
        engine.docker("service", "rm", "swarmed")
        until(lambda: len(engine.docker("ps", "--quiet").split()) <= 1, "the end of the tasks")
        engine.run(["docker-compose", "--file", it.root / "compose.yaml", "down", "--timeout", "1"])
        engine.run(["umount", it.root / "memory"])


def standing(engine: Dockerd, pods: Podman, desk: Desk) -> dict[str, object]:
    """All that could be left behind, in counts and names."""
    folders = [desk.root / "out", desk.root / "out/files", desk.root / "memory/files", desk.root / "tmp"]
    return {
        "files": sorted(str(path) for folder in folders for path in folder.iterdir()),
        "containers running": len(engine.docker("ps", "--quiet").split()),
        "composed": len(engine.docker("ps", "--all", "--quiet", "--filter", "name=app").split()),
        "swarm secrets": len(engine.docker("secret", "ls", "--quiet").split()),
        "networks": len(engine.docker("network", "ls", "--quiet").split()),
        "volumes": len(engine.docker("volume", "ls", "--quiet").split()),
        "podman secrets": len(pods("secret", "ls", "--noheading").splitlines()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "children": Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split(),
    }


def test_nothing_is_left_behind(engine: Dockerd, pods: Podman, desk: Desk) -> None:
    paths = wiring.find_paths("")
    config = wiring.read_config(paths, "")
    clock = wiring.SystemClock()
    store = wiring.open_store(config, paths, lambda *_: pytest.fail("it asks for a passphrase"))
    shop = wiring.Workshop(config, paths, lambda: store, clock)
    rotations = wiring.engine(config, store, shop, clock, Quiet(), "soak")
    machine, before = figures.machine(), dict[str, object]()
    took: list[float] = []
    for number in range(WARM_UP + ROTATIONS):
        if number == WARM_UP:
            before = standing(engine, pods, desk)
            assert before["swarm secrets"] == before["podman secrets"] == 1
        began = time.monotonic()
        rotation = rotations.rotate(KEY, Order()).record.rotation
        took.append(time.monotonic() - began)
        assert rotation is not None and rotation.state is State.DONE, (number, rotation and rotation.note)
        assert rotation.caveats == (), (number, rotation)
        done = number + 1 - WARM_UP
        if done > 0 and (done % LOOK == 0 or done == ROTATIONS):
            after = standing(engine, pods, desk)
            assert after == before, done
            note(machine, took[WARM_UP:], after)
    store.close()
    fake = desk.fake
    assert isinstance(fake, FakeProvider) and len(fake.live()) == 1
    told = containers.seen(desk.root / "log")
    assert "empty" not in told and len(set(told) - {"missing"}) == WARM_UP + ROTATIONS + 1


def note(machine: dict[str, object], took: list[float], counted: dict[str, object]) -> None:
    """Write the figures of so many rotations."""
    figures.write("injectors", machine, {
        "rotations": len(took), "targets": list(TARGETS), "consumers": ["docker (Compose)", "swarm"],
        "rotation": figures.spread(took), "left behind": "nothing",
        "counted before and after": {name: value for name, value in counted.items() if isinstance(value, int)}})
