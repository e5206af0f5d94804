"""What a command imports before it does anything: a third of its time was pydantic, which typer loads for each word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_a_number_is_read_as_typer_reads_it(tmp_path: Path) -> None:
    """What is given as a word goes the long way: a wrong one is told."""
    ran = started(["plan", "--days", "many"], tmp_path)
    assert ran.returncode == 2 and "--days: a whole number" in ran.stderr and "pydantic" in ran.stdout.split(), ran
