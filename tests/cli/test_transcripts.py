"""Every command, as it is typed and as it answers (transcripts/*.txt; their grammar is in transcript.py)."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import typer

from clawsecrets.cli.app import build
from tests import warm
from tests.cli import transcript
from tests.cli.desk import Desk, forget

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
WRITE = os.environ.get("CLAWSECRETS_WRITE_TRANSCRIPTS", "") not in ("", "0")
TREE: Any = typer.main.get_command(build(()))
COMPILED = {"fingerprints", "rules", "scan"}
"""Transcripts that scan: their home has compiled rules."""
COMMON = {"--help", "--store", "--config", "--verbose", "--accept-older"}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_transcript(path: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="clawsecrets-transcript-", dir="/tmp"))  # of one length: it is wrapped text
    try:
        with Desk(root) as desk:
            if path.stem in COMPILED:
                warm.put(desk.home / "cache")
            told = "\n".join(transcript.play(transcript.read(path), desk, write=WRITE)) + "\n"
    finally:
        forget(root)
    if WRITE:
        path.write_text(told)
    assert told == path.read_text()


def _typed() -> list[str]:
    lines = [step.line for path in FILES for step in transcript.read(path)]
    return [line for line in lines if re.match(r"(tty)?\$ ", line)]


def _commands(node: Any, path: str = "") -> dict[str, Any]:
    if not getattr(node, "commands", None):
        return {path: node}
    return {name: leaf for word, child in node.commands.items()
            for name, leaf in _commands(child, f"{path} {word}".strip()).items()}


@pytest.mark.parametrize("name", _commands(TREE))
def test_every_command_and_option_is_in_a_transcript(name: str) -> None:
    typed = [line for line in _typed() if re.search(rf"\bclawsecrets {name}\b", line)]
    options = {max(param.opts, key=len) for param in _commands(TREE)[name].params
               if param.param_type_name == "option"} - COMMON
    assert typed or name == "resolve"
    missing = {option for option in options if not any(f" {option}" in line for line in typed)}
    assert not missing or name == "resolve"  # the resolver has tests of its own: tests/injectors


def test_shared_options_are_in_a_transcript() -> None:
    every = " ".join(_typed())
    assert all(f" {option} " in every for option in COMMON)


def test_every_exit_code_is_in_a_transcript() -> None:
    codes = {line[2:] for path in FILES for step in transcript.read(path) for line in step.expected
             if line.startswith("= ")}
    assert codes >= {"0", "1", "2", "3", "4", "5", "6"}
