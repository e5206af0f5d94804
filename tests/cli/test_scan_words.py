"""What `scan` says of an option that another of its kinds has, and of its exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clawsecrets.cli.entry import run
from clawsecrets.cli.scan_words import KINDS, OPTIONS, belongs
from tests import warm

README = Path(__file__).resolve().parents[2] / "README.md"
OF_SOME = [(kind, option) for kind in ("", *KINDS) for option in OPTIONS if option.only and kind not in option.only]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a scan is searched for what the rules know: their compiled form is read and kept here."""
    monkeypatch.setenv("CLAWSECRETS_HOME", str(tmp_path))
    warm.put(tmp_path / "cache")


@pytest.mark.parametrize(("kind", "option"), OF_SOME, ids=[f"{kind or 'bare'} {one.name}" for kind, one in OF_SOME])
def test_an_option_of_another_kind_names_it(kind: str, option: object, capsys: pytest.CaptureFixture[str]) -> None:
    name, only, value = option.name, option.only, ["x"] if option.metavar else []  # type: ignore[attr-defined]
    assert run(["scan", *filter(None, [kind]), f"--{name}", *value]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"clawsecrets: error: --{name} belongs to `clawsecrets scan")
    assert all(f"`clawsecrets scan {one}".rstrip() + "`" in said for one in only)


def test_what_no_kind_has_or_this_one_has() -> None:
    assert belongs("clawsecrets scan", "--stagde") is None is belongs("clawsecrets status", "--staged")
    assert belongs("clawsecrets scan git", "--staged") is None is belongs("clawsecrets scan", "--json")


def test_a_word_that_is_no_option_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scan", "--sk-q8Zt3LwV5nXr2KdM7yBf"]) == 2
    assert "q8Zt3" not in capsys.readouterr().err


@pytest.mark.parametrize(("words", "without"), [([], set()), (["scan"], {4, 5}), (["scan", "git"], {4, 5})])
def test_the_exit_codes_of_the_help(words: list[str], without: set[int], capsys: pytest.CaptureFixture[str]) -> None:
    table = {int(code): " ".join(words) for code, *words in
             (re.split(r"[ |]+", line.strip("| ")) for line in README.read_text().splitlines()
              if re.match(r"\| [0-9]+ \|", line))}
    assert run([*words, "--help"]) == 0
    footer = " ".join(capsys.readouterr().out.partition("Exit codes: ")[2].split())
    said = {int(code): word for code, word in re.findall(r"(?:^|· )([0-9]+) ([^·]+?)(?= ·|$)", footer)}
    assert set(said) == set(table) - without
    assert "findings" in said[1] and "findings" in table[1] and said[70] == "a bug" and "bug" in table[70]
