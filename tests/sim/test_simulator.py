"""The tables in a simulated world: reviewed endings, every single fault, every pair of crashes, random scripts."""

from __future__ import annotations

import itertools
import os
import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.model.rotation import State
from clawsecrets.model.strategies import STRATEGIES, table_for
from tests.sim.explore import HEADS, KINDS, sensible
from tests.sim.mutants import golden, index
from tests.sim.play import Script, live_on, play
from tests.sim.world import CRASHES, FAULTS, NAME, Item, World

CASES = [("overlap", ""), ("alternate", ""), ("alternate", "unplaced"), ("assisted", ""), ("cut-over", ""),
         ("cut-over", "no-readback"), ("refresh", ""), ("self-issued", "")]


def go(strategy: str, trait: str, faults: dict[int, str], *, compromised: bool = False) -> World:
    """One life with faults at numbered points, to its very end."""
    traits = {trait} if trait else set()
    world = World(strategy, faults, traits=frozenset(traits | ({"compromised"} if compromised else set())))
    record = world.run()
    world.check_end(record)
    world.end_state = record.rotation.state if record.rotation else None  # type: ignore[attr-defined]
    live_on(world, record)
    return world


def length(strategy: str, trait: str) -> int:
    return go(strategy, trait, {}).point


@cache
def undisturbed(strategy: str, trait: str) -> list[str]:
    """The trace of a life without faults: always the same one."""
    return go(strategy, trait, {}).trace


# --- endings ---


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_script_ends_as_reviewed(strategy: str) -> None:
    scripts = {text: end for text, end in golden().items() if Script.parse(text).strategy == strategy}
    assert len(scripts) > 60
    wrong = {text: (end, now) for text, end in scripts.items() if (now := play(Script.parse(text))[1]) != end}
    assert not wrong, "if that is meant: python -m tests.sim.explore, and review the diff"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_scripts_reach_every_cell(strategy: str) -> None:
    """A cell that no script reaches would be untested, and may be one that cannot be reached at all."""
    missing = set()
    for state, row in table_for(strategy).items():
        columns = ["ok", "refused", *(c for c in ("unknown", "exhausted", "over") if getattr(row, c) is not None)]
        for column in columns:
            reached = (state.value, column) in index()[strategy]
            if not reached and (strategy, state.value, column) not in UNREACHABLE:
                missing.add((strategy, state.value, column))
    assert not missing


UNREACHABLE: dict[tuple[str, str, str], str] = {}


# --- faults at points ---


@pytest.mark.parametrize(("strategy", "trait"), CASES)
def test_without_faults_it_is_done(strategy: str, trait: str) -> None:
    world = go(strategy, trait, {})
    rotation = world.store.load(NAME).rotation
    assert rotation is not None and rotation.state is State.DONE
    assert world.store.value(NAME, rotation.new_version)


@pytest.mark.parametrize("compromised", [False, True])
@pytest.mark.parametrize(("strategy", "trait"), CASES)
def test_every_single_fault(strategy: str, trait: str, compromised: bool) -> None:
    for point in range(1, length(strategy, trait) + 1):
        for fault in FAULTS:
            if not lies(strategy, trait, point, fault):
                go(strategy, trait, {point: fault}, compromised=compromised)


def lies(strategy: str, trait: str, point: int, fault: str) -> bool:
    """A refusing probe would be a lie, which probes do not tell (they try both values)."""
    trace = undisturbed(strategy, trait)
    return fault == "refuse" and point <= len(trace) and trace[point - 1].endswith("probe")


@pytest.mark.parametrize(("strategy", "trait"), CASES)
def test_every_pair_of_crashes_ends_and_never_sticks(strategy: str, trait: str) -> None:
    span = length(strategy, trait) + 12  # the second kill may fall into what the first one made necessary
    for first, second in itertools.combinations(range(1, span), 2):
        for kinds in itertools.product(CRASHES, repeat=2):
            world = go(strategy, trait, {first: kinds[0], second: kinds[1]})
            assert world.end_state is not State.STUCK, world.trace  # type: ignore[attr-defined]


@pytest.mark.parametrize(("strategy", "trait"), CASES)
def test_random_crashes_and_lost_answers(strategy: str, trait: str) -> None:
    seed = int(os.environ.get("CLAWSECRETS_SEED", random.SystemRandom().randrange(2**32)))
    cases = int(os.environ.get("CLAWSECRETS_SIM_CASES", "1500"))
    print(f"CLAWSECRETS_SEED={seed}")
    dice = random.Random(seed)
    span = length(strategy, trait) + 25
    for _ in range(cases):
        faults = {dice.randrange(1, span): dice.choice(NO_LIES) for _ in range(dice.randrange(1, 7))}
        try:
            go(strategy, trait, faults, compromised=dice.random() < 0.2)
        except BaseException:
            print("script:", faults)
            raise


NO_LIES = tuple(fault for fault in FAULTS if fault != "refuse")

# --- scripts out of nothing ---


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Any head with up to five faults at effects that the reviewed scripts know."""
    strategy, traits = draw(st.sampled_from(HEADS))
    places = sorted({(item.state, item.effect) for text in golden() if text.startswith(strategy)
                     for item in Script.parse(text).items})
    items: list[Item] = []
    for state, effect in draw(st.lists(st.sampled_from(places), max_size=5, unique=True)):
        kind, times = draw(st.sampled_from(KINDS))
        if sensible(Script(strategy, traits), state, effect, kind):
            items.append(Item(state, effect, kind, times))
    return Script(strategy, traits, tuple(items))


@given(scripts())
def test_any_script_keeps_the_invariants_and_ends(script: Script) -> None:
    play(script)


@pytest.mark.soak
@given(scripts())
def test_many_more_scripts(script: Script) -> None:
    play(script)


@given(scripts())
def test_a_script_can_be_written_and_read(script: Script) -> None:
    assert Script.parse(str(script)) == script
