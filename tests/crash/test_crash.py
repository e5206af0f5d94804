"""SIGKILL before, inside and after every effect and every commit, with real processes, store, files and HTTP."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.crash.harness import Child, Scene, note
from tests.crash.parts import PROVIDERS
from tests.fake_provider import RemoteFake

SHARES = 2
"""Each strategy's points are shared among that many tests, so that two cores have work."""
PAIRS = 300


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("way", PROVIDERS)
def test_killed_at_every_point(way: str, share: int, folder: Path, child: Child, fake: RemoteFake) -> None:
    killed: list[str] = []
    point = share + 1
    while True:
        scene = Scene(folder / str(point), way, fake, child)
        names = scene.kill_and_go_on(point)
        scene.close()
        if names is None:
            break
        killed.extend(names)
        point += SHARES
    print(f"{way}: killed at {len(killed)} points")
    assert len(killed) > 60
    kinds = {name.split()[0] for name in killed}
    assert {"before", "after", "sql", "file"} <= kinds
    assert way == "self-issued" or {"sent", "answered"} & kinds


@pytest.mark.soak
@pytest.mark.parametrize("way", PROVIDERS)
def test_pairs_of_kills(way: str, folder: Path, child: Child, fake: RemoteFake, random_seed: int) -> None:
    dice, began = random.Random(f"{way}{random_seed}"), time.time()
    pairs = 0
    for number in range(PAIRS):
        scene = Scene(folder / str(number), way, fake, child)
        names = scene.kill_and_go_on(dice.randrange(1, 170), dice.randrange(1, 170))
        scene.close()
        pairs += names is not None
    note("crash", way, {"pairs of points": PAIRS, "that were reached": pairs, "seed": random_seed,
                        "broken invariants": 0, "seconds": round(time.time() - began)})
    assert pairs > PAIRS * 0.8
