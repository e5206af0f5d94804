"""A submodule's history stands in its superproject's own folder: one command looks at both."""

from __future__ import annotations

import random
import string
import subprocess
from pathlib import Path

import pytest

from tests.e2e.shell import Shell

TOKEN = "ghp_" + "".join(random.Random(20261121).choices(string.ascii_letters + string.digits, k=36))
WHO = ("-c", "user.name=A", "-c", "user.email=a@invalid", "-c", "protocol.file.allow=always")


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *WHO, *words], check=True, capture_output=True)


def made(folder: Path) -> Path:
    """A superproject whose submodule had the token once."""
    inner, outer = folder / "inner", folder / "outer"
    for place in (inner, outer):
        place.mkdir()
        git(place, "init", "-q", "-b", "main")
    (inner / "settings.env").write_text(f"GITHUB_TOKEN={TOKEN}\n")
    git(inner, "add", "-A")
    git(inner, "commit", "-qm", "one")
    git(inner, "rm", "-q", "settings.env")
    git(inner, "commit", "-qm", "two")
    git(outer, "submodule", "--quiet", "add", str(inner), "parts/inner")
    git(outer, "commit", "-qm", "with a submodule")
    return outer


@pytest.mark.parametrize("words", [("git", "outer"), ()], ids=["scan git", "scan"])
def test_a_submodules_history_is_looked_at(shell: Shell, tmp_path: Path, words: tuple[str, ...]) -> None:
    outer = made(tmp_path)
    said = shell.json(*words, cwd=outer if not words else tmp_path)
    (found,) = said.findings
    assert said.code == 1 and found["path"] == "settings.env" and found["reachable"]
    assert any("modules/parts/inner" in source for source in said.report["coverage"]["sources"])
    assert said.complete and said.holds(TOKEN) == []
    assert said.report["skipped"] == [], "the repository is read as such: nobody left it out"


def test_what_a_killed_git_left_half_written_is_told(shell: Shell, tmp_path: Path) -> None:
    git_folder = tmp_path / "repo"
    git_folder.mkdir()
    git(git_folder, "init", "-q", "-b", "main")
    folder = git_folder / ".git" / "objects" / "ab"
    folder.mkdir()
    (folder / "tmp_obj_x1y2z3").write_bytes(b"x")
    said = shell.json("git", git_folder)
    assert said.code == 6 and [fault["what"].rpartition("/")[2] for fault in said.faults] == ["tmp_obj_x1y2z3"]
