"""The workers of a scan: everything is looked at once, and a worker that dies is never silence."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from clawsecrets.model.finding import Content, Coverage, Dropped, Kind, Match, Place, Provenance, Rule, Skipped
from clawsecrets.model.secret import SecretValue
from clawsecrets.scan import pipeline, wire
from clawsecrets.scan_ports import Notes

RULE = Rule("made.token", "made", "A made token", "tok_[a-z]{8}")


class Told:
    def __init__(self, counts: bool = False) -> None:
        """`counts`: it waits until it knows how much there is."""
        self.counts, self.knows, self.whole, self.work = counts, threading.Event(), -1, 0
        self.objects = self.bytes = 0
        self.lines: list[str] = []

    def expects(self, work: int) -> None:
        self.whole = work
        self.knows.set()

    def moved(self, objects: int, size: int, work: int) -> None:
        assert not self.counts or self.knows.wait(60)
        self.objects += objects
        self.bytes += size
        self.work += work

    def say(self, message: str) -> None:
        self.lines.append(message)


class Finds:
    """Every `tok_` is a match, every `not_` a dropped candidate."""

    def __init__(self, notes: Notes) -> None:
        self.dropped: list[Dropped] = []

    def look(self, content: Content) -> list[Match]:
        if b"not_" in content.data:
            self.dropped.append(Dropped(RULE.id, content.place, 1, "it says so", "n…"))
        if b"tok_" not in content.data:
            return []
        return [Match(RULE, content.place, SecretValue(content.data), 1, 1, 1, "plain", "tok_")]

    def rest(self) -> list[Match]:
        return []


Does = Callable[[Notes, int], Iterable[Content]]


@dataclass(frozen=True)
class Share:
    does: Does
    number: int

    def contents(self, notes: Notes) -> Iterable[Content]:
        return self.does(notes, self.number)


@dataclass
class Made:
    """`does(notes, k)` gives the contents of worker k."""

    does: Does
    count: int = 2
    asked: list[int] = field(default_factory=list)
    sizes: Iterable[int] | None = ()

    def parts(self, workers: int) -> Sequence[Share]:
        return [Share(self.does, number) for number in range(min(workers, self.count))]

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        return {}

    def work(self) -> Iterable[int] | None:
        return self.sizes

    def coverage(self) -> Coverage:
        return Coverage()


def numbered(notes: Notes, number: int) -> Iterable[Content]:
    for n in range(number, 1000, 2):
        notes.looked(1, 10)
        yield Content(b"tok_%d" % n if n % 100 < 2 else b"not_" if n == 550 else b"other",
                      Place(Kind.FILE, "root", f"name\udcff{n}"))


def run(sources: Sequence[Made], workers: int = 2, counts: bool = False) -> tuple[list[pipeline.Outcome], bool, Told]:
    told = Told(counts)
    outcomes, interrupted = pipeline.run(sources, Finds, lambda: {RULE.id: RULE}, workers, told)
    return outcomes, interrupted, told


@pytest.mark.parametrize("workers", [1, 2])
def test_everything_is_looked_at_once(workers: int) -> None:
    whole = Made(numbered) if workers == 2 else Made(lambda notes, _: [*numbered(notes, 0), *numbered(notes, 1)], 1)
    (outcome,), interrupted, told = run([whole], workers)
    assert sorted(match.secret.reveal() for match in outcome.matches) == sorted(
        b"tok_%d" % n for n in range(1000) if n % 100 < 2)
    assert {match.place.path for match in outcome.matches} >= {"name\udcff0", "name\udcff1"}
    assert [item.reason for item in outcome.dropped] == ["it says so"]
    assert (outcome.objects, outcome.bytes, outcome.skipped, interrupted) == (1000, 10_000, [], False)
    assert (told.objects, told.bytes) == (1000, 10_000)


def test_each_source_has_its_own_outcome() -> None:
    one = Made(lambda notes, number: [Content(b"tok_one", Place(Kind.FILE, "a"))] if number == 0 else [])
    two = Made(lambda notes, number: [Content(b"tok_two", Place(Kind.FILE, "b"))], 1)
    outcomes, _, _ = run([one, two])
    assert [[m.secret.reveal() for m in o.matches] for o in outcomes] == [[b"tok_one"], [b"tok_two"]]


def test_what_is_told_arrives() -> None:
    def does(notes: Notes, number: int) -> Iterable[Content]:
        notes.skipped(Skipped(f"thing {number}", "it is broken", by_choice=number == 1))
        notes.cached(3)
        notes.known("a line")
        return []

    (outcome,), _, told = run([Made(does)])
    assert sorted((s.what, s.by_choice) for s in outcome.skipped) == [("thing 0", False), ("thing 1", True)]
    assert outcome.cached == 6 and told.lines == ["a line", "a line"]


def worked(notes: Notes, number: int) -> Iterable[Content]:
    for n in range(100):
        notes.looked(1, 5, 2)
        yield Content(b"other", Place(Kind.FILE, "root", f"name{n}"))


@pytest.mark.parametrize("workers", [1, 2])
def test_how_much_there_is_is_counted_beside_the_scan(workers: int) -> None:
    before = threading.active_count()
    sources = [Made(worked, sizes=(100, 100 * (workers * 2 - 1))), Made(worked, sizes=iter([200 * workers]))]
    _, _, told = run(sources, workers, counts=True)
    assert (told.whole, told.work) == (400 * workers, 400 * workers)
    assert threading.active_count() == before


def test_where_one_source_does_not_know_nothing_is_expected_of_all() -> None:
    told = Told(counts=True)
    told.knows.set()
    pipeline.run([Made(worked, sizes=(400,)), Made(worked, sizes=None)], Finds, dict, 2, told)
    assert (told.whole, told.work) == (-1, 800)


def test_counting_ends_with_the_scan() -> None:
    def endless() -> Iterable[int]:
        while True:
            yield 1

    told = Told(counts=True)
    told.knows.set()
    before = threading.active_count()
    pipeline.run([Made(worked, sizes=endless())], Finds, dict, 2, told)
    assert told.whole == -1 and threading.active_count() == before


def test_nothing_is_counted_where_nobody_is_shown_it() -> None:
    class Uncounted(Made):
        def work(self) -> Iterable[int] | None:
            raise AssertionError("who asked?")

    _, _, told = run([Uncounted(worked)])
    assert told.work == 400


def test_a_worker_that_is_killed_makes_the_scan_incomplete() -> None:
    def does(notes: Notes, number: int) -> Iterable[Content]:
        yield Content(b"tok_before", Place(Kind.FILE, "a"))
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    (outcome,), interrupted, _ = run([Made(does)])
    assert [s.reason for s in outcome.skipped] == ["a worker was killed by signal 9 before it had read all of it"]
    assert not interrupted and len(outcome.matches) == 2  # what it had sent before is kept


def test_a_fault_of_ours_in_a_worker_is_told_and_incomplete(capfd: pytest.CaptureFixture[str]) -> None:
    def does(notes: Notes, number: int) -> Iterable[Content]:
        if number == 1:
            raise ZeroDivisionError
        return []

    (outcome,), _, _ = run([Made(does)])
    assert len(outcome.skipped) == 1 and "a worker stopped with code" in outcome.skipped[0].reason
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_memory_that_runs_out_is_told() -> None:
    def does(notes: Notes, number: int) -> Iterable[Content]:
        raise MemoryError

    (outcome,), _, _ = run([Made(does, 1)], 1)
    assert outcome.skipped == [Skipped("the rest of a worker's share", "memory ran out")]


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_gives_what_was_found_so_far(workers: int) -> None:
    parent = os.getpid()

    def does(notes: Notes, number: int) -> Iterable[Content]:
        yield Content(b"tok_%d" % number, Place(Kind.FILE, "a"))
        if number == 0:
            os.kill(parent, signal.SIGINT)
        while True:
            time.sleep(0.01)
            yield Content(b"", Place(Kind.FILE, "b"))

    (outcome,), interrupted, _ = run([Made(does, workers)], workers)
    assert interrupted and {m.secret.reveal() for m in outcome.matches} >= {b"tok_0"}


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pids of the workers that were started."""
    pids: list[int] = []
    fork = os.fork

    def noted() -> int:
        if pid := fork():
            pids.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", noted)
    return pids


def require_reaped(pids: Sequence[int]) -> None:
    """None of them is a child of this process any more, neither alive nor as a zombie."""
    assert pids
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_no_worker_outlives_the_scan(workers: list[int]) -> None:
    run([Made(numbered)])
    require_reaped(workers)


def test_no_worker_outlives_a_scan_that_breaks_off(workers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def does(notes: Notes, number: int) -> Iterable[Content]:
        while True:
            yield Content(b"", Place(Kind.FILE, "a"))

    def broken(*_: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline, "_collect", broken)
    with pytest.raises(ZeroDivisionError):
        run([Made(does)])
    require_reaped(workers)


def test_more_matches_than_are_kept_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MATCHES", 5)

    def does(notes: Notes, number: int) -> Iterable[Content]:
        return [Content(b"tok_%d" % n, Place(Kind.FILE, "a")) for n in range(9)]

    (outcome,), _, _ = run([Made(does, 1)], 1)
    assert len(outcome.matches) == 5 and outcome.skipped[0].what == "4 matches" and not outcome.skipped[0].by_choice


def test_frames_arrive_whole_in_pieces_of_any_size() -> None:
    out, into = os.pipe()
    wire.send(into, wire.SAY, 0, "one")
    wire.send(into, wire.SAY, 1, "two" * 1000)
    os.close(into)
    data = b"".join(iter(lambda: os.read(out, 4096), b""))
    os.close(out)
    for size in (1, 7, 10_000):
        frames = wire.Frames()
        got = [frame for at in range(0, len(data), size) for frame in frames.feed(data[at:at + size])]
        assert got == [(wire.SAY, (0, "one")), (wire.SAY, (1, "two" * 1000))]
