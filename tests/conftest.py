"""What all tests share: real components (loudly missing, or a failure), Hypothesis profiles, the canary.

CLAWSECRETS_REQUIRE_REAL=1 turns every skip of a test that needs a real component into a failure (`.ci/run`).
"""

from __future__ import annotations

import gc
import os
import random
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import canary as canaries
from tests import order, warm
from tests.cli import ready
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
    """Choose the random seed here, where it can be printed; xdist hands the option to its workers. And heed signals
    that whoever started us ignores (`nohup`, a shell's `&`): a child inherits that, and tests send them."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if getattr(config.option, "hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))
    warm.begin(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config) -> None:
    """Files go out in the order of `pytest_collection_modifyitems`, not in xdist's own, by their numbers of tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run of several processes."""
    if hasattr(config, "workerinput"):
        order.longest_first(items)


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


# --- what a file leaves behind -----------------------------------------------------------------------------------


_left: set[str] = set()
"""Children that were told already: they are not the fault of the next file."""
_open = [0]
"""How many descriptors were open when the file began."""
HELD = 50
"""Descriptors more than before that a file may leave open: some belong to modules that it was the first to import."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """What was open before any test."""
    _open[0] = _descriptors()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """A file ends without children (none that runs on, none that nobody waited for; one serves all files: ready.py),
    and has closed what it opened: every process of tests runs hundreds of files. Its last test fails otherwise."""
    yield
    if nextitem is None or nextitem.path != item.path:
        left = {name: what for name, what in _children().items() if name not in _left}
        _left.update(left)
        if _descriptors() > _open[0] + HELD:
            gc.collect()
        before, _open[0] = _open[0], _descriptors()
        assert not left, f"{item.path.name} left processes behind: {', '.join(left.values())}"
        assert _open[0] <= before + HELD, f"{item.path.name} left {_open[0] - before} descriptors open"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _children() -> dict[str, str]:
    """The children of this process: number and start -> state and command, as far as the kernel tells them."""
    found = {}
    for file in Path("/proc/self/task").glob("*/children"):
        for number in {*_read(file).split()} - {str(ready.pid())}:
            _, _, rest = _read(Path("/proc", number, "stat")).rpartition(")")
            if fields := rest.split():
                command = _read(Path("/proc", number, "cmdline")).replace("\0", " ")[:200]
                found[f"{number} {fields[19]}"] = f"{number} ({fields[0]}) {command}"
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # it ended meanwhile
        return ""


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
