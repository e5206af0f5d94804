"""The drawn tables in docs/strategies.md are those of the code."""

from __future__ import annotations

import runpy
from pathlib import Path

from clawsecrets.model.strategies import STRATEGIES

SCRIPT = Path(__file__).resolve().parent.parent.parent / "docs" / "draw_strategies.py"


def test_the_diagrams_are_fresh() -> None:
    drawn = runpy.run_path(str(SCRIPT))
    assert drawn["FILE"].read_text() == drawn["fresh"](), "run: python docs/draw_strategies.py"


def test_every_arrow_is_drawn() -> None:
    text = runpy.run_path(str(SCRIPT))["generated"]()
    for strategy, table in STRATEGIES.items():
        part = text.split(f"## {strategy}\n")[1].split("## ")[0]
        for state, row in table.items():
            for target in {row.ok, row.refused, row.unknown, row.exhausted, row.over, row.abort} - {None}:
                assert f"    {state.value} --> {target.value}: ".replace("-", "_").replace("__>", "-->") in part  # type: ignore[union-attr]
