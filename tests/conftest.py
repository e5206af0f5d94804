"""What all tests share: real components (loudly missing, or a failure), Hypothesis profiles, the canary.

CLAWSECRETS_REQUIRE_REAL=1 turns every skip of a test that needs a real component into a failure (`.ci/run`).
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import canary as canaries
from tests.real_components import COMPONENTS, DEFAULT

REAL_TESTS = Path(__file__).parent / "real"
MISSING = "real component missing"

_CALM = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("default", max_examples=100, deadline=None, print_blob=True, suppress_health_check=_CALM)
settings.register_profile("soak", max_examples=5000, deadline=None, print_blob=True, suppress_health_check=_CALM)
settings.load_profile("default")


def _real_is_required() -> bool:
    return os.environ.get("CLAWSECRETS_REQUIRE_REAL", "") not in ("", "0")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the random seed here, where it can be printed; xdist hands the option to its workers."""
    if getattr(config.option, "hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    """The seed, to repeat a run."""
    seed = config.option.hypothesis_seed
    return f"random samples: repeat with --hypothesis-seed={seed}" + (
        "; real components REQUIRED" if _real_is_required() else ""
    )


@pytest.fixture
def canary() -> bytes:
    """A value that must appear nowhere; look for it with `tests.canary.search`."""
    return canaries.fresh()


@pytest.fixture
def random_seed(request: pytest.FixtureRequest) -> int:
    """The run's seed (printed in the header), for random samples outside Hypothesis."""
    return int(request.config.option.hypothesis_seed)


# --- real components ---------------------------------------------------------------------------------------------


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `real` whose component is not there, saying which and why."""
    for marker in item.iter_markers("real"):
        for name in marker.args or (DEFAULT,):
            if reason := COMPONENTS[name].missing():
                pytest.skip(f"{MISSING}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Mark skips of tests that need a real component; where it is required, they fail."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _is_real(item):
        _judge_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file under tests/real that skips itself while it is imported."""
    report = yield
    if report.skipped and collector.path.is_relative_to(REAL_TESTS):
        _judge_skip(report)
    return report


def _is_real(item: pytest.Item) -> bool:
    return item.get_closest_marker("real") is not None or item.path.is_relative_to(REAL_TESTS)


def _judge_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.sections.append((MISSING, reason))
    if _real_is_required():
        report.outcome = "failed"
        report.longrepr = f"CLAWSECRETS_REQUIRE_REAL is set, and this did not run: {reason}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly, at the end, what did not run for want of a real component."""
    missing: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        for title, reason in report.sections:
            if title == MISSING:
                missing.setdefault(reason, []).append(report.nodeid)
    if not missing:
        return
    terminalreporter.section("NOT RUN: real components are missing", sep="!", red=True, bold=True)
    for reason, tests in missing.items():
        terminalreporter.line(f"{len(tests)} test(s): {reason}")
        for test in tests:
            terminalreporter.line(f"  {test}")
    terminalreporter.line("This run proves nothing about them. `make real` installs what can be installed.")
