"""SIGKILL in a rotation whose targets are a real engine's: a Compose service, a mounted folder, a Swarm service, and
Podman's secrets, all at once. One deployment is rotated again and again: killed at a point, then by the next command.

`make test` kills at the points where something was changed and nothing said so yet; `python -m bench.soak
crash-injectors` at every point, and writes bench/results/crash-injectors.json.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.crash.harness import Child, Scene, note, of_the_targets, provider, running
from tests.crash.parts import NAME
from tests.crash.targets import ENGINE
from tests.fake_provider import RemoteFake
from tests.real import containers
from tests.real.docker import BASE, Dockerd
from tests.real.podman import Podman, podman
from tests.real.test_swarm import QUICK
from tests.waiting import LONG, until

pytestmark = [pytest.mark.real("docker", "compose"), pytest.mark.slow]

COMPOSE = """services:
  app:
    image: {1}
    network_mode: none
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
    env_file: [./out/app.env]
    volumes: ['{0}/out/files:/run/s:ro']
"""
POD = """#!/bin/sh
# pod (reload | probe): the container with Podman's secret is made anew; what it holds is compared with standard input
export CONTAINERS_STORAGE_CONF={1} CONTAINERS_CONF={2}
[ "$1" = probe ] && {{
  value=$(cat); held=$(podman exec pod cat /run/secrets/{0}) || exit 75; [ "$value" = "$held" ]; exit; }}
podman run --detach --replace --name pod --network none --secret {0} localhost/base:1 sh -c \\
    "trap 'exit 0' TERM; while :; do sleep 0.05; done" > /dev/null
"""
TELLING = ("running docker-compose up app", "did", "after swarm.deliver", "ended podman secret rm acme",
           "running pod reload")
"""Points of the sample: the first of each name. (`did`: a Swarm secret was made, and no service refers to it yet.)"""


class RealScene(Scene):
    """One deployment, for any number of rotations."""

    def __init__(self, folder: Path, fake: RemoteFake, child: Child, engine: Dockerd, pods: Podman) -> None:
        self.engine, self.pods, self.version = engine, pods, 1
        folder.mkdir()
        (folder / "compose.yaml").write_text(COMPOSE.format(folder, BASE))
        (folder / "pod").write_text(POD.format(
            NAME, os.environ["CONTAINERS_STORAGE_CONF"], os.environ["CONTAINERS_CONF"]))
        (folder / "pod").chmod(0o700)
        engine.docker("service", "create", *QUICK, "--name", "swarmed", BASE, "sh", "-c", containers.LOOP)
        super().__init__(folder, "overlap", fake, child, kind=ENGINE, world={"engine": engine.host})
        engine.run(["docker-compose", "--file", folder / "compose.yaml", "up", "--detach"])
        subprocess.run([folder / "pod", "reload"], check=True, timeout=LONG)
        self.stood = self.standing()

    def order(self, **more: object) -> dict[str, object]:
        """As it is now; with pauses of a second, since what was started runs on."""
        return {**super().order(**more), "from_version": self.version, "longest": 1.0}

    def served(self) -> Mapping[str, str]:
        """What the processes in the containers have, and Podman's container."""
        found: dict[str, str] = {}
        listed = ("ps", "--format", "{{.ID}} {{.Names}}", "--no-trunc")
        for line in self.engine.docker(*listed).decode().splitlines():
            ident, name = line.split()
            where = f"/run/secrets/{NAME}" if name.startswith("swarmed") else f"/run/s/{NAME}"
            said = self._said("docker", ident, f"echo $ACME; cat {where}")
            found |= {f"{name} {at}": text for at, text in enumerate(said)}
        found |= {f"pod {at}": text for at, text in enumerate(self._said("podman", "pod", f"cat /run/secrets/{NAME}"))}
        assert found
        return found

    def _said(self, tool: str, name: str, words: str) -> list[str]:
        """What is said in a container; nothing when it has just ended."""
        done = subprocess.run([tool, "exec", name, "sh", "-c", words], capture_output=True, timeout=LONG, check=False)
        return [line for line in done.stdout.decode().split("\n") if line]

    def standing(self) -> dict[str, object]:
        """All that could be left behind, once what is ending has ended."""
        until(lambda: not running(f"{self.place.folder}/"), "the end of the programs")
        until(lambda: len(self.engine.docker("ps", "--quiet").split()) == 2, "the end of the tasks that were replaced")
        listed = ("ps", "--all", "--filter", "name=app", "--format", "{{.Names}}")
        return {
            "composed": self.engine.docker(*listed).split(),
            "swarm secrets": len(self.engine.docker("secret", "ls", "--quiet").split()),
            "volumes": self.engine.docker("volume", "ls", "--quiet").split(),
            "networks": self.engine.docker("network", "ls", "--format", "{{.Name}}").split(),
            "podman secrets": self.pods("secret", "ls", "--format", "{{.Name}}").split(),
            "pods": self.pods("ps", "--all", "--format", "{{.Names}}").split(),
            "files": sorted(str(path) for path in (self.place.folder / "out").rglob("*") if path.is_file()),
        }

    def check_end(self, where: str, state: str = "done") -> None:
        stood = self.standing()
        assert stood == self.stood, where
        super().check_end(where, state)
        store = self.place.open()
        current = store.load(NAME).current
        assert current is not None
        self.version, self.first = current.number, store.value(NAME, current.number).reveal().decode()
        store.close()

    def _check_files(self, where: str) -> None:
        """They are among what stands."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    yield from containers.swarm_engine()


@pytest.fixture(scope="module")
def scene(engine: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealScene]:
    with podman() as pods, Child() as child, provider() as fake:
        made = RealScene(tmp_path_factory.mktemp("real") / "s", fake, child, engine, pods)
        yield made
        engine.run(["docker-compose", "--file", made.place.folder / "compose.yaml", "down", "--timeout", "1"])
        engine.docker("service", "rm", "swarmed")
        until(lambda: not engine.docker("ps", "--quiet").split(), "the end of the tasks")


@pytest.fixture(scope="module")
def points(scene: RealScene) -> list[str]:
    """Those of one whole rotation."""
    answer = scene.run()
    assert answer["status"] == 0, answer
    scene.check_end("not killed")
    found: list[str] = answer["points"]
    return found


@pytest.mark.parametrize("name", TELLING)
def test_killed_where_it_matters(scene: RealScene, points: list[str], name: str) -> None:
    first = next(at for at, point in enumerate(points) if point == "before env.deliver")
    assert scene.kill_and_go_on(points.index(name, first) + 1) == [name]


@pytest.mark.soak
def test_killed_at_every_point(scene: RealScene, points: list[str]) -> None:
    began, killed = time.time(), 0
    for number, _ in of_the_targets(points, True):
        killed += len(scene.kill_and_go_on(number) or ())
        note("crash-injectors", "real engines", {"points": killed, "broken invariants": 0,
                                                 "seconds": round(time.time() - began)})
    assert killed > len(TELLING)
