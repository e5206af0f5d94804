"""Every kind of target is built by its own adapter, and documented with what it can prove."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import get_args

from clawsecrets.config import find_paths, parse
from clawsecrets.config.shape import ConsumerConfig, InjectorConfig
from clawsecrets.config.targets import CONSUMERS, INJECTORS
from clawsecrets.data import data_path
from clawsecrets.wiring.targets import make_consumer, make_injector

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "draw_targets.py"
PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)


def test_the_table_is_fresh() -> None:
    drawn = runpy.run_path(str(SCRIPT))
    assert drawn["FILE"].read_text() == drawn["fresh"](), "run: python docs/draw_targets.py"


def test_it_has_every_kind() -> None:
    drawn = runpy.run_path(str(SCRIPT))
    assert set(drawn["INJECTORS"]) == set(INJECTORS) and set(drawn["CONSUMERS"]) == set(CONSUMERS)
    for kind in (*INJECTORS, *CONSUMERS):
        assert f"| `{kind}` |" in drawn["generated"]()


def test_each_is_built_of_the_module_that_the_table_quotes() -> None:
    text = re.sub(r"^#(?=[a-z\[])", "", (data_path("config") / "clawsecrets.toml").read_text(), flags=re.M)
    text = re.sub(r'^(owner|group) = "openclaw"$', r'\1 = "1000"', text, flags=re.M)
    config = parse(text, "c.toml", PATHS)
    drawn = runpy.run_path(str(SCRIPT))
    injectors = [make_injector(target) for target in config.injectors.values()]
    consumers = [make_consumer(target, lambda code: False, list, PATHS.state) for target in config.consumers.values()]
    assert {type(one).__module__ for one in injectors} == {one.__name__ for one in drawn["INJECTORS"].values()}
    assert {type(one).__module__ for one in consumers} == {one.__name__ for one in drawn["CONSUMERS"].values()}
    assert len(injectors) == len(get_args(InjectorConfig)) and len(consumers) > len(get_args(ConsumerConfig))
    for one, target in zip(consumers, config.consumers.values(), strict=True):
        assert one.target == target.name and set(one.reads) == set(target.reads) and one.describe()
