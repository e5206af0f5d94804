"""SIGKILL at every step boundary, request, program and file operation of a rotation, with each kind of injector and
consumer in the loop. What a commit does inside (its SQL statements and files) is test_crash's.

The containers, units and services are stand-ins that outlive the kill (stands.py); the same against a real engine is in
test_crash_engine.py.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.crash.harness import Child, Scene, note, of_the_targets, running
from tests.crash.stands import Stand, stand
from tests.crash.targets import KINDS
from tests.fake_provider import Controls, RemoteFake
from tests.waiting import until

BY_PROGRAMS = ("env_file", "podman", "systemd", "credential", "command")
FEWEST = 15
"""Points of a kind that there are in any case: what its injector and consumer do, and the steps after that."""



class TargetScene(Scene):
    """A deployment with one injector and one consumer, and what stands around it."""

    def __init__(self, around: Stand, fake: Controls, child: Child) -> None:
        self.around = around
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{around.world['path']}:{os.environ['PATH']}")
            super().__init__(around.folder, "overlap", fake, child, kind=around.kind, world=around.world)
        around.start()
        self.stood = around.left()
        self.files = self._files()

    def served(self) -> Mapping[str, str]:
        return dict(enumerate(sorted(self.around.uses())))  # type: ignore[arg-type]

    def check_between(self, where: str) -> None:
        self._ended()
        super().check_between(where)

    def check_end(self, where: str, state: str = "done") -> None:
        self._ended()
        super().check_end(where, state)

    def _ended(self) -> None:
        """What a killed process had started goes on by itself, to its end."""
        if self.around.kind in BY_PROGRAMS:
            until(lambda: not running(f"{self.place.folder}/bin/"), "the end of the programs")

    def _check_files(self, where: str) -> None:
        assert self._files() == self.files, where
        assert self.around.left() == self.stood, where

    def _files(self) -> list[str]:
        return sorted(str(path) for path in (self.place.folder / "out").rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_point(kind: str, folder: Path, child: Child, fake: RemoteFake) -> None:
    """What comes before the first delivery is the same for all of them: one is killed there, too."""
    killed = kill_everywhere(kind, folder, child, fake, lambda points: of_the_targets(points, kind == "env_file"))
    assert len(killed) >= FEWEST and {"after out.deliver", "after app.reload", "after app.prove"} <= set(killed)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_point_of_the_store_too(kind: str, folder: Path, child: Child, fake: RemoteFake) -> None:
    began = time.time()
    killed = kill_everywhere(kind, folder, child, fake, lambda points: enumerate(points, 1))
    note("crash-injectors", f"{kind} (stand-ins)", {"points": len(killed), "broken invariants": 0,
                                                    "seconds": round(time.time() - began)})


def kill_everywhere(kind: str, folder: Path, child: Child, fake: RemoteFake,
                    which: Callable[[Sequence[str]], Iterable[tuple[int, str]]]) -> list[str]:
    """Kill one rotation at each of these points, and let the next command end it. Their names."""
    with stand(folder / "whole", kind) as around:
        scene = TargetScene(around, fake, child)
        answer = scene.run()
        assert answer["status"] == 0, answer
        scene.check_end(f"{kind}, not killed")
    killed: list[str] = []
    for number, name in which(answer["points"]):
        with stand(folder / str(number), kind) as around:
            scene = TargetScene(around, fake, child)
            names = scene.kill_and_go_on(number)
            assert names is not None, name
            killed.extend(names)
    print(f"{kind}: killed at {len(killed)} points")
    return killed
