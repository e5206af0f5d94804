"""The findings of an image said again: only of the very same image, and never of one that only says so."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.config.paths import find_paths
from clawsecrets.model.finding import Report
from clawsecrets.sources.image import opening
from clawsecrets.sources.image.opening import Opening
from clawsecrets.wiring.recalling import RecallingImage
from clawsecrets.wiring.scanning import Order
from tests.scan.scanned import Told, token
from tests.scan.test_cache_image import CLEAN, image, tarred
from tests.scan.test_recalling import Own


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each scan that could say findings again: whether it did."""
    found: list[bool] = []
    holds = RecallingImage.holds

    def noted(self: RecallingImage, outcome: Any) -> bool:
        found.append(holds(self, outcome))
        return found[-1]

    monkeypatch.setattr(RecallingImage, "holds", noted)
    return found


def scan(name: str | Path, home: Path, **order: Any) -> Report:
    given = Order("image", (str(name),), workers=2, **order)
    return Own(given, find_paths(environ={"CLAWSECRETS_HOME": str(home)}), Told()).run()


def same(name: str | Path, home: Path) -> Report:
    """With the cache as without."""
    cached, plain = scan(name, home), scan(name, home, no_cache=True)
    assert cached.findings == plain.findings and cached.complete == plain.complete
    assert cached.coverage[4:] == plain.coverage[4:], "refs, commits, layers, what could not be read"
    return cached


def test_the_same_image_says_the_same(tmp_path: Path, again: list[bool]) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [CLEAN, {"app/.env": f"K={token(1)}\n".encode()}])
    first = same(path, home)
    assert len(first.findings) == 1 and not again
    second = same(path, home)
    assert again == [True] and second.coverage.objects == 0 and second.coverage.layers == 2
    path.write_bytes(path.read_bytes())
    same(path, home)
    assert again == [True, True], "a copy of it is the same image"


def test_another_image_is_read(tmp_path: Path, again: list[bool]) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [CLEAN, {"app/.env": f"K={token(1)}\n".encode()}])
    same(path, home)
    image(path, [CLEAN, {"app/.env": f"K={token(1)}\n".encode(), "app/more": token(2).encode()}])
    assert len(same(path, home).findings) == 2 and not again
    data = dict(members(path))
    data["manifest.json"] = data["manifest.json"].replace(b"app:1", f"app:{token(3)}".encode())
    path.write_bytes(tarred(data))
    assert len(same(path, home).findings) == 3 and not again, "a document has changed"
    path.rename(tmp_path / "other.tar")
    same(tmp_path / "other.tar", home)
    assert not again, "the report names it otherwise"


def test_another_configuration_is_read(tmp_path: Path, again: list[bool]) -> None:
    """The same layers, under the same names."""
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [CLEAN, {"app/.env": f"K={token(1)}\n".encode()}])
    data = dict(members(path))
    config = json.loads(data["manifest.json"])[0]["Config"]
    plain = json.loads(data.pop(config))
    data["manifest.json"] = data["manifest.json"].replace(config.encode(), b"config.json")
    path.write_bytes(tarred({**data, "config.json": json.dumps(plain).encode()}))
    assert len(same(path, home).findings) == 1
    plain["config"] = {"Env": [f"K={token(4)}"]}
    path.write_bytes(tarred({**data, "config.json": json.dumps(plain).encode()}))
    assert len(same(path, home).findings) == 2 and not again


def test_one_that_lies_is_told(tmp_path: Path, again: list[bool]) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [CLEAN, {"app/.env": f"K={token(1)}\n".encode()}])
    same(path, home)
    path.write_bytes(path.read_bytes().replace(b"nothing in here\n" * 2, f"K={token(9)}\nx".encode(), 1))
    report = same(path, home)
    assert again == [False] and not report.complete and len(report.findings) == 2
    same(path, home)
    assert again == [False, False], "nothing was kept of it"


def test_one_that_could_not_be_read_is_read_again(tmp_path: Path, again: list[bool]) -> None:
    path, home = tmp_path / "app.tar", tmp_path / "home"
    image(path, [{**CLEAN, "opt/a.gz": b"\x1f\x8b\x08\x00" + b"\x00" * 6 + b"\x07" * 200}])
    for _ in range(2):
        assert not same(path, home).complete
    assert not again


def members(path: Path) -> Mapping[str, bytes]:
    with tarfile.open(path) as archive:
        return {one.name: file.read() for one in archive if (file := archive.extractfile(one)) is not None}


class Engine:
    """An engine with one image."""

    name = "docker"

    def __init__(self, path: Path) -> None:
        self.path, self.saved = path, 0
        self.tags = ["app:1"]

    def image(self, name: str) -> Mapping[str, Any]:
        files = members(self.path)
        config = json.loads(files["manifest.json"])[0]["Config"]
        return {"Id": f"sha256:{os.path.basename(config)}", "RepoTags": self.tags,
                "RootFS": {"Layers": json.loads(files[config])["rootfs"]["diff_ids"]}}

    def save(self, names: object) -> Any:
        self.saved += 1
        return self.path.open("rb", buffering=0)

    def history(self, name: str) -> list[object]:
        return []


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine(tmp_path / "app.tar")
    made: Callable[..., Any] = Opening.__init__

    def with_engine(self: Opening, *words: Any, **more: Any) -> None:
        made(self, *words, **{**more, "engines": lambda environ, kind: {"docker": engine}})

    monkeypatch.setattr(opening.Opening, "__init__", with_engine)
    return engine


def test_what_an_engine_vouches_for(engine: Engine, tmp_path: Path, again: list[bool]) -> None:
    home = tmp_path / "home"
    image(engine.path, [CLEAN, {"app/.env": f"K={token(1)}\n".encode()}])
    first = same("docker://app:1", home)
    assert len(first.findings) == 1 and engine.saved == 2
    second = same("docker://app:1", home)
    assert again == [True] and engine.saved == 3, "the one without a cache"
    assert second.findings == first.findings and second.coverage.layers == 2
    engine.tags = ["app:1", "app:2"]
    same("docker://app:1", home)
    assert again == [True] and engine.saved == 5
    image(engine.path, [CLEAN, {"app/.env": f"K={token(2)}\n".encode()}])
    assert same("docker://app:1", home).findings != first.findings and again == [True]
