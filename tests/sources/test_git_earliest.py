"""Which commit was the first with an object: what the notes of the trees tell is what git tells of all commits."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clawsecrets.model.finding import Kind, Skipped
from clawsecrets.sources.git.earliest import Earliest, Unclear, _has
from clawsecrets.sources.git.edges import APART, END, Edges, begins, ids
from clawsecrets.sources.git.loose import LARGE
from clawsecrets.sources.git.memory import TIPS, First
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.packs import BLOB, TREE
from clawsecrets.sources.git.source import GitSource
from clawsecrets.sources.git.ways import Ways
from tests.plants.git_plants import Garden, filler, plant
from tests.sources.test_git_reader import SHAPES, deep


class Notes:
    def __init__(self) -> None:
        self.told: list[Skipped] = []

    def skipped(self, skipped: Skipped) -> None:
        self.told.append(skipped)

    def looked(self, objects: int, size: int, work: int = 0) -> None:
        pass

    def cached(self, objects: int) -> None:
        pass

    def known(self, message: str) -> None:
        pass

    def extra(self, *values: Any) -> None:
        pass


def shuffled(garden: Garden, commits: int = 60) -> None:
    """Folders with many entries; files and folders come, go, move, and come back."""
    rng = random.Random(5)
    names = [f"{'abc'[i % 3]}/{'xyz'[i % 2]}/file-{i:02}" for i in range(60)]
    for name in names:
        garden.write(name, name)
    garden.commit("All")
    for turn in range(commits):
        for name in rng.sample(names, rng.choice((1, 1, 2, 12))):
            path = garden.root / name
            if path.exists() and rng.random() < 0.3:
                path.unlink()
            else:
                garden.write(name, f"{rng.randrange(40)}")
        if rng.random() < 0.2 and (garden.root / "a").exists():
            (garden.root / "a").rename(garden.root / f"d{turn}")
            (garden.root / f"d{turn}").rename(garden.root / "c" / f"d{turn}")
            garden.write("a/x/again", f"{turn % 4}")
        garden.commit(f"Turn {turn}")


def read(garden: Garden, workers: int = 2, leave: int = 0) -> tuple[GitSource, list[Skipped]]:
    """All parts but `leave` were read to their end."""
    source, notes = GitSource(garden.root), Notes()
    parts = source.parts(workers)
    for part in parts[leave:]:
        for _ in part.contents(notes):
            pass
    return source, notes.told


def answers(ways: Ways, wanted: Mapping[bytes, Collection[Kind]]) -> tuple[dict[bytes, First], Mapping[bytes, bytes]]:
    """With tips of several ranks here and there, which do not reach all."""
    ways.read(wanted)
    return ways.first(wanted, {name: (at * 7) % 3 for at, name in enumerate(ways.commits) if at % 5 == 2})


def both(source: GitSource, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What brought every object: by the notes alone, and by git."""
    base = source.database()
    kinds = {Kind.GIT_BLOB: BLOB, Kind.GIT_NAME: TREE}
    wanted = {held.pack.name(position): {kind} for held in base.packs for kind, number in kinds.items()
              for position in range(held.pack.count) if int(held.pack.kinds[position]) == number}
    objects = Objects(source.layout.stores, source.layout.width)
    for name in base.all_loose:
        kind = objects.read(name)[0]
        if kind in ("blob", "tree"):
            wanted[bytes.fromhex(name)] = {Kind.GIT_BLOB if kind == "blob" else Kind.GIT_NAME}
    by_git = answers(Ways(base, objects), wanted)
    with monkeypatch.context() as patch:
        patch.setattr(Ways, "_packed", lambda self: pytest.fail("git was asked about all commits"))
        by_notes = answers(Ways(base, objects, source._edges), wanted)
    return by_notes, by_git


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
@pytest.mark.parametrize("shape", SHAPES)
def test_notes_tell_what_git_tells(tmp_path: Path, shape: Callable[[Garden], None], object_format: str,
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    garden = plant(tmp_path / "repo", object_format)
    shape(garden)
    source, _ = read(garden)
    by_notes, by_git = both(source, monkeypatch)
    assert by_notes == by_git
    assert len(by_git[0]) > 20 and by_git[1]


@pytest.mark.parametrize("workers", [1, 3])
def test_what_comes_goes_and_moves(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    garden = plant(tmp_path / "repo")
    shuffled(garden)
    deep(garden)
    source, _ = read(garden, workers)
    by_notes, by_git = both(source, monkeypatch)
    assert by_notes == by_git


def test_a_worker_that_died_leaves_it_to_git(tmp_path: Path) -> None:
    garden = plant(tmp_path / "repo")
    garden.write("deep/down/file", filler("down"))
    garden.commit("Down")
    source, _ = read(garden, leave=1)
    base, objects = source.database(), Objects(source.layout.stores, source.layout.width)
    wanted = {bytes.fromhex(garden.git("rev-parse", "main:deep/down/file").strip()): {Kind.GIT_BLOB}}
    found = answers(Ways(base, objects, source._edges), wanted)
    assert found == answers(Ways(base, objects), wanted) != ({}, {})
    source, _ = read(garden, leave=1)
    with pytest.raises(Unclear):  # git would confirm what comes first of the commits that are noted
        Earliest(source.database(), source._edges, list(wanted))


def test_a_tree_that_is_missing_leaves_it_to_git(tmp_path: Path) -> None:
    garden = plant(tmp_path / "repo")
    garden.write("deep/down/file", filler("down"))
    garden.commit("Down")
    tree = garden.git("rev-parse", "main:deep/down").strip()
    (garden.root / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    source, told = read(garden, 1)
    assert tree in " ".join(one.what for one in told)
    [edges] = source._edges
    assert edges.torn


def test_notes_that_contradict_each_other_tell_nothing() -> None:
    """A thing that a tree does not take over from what it is built on was there."""
    at, begin, end = (np.array([number]) for number in (0, 3, 5))
    which, pairs = _has(at, begin, end, np.array([1]))
    assert (which.tolist(), pairs.tolist()) == ([0], [3, 5])
    with pytest.raises(Unclear):
        _has(at, begin, end, np.array([-1]))


def test_notes_that_git_does_not_confirm_leave_it_to_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garden = plant(tmp_path / "repo")
    for name in ("deep/down/file", "later", "last"):
        garden.write(name, filler(name))
        garden.commit(name)
    source, _ = read(garden)
    base, objects = source.database(), Objects(source.layout.stores, source.layout.width)
    wanted = {bytes.fromhex(garden.git("rev-parse", "main:deep/down/file").strip()): {Kind.GIT_BLOB}}
    monkeypatch.setattr(Earliest, "commits", lambda self, roots, turns: np.array([turns.max()]))
    found = answers(Ways(base, objects, source._edges), wanted)
    assert found == answers(Ways(base, objects), wanted) != ({}, {})


def test_what_could_not_all_be_told_is_not_to_be_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    garden = plant(tmp_path / "repo")
    garden.write("deep/down/file", filler("down"))
    garden.commit("Down")
    source, _ = read(garden)
    base, objects = source.database(), Objects(source.layout.stores, source.layout.width)
    wanted = {bytes.fromhex(garden.git("rev-parse", "main:deep/down/file").strip()): {Kind.GIT_BLOB}}

    ways = Ways(base, objects, source._edges)
    first, _ = answers(ways, wanted)
    assert ways.memory(first, list(ways.commits)) is not None
    assert ways.memory(first, [bytes(20)] * (TIPS + 1)) is None
    ways.skipped.append(Skipped("where findings come from", "git ended"))
    assert ways.memory(first, list(ways.commits)) is None
    ways.skipped.clear()
    monkeypatch.setattr(base, "layout", base.layout._replace(shallow=True))
    assert ways.memory(first, list(ways.commits)) is None, "older commits may come"


@pytest.mark.parametrize("packed", [False, True])
def test_a_commit_that_comes_in_pieces_leaves_it_to_git(tmp_path: Path, packed: bool) -> None:
    """What it says of where it stands is not noted."""
    garden = plant(tmp_path / "repo")
    garden.write("late", filler("late"))
    (tmp_path / "message").write_text("words " * (LARGE // 6 + 1))
    garden.git("add", "-A")
    garden.git("commit", "-q", "-F", str(tmp_path / "message"))
    if packed:
        garden.git("repack", "-adq")
    source, told = read(garden)
    assert not told
    base, objects = source.database(), Objects(source.layout.stores, source.layout.width)
    late = bytes.fromhex(garden.git("rev-parse", "main:late").strip())
    first, _ = answers(Ways(base, objects, source._edges), {late: {Kind.GIT_BLOB}})
    assert first[late] == (bytes.fromhex(garden.git("rev-parse", "main").strip()), "late")


GOLDEN = 0x9E3779B97F4A7C15
"""What kept the ids of different trees apart before it was drawn by chance: ids could be made that fall together."""


@pytest.mark.parametrize("shift", [-GOLDEN, GOLDEN, 0x0505])
def test_no_id_that_is_missing_hides_behind_another(shift: int) -> None:
    there = bytes(range(1, 21))
    number = int.from_bytes(there[:8])
    forged = ((number + shift) % 2**64).to_bytes(8) + b"\5" * 12
    known = np.array(sorted((number, 11, 12)), np.uint64)

    def places(numbers: Any) -> tuple[Any, Any]:
        at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        return at.astype(np.uint64), known[at] == numbers

    edges = Edges(places, 20)
    trees = [b"100644 a\0" + there, b"100644 b\0" + forged]
    for name, data in zip((11, 12), trees, strict=True):
        edges.tree(name.to_bytes(8) + bytes(12), data, None, None)
    windows = [data + END for data in trees]
    numbers, owners = ids(APART.join(windows) + APART, begins(windows), 20)
    absent = edges.note(numbers, owners)
    assert [owners[at] for at in absent.tolist()] == [1]
