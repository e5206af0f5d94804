"""The real command on a repository with one credential in every name and text: no format holds it, in any form."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from clawsecrets.reporters import FORMATS
from tests import canary
from tests.ci.stage import Ran, Stage, token


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, str]:
    """The value in a file, a file's name, a message, an author, a branch, a tag; plain, base64, hex and percent."""
    stage, value = Stage(tmp_path_factory.mktemp("whole") / "s"), token()
    stage.repository()
    forms = {"plain": value, "base64": base64.b64encode(f"k={value}\n".encode()).decode(), "hex": value.encode().hex(),
             "percent": quote(value).replace("-", "%2D")}
    for name, text in forms.items():
        stage.commit(f"{name}-{text[:200].replace('/', '_')}.env", f"OPENROUTER_API_KEY={value}\n{text}\n",
                     f"{name}: {text}", f"--author=Eve {text} <{text[:60]}@example.org>")
    stage.git("branch", f"try-{value}")
    stage.git("tag", "-a", f"v-{value}", "-m", f"with {value}")
    return stage, value


def holds(ran: Ran, value: str) -> list[str]:
    return canary.search(ran.everything.encode(), value.encode())


@pytest.mark.parametrize("form", FORMATS)
def test_no_report_holds_it(planted: tuple[Stage, str], form: str) -> None:
    stage, value = planted
    ran = stage.run("clawsecrets", "scan", "git", ".", "--format", form, "--explain", cwd="work")
    assert ran.code == 1 and "sk-or-v1-" in ran.out, ran.err
    assert holds(ran, value) == []


def test_nor_where_something_cannot_be_looked_at(planted: tuple[Stage, str]) -> None:
    stage, value = planted
    stage.write(f"work/dir-{value}/x.zip", "PK\x03\x04 broken")
    blob = stage.git("hash-object", "README")
    (stage.root / "work" / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for form in ("text", "json", "html", "sarif"):
        ran = stage.run("clawsecrets", "scan", "--format", form, cwd="work")
        assert ran.code == 1 and holds(ran, value) == []
    answer = json.loads(stage.run("clawsecrets", "scan", "--json", cwd="work").out)
    assert answer["findings"]


def test_a_value_in_the_place_of_a_word_is_not_repeated(planted: tuple[Stage, str]) -> None:
    stage, value = planted
    for words in ([value], ["git", ".", f"--{value}"], ["git", ".", "--format", value]):
        ran = stage.run("clawsecrets", "scan", *words, cwd="work")
        assert ran.code == 2 and holds(ran, value) == [], words
