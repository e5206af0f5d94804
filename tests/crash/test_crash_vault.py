"""The same kills with the store on a server: what every other reader reads is looked at too.

Beside each call, commit and file, a process is killed at each request that changes something on the server: when it is
out, and when it is done and its answer not read. The suite takes a sample, `make soak` every point.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import Child, Scene, note
from tests.crash.parts import PROVIDERS
from tests.fake_provider import RemoteFake
from tests.real.openbao import Dev

pytestmark = [pytest.mark.real("openbao"), pytest.mark.slow]

STRIDE = 41
"""The suite's sample: every 41st point, beginning anywhere."""
_count = itertools.count(1)


def kill_at(points: Iterator[int], way: str, folder: Path, child: Child, fake: RemoteFake, bao: Dev) -> list[str]:
    """One life for each point, until there are no more. Their names."""
    killed: list[str] = []
    for point in points:
        scene = Scene(folder / str(point), way, fake, child, server=bao.url, token=bao.token,
                      prefix=f"crash/{os.getpid()}-{next(_count)}")
        names = scene.kill_and_go_on(point)
        scene.close()
        if names is None:
            break
        killed.extend(names)
    return killed


@pytest.mark.parametrize("way", PROVIDERS)
def test_killed_at_some_points(way: str, folder: Path, child: Child, fake: RemoteFake, bao: Dev,
                               random_seed: int) -> None:
    killed = kill_at(itertools.count(1 + random_seed % STRIDE, STRIDE), way, folder, child, fake, bao)
    print(f"{way}: killed at {killed}")
    assert len(killed) >= 2


@pytest.mark.soak
@pytest.mark.parametrize("way", PROVIDERS)
def test_killed_at_every_point(way: str, folder: Path, child: Child, fake: RemoteFake, bao: Dev) -> None:
    killed = kill_at(itertools.count(1), way, folder, child, fake, bao)
    note("crash", f"{way}, on a server", {"points": len(killed), "broken invariants": 0})
    assert len(killed) > 100
    assert {"before", "after", "writing", "wrote", "file"} <= {name.split()[0] for name in killed}
