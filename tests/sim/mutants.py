"""Single-cell mutants of the strategy tables and of what entering a state means, and whether the simulator sees them.

A mutant is caught when a script of endings.txt that reaches its cell breaks an invariant, never ends, or ends
otherwise than the file says. Only endings are compared, never the way there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from clawsecrets.errors import ClawError
from clawsecrets.model import record, strategies
from clawsecrets.model.rotation import FINAL, Row, State
from clawsecrets.model.secret import Stage
from clawsecrets.model.strategies import Mark
from tests.sim.explore import ENDINGS
from tests.sim.play import Cell, Script, play, watched
from tests.sim.world import Broken

COLUMNS = ("ok", "refused", "unknown", "exhausted", "over")
FEW = 600
"""Scripts tried on a mutant before it counts as missed (of those that reach its cell)."""


@dataclass(frozen=True)
class Mutant:
    """One cell with something else in it. `column` is a Row's, or `mark`, or `serves`."""

    strategy: str
    state: State
    column: str
    value: State | Mark | Stage | None

    def __str__(self) -> str:
        value = "nothing" if self.value is None else self.value.name
        return f"{self.strategy} {self.state.name}.{self.column} -> {value}"

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The tables with it."""
        tables, marks, serves = strategies.STRATEGIES, record.MARKS, record.SERVES
        try:
            if self.column == "mark":
                record.MARKS = _with(marks, self.state, self.value)
            elif self.column == "serves":
                record.SERVES = {**serves, self.strategy: _with(serves[self.strategy], self.state, self.value)}
            else:
                table = dict(tables[self.strategy])
                table[self.state] = replace(table[self.state], **{self.column: self.value})  # type: ignore[arg-type]
                strategies.STRATEGIES = {**tables, self.strategy: table}
            yield
        finally:
            strategies.STRATEGIES, record.MARKS, record.SERVES = tables, marks, serves


def _with(mapping: Mapping[State, object], state: State, value: object) -> dict[State, object]:
    rest = {key: item for key, item in mapping.items() if key is not state}
    return rest if value is None else {**rest, state: value}


def mutants() -> Iterator[Mutant]:
    """Every cell with every other state of its table, STUCK, the final ones, and (where it may be) nothing."""
    for strategy, table in strategies.STRATEGIES.items():
        others: list[State] = [*table, State.STUCK, *sorted(FINAL)]
        for state, row in table.items():
            yield from _of_row(strategy, state, row, others)
            marks: list[Mark | None] = [*Mark, None]
            now = strategies.MARKS.get(state)
            if now is not None:
                yield from (Mutant(strategy, state, "mark", mark) for mark in marks if mark is not now)
        for state in FINAL & {target for row in table.values() for target in row.targets()}:
            yield from (Mutant(strategy, state, "mark", m) for m in [*Mark, None] if m is not strategies.MARKS[state])
        for state, stage in strategies.SERVES.get(strategy, {}).items():
            stages = (Stage.PENDING, Stage.CURRENT, Stage.PREVIOUS)
            yield from (Mutant(strategy, state, "serves", other) for other in stages if other is not stage)


def _of_row(strategy: str, state: State, row: Row, others: list[State]) -> Iterator[Mutant]:
    for column in COLUMNS:
        now = getattr(row, column)
        if now is None:
            continue  # a cell that is not there is not a cell; an absent `unknown` says that the step is idempotent
        yield from (Mutant(strategy, state, column, value) for value in others if value is not now)
        if column in ("unknown", "exhausted"):
            yield Mutant(strategy, state, column, None)


@cache
def golden() -> dict[str, str]:
    """The reviewed endings by script."""
    return dict(line.rsplit(" => ", 1) for line in ENDINGS.read_text().splitlines())


@cache
def index() -> dict[str, dict[Cell, list[str]]]:
    """By strategy: the scripts that reach a cell (column `enter`: that enter the state), shortest first."""
    found: dict[str, dict[Cell, list[str]]] = {}
    for text in sorted(golden(), key=lambda line: (line.count(";"), line)):
        script = Script.parse(text)
        cells: set[Cell] = set()
        arrows: list[tuple[str, str, str]] = []
        with watched(cells, arrows):
            play(script)
        cells |= {(state, "enter") for arrow in arrows for state in (arrow[0], arrow[2])}
        for cell in cells:
            found.setdefault(script.strategy, {}).setdefault(cell, []).append(text)
    return found


def scripts_for(mutant: Mutant) -> list[str]:
    """The scripts that could tell."""
    cells = index()[mutant.strategy]
    if mutant.column in ("mark", "serves"):
        return cells.get((mutant.state.value, "enter"), [])
    column = mutant.column
    row = strategies.STRATEGIES[mutant.strategy][mutant.state]
    found = list(cells.get((mutant.state.value, column), []))
    if column == "refused" and row.exhausted is None:
        found += cells.get((mutant.state.value, "exhausted"), [])
    return found


def caught(mutant: Mutant, few: int = FEW) -> bool:
    """Whether the simulator notices it."""
    texts = scripts_for(mutant)[:few]
    with mutant.in_place():
        return any(_differs(text) for text in texts)


def _differs(text: str) -> bool:
    try:
        return play(Script.parse(text))[1] != golden()[text]
    except (Broken, AssertionError, KeyError, ValueError, RecursionError, ClawError):
        return True
