"""Every place where git can hold a secret: found, and with the right location."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawsecrets.sources.git.source import GitSource
from tests.plants.git_plants import Garden, Plant, plant
from tests.sources.git_eye import located, scan


def packed(garden: Garden) -> None:
    garden.git("repack", "-q", "-a", "-d", "-f", "--keep-unreachable", "--depth=50", "--window=250")
    garden.git("pack-refs", "--all")


@pytest.fixture(scope="module", params=["loose", "packed", "sha256"])
def garden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Garden:
    made = plant(tmp_path_factory.mktemp("garden") / "repo", "sha256" if request.param == "sha256" else "sha1")
    if request.param == "packed":
        packed(made)
    return made


@pytest.fixture(scope="module")
def result(garden: Garden) -> dict[str, list[object]]:
    source = GitSource(garden.root)
    found, skipped, _ = scan(source)
    assert skipped == []
    return located(source, found)  # type: ignore[return-value]


def test_all_are_found(garden: Garden, result: dict[str, list[object]]) -> None:
    assert len(garden.plants) >= 30
    assert {one.token for one in garden.plants} - set(result) == set()


def fits(one: Plant, way: object) -> bool:
    return all((
        way.kind == one.kind,  # type: ignore[attr-defined]
        not one.path or way.path == one.path,  # type: ignore[attr-defined]
        not one.reachable or way.reachable == one.reachable,  # type: ignore[attr-defined]
        not one.commit or way.message == one.commit,  # type: ignore[attr-defined]
    ))


def test_each_where_it_is(garden: Garden, result: dict[str, list[object]]) -> None:
    wrong = {one.token: (one, result[one.token]) for one in garden.plants
             if one.token in result and not any(fits(one, way) for way in result[one.token])}
    assert wrong == {}


def test_a_commit_is_told_in_full(garden: Garden, result: dict[str, list[object]]) -> None:
    [way] = [way for way in result[garden.token("removed")] if way.path == "old.env"]  # type: ignore[attr-defined]
    assert way.author == "Ada Roe <ada@example.invalid>"  # type: ignore[attr-defined]
    assert way.date.startswith("2023-11-") and way.date.endswith("+02:00")  # type: ignore[attr-defined]
    assert garden.git("log", "-1", "--format=%s", way.commit) == "Put in"  # type: ignore[attr-defined]
    assert "refs/heads/main" in way.refs and "refs/heads/side" in way.refs  # type: ignore[attr-defined]


def test_each_ref_is_told_once(garden: Garden, result: dict[str, list[object]]) -> None:
    ways = [way for found in result.values() for way in found]
    assert [way.refs for way in ways if len(set(way.refs)) != len(way.refs)] == []  # type: ignore[attr-defined]


def test_a_ref_and_its_reflog_are_one(tmp_path: Path) -> None:
    made = Garden(tmp_path / "repo")
    made.root.mkdir()
    made.git("init", "-q", "-b", "main")
    for place in ("kept", "amended"):
        (made.root / "a.env").write_text(made.token(place))
        made.git("add", "a.env")
        made.git("commit", "-q", "--allow-empty", *(("--amend",) if place == "amended" else ()), "-m", place)
    source = GitSource(made.root)
    found, _, _ = scan(source)
    ways = located(source, found)
    told = {place: [(way.reachable, way.refs) for way in ways[made.token(place)]] for place in ("kept", "amended")}
    assert told["amended"] == [("branch", ("refs/heads/main", "HEAD"))]
    assert told["kept"] == [("reflog", ("HEAD", "refs/heads/main"))]
