"""docs/json.md against the golden answers: every field of every object is documented, and nothing else is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.desk import ROOT

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
ANSWERS = {
    "abort": "rotate", "audit-log": "audit-log", "audit-log-verify": "verify", "backup": "backup",
    "baseline-list": "baseline-list", "confirm": "confirm",
    "doctor": "doctor", "dry-run": "plans", "get": "get", "get-reveal": "get", "history": "history",
    "import": "import", "import-dry-run": "import", "init": "init", "inject": "inject", "list": "list",
    "notify-list": "notify-list", "notify-test": "notify-test",
    "plan": "plan-answer",
    "provider": "provider-show", "providers": "providers", "providers-check": "provider-check", "restore": "restore",
    "resume": "rotate", "retry": "retry", "retry-left": "retry",
    "revocations": "revocations", "revocations-none": "revocations",
    "rotate-due": "rotate", "rotate-error": "rotate", "rotate-refused": "rotate", "rotate-self-issued": "rotate",
    "hosts": "hosts", "rotation-show": "rotation-show", "rotations": "rotations", "store-check": "store-check",
    "store-copy": "store-copy", "store-differs": "store-check", "sync": "sync",
    "rule": "rule-show", "rules": "rules", "rules-test": "rule-test",
    "adopt": "adopt", "adopt-applied": "adopt", "shadows": "shadows",
    "show": "show", "show-paused": "show", "show-rotated": "show", "status": "status", "status-paused": "status",
    "vault-policy": "vault-policy", "version": "version-answer",
}
"""Golden file -> its section of the document."""
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|")


def documented() -> dict[str, dict[str, str]]:
    """Section -> field -> type."""
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in (ROOT / "docs" / "json.md").read_text().splitlines():
        if line.startswith("#"):
            section = line.removeprefix("### ") if line.startswith("### ") else ""
        elif section and (row := ROW.match(line)):
            found.setdefault(section, {})[row[1]] = row[2].strip()
    found["show"] |= found["secret"]
    return found


DOCUMENT = documented()


def faults(value: Any, kind: str, where: str) -> list[str]:
    """What in `value` is not what `kind` says."""
    if kind.endswith(" or null"):
        return [] if value is None else faults(value, kind.removesuffix(" or null"), where)
    if kind.startswith("list of "):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [fault for item in value for fault in faults(item, kind.removeprefix("list of "), where)]
    if link := re.fullmatch(r"\[([\w-]+)\]\(#([\w-]+)\)", kind):
        name = "failure" if link[2] == "answer" and value.get("outcome") == "error" else link[2]
        return members(value, name, where)
    types = {"text": str, "bool": bool, "number": int, "bits": (int, float),
             "time": (int, float, str), "seconds": (int, float, str), "object of text": dict, "object of numbers": dict,
             "object of lists": dict}
    return [] if isinstance(value, types[kind]) else [f"{where} is no {kind}"]


def members(value: dict[str, Any], name: str, where: str) -> list[str]:
    fields = DOCUMENT[name]
    odd = [f"{where}.{key}: documented nowhere" for key in value.keys() - fields.keys()]
    odd += [f"{where}.{key}: documented, not there" for key in fields.keys() - value.keys()]
    return odd + [fault for key in value.keys() & fields.keys()
                  for fault in faults(value[key], fields[key], f"{where}.{key}")]


@pytest.mark.parametrize("path", GOLDEN, ids=[path.stem for path in GOLDEN])
def test_answer_is_documented(path: Path) -> None:
    answer = json.loads(path.read_text())
    assert answer.pop("schema") == 1
    assert members(answer, ANSWERS[path.stem], path.stem) == []


def test_every_answer_and_object_is_shown_by_a_golden_file() -> None:
    assert {path.stem for path in GOLDEN} == ANSWERS.keys()
    linked = set(re.findall(r"\]\(#([\w-]+)\)", (ROOT / "docs" / "json.md").read_text()))
    assert linked | {"failure"} == DOCUMENT.keys()


def test_a_wrong_answer_would_be_found() -> None:
    assert members({"store": "x"}, "init", "init") and members({"store": 1, "config": "x"}, "init", "init")


def test_no_answer_holds_a_value_unless_revealed() -> None:
    holding = {path.stem for path in GOLDEN if "second-value-0123456789" in path.read_text()}
    assert holding == {"get-reveal"}
