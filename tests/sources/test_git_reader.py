"""Our own reader against git's: every object of repositories of many shapes is the same."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from clawsecrets.sources.git import loose, shares
from clawsecrets.sources.git.database import load
from clawsecrets.sources.git.layout import find
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.source import GitSource
from clawsecrets.sources.git.walk import Walk
from tests.plants.git_plants import Garden, filler, plant
from tests.sources.git_eye import Heard, scan


def history(root: Path, object_format: str = "sha1") -> Garden:
    """Commits whose files grow, move and shrink."""
    garden = Garden(root)
    root.mkdir(parents=True)
    garden.git("init", "-q", f"--object-format={object_format}", ".")
    for i in range(16):
        garden.write("a/long.txt", filler("long", 200 + 7 * i) + filler(f"end{i}", 3))
        garden.write(f"a/{i % 7}.txt", filler(f"{i}", 5))
        garden.write("b/mixed", filler("x", i) + filler(f"middle{i}", 2) + filler("y", 90 - i))
        garden.commit(f"Change {i}")
    return garden


def oracle(garden: Garden) -> dict[str, tuple[str, bytes]]:
    """All objects, as git gives them."""
    out = subprocess.run(["git", "cat-file", "--batch-all-objects", "--batch", "--unordered"], cwd=garden.root,
                         capture_output=True, check=True).stdout
    found, at = {}, 0
    while at < len(out):
        end = out.index(b"\n", at)
        name, kind, size = out[at:end].decode().split()
        found[name] = kind, out[end + 1:end + 1 + int(size)]
        at = end + 2 + int(size)
    return found


def ours(root: Path, context: int = 512) -> Iterator[tuple[str, str, bytes]]:
    """All objects, as our reader gives them."""
    layout = find(root)
    base = load(layout)
    objects = Objects(layout.stores, layout.width)
    kinds = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
    assert base.skipped == []
    for held in base.packs:
        for share in shares.cut(held.pack, held.root, np.ones(held.pack.count, bool), 3):
            for position, _, data, fresh, covered, parent in Walk(
                held.pack, share.members, share.roots, context, objects, lambda *told: pytest.fail(str(told))
            ):
                assert fresh is None or covered == sum(b - a for a, b in fresh)
                assert (fresh is None) == (parent < 0)
                yield held.pack.name(position).hex(), kinds[int(held.pack.kinds[position])], data
    for name, store in base.loose.items():
        yield name, *loose.read(layout.stores[store], name)


def as_loose(garden: Garden) -> None:
    pass


def deep(garden: Garden) -> None:
    garden.git("repack", "-q", "-a", "-d", "-f", "--depth=200", "--window=50")


def by_id(garden: Garden) -> None:
    garden.git("-c", "repack.useDeltaBaseOffset=false", "repack", "-q", "-a", "-d", "-f")


def old_index(garden: Garden) -> None:
    garden.git("-c", "pack.indexVersion=1", "repack", "-q", "-a", "-d", "-f")


def some_packs(garden: Garden) -> None:
    garden.git("repack", "-q", "-d")
    for i in range(3):
        garden.write("a/long.txt", filler("long", 60 + i))
        garden.commit(f"More {i}")
        garden.git("repack", "-q", "-d")
    garden.git("repack", "-q", "-a", "--keep-unreachable")  # each object twice
    garden.write("a/long.txt", filler("long", 77))
    garden.commit("And loose ones")


def fetched(garden: Garden) -> None:
    """A thin pack, completed by `index-pack --fix-thin`: bases appended, deltas by id."""
    other = garden.root.parent / "other"
    garden.git("clone", "-q", "--bare", f"file://{garden.root}", str(other))
    garden.write("a/long.txt", filler("long", 300))
    garden.commit("New")
    garden.git("-c", "fetch.unpackLimit=1", "fetch", "-q", f"file://{garden.root}", "main:main", cwd=other)
    garden.root = other


SHAPES = [as_loose, deep, by_id, old_index, some_packs, fetched]


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
@pytest.mark.parametrize("shape", SHAPES)
def test_all_objects_are_the_same(tmp_path: Path, shape: Callable[[Garden], None], object_format: str) -> None:
    garden = history(tmp_path / "repo", object_format)
    shape(garden)
    expected = oracle(garden)
    got: dict[str, tuple[str, bytes]] = {}
    for name, kind, data in ours(garden.root):
        assert name not in got or got[name] == (kind, data)
        got[name] = kind, data
    assert got == expected
    objects = Objects(find(garden.root).stores, 20 if object_format == "sha1" else 32)
    assert {name: objects.read(name) for name in expected} == expected
    objects.close()


@pytest.mark.parametrize("shape", [deep, by_id, some_packs])
def test_what_is_not_fresh_stood_in_the_base(tmp_path: Path, shape: Callable[[Garden], None]) -> None:
    """A secret that a content has and its base has not lies in a fresh range with its context: tried with every word
    of every blob as the secret."""
    garden = history(tmp_path / "repo")
    shape(garden)
    seen: dict[int, set[bytes]] = {}
    narrowed = 0
    [part] = GitSource(garden.root).parts(1)
    for content in part.contents(Heard()):
        words = set(content.data.split())
        if content.id:
            seen[content.id] = words
        if content.fresh is not None:
            narrowed += 1
            windows = b"\n".join(content.data[a:b] for a, b in content.fresh)
            assert all(word in windows for word in words - seen[content.base])
    assert narrowed > 10


def test_each_object_is_given_once(tmp_path: Path) -> None:
    garden = history(tmp_path / "repo")
    some_packs(garden)
    names = [content.place.key for part in GitSource(garden.root).parts(3) for content in part.contents(Heard())
             if content.place.kind in ("git-blob", "git-message")]
    expected = [name for name, (kind, _) in oracle(garden).items() if kind != "tree"]
    assert sorted(names) == sorted(expected)


def test_large_objects_come_in_pieces(tmp_path: Path) -> None:
    garden = Garden(tmp_path / "repo")
    garden.root.mkdir()
    garden.git("init", "-q", ".")
    half = b"many lines of words\n" * (1 << 20)
    body = half + garden.token("middle").encode() + half + garden.token("end").encode()
    for name in ("loose", "packed"):
        (garden.root / name).write_bytes(body + name.encode())
        garden.commit(name)
        if name == "loose":
            garden.git("-c", "core.bigFileThreshold=1m", "repack", "-q", "-a", "-d")
    found, skipped, _ = scan(GitSource(garden.root))
    assert skipped == []
    assert {token: len({place.key for place in places}) for token, places in found.items()} == {
        garden.token("middle"): 2, garden.token("end"): 2}


def test_bases_that_were_let_go_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garden = history(tmp_path / "repo")
    deep(garden)
    monkeypatch.setattr("clawsecrets.sources.git.walk.HELD", 3000)
    monkeypatch.setattr("clawsecrets.sources.git.walk.GROUP", 2000)
    assert {name: (kind, data) for name, kind, data in ours(garden.root)} == oracle(garden)


def test_alternates_inside_are_read_and_outside_need_a_word(tmp_path: Path) -> None:
    garden = plant(tmp_path / "repo")
    borrower = tmp_path / "borrower"
    garden.git("clone", "-q", "--shared", "--bare", str(garden.root), str(borrower))
    _, skipped, _ = scan(GitSource(borrower))
    assert any("alternate" in skip.reason for skip in skipped)
    found, skipped, _ = scan(GitSource(borrower, alternates=True))
    assert garden.token("danglingblob") in found and skipped == []
    inside = tmp_path / "repo" / "inner"
    garden.git("clone", "-q", "--shared", "--bare", str(borrower), str(inside))
    (inside / "objects/info/alternates").write_text("../store\n")
    (inside / "objects/pack").mkdir(exist_ok=True)
    os.rename(borrower / "objects", inside / "store")
    (inside / "store/info/alternates").unlink()
    assert find(inside).skipped == ()
    assert len(find(inside).stores) == 2
