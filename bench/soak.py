"""The full counts, one part after another. The summary goes to bench/results/soak.json, further figures beside it.

    python -m bench.soak [PART …]      gateway, daemon, copy, cluster, injectors, simulator, crash, crash-vault,
                                       crash-injectors, samples, fuzz, other; all when none is named
    SEED=N python -m bench.soak        the same random samples again

Gateway, daemon, copy and injectors come first and alone: they measure. Exit code 1 when anything failed, 2 for a part
that there is not.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from bench import asked, figures, report

ROOT = Path(__file__).parents[1]
PARALLEL = ("-n", "2", "--dist", "loadfile")
EVERYTHING = "soak or not soak"
PARTS: dict[str, tuple[str, ...]] = {
    "gateway": ("tests/soak/test_gateway.py", "-m", "soak", "-n", "0"),
    "daemon": ("tests/soak/test_daemon.py", "-m", "soak", "-n", "0"),
    "copy": ("tests/soak/test_copy.py", "-m", "soak", "-n", "0"),
    "injectors": ("tests/soak/test_injectors.py", "-m", "soak", "-n", "0"),
    "cluster": ("tests/soak/test_cluster.py", "-m", "soak", "-n", "0", "-s"),
    "simulator": ("tests/sim", "-m", EVERYTHING, "--hypothesis-profile=soak", *PARALLEL),
    "crash": ("tests/crash/test_crash.py", "tests/crash/test_race.py", "-m", EVERYTHING, *PARALLEL),
    "crash-vault": ("tests/crash/test_crash_vault.py", "-m", "soak", "-n", "2"),
    "crash-injectors": ("tests/crash/test_crash_targets.py", "tests/crash/test_crash_engine.py", "-m", "soak",
                        *PARALLEL),
    "samples": ("tests", "--ignore=tests/sim", "-m", "hypothesis and not soak", "--hypothesis-profile=soak", *PARALLEL),
    "fuzz": ("tests/fuzz", "-m", EVERYTHING, *PARALLEL),
    "other": ("tests", "-m", "soak", "--ignore=tests/soak", "--ignore=tests/sim", "--ignore=tests/crash",
              "--ignore=tests/fuzz", *PARALLEL),
}
NOTHING_SELECTED = 5
"""pytest's exit code when no test was chosen."""


@dataclass(frozen=True)
class Counted:
    """How one part ended."""

    tests: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    seed: int


def run(name: str, seed: int) -> Counted:
    """Run one part, its output on the terminal."""
    words = PARTS[name]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.xml"
        began = time.monotonic()
        print(f"--- {name}: pytest {' '.join(words)} (seed {seed})", flush=True)
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", *words, f"--hypothesis-seed={seed}",
                               f"--junitxml={told}"], cwd=ROOT, check=False).returncode
        seconds = round(time.monotonic() - began, 1)
        total, failed, skipped = _counts(told)
    if code not in (0, NOTHING_SELECTED) and not failed:
        failed = 1  # it did not even come to its tests
    return Counted(" ".join(words), total - failed - skipped, failed, skipped, seconds, seed)


def _counts(told: Path) -> tuple[int, int, int]:
    if not told.exists():
        return 0, 0, 0
    suites = list(ElementTree.parse(told).getroot().iter("testsuite"))

    def total(*keys: str) -> int:
        return sum(int(suite.get(key, 0)) for suite in suites for key in keys)

    return total("tests"), total("failures", "errors"), total("skipped")


def main(names: Sequence[str]) -> int:
    """Run the parts, keep the summary, print it."""
    if (code := asked.answered(names, PARTS, "part", __doc__ or "")) is not None:
        return code
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(2**32))
    machine = figures.machine()
    parts = {name: run(name, seed) for name in names or PARTS}
    known = figures.read("soak").get("parts", {}) if names else {}
    figures.write("soak", machine, {"parts": known | {name: asdict(part) for name, part in parts.items()}})
    report.write()
    for name, part in parts.items():
        print(f"{name:<11} {part.passed:>5} passed {part.failed:>4} failed {part.skipped:>4} skipped "
              f"{part.seconds:>8.1f} s  seed {part.seed}")
    return 1 if any(part.failed for part in parts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
