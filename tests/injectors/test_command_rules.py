"""Each of OpenClaw's rules for a command, broken one at a time (the table in the module's docstring)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clawsecrets.injectors.command_rules import check_command


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "clawsecrets"
    path.write_text("#!/opt/venv/bin/python\n")
    path.chmod(0o755)
    return path


def test_a_venv_script_is_fine_also_through_linked_folders_and_with_a_second_hard_link(
    script: Path, tmp_path: Path
) -> None:
    assert check_command(script) == []
    (tmp_path / "folder").symlink_to(tmp_path)
    os.link(script, tmp_path / "again")
    assert check_command(tmp_path / "folder" / "clawsecrets") == []


@pytest.mark.parametrize("path", ["clawsecrets", "./clawsecrets", "~/bin/clawsecrets"])
def test_it_must_be_absolute(path: str) -> None:
    (line,) = check_command(path)
    assert "absolute" in line


def test_it_must_be_a_regular_file(script: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(script)
    (line,) = check_command(link)
    assert "symbolic link" in line and line.endswith(str(script))
    assert "not a regular file" in check_command(tmp_path)[0]
    assert "No such file" in check_command(tmp_path / "none")[0]


@pytest.mark.parametrize(
    ("mode", "word"), [(0o775, "written by others"), (0o757, "written by others"), (0o644, "executable")]
)
def test_its_mode(script: Path, mode: int, word: str) -> None:
    script.chmod(mode)
    (line,) = check_command(script)
    assert word in line and "chmod" in line


def test_it_must_belong_to_the_gateways_user(script: Path) -> None:
    (line,) = check_command(script, uid=os.geteuid() + 1)
    assert f"uid {os.geteuid() + 1}" in line


def test_its_interpreter_must_not_be_searched(script: Path) -> None:
    script.write_text("#!/usr/bin/env python3\n")
    (line,) = check_command(script)
    assert "PATH" in line


def test_every_broken_rule_is_told(script: Path) -> None:
    script.chmod(0o666)
    assert len(check_command(script, uid=os.geteuid() + 1)) == 3
