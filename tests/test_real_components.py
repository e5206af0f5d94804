"""A missing real component is loud, and fails the run where it is required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = """
import pytest

@pytest.mark.real
def test_needs_it():
    raise AssertionError("it ran without its component")

def test_needs_nothing():
    pass

def test_skips_for_another_reason():
    pytest.skip("not today")
"""


def run_sample(folder: Path, *, required: bool) -> subprocess.CompletedProcess[str]:
    (folder / "test_sample.py").write_text(SAMPLE)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "CLAWSECRETS_OPENCLAW_DIR": str(folder / "nothing"),
        "CLAWSECRETS_REQUIRE_REAL": "1" if required else "0",
    }
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull, "--rootdir", ".", "-q"]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "test_sample.py"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LONG,
    )


def test_a_missing_component_is_listed_at_the_end(tmp_path: Path) -> None:
    done = run_sample(tmp_path, required=False)
    assert done.returncode == 0, done.stdout
    assert "NOT RUN: real components are missing" in done.stdout
    assert "1 test(s): Skipped: real component missing: openclaw" in done.stdout
    assert "test_sample.py::test_needs_it" in done.stdout
    assert "1 passed, 2 skipped" in done.stdout


def test_a_required_component_fails_the_run(tmp_path: Path) -> None:
    done = run_sample(tmp_path, required=True)
    assert done.returncode == 1, done.stdout
    assert "CLAWSECRETS_REQUIRE_REAL is set, and this did not run" in done.stdout
    assert "ERROR test_sample.py::test_needs_it" in done.stdout


def test_the_seed_is_printed_and_repeats_the_run(request: pytest.FixtureRequest, random_seed: int) -> None:
    assert random_seed == int(request.config.option.hypothesis_seed)
    assert 0 <= random_seed < 2**32 or os.environ.get("PYTEST_XDIST_WORKER")
