"""Less than everything: `--staged`, `--since`, `--commits`, `--branch`, `--no-history`; what a cache knows; clones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clawsecrets.errors import UsageError
from clawsecrets.sources.git.database import Array, among
from clawsecrets.sources.git.narrow import Narrow
from clawsecrets.sources.git.remote import cloned
from clawsecrets.sources.git.source import GitSource
from clawsecrets.sources.git.staged import StagedSource
from tests.plants.git_plants import Garden, filler
from tests.sources.git_eye import scan


@pytest.fixture(params=[False, True], ids=["loose", "packed"])
def garden(request: pytest.FixtureRequest, tmp_path: Path) -> Garden:
    """One token in each commit of main (taken out again in the next), one on `side`, one staged."""
    made = Garden(tmp_path / "repo")
    made.root.mkdir()
    made.git("init", "-q", ".")
    for i in range(4):
        made.write("a.txt", filler("a") + made.token(f"main{i}") + "\n" + filler("b"))
        made.commit(f"Main {i}")
    made.git("checkout", "-q", "-b", "side", "main~2")
    made.write("side.txt", made.token("side"))
    made.commit("Side")
    made.git("checkout", "-q", "main")
    made.write("staged.txt", made.token("staged"))
    made.git("add", "staged.txt")
    if request.param:
        made.git("repack", "-q", "-a", "-d", "-f")
    return made


def tokens(garden: Garden, narrow: Narrow) -> set[str]:
    found, skipped, _ = scan(GitSource(garden.root, narrow=narrow))
    assert skipped == []
    return {token.split("_")[1] for token in found}


def test_each_narrowing(garden: Garden) -> None:
    everything = {"main0", "main1", "main2", "main3", "side", "staged"}
    assert tokens(garden, Narrow()) == everything
    assert tokens(garden, Narrow(since="main~1")) == {"main3", "side"}
    assert tokens(garden, Narrow(commits="main~2..main")) == {"main2", "main3"}
    assert tokens(garden, Narrow(branch="side")) == {"main0", "main1", "side"}
    assert tokens(garden, Narrow(no_history=True)) == {"main3", "staged"}
    assert tokens(garden, Narrow(since="2001-01-01")) == everything - {"staged"}
    assert tokens(garden, Narrow(since="2 days ago")) == set()


@pytest.mark.parametrize("narrow", [{"since": "mian"}, {"since": "--all"}, {"commits": "main"}, {"branch": "no"},
                                    {"commits": "main..no"}, {"since": "a", "branch": "b"}, {"branch": "--all"}])
def test_what_is_not_there_is_a_mistake(garden: Garden, narrow: dict[str, str]) -> None:
    """A word that was mistyped must not end as "nothing found"."""
    with pytest.raises(UsageError):
        GitSource(garden.root, narrow=Narrow(**narrow)).parts(1)  # type: ignore[arg-type]


def test_staged(garden: Garden) -> None:
    source = StagedSource(garden.root)
    found, skipped, heard = scan(source)
    assert {token.split("_")[1] for token in found} == {"staged"} and skipped == [] and heard.objects == 1
    [place] = found[garden.token("staged")]
    [way] = source.locate([place])[place]
    assert (way.path, way.reachable) == ("staged.txt", "index")


def test_staged_before_the_first_commit(tmp_path: Path) -> None:
    made = Garden(tmp_path / "repo")
    made.root.mkdir()
    made.git("init", "-q", ".")
    assert scan(StagedSource(made.root))[0] == {}
    made.write("a", made.token("a"))
    made.write("name " + made.token("name"), "")
    made.git("add", "-A")
    found, skipped, _ = scan(StagedSource(made.root))
    assert set(found) == {made.token("a"), made.token("name")} and skipped == []


def test_a_staged_object_that_is_gone_is_told(garden: Garden) -> None:
    garden.write("staged.txt", "other words")
    garden.git("add", "staged.txt")
    name = garden.git("hash-object", "staged.txt")
    (garden.root / ".git/objects" / name[:2] / name[2:]).unlink()
    assert [skip.what for skip in scan(StagedSource(garden.root))[1]] == ["staged.txt"]


def test_staged_does_not_import_numpy() -> None:
    code = "import sys, clawsecrets.sources.git.staged; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class Memory:
    """What a cache would keep."""

    def __init__(self, ids: Array, packs: set[bytes]) -> None:
        self._ids, self._packs = ids, packs

    def pack(self, checksum: bytes) -> bool:
        return checksum in self._packs

    def among(self, ids: Array) -> Array:
        return among(ids, self._ids)


def test_what_was_clean_is_left_out(garden: Garden) -> None:
    first = GitSource(garden.root)
    parts = first.parts(1)
    given = first.given()
    assert parts and sum(len(one.ids) for one in given) > 10
    ids = np.sort(np.concatenate([one.ids for one in given]))
    garden.write("a.txt", filler("a") + garden.token("new") + "\n" + filler("b"))
    garden.commit("New")
    garden.git("repack", "-q", "-a", "-d", "-f")
    again = GitSource(garden.root, seen=Memory(ids, set()))
    found, skipped, _ = scan(again)
    assert set(found) == {garden.token("new")} and skipped == []
    assert again.coverage().cached == len(ids)
    whole = {one.checksum for one in GitSource(garden.root).given() if one.checksum and one.whole}
    assert scan(GitSource(garden.root, seen=Memory(ids[:0], whole)))[0] == {}


def test_a_clone_of_all_refs(garden: Garden) -> None:
    garden.git("update-ref", "refs/pull/1/head", "main~1")
    with cloned(f"file://{garden.root}", file=True) as folder:
        found, skipped, _ = scan(GitSource(folder))
        assert garden.token("side") in found and skipped == []
    assert not folder.exists()


@pytest.mark.parametrize("url", ["https://u:p@git.example.invalid/a", "http://git.example.invalid/a", "ext::touch x",
                                 "file:///somewhere", "https://token@git.example.invalid/a"])
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError) as told, cloned(url):
        pass
    assert "token" not in told.value.message and os.fspath(url) not in told.value.message
