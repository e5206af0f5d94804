"""What a command imports before it does anything: a third of its time was pydantic, which typer loads for each word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.desk import LIMIT, SCRIPT

LOADED = "import sys\nfrom clawsecrets.cli.entry import main\ntry:\n    main()\nfinally:\n    print(*sys.modules)\n"


def started(words: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, input="",
                          env={**os.environ, "CLAWSECRETS_HOME": str(home), "HOME": str(home)})


@pytest.mark.parametrize("words", [
    ["list"], ["status", "--json"], ["get", "one-key"], ["set", "one-key", "--env", "ONE_KEY"], ["plan"],
    ["rotate", "one-key", "two-keys", "--dry-run"], ["configure", "one-key", "--inject", "a", "--inject", "b"],
], ids=" ".join)
def test_words_that_are_text_load_no_pydantic(words: list[str], tmp_path: Path) -> None:
    ran = started(words, tmp_path)
    loaded = ran.stdout.splitlines()[-1].split()
    assert "typer.core" in loaded and "clawsecrets.cli.session" in loaded, ran
    assert "pydantic" not in loaded and "there is no store" in ran.stderr, ran


CTRL_C = """import os, signal, sys
class Hit:
    def find_spec(self, name, *_):
        if name == os.environ["AT"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Hit())
real = os.read
def read(*given):
    if os.environ["AT"] == "read":
        os.kill(os.getpid(), signal.SIGINT)
    return real(*given)
os.read = read
"""
"""sitecustomize: Ctrl-C when module AT is about to be loaded, or at the first read."""


@pytest.mark.parametrize(("at", "words"), [
    ("typer", "doctor"), ("clawsecrets.cli.app", "status"), ("clawsecrets.cli.session", "list"),
    ("clawsecrets.cli.output", "list"), ("clawsecrets.wiring.hushing", "nonsense"),
    ("clawsecrets.cli.scan_words", "scan"), ("clawsecrets.cli.scan_run", "scan path ."),
    ("clawsecrets.injectors.resolve", "resolve"), ("read", "resolve --bundle x"),
])
def test_ctrl_c_is_no_bug_however_early_it_comes(at: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(CTRL_C)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CLAWSECRETS_HOME": str(tmp_path), "AT": at,
           "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([str(SCRIPT), *words.split()], capture_output=True, text=True, input="", env=env,
                         cwd=tmp_path, timeout=LIMIT, check=False)
    assert (ran.returncode, ran.stdout) == (130, "")
    assert ran.stderr.startswith("clawsecrets: interrupted") and len(ran.stderr.splitlines()) == 1


def test_a_number_is_read_as_typer_reads_it(tmp_path: Path) -> None:
    """What is given as a word goes the long way: a wrong one is told."""
    ran = started(["plan", "--days", "many"], tmp_path)
    assert ran.returncode == 2 and "--days: a whole number" in ran.stderr and "pydantic" in ran.stdout.split(), ran
