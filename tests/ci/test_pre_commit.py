""".pre-commit-hooks.yaml: its entry on real commits, and pre-commit itself where it is installed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests import canary
from tests.ci.stage import Stage, token
from tests.cli.desk import ROOT
from tests.real import ci_tools

HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path / "s")
    made.repository()
    return made


def entry() -> list[str]:
    [one] = set(re.findall(r"^  entry: (.*)$", HOOKS, re.M))
    return shlex.split(one)


def test_only_what_is_staged_counts(stage: Stage) -> None:
    value = token()
    stage.write("work/app.env", f"OPENROUTER_API_KEY={value}\n")
    assert stage.run(*entry(), cwd="work").code == 0  # not staged
    stage.git("add", "app.env")
    ran = stage.run(*entry(), cwd="work")
    assert ran.code == 1 and "app.env:1" in ran.out and "git add" in ran.out, ran
    assert canary.search(ran.everything.encode(), value.encode()) == []
    stage.write("work/app.env", "OPENROUTER_API_KEY=\n")
    assert stage.run(*entry(), cwd="work").code == 1  # mended, and not staged
    stage.git("add", "app.env")
    assert stage.run(*entry(), cwd="work").code == 0


def test_outside_of_a_repository_it_is_not_clean(stage: Stage) -> None:
    stage.write("elsewhere/x", "x\n")
    assert stage.run(*entry(), cwd="elsewhere").code == 6


@pytest.mark.real("ci-tools")
def test_pre_commit_refuses_the_commit(stage: Stage) -> None:
    stage.git("init", "-q", "hooks", cwd=".")
    stage.write("hooks/.pre-commit-hooks.yaml", HOOKS)
    stage.git("add", "--all", cwd="hooks")
    stage.git("commit", "-q", "-m", "hooks", cwd="hooks")
    revision = stage.git("rev-parse", "HEAD", cwd="hooks")
    stage.write("work/.pre-commit-config.yaml", f"repos:\n- repo: {stage.root}/hooks\n  rev: {revision}\n  hooks:\n"
                                                "  - id: clawsecrets-system\n")
    stage.git("add", "--all")
    program = str(ci_tools.program("pre-commit"))
    ran = stage.run(program, "install", cwd="work")
    assert ran.code == 0, ran
    stage.git("commit", "-q", "-m", "clean")
    value = token()
    stage.write("work/app.env", f"OPENROUTER_API_KEY={value}\n")
    stage.git("add", "--all")
    ran = stage.run("git", "commit", "-q", "-m", "leak", cwd="work")
    assert ran.code != 0 and "sk-or-v1-…" in ran.everything and "app.env:1" in ran.everything, ran
    assert canary.search(ran.everything.encode(), value.encode()) == []
