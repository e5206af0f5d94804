"""Playing scripts in the simulated world, and what is told of how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clawsecrets.model.record import Record
from clawsecrets.model.rotation import FINAL, Outcome, Rotation, Row, State, Table
from clawsecrets.model.secret import Stage
from tests.sim.world import NAME, Broken, Item, World

Cell = tuple[str, str]
"""(state, column)"""
WORDS = {"mint": "minted", "deliver": "written", "reload": "reloads", "revoke": "revokes"}
HEAVY_TRAITS = frozenset({"undying"})
"""With these a rotation may go on owing for ever."""


@dataclass(frozen=True)
class Script:
    """What goes wrong in one life of a rotation. Its text form stands in endings.txt."""

    strategy: str
    traits: tuple[str, ...] = ()
    items: tuple[Item, ...] = ()

    def __str__(self) -> str:
        return " | ".join([" ".join([self.strategy, *self.traits]), "; ".join(str(item) for item in self.items)])

    @classmethod
    def parse(cls, text: str) -> Script:
        """The inverse of `str`."""
        head, _, items = text.partition(" | ")
        strategy, *traits = head.split()
        return cls(strategy, tuple(traits), tuple(Item.parse(item) for item in items.split("; ") if item.strip()))

    def world(self) -> World:
        """A fresh world with it."""
        return World(self.strategy, script=self.items, traits=frozenset(self.traits))


def ending(world: World, record: Record) -> str:
    """Where it ended, with which value current, and how often something outside was changed."""
    rotation, current = record.rotation, record.current
    if rotation is None or current is None:
        raise Broken("no rotation")
    where = f"stuck in {rotation.stuck_in.value}" if rotation.stuck_in else rotation.state.value
    value = world.store.value(NAME, current.number).reveal()
    held = "old" if value == world.old else "new"
    pending = ", one pending" if record.staged(Stage.PENDING) else ""
    caveats = f", {len(rotation.caveats)} caveat(s)" if rotation.caveats else ""
    done = ", ".join(f"{world.done[what]} {word}" for what, word in WORDS.items() if world.done[what])
    return f"{where}, {held} current{pending}{caveats}" + (f"; {done}" if done else "")


def live_on(world: World, record: Record) -> Record:
    """From a stuck or waiting rotation to its end, in a world that has healed; then the debts are paid."""
    if record.rotation is not None and not record.rotation.final:
        record = world.heal()
        world.check_end(record)
        if record.rotation is None or record.rotation.state not in FINAL:
            raise Broken(f"it never ends: {world.trace}")
    if record.debts and not HEAVY_TRAITS & world.traits:
        for _ in range(2):
            world.pay()
            world.clock.sleep(100.0)
        record = world.store.load(NAME)
        world.check_end(record)
        if record.debts:
            raise Broken(f"a debt stays; {world.trace}")
    return record


def play(script: Script) -> tuple[World, str]:
    """Run a script to its very end. Broken when an invariant does not hold; else the world and its ending."""
    world = script.world()
    record = world.run()
    world.check_end(record)
    first = ending(world, record)
    last = live_on(world, record)
    assert last.rotation is not None
    return world, first if last is record else f"{first} -> {ending(world, last)}"


@contextmanager
def watched(cells: set[Cell], arrows: list[tuple[str, str, str]] | None = None) -> Iterator[None]:
    """Collect the cells of the tables that decide something, and the arrows followed, while it lasts."""
    real_go, real_settle = Rotation._go, Rotation.settle
    answered: list[Outcome] = []

    def settle(self: Rotation, table: Table, outcome: Outcome, *rest: Any, **named: Any) -> Rotation:
        answered.append(outcome)
        return real_settle(self, table, outcome, *rest, **named)

    def go(self: Rotation, row: Row, target: State, now: float, note: str) -> Rotation:
        moved = real_go(self, row, target, now, note)
        column = _column(row, answered[-1])
        cells.add((self.state.value, column))
        if moved.state is not target:
            cells.add((self.state.value, "over"))
        if arrows is not None:
            arrows.append((self.state.value, column, moved.state.value))
        return moved

    Rotation._go, Rotation.settle = go, settle  # type: ignore[method-assign]
    try:
        yield
    finally:
        Rotation._go, Rotation.settle = real_go, real_settle  # type: ignore[method-assign]


def _column(row: Row, outcome: Outcome) -> str:
    """The column that an arrow came from."""
    if outcome in (Outcome.OK, Outcome.REFUSED):
        return outcome.value
    if outcome is Outcome.UNKNOWN and row.unknown is not None:
        return "unknown"
    return "refused" if row.exhausted is None else "exhausted"
