"""The tables in a simulated world: every single fault, every pair of crashes, and random scripts."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from clawsecrets.model.rotation import State
from tests.sim.world import CRASHES, FAULTS, World

CASES = [("overlap", True), ("assisted", True), ("cut-over", True), ("cut-over", False), ("self-issued", True)]


def play(strategy: str, readback: bool, faults: dict[int, str], *, compromised: bool = False) -> World:
    world = World(strategy, faults, compromised, readback)
    record = world.run()
    world.check_end(record)
    if record.rotation is not None and record.rotation.state is State.STUCK:
        record = world.unstick()
        world.check_end(record)
    if record.revocations:
        world.pay()
        world.check_end(world.store.load("acme"))
        assert not world.store.load("acme").revocations, world.trace
    return world


def length(strategy: str, readback: bool = True) -> int:
    return play(strategy, readback, {}).point


@pytest.mark.parametrize(("strategy", "readback"), CASES)
def test_without_faults_it_is_done(strategy: str, readback: bool) -> None:
    world = play(strategy, readback, {})
    rotation = world.store.load("acme").rotation
    assert rotation is not None and rotation.state is State.DONE
    assert world.store.value("acme", 2)


@pytest.mark.parametrize("compromised", [False, True])
@pytest.mark.parametrize(("strategy", "readback"), CASES)
def test_every_single_fault(strategy: str, readback: bool, compromised: bool) -> None:
    for point in range(1, length(strategy, readback) + 1):
        for fault in FAULTS:
            play(strategy, readback, {point: fault}, compromised=compromised)


@pytest.mark.parametrize(("strategy", "readback"), CASES)
def test_every_pair_of_crashes_ends_and_never_sticks(strategy: str, readback: bool) -> None:
    span = length(strategy, readback) + 12  # the second kill may fall into what the first one made necessary
    for first, second in itertools.combinations(range(1, span), 2):
        for kinds in itertools.product(CRASHES, repeat=2):
            world = play(strategy, readback, {first: kinds[0], second: kinds[1]})
            rotation = world.store.load("acme").rotation
            assert rotation is not None and rotation.final, world.trace


@pytest.mark.parametrize(("strategy", "readback"), CASES)
def test_random_scripts(strategy: str, readback: bool) -> None:
    seed = int(os.environ.get("CLAWSECRETS_SEED", random.SystemRandom().randrange(2**32)))
    cases = int(os.environ.get("CLAWSECRETS_SIM_CASES", "1500"))
    print(f"CLAWSECRETS_SEED={seed}")
    dice = random.Random(seed)
    for _ in range(cases):
        span = length(strategy, readback) + 25
        faults = {dice.randrange(1, span): dice.choice(FAULTS) for _ in range(dice.randrange(1, 7))}
        try:
            play(strategy, readback, faults, compromised=dice.random() < 0.2)
        except BaseException:
            print("script:", faults)
            raise
