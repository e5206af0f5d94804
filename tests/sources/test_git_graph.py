"""The order of commits, what reaches what, and which commit brought an object."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.sources.git.brought import Bringers
from clawsecrets.sources.git.graph import Graph, heads
from clawsecrets.sources.git.layout import find
from clawsecrets.sources.git.memory import NOWHERE, reaching
from clawsecrets.sources.git.messages import Head
from clawsecrets.sources.git.objects import Missing, Objects
from tests.plants.git_plants import Garden

ZONE = "+0000"


def named(number: int) -> bytes:
    return hashlib.sha1(b"%d" % number).digest()


def commit(number: int, parents: Sequence[int], date: int, author: str = "A <a@b>") -> tuple[bytes, bytes]:
    lines = [f"tree {named(-number).hex()}", *(f"parent {named(parent).hex()}" for parent in parents),
             f"author {author} {date} {ZONE}", f"committer C <c@d> {date} {ZONE}", "", f"number {number}", ""]
    return named(number), "\n".join(lines).encode()


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[list[int], int]]:
    """Parents and date of each commit. Clocks go wrong; some parents are not there."""
    count = draw(st.integers(0, 40))
    return [(draw(st.lists(st.integers(-3, number - 1), max_size=3, unique=True)),
             draw(st.integers(0, 12)) if draw(st.booleans()) else number) for number in range(count)]


def plainly(history: Sequence[tuple[list[int], int]]) -> list[bytes]:
    """Each after its parents; of those that could stand at one place the older, then the smaller id."""
    waits = {number: len([parent for parent in parents if parent >= 0]) for number, (parents, _) in enumerate(history)}
    heap = [(history[number][1], named(number), number) for number, count in waits.items() if not count]
    heapq.heapify(heap)
    order = []
    while heap:
        _, name, number = heapq.heappop(heap)
        order.append(name)
        for child, (parents, date) in enumerate(history):
            if number in parents:
                waits[child] -= 1
                if not waits[child]:
                    heapq.heappush(heap, (date, named(child), child))
    return order


def made(history: Sequence[tuple[list[int], int]]) -> Iterator[Head]:
    return heads((commit(number, parents, date) for number, (parents, date) in enumerate(history)), 20)


@given(histories())
def test_the_order(history: list[tuple[list[int], int]]) -> None:
    graph = Graph(made(history), 20)
    assert graph.order == plainly(history)
    assert graph.at == {name: place for place, name in enumerate(graph.order)}


@given(histories())
def test_what_reaches_what(history: list[tuple[list[int], int]]) -> None:
    reach: list[set[int]] = []
    for number, (parents, _) in enumerate(history):
        reach.append({number}.union(*(reach[parent] for parent in parents if parent >= 0)))
    every = range(len(history))
    wanted = [named(number) for number in every]
    graph = Graph(made(history), 20)
    found = reaching([(f"r{tip}", named(tip)) for tip in every], graph.masks(wanted), wanted, 3)
    assert found == {named(number): [named(tip) for tip in every if number in reach[tip]][:3] for number in every}
    of_one = reaching([("r", named(tip)) for tip in every], graph.masks(wanted), wanted, 3)
    assert of_one == {named(number): [named(tip) for tip in every if number in reach[tip]] for number in every}
    told = dict(zip(graph.order, graph.ranks({named(tip): tip % 4 for tip in every if tip % 3}), strict=True))
    assert told == {named(number): min((tip % 4 for tip in every if tip % 3 and number in reach[tip]), default=NOWHERE)
                    for number in every}


def test_a_commit_of_two_packs_counts_once() -> None:
    first, second = commit(0, [], 1), commit(1, [0], 2)
    assert Graph(heads([first, second, first], 20), 20).order == [first[0], second[0]]


def test_headers_that_git_would_not_write() -> None:
    """They are read as far as they say something, and none is left out."""
    first = commit(0, [], 5)
    odd = named(1), first[1].replace(b"\nauthor", b"\nparent " + named(0).hex().encode() + b"\nodd x\nauthor", 1)
    bare = named(2), b"tree " + named(7).hex().encode() + b"\n\nno date"
    graph = Graph(heads([odd, bare, first], 20), 20, {named(7)})
    assert graph.order == [named(2), named(0), named(1)] and graph.roots == {named(7): named(2)}


def test_the_first_commit_with_a_root() -> None:
    later, first = commit(2, [0], 3), commit(0, [], 1)
    same = named(1), later[1]
    graph = Graph(heads([later, same, first], 20), 20, {named(-2)})
    assert graph.roots == {named(-2): min(named(1), named(2))}


# --- which commit brought an object


@pytest.fixture
def garden(tmp_path: Path) -> Garden:
    made = Garden(tmp_path / "repo")
    made.root.mkdir()
    made.git("init", "-q")
    for number, text in enumerate(("one", "two", "one", "three")):
        (made.root / "file").write_text(text)
        if number == 2:
            (made.root / "zoo").write_text(text)
        made.git("add", ".")
        made.git("commit", "-q", "-m", str(number))
    return made


def blob(garden: Garden, text: str) -> bytes:
    return bytes.fromhex(garden.git("hash-object", "--stdin", given=text.encode()).strip())


def commits(garden: Garden) -> list[bytes]:
    """The oldest first."""
    return [bytes.fromhex(line) for line in garden.git("rev-list", "--reverse", "--all").split()]


@pytest.mark.parametrize("most", [0, 8192])
def test_the_first_commit_that_brought_it(garden: Garden, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawsecrets.sources.git.brought._NAMED", most)
    names = commits(garden)
    at = {name: place for place, name in enumerate(names)}
    wanted = [blob(garden, text) for text in ("one", "three", "never")]
    for turn in (names, names[::-1]):
        bringers = Bringers(find(garden.root), wanted, False)
        bringers.begin(b"".join(turn))
        assert bringers.found(at) == {wanted[0]: (names[0], "file"), wanted[1]: (names[3], "file")}
        assert bringers.skipped == []
        later = Bringers(find(garden.root), wanted, False)
        later.begin(b"".join(turn))
        assert later.found({names[2]: 0})[wanted[0]] == (names[2], "zoo")


def test_a_commit_that_cannot_be_read_costs_nothing_else(garden: Garden) -> None:
    names, wanted = commits(garden), [blob(garden, "two")]
    bringers = Bringers(find(garden.root), wanted, False)
    bringers.begin(bytes(range(20)) + b"".join(names))
    assert bringers.found({name: place for place, name in enumerate(names)}) == {wanted[0]: (names[1], "file")}
    assert bringers.skipped == []


def test_what_git_cannot_say_is_told(garden: Garden) -> None:
    bringers = Bringers(find(garden.root), [blob(garden, "two")], False)
    bringers.begin(bytes(range(20)))
    for _ in range(2):  # for two orders of the same commits: git is asked, and its failure told, once
        assert bringers.found({bytes(range(20)): 0}) == {}
    [skipped] = bringers.skipped
    assert skipped.what == "where findings come from" and "git log failed" in skipped.reason


def test_loose_objects_that_were_listed_are_not_looked_for(garden: Garden) -> None:
    name = blob(garden, "two").hex()
    stores = find(garden.root).stores
    assert Objects(stores, 20, loose={name}).read(name) == Objects(stores, 20).read(name) == ("blob", b"two")
    with pytest.raises(Missing):
        Objects(stores, 20, loose=()).read(name)
