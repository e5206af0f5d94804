"""The build defends the architecture: layers, sizes, purity, and what may never be written."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "clawsecrets"
MODULE_LINES = 400
FUNCTION_LINES = 50
PURE_STRANGERS = frozenset(
    {"time", "random", "secrets", "os", "logging", "socket", "subprocess", "datetime", "pathlib", "io", "sys"}
)
"""Standard library modules that the model may not import: clock, randomness, I/O, logging."""
WHERE_ALL_IS_CAUGHT = "clawsecrets/daemon/guard.py"
NEVER_NAMED = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc"})

REVEAL: Mapping[str, str] = {
    "clawsecrets/model/value.py": "defines it",
    "clawsecrets/stores/": "seals the value",
    "clawsecrets/issuers/": "sends it to its provider",
    "clawsecrets/injectors/": "writes it where its process reads it",
    "clawsecrets/consumers/": "hands it to the process that validates it",
    "clawsecrets/running/": "gives it to the command that is run, and masks it",
    "clawsecrets/clients/": "puts it on the wire",
    "clawsecrets/importers/recognise.py": "looks at it: patterns, placeholders, entropy",
    "clawsecrets/importers/candidates.py": "hashes it in memory, to find equal ones",
    "clawsecrets/notifiers/courier.py": "hands a channel's address to the process that sends there",
    "clawsecrets/wiring/adopting.py": "looks for it on disk, and gives OpenClaw's own command its variables",
    "clawsecrets/wiring/notifying.py": "takes it out of messages that should never hold it",
    "clawsecrets/adopting/": "seals what undoes it, puts it back, and looks whether any is left",
    "clawsecrets/shadows/": "looks for it where OpenClaw and the host read",
    "clawsecrets/scan/": "matches it, masks it, takes its fingerprint",
    "clawsecrets/cli/": "prints it when --reveal or --raw asks for it",
}
"""Where `.reveal()` and `.reveal_text()` may be called (a file, or a folder with a slash at its end), and why."""


def modules(package: Path = PACKAGE) -> list[Path]:
    return sorted(package.rglob("*.py"))


def named(path: Path, root: Path = ROOT) -> str:
    return path.relative_to(root).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


# --- the rules, each a function from a file to its faults, so that each can be shown to fail ------------------------


def too_long(path: Path) -> Iterator[str]:
    lines = len(path.read_text().splitlines())
    if lines > MODULE_LINES:
        yield f"{lines} lines"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{node.name}: {length} lines"


def catches_everything(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type] if not isinstance(node.type, ast.Tuple) else node.type.elts
            names = {ast.unparse(one) if one is not None else "everything" for one in caught}
            if names & {"Exception", "BaseException", "everything"} and not _raises_again(node):
                yield f"line {node.lineno}: except {', '.join(sorted(names))}"


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Cleaning up and raising the same error again swallows nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def impure(path: Path) -> Iterator[str]:
    for name in imports(path):
        top = name.partition(".")[0]
        if name.startswith("clawsecrets.model") or name == "clawsecrets.errors":
            continue
        if top not in sys.stdlib_module_names or top in PURE_STRANGERS:
            yield f"imports {name}"


def reveals(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and node.attr in ("reveal", "reveal_text"):
            yield f"line {node.lineno}: reveal"


def badly_named(path: Path) -> Iterator[str]:
    if path.stem in NEVER_NAMED or path.parent.name in NEVER_NAMED:
        yield "says nothing about what is in it"


def leaves_work(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if any(mark in line for mark in ("TODO", "FIXME", "XXX:", "raise NotImplementedError")):
            yield f"line {number}: {line.strip()}"


def faults(rule: Callable[[Path], Iterator[str]], paths: list[Path], root: Path = ROOT) -> list[str]:
    return [f"{named(path, root)}: {fault}" for path in paths for fault in rule(path)]


# --- the package keeps them ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [too_long, catches_everything, badly_named, leaves_work])
def test_the_package_keeps(rule: Callable[[Path], Iterator[str]]) -> None:
    paths = [path for path in modules() if rule is not catches_everything or named(path) != WHERE_ALL_IS_CAUGHT]
    assert len(paths) > 10
    assert faults(rule, paths) == []


def test_the_model_is_pure() -> None:
    assert faults(impure, modules(PACKAGE / "model")) == []


def allowed(name: str) -> bool:
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in REVEAL)


def test_values_leave_only_where_they_must() -> None:
    strangers = [path for path in modules() if not allowed(named(path))]
    allow_list = "\n".join(f"  {place}: {why}" for place, why in REVEAL.items())
    assert faults(reveals, strangers) == [], f"`.reveal()` is allowed in:\n{allow_list}"


# --- and each rule can fail ---------------------------------------------------------------------------------------

BROKEN: list[tuple[Callable[[Path], Iterator[str]], str, str]] = [
    (too_long, "long.py", "x = 1\n" * (MODULE_LINES + 1)),
    (too_long, "long.py", "def f():\n" + "    x = 1\n" * FUNCTION_LINES),
    (catches_everything, "wide.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    (catches_everything, "wide.py", "try:\n    f()\nexcept (KeyError, BaseException) as e:\n    pass\n"),
    (catches_everything, "wide.py", "try:\n    f()\nexcept:\n    pass\n"),
    (badly_named, "utils.py", ""),
    (leaves_work, "later.py", "# TO" + "DO: later\n"),
    (impure, "clock.py", "import time\n"),
    (impure, "clock.py", "def f():\n    from os.path import join\n"),
    (impure, "clock.py", "import requests\n"),
    (impure, "clock.py", "from clawsecrets import ports\n"),
    (reveals, "leak.py", "print(value.reveal())\n"),
]


@pytest.mark.parametrize(("rule", "name", "source"), BROKEN)
def test_the_rule_sees(tmp_path: Path, rule: Callable[[Path], Iterator[str]], name: str, source: str) -> None:
    (tmp_path / name).write_text(source)
    assert faults(rule, [tmp_path / name], tmp_path) != []


# --- import contracts -----------------------------------------------------------------------------------------------


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package under `root`, with the contracts of this checkout."""
    start = "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"
    return subprocess.run(
        [sys.executable, "-c", start, "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        cwd=root, env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )


def test_the_import_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "source", "contract"),
    [
        ("stray.py", "", "Shells on top"),
        ("ports.py", "import clawsecrets.rotate\n", "Shells on top"),
        ("ports.py", "import clawsecrets.scan_ports\n", "Shells on top"),
        ("scan_ports.py", "import clawsecrets.ports\n", "Shells on top"),
        ("store_ports.py", "import clawsecrets.ports\n", "Shells on top"),
        ("model/rotation.py", "import clawsecrets.ports\n", "Shells on top"),
        ("rotate/engine.py", "import clawsecrets.config\n", "Shells on top"),
        ("rotate/engine.py", "import requests\n", "requests and websockets live in clients"),
        ("config/load.py", "def f():\n    import rich\n", "typer and rich live in cli"),
        ("rotate/engine.py", "import cryptography\n", "cryptography lives in stores"),
        ("wiring/shop.py", "import apscheduler\n", "apscheduler lives in daemon"),
        ("cli/planning.py", "import prometheus_client\n", "prometheus-client lives in daemon"),
        ("injectors/envfile.py", "import jinja2\n", "jinja2 lives in injectors.jinja"),
        ("running/mask.py", "import clawsecrets.scan.literals\n", "Shells on top"),
        ("notifiers/channels.py", "import apprise\n", "apprise lives in notifiers.apprise"),
        ("daemon/keeper.py", "import clawsecrets.cli\n", "Shells on top"),
    ],
)
def test_a_broken_contract_is_seen(tmp_path: Path, module: str, source: str, contract: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "clawsecrets", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "clawsecrets" / module
    path.write_text((path.read_text() if path.exists() else "") + source)
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(contract in line and "BROKEN" in line for line in done.stdout.splitlines()), done.stdout
