"""SIGKILL before, inside and after every effect and every commit, with real processes, store, files and HTTP."""

from __future__ import annotations

import fcntl
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import ROOT, Child, Scene, provider
from tests.crash.parts import PROVIDERS
from tests.fake_provider import RemoteFake

SHARES = 2
"""Each strategy's points are shared among that many tests, so that two cores have work."""
PAIRS = 300
RESULTS = ROOT / "bench" / "results" / "crash.json"


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child() as made:
        yield made


@pytest.fixture(scope="module")
def fake() -> Iterator[RemoteFake]:
    with provider() as made:
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a file system: a killed process loses no page cache, so fsync has no say here."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as made:
        yield Path(made)


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
    note(way, {"pairs of points": PAIRS, "that were reached": pairs, "seed": random_seed, "broken invariants": 0,
               "seconds": round(time.time() - began)})
    assert pairs > PAIRS * 0.8


def note(way: str, figures: dict[str, int]) -> None:
    """Add figures to the results; several test processes may do so at once."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = json.loads(file.read() or "{}")
        known[way] = figures
        file.truncate(0)
        file.write(json.dumps(known, indent=1, sort_keys=True) + "\n")
