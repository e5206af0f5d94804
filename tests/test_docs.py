"""What the documents say, held against the code: commands, options, exit codes, files, links, provider counts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from clawsecrets import errors
from clawsecrets.cli.answers import STUCK
from clawsecrets.cli.app import build
from clawsecrets.cli.entry import EXIT_BUG, EXIT_INTERRUPTED

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
TREE: Any = typer.main.get_command(build(()))


def console_lines(name: str) -> Iterator[str]:
    """Every command line in a ```console block, without its comment."""
    for block in re.findall(r"```console\n(.*?)```", (ROOT / name).read_text(), re.S):
        for line in block.splitlines():
            if line.strip():
                yield re.sub(r"\s+#.*", "", line)


def find(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and what is left of them."""
    node = TREE
    while words and hasattr(node, "commands") and words[0] in node.commands:
        node, words = node.commands[words[0]], words[1:]
    return node, words


def fault(line: str) -> str:
    """Why a documented command line could not be typed; empty when it could."""
    words = shlex.split(line)[1:]
    words = words[: words.index("--")] if "--" in words else words  # what follows is another command
    node, rest = find(words)
    if node is TREE and not (rest and rest[0].startswith("--install")):
        return f"there is no command {words[:1]}"
    known = {name for param in node.params for name in param.opts}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
    if unknown:
        return f"no such option: {unknown}"
    return "" if not hasattr(node, "commands") or not rest else f"{words[0]} has no command {rest[0]}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documented_commands_can_be_typed(name: str) -> None:
    lines = [line for line in console_lines(name) if line.startswith("clawsecrets ")]
    assert lines or name != "README.md"
    assert {line: fault(line) for line in lines if fault(line)} == {}


@pytest.mark.parametrize("line", ["clawsecrets nonsense", "clawsecrets rotate x --wrong", "clawsecrets audit-log x"])
def test_a_wrong_line_would_be_found(line: str) -> None:
    assert fault(line)


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in TREE.commands if f"`{name}" not in text and f"clawsecrets {name}" not in text] == []


def test_exit_codes_are_documented_as_they_are() -> None:
    section = (ROOT / "README.md").read_text().split("## Exit codes")[1].split("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.M)}

    def codes(kind: type[errors.ClawError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(child) for child in kind.__subclasses__()))

    assert documented == {0, STUCK, EXIT_BUG, EXIT_INTERRUPTED} | codes(errors.ClawError)


def test_the_tree_in_the_errors_module_is_true() -> None:
    text = errors.__doc__ or ""
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.ClawError):
            assert re.search(rf"\b{name}\s+{kind.exit_code}\b", text) or name == "ClawError", name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_linked_files_are_there(name: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_tree_in_the_architecture_is_the_tree() -> None:
    block = (ROOT / "ARCHITECTURE.md").read_text().split("## The tree")[1].split("```")[1]
    packages = {p.parent.name for p in (ROOT / "clawsecrets").glob("*/__init__.py")}
    modules = {p.name for p in (ROOT / "clawsecrets").glob("*.py")} - {"__init__.py"}
    assert {p for p in packages if f"  {p}/" not in block} == set()
    assert {m for m in modules if m not in block} == set()
    for path in (ROOT / "clawsecrets" / "model").glob("*.py"):
        assert path.name == "__init__.py" or path.name in block, path.name
