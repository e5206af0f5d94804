"""Single-cell mutants of the strategy tables, and the question whether the simulator catches one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from clawsecrets.model import strategies
from clawsecrets.model.rotation import FINAL, Row, State
from tests.sim.test_simulator import CASES, FAULTS, length, play
from tests.sim.world import CRASHES, Broken

COLUMNS = ("ok", "refused", "unknown", "exhausted", "over")


@dataclass(frozen=True)
class Mutant:
    """One cell of one table with another state in it."""

    strategy: str
    state: State
    column: str
    value: State | None

    def row(self) -> Row:
        return replace(strategies.STRATEGIES[self.strategy][self.state], **{self.column: self.value})  # type: ignore[arg-type]

    def __str__(self) -> str:
        was = getattr(strategies.STRATEGIES[self.strategy][self.state], self.column)
        return f"{self.strategy}.{self.state.value}.{self.column}: {was} -> {self.value}"


def mutants() -> Iterator[Mutant]:
    """Every cell with every other state of its table, STUCK, the final ones, and (where it may be) nothing."""
    for strategy, table in strategies.STRATEGIES.items():
        others: list[State | None] = [*table, State.STUCK, *sorted(FINAL)]
        for state, row in table.items():
            for column in COLUMNS:
                now = getattr(row, column)
                if now is None:
                    continue  # a cell that is not there is not a cell; `unknown` of idempotent rows is meant so
                yield from (Mutant(strategy, state, column, value) for value in others if value is not now)
                if column == "unknown":
                    yield Mutant(strategy, state, column, None)


def caught(mutant: Mutant) -> bool:
    """Whether the simulator notices it."""
    tables = dict(strategies.STRATEGIES)
    table = dict(tables[mutant.strategy])
    table[mutant.state] = mutant.row()
    real = strategies.STRATEGIES
    strategies.STRATEGIES = {**tables, mutant.strategy: table}
    try:
        for case in CASES:
            if case[0] == mutant.strategy:
                _quick(*case)
    except (Broken, AssertionError, KeyError, ValueError, RecursionError):
        return True
    except Exception as error:
        return type(error).__module__.startswith("clawsecrets")
    finally:
        strategies.STRATEGIES = real
    return False


_expected: dict[tuple[str, bool], dict[tuple[int, str, bool], State]] = {}


def _quick(strategy: str, readback: bool) -> None:
    """The simulator in small: no fault, single faults with the end each must have, pairs of crashes, random."""
    known = _expected.setdefault((strategy, readback), {})
    learning = not known
    span = SPANS[strategy, readback]
    for compromised in (False, True):
        for point, fault in itertools.product(range(1, span + 1), ("", *FAULTS)):
            world = play(strategy, readback, {point: fault} if fault else {}, compromised=compromised)
            rotation = world.store.load("acme").rotation
            assert rotation is not None
            if learning:
                known[point, fault, compromised] = rotation.state
            assert known[point, fault, compromised] is rotation.state
    dice = random.Random(1)
    for _ in range(60):
        points = sorted(dice.sample(range(1, span + 8), 2))
        world = play(strategy, readback, {p: dice.choice(CRASHES) for p in points})
        rotation = world.store.load("acme").rotation
        assert rotation is not None and rotation.final
    for _ in range(300):
        faults = {dice.randrange(1, span + 25): dice.choice(FAULTS) for _ in range(dice.randrange(2, 7))}
        play(strategy, readback, faults, compromised=dice.random() < 0.2)


SPANS = {case: length(*case) for case in CASES}
for _case in CASES:
    _quick(*_case)
