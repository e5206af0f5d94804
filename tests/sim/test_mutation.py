"""Single-cell mutants of the tables: the simulator must notice them."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from clawsecrets.model.strategies import STRATEGIES
from tests.sim.mutants import COLUMNS, Mutant, caught, mutants

EQUIVALENT = Path(__file__).with_name("equivalent.txt")
RESULTS = Path(__file__).resolve().parent.parent.parent / "bench" / "results" / "mutation.json"
SAMPLE = 500
LEAST = 0.95


def equivalents() -> list[str]:
    """The mutants that are known to make no difference."""
    return [line for line in EQUIVALENT.read_text().splitlines() if line and not line.startswith("#")]


def test_a_sample_of_mutants_is_caught(random_seed: int) -> None:
    known, every = set(equivalents()), list(mutants())
    chosen = random.Random(random_seed).sample(every, SAMPLE)
    missed = [str(mutant) for mutant in chosen if str(mutant) not in known and not caught(mutant)]
    print(f"{SAMPLE} of {len(every)} mutants, seed {random_seed}")
    assert not missed, f"seed {random_seed}"


def test_the_equivalent_ones_are_few_and_exist() -> None:
    every = [str(mutant) for mutant in mutants()]
    known = equivalents()
    assert len(set(known)) == len(known)
    assert set(known) <= set(every)
    assert len(known) < (1 - LEAST) * len(every)


def test_the_table_itself_is_not_caught() -> None:
    """The check of the check: a mutant that changes nothing ends as the file says."""
    for strategy, table in STRATEGIES.items():
        state, row = list(table.items())[1]
        assert not caught(Mutant(strategy, state, "ok", row.ok), few=5)


@pytest.mark.soak
def test_every_mutant() -> None:
    began, hit, total, missed = time.time(), Counter[str](), Counter[str](), []
    for mutant in mutants():
        column = mutant.column if mutant.column in COLUMNS else f"{mutant.column} cells"
        total[column] += 1
        if caught(mutant, few=10_000):
            hit[column] += 1
        else:
            missed.append(str(mutant))
    figures = {
        "mutants": sum(total.values()), "caught": sum(hit.values()),
        "share": round(sum(hit.values()) / sum(total.values()), 4),
        "by column": {column: f"{hit[column]} of {number}" for column, number in sorted(total.items())},
        "equivalent": len(missed), "seconds": round(time.time() - began),
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    assert sorted(missed) == sorted(equivalents()), "say why it cannot be seen, or take it off the list"
    assert hit.total() / total.total() >= LEAST
