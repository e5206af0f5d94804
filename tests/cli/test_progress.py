"""The line of a long scan: how much, how fast, what share of it, how long still."""

from __future__ import annotations

import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pytest

from clawsecrets.cli import scan_run
from clawsecrets.cli.scan_run import Progress
from clawsecrets.model.finding import Content, Coverage, Dropped, Kind, Match, Place, Provenance
from clawsecrets.scan import pipeline
from clawsecrets.scan_ports import Notes, Source
from clawsecrets.sources.files import FileSource
from clawsecrets.sources.git.source import GitSource
from tests.scan.scanned import commit, repository

PATIENCE = 60.0
"""Seconds after which a line that does not come is a fault."""
LINE = re.compile(r"scanned [\d,]+ objects, [\d,]+ MB, [\d,]+ MB/s(?:, (\d+) %)?(?:, ([\dsminh ]+) left)?")


class Nothing:
    """Looks at nothing."""

    def __init__(self, notes: Notes) -> None:
        self.dropped: list[Dropped] = []

    def look(self, content: Content) -> Sequence[Match]:
        return ()

    def rest(self) -> Sequence[Match]:
        return ()


@dataclass(frozen=True)
class Slow:
    """One that goes on a little whenever it is asked whether the reader has seen enough, and ends when it has: as slow
    as the terminal needs it, on any machine."""

    enough: Callable[[], bool]
    sizes: Sequence[int] | None

    def parts(self, workers: int) -> Sequence[Slow]:
        return [self]

    def contents(self, notes: Notes) -> Iterable[Content]:
        end = time.monotonic() + PATIENCE
        for number in range(sum(self.sizes or (1 << 40,))):
            notes.looked(1, 1000, 1)
            yield Content(b"x", Place(Kind.FILE, "f", str(number)))
            if self.enough() or time.monotonic() > end:
                return

    def work(self) -> Iterable[int] | None:
        return self.sizes

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        return {}

    def coverage(self) -> Coverage:
        return Coverage()


class Terminal:
    """A pseudo-terminal that stands in for stderr, and all that was drawn on it."""

    def __init__(self, master: int, stderr: TextIO) -> None:
        self._master, self.stderr, self.drawn = master, stderr, ""

    def read(self, wait: float = 0.0) -> str:
        """All that was drawn by now."""
        while select.select([self._master], [], [], wait)[0]:
            self.drawn += os.read(self._master, 65536).decode()
            wait = 0.0
        return self.drawn

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Per cent and remaining time of each drawing, empty where it has none."""
        return [(found[1] or "", found[2] or "") for found in LINE.finditer(self.read())]


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        yield Terminal(master, stderr)
    os.close(master)


def run(sources: Sequence[Source], workers: int) -> None:
    progress = Progress(False)
    pipeline.run(sources, Nothing, dict, workers, progress)
    progress.done()


def test_a_terminal_sees_per_cent_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as seen:
        def enough() -> bool:
            seen.read(0.001)
            return any(percent and left for percent, left in seen.lines)

        run([Slow(enough, (50_000, 50_000))], 1)
        assert [line for line in seen.lines if all(line)], seen.drawn[-500:]
        assert seen.drawn.endswith("\r\033[K")  # it is taken away


def test_what_cannot_be_known_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as seen:
        def enough() -> bool:
            seen.read(0.001)
            return len(seen.lines) >= 2

        run([Slow(enough, None)], 1)
        assert len(seen.lines) >= 2 and not any(map(any, seen.lines)), seen.drawn[-500:]


class Knowing(Progress):
    """Draws at each word, from when it knows how much there is."""

    def __init__(self) -> None:
        super().__init__(False)
        self._knows = threading.Event()

    def expects(self, work: int) -> None:
        super().expects(work)
        self._knows.set()

    def moved(self, objects: int, size: int, work: int) -> None:
        assert self._knows.wait(PATIENCE)
        super().moved(objects, size, work)


@pytest.mark.parametrize("workers", [1, 2])
def test_it_ascends_to_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    repo = repository(tmp_path / "repo")
    for number in range(30):
        (repo / f"f{number % 7}").write_bytes(os.urandom(20_000))
        commit(repo, str(number))
    monkeypatch.setattr(scan_run, "REDRAW", 0.0)
    monkeypatch.setattr(pipeline, "TICK", 0.0)
    with terminal(monkeypatch) as seen:
        progress = Knowing()
        pipeline.run([GitSource(repo), FileSource([str(repo)])], Nothing, dict, workers, progress)
        shares = [int(percent) for percent, _ in seen.lines]
        assert shares == sorted(shares) and shares[-1] == 100 and len(set(shares)) > 3
        assert seen.lines[-1] == ("100", "0 s")


@pytest.mark.parametrize(("seconds", "words"), [
    (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3600, "1 h 00 min"),
    (90_061, "25 h 01 min")])
def test_how_long_it_takes(seconds: float, words: str) -> None:
    assert scan_run._lasting(seconds) == words
