"""fingerprints export at a person's desk: what goes in, what is said, and that no value comes out."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.scan.index import IndexValues
from tests.cli.desk import Desk

STRONG = "f7Qk2xLm9vRt4wYz8pNb3sHd6jGc1aEu5iXo0"
OTHER = "Zt3mW8qX1nB6vK9cL4rJ7hG2fD5sA0pYuEoI"
WEAK = "summer2026"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "desk") as one:
        one.init()
        for name, value in (("gateway-key", STRONG), ("other-key", OTHER), ("wifi", WEAK)):
            one.quick("set", name, stdin=value.encode())
        yield one


def shows(text: str) -> list[str]:
    return [value for value in (STRONG, OTHER, WEAK)
            if value in text or base64.b64encode(value.encode()).decode()[:-3] in text or value.encode().hex() in text]


def test_an_index_is_written_and_finds_the_values(desk: Desk) -> None:
    ran = desk.ok("fingerprints", "export", "--output", "index.json")
    path = desk.root / "index.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ran.out == "" and "wifi version 1" in ran.err and "2 values in the index, 1 left out" in ran.err
    assert shows(ran.everything + path.read_text()) == []
    finder = IndexValues.of(path)
    [found] = finder.find(f"export KEY={STRONG}\n".encode())
    assert (found.known.name, found.known.stage, found.known.live) == ("gateway-key", "current", True)
    events = desk.ok("audit-log").out
    assert "fingerprints.exported" in events


def test_to_standard_output_and_only_the_named(desk: Desk) -> None:
    ran = desk.ok("fingerprints", "export", "--name", "other-key")
    table = json.loads(ran.out)
    assert [row["name"] for row in table["values"]] == ["other-key"]
    assert shows(ran.everything) == []


def test_what_is_there_is_not_written_over(desk: Desk) -> None:
    desk.write("index.json", "mine")
    ran = desk.run("fingerprints", "export", "--output", "index.json")
    assert ran.code == 3
    assert (desk.root / "index.json").read_text() == "mine"
    assert shows(ran.everything) == []


def test_wrong_words(desk: Desk) -> None:
    assert desk.run("fingerprints").code == 2
    ran = desk.run("fingerprints", "export", "--name", STRONG)
    assert ran.code == 2 and shows(ran.everything) == []
    ran = desk.run("fingerprints", "export", pty=True)
    assert ran.code == 2 and "confidential" in ran.everything


def test_the_public_key_of_the_cache(desk: Desk) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    ran = desk.run("fingerprints", "cache-key", env={"CLAWSECRETS_CACHE_KEY": key})
    assert ran.code == 0 and len(base64.b64decode(ran.out)) == 32 and key not in ran.everything
    ran = desk.run("fingerprints", "cache-key", env={"CLAWSECRETS_CACHE_KEY": key[:20]})
    assert ran.code == 2 and key[:20] not in ran.everything
    assert desk.run("fingerprints", "cache-key").code == 2
