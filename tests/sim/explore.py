"""Finds scripts that lead into every corner of the tables, and writes them with their endings to endings.txt.

    python -m tests.sim.explore [STRATEGY…]   writes tests/sim/endings.txt again; review its diff before committing

From the script without faults on, each effect that a run shows is made to fail in each way; a script is kept when it
follows a new pair of arrows, or an arrow to a new ending. Then the kept ones are varied in the same way.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.sim.play import Cell, Script, play, watched
from tests.sim.world import Item

ENDINGS = Path(__file__).with_name("endings.txt")
DEPTH = 4
KINDS = (("before", 1), ("after", 1), ("lost", 1), ("lost", 99), ("nothing", 1), ("nothing", 4), ("nothing", 99),
         ("refuse", 1), ("refuse", 99), ("later", 99), ("abort", 1), ("vouch", 1), ("relapse", 1), ("neighbour", 1))
LOOKS = frozenset({"prove", "probe"})
HEADS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("overlap", ()), ("overlap", ("compromised",)), ("overlap", ("unproven",)),
    ("overlap", ("compromised", "unproven")), ("overlap", ("compromised", "forced", "unproven")),
    ("overlap", ("blind",)), ("overlap", ("undying",)), ("overlap", ("slow-death",)),
    ("alternate", ()), ("alternate", ("compromised",)), ("alternate", ("unproven",)),
    ("alternate", ("compromised", "unproven")), ("alternate", ("compromised", "forced", "unproven")),
    ("alternate", ("undying",)), ("alternate", ("slow-death",)), ("alternate", ("unplaced",)),
    ("assisted", ()), ("assisted", ("compromised",)), ("assisted", ("unproven",)), ("assisted", ("undying",)),
    ("cut-over", ()), ("cut-over", ("no-readback",)), ("cut-over", ("selfauth",)),
    ("cut-over", ("no-readback", "selfauth")), ("cut-over", ("unproven",)),
    ("refresh", ()), ("refresh", ("compromised",)), ("refresh", ("unproven",)), ("refresh", ("undying",)),
    ("refresh", ("deadly",)), ("refresh", ("silent",)), ("refresh", ("compromised", "deadly")),
    ("refresh", ("expiring", "unproven")), ("refresh", ("deadly", "unproven")),
    ("refresh", ("deadly", "helped")), ("refresh", ("silent", "helped")),
    ("self-issued", ()), ("self-issued", ("compromised",)), ("self-issued", ("unproven",)),
)
RARE = frozenset({"relapse", "neighbour"})
"""Of these, one script is kept for each effect, whatever it shows."""
COUNTS = re.compile(r"; [a-z0-9 ,]*")
EXTRA = ("planned.preflight refuse", "creating.create refuse", "creating.create lost always", "awaiting.obtain refuse",
         "creating.refresh refuse; awaiting.reauthorize refuse", "creating.refresh refuse; awaiting.reauthorize after",
         "creating.refresh refuse; creating.refresh later always",
         "creating.refresh refuse", "creating.refresh after", "creating.refresh lost always",
         "created.test refuse", "created.test later always", "staged.reload refuse",
         "creating.create before; discarding.find abort", "staged.reload after; probing.probe abort")
"""Kept under every head in which something happens by them: they end early, which other heads show as well."""
Feature = tuple[object, ...]


def varied(script: Script, seen: list[tuple[str, str]]) -> Iterator[Script]:
    """Each effect of the run, failing in each way; effects that the script names already are left alone."""
    named = {(item.state, item.effect) for item in script.items}
    for state, effect in dict.fromkeys(seen):
        if (state, effect) not in named:
            for kind, times in KINDS:
                if not sensible(script, state, effect, kind):
                    continue
                yield Script(script.strategy, script.traits, (*script.items, Item(state, effect, kind, times)))


def sensible(script: Script, state: str, effect: str, kind: str) -> bool:
    """Whether that fault can be. Looks may fail but do not lie: a probe has tried both values."""
    if kind == "relapse":  # where nobody looks, the person who vouches would lie
        return effect in LOOKS and "unproven" not in script.traits
    if kind == "neighbour":
        return script.strategy == "self-issued" and state != "planned"
    if kind == "refuse":
        return effect != "probe" and not (state == "proving-dead" and "slow-death" in script.traits)
    return True


def features(script: Script) -> tuple[set[Feature], list[tuple[str, str]], str]:
    """What a run shows: pairs of arrows, arrows with the ending; the effects seen; the ending."""
    cells: set[Cell] = set()
    arrows: list[tuple[str, str, str]] = []
    with watched(cells, arrows):
        world, end = play(script)
    shown: set[Feature] = {("pair", one, two) for one, two in pairwise(arrows)}
    shown |= {("end", arrow, COUNTS.sub("", end)) for arrow in arrows}
    shown |= {("happened", item.state, item.effect, item.kind) for item in script.items if item.kind in RARE}
    return shown, world.seen, end


def explore(strategy: str, traits: tuple[str, ...], known: set[Feature]) -> dict[str, str]:
    """Scripts under these traits that show something new, with their endings."""
    kept: dict[str, str] = {}
    frontier = [Script(strategy, traits)]
    for _ in range(DEPTH + 1):
        following: list[Script] = []
        for script in frontier:
            shown, seen, end = features(script)
            if shown <= known and script.items:
                continue
            known |= shown
            kept[str(script)] = end
            following.extend(varied(script, seen))
        frontier = following
    for text in EXTRA:
        script = Script.parse(f"{' '.join((strategy, *traits))} | {text}")
        shown, seen, end = features(script)
        if {(item.state, item.effect) for item in script.items} <= set(seen):
            kept[str(script)] = end
    return kept


def main(*only: str) -> None:
    """`only`: these strategies; the lines of all others stay as they are."""
    known: dict[str, set[Feature]] = {}
    lines: list[str] = []
    kept_lines = ENDINGS.read_text().splitlines() if only else []
    for strategy, traits in HEADS:
        if only and strategy not in only:
            head = " ".join((strategy, *traits)) + " | "
            lines.extend(line for line in kept_lines if line.startswith(head))
            continue
        kept = explore(strategy, traits, known.setdefault(strategy, set()))
        lines.extend(f"{script} => {end}" for script, end in kept.items())
        print(strategy, traits, len(kept), flush=True)
    ENDINGS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
