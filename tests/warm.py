"""The shipped rules, compiled once for all processes of a test run: that takes seconds, and every scan needs them.

    put(home / "cache")         a home's cache folder, with them
    ruleset()                   them

How they are compiled and kept is tested where that is the point: tests/scan/test_ruleset.py, the transcript `rules`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from clawsecrets.scan.ruleset import Ruleset

FOLDER = "CLAWSECRETS_TEST_WARM"
"""The variable that names the folder: the run's first process makes it, its workers find it there."""


def begin(config: pytest.Config) -> None:
    """Make the folder for as long as this run lasts, unless a process above has made it."""
    if FOLDER not in os.environ:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="clawsecrets-warm-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(FOLDER), ignore_errors=True))


@cache
def ruleset() -> Ruleset:
    """All shipped rules; from the run's folder, where the first who asks puts them while the others wait."""
    from clawsecrets.config.paths import find_paths  # conftest.py imports this file, for every run
    from clawsecrets.wiring.rules import load_ruleset

    folder = Path(os.environ[FOLDER])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return load_ruleset(find_paths(environ={"CLAWSECRETS_HOME": str(folder), "HOME": str(folder)}))


def put(cache: Path) -> None:
    """Put them into this cache folder, which is made where there is none."""
    cache.mkdir(parents=True, mode=0o700, exist_ok=True)
    ruleset()
    for rules in (Path(os.environ[FOLDER]) / "cache").glob("rules-*"):
        shutil.copy(rules, cache)
