"""Runs a scan: each worker reads its share of every source, looks at all content once, and sends what it found.

A worker is a fork: the compiled rules and the sources' indexes are shared, and one that dies (out of memory, killed)
takes nothing with it but its share, which is then reported as not looked at. With one worker nothing is forked.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from clawsecrets.model.finding import Content, Dropped, Match, Skipped
from clawsecrets.scan import wire
from clawsecrets.scan.counting import counted

if TYPE_CHECKING:
    from clawsecrets.model.finding import Rule
    from clawsecrets.scan_ports import Notes, Part, Source

MATCHES = 100_000
"""A worker keeps at most so many matches of one source: more are counted, told, and make the scan incomplete."""
TICK = 0.1
"""Seconds between two words of progress."""


class Looks(Protocol):
    """What looks at content (scan/inspect.py)."""

    def look(self, content: Content) -> Iterable[Match]:
        """The matches in it."""

    def rest(self) -> Iterable[Match]:
        """The matches in content that came before and waited."""

    @property
    def dropped(self) -> list[Dropped]:
        """Candidates that a filter dropped, when they are kept."""


class Told(Protocol):
    """Who is told how far the scan is."""

    @property
    def counts(self) -> bool:
        """Whether it shows how much is left, and so must be told how much there is."""

    def expects(self, work: int) -> None:
        """So many bytes, as they are stored, are to be read in all. From another thread, beside the scan."""

    def moved(self, objects: int, size: int, work: int) -> None:
        """So much was looked at since the last call; `work`: bytes as they are stored that are done with."""

    def say(self, message: str) -> None:
        """A line for the person."""


class Outcome:
    """What one source gave."""

    def __init__(self) -> None:
        self.matches: list[Match] = []
        self.dropped: list[Dropped] = []
        self.skipped: list[Skipped] = []
        self.extra: list[tuple[Any, ...]] = []
        """What its parts said besides, by `notes.extra` (plain values): for the cache."""
        self.objects = self.bytes = self.cached = 0


class _Notes:
    """A worker's notes: counts, and sends the rest at once."""

    def __init__(self, source: int, send: Callable[..., None]) -> None:
        self.source, self._send = source, send
        self._objects = self._bytes = self._cached = self._work = 0
        self._next = 0.0

    def skipped(self, skipped: Skipped) -> None:
        """Something could not be looked at."""
        self._send(wire.SKIPPED, self.source, wire.pack_skipped(skipped))

    def looked(self, objects: int, size: int, work: int = 0) -> None:
        """So many contents of so many bytes were given."""
        self._objects += objects
        self._bytes += size
        self._work += work
        if (now := time.monotonic()) >= self._next:
            self._next = now + TICK
            self.flush()

    def cached(self, objects: int) -> None:
        """So many contents were left out."""
        self._cached += objects

    def known(self, message: str) -> None:
        """A line for the person."""
        self._send(wire.SAY, self.source, message)

    def extra(self, *values: Any) -> None:
        """Plain values for whoever started the scan."""
        self._send(wire.EXTRA, self.source, values)

    def flush(self) -> None:
        """Send the counts."""
        if self._objects or self._bytes or self._cached or self._work:
            self._send(wire.TICK, self.source, self._objects, self._bytes, self._cached, self._work)
            self._objects = self._bytes = self._cached = self._work = 0


class _Desk:
    """The parent's side: sorts what the workers send into outcomes."""

    def __init__(self, sources: int, rules: Callable[[], dict[str, Rule]], told: Told) -> None:
        self.outcomes = [Outcome() for _ in range(sources)]
        self._rules, self._told = rules, told

    def take(self, kind: bytes, values: tuple[Any, ...]) -> None:
        """One frame."""
        source, *rest = values
        outcome = self.outcomes[source]
        if kind == wire.TICK:
            outcome.objects += rest[0]
            outcome.bytes += rest[1]
            outcome.cached += rest[2]
            self._told.moved(rest[0], rest[1], rest[3])
        elif kind == wire.MATCH:
            outcome.matches.append(wire.unpack(rest[0], self._rules()))
        elif kind == wire.DROPPED:
            outcome.dropped.append(wire.unpack_dropped(rest[0]))
        elif kind == wire.SKIPPED:
            outcome.skipped.append(wire.unpack_skipped(rest[0]))
        elif kind == wire.SAY:
            self._told.say(rest[0])
        elif kind == wire.EXTRA:
            outcome.extra.append(rest[0])


Make = Callable[["Notes"], Looks]
"""Makes the inspector of a worker, which tells what it cannot open to these notes."""


def run(sources: Sequence[Source], make: Make, rules: Callable[[], dict[str, Rule]], workers: int,
        told: Told) -> tuple[list[Outcome], bool]:
    """Scan all sources; the outcome of each, and whether the person interrupted it (Ctrl-C)."""
    desk = _Desk(len(sources), rules, told)
    parts = [source.parts(workers) for source in sources]
    shares = [[(number, given[k]) for number, given in enumerate(parts) if k < len(given)]
              for k in range(max(map(len, parts), default=0))]
    stop = _Stop()
    before = signal.signal(signal.SIGINT, stop.ask)
    try:
        if len(shares) == 1:
            with counted(sources, told):
                stopped = _read(shares[0], make, lambda kind, *values: desk.take(kind, values), stop.check)
            return desk.outcomes, stopped or stop.asked
        return desk.outcomes, bool(shares) and _fork_all(shares, make, desk, stop, lambda: counted(sources, told))
    finally:
        signal.signal(signal.SIGINT, before)


def _read(share: Sequence[tuple[int, Part]], make: Make, send: Callable[..., None],
          check: Callable[[], None]) -> bool:
    """Read one worker's share; whether it was interrupted. `check` raises KeyboardInterrupt between contents."""
    for number, part in share:
        notes = _Notes(number, send)
        try:
            _read_part(part, make(notes), notes, send, check)
        except KeyboardInterrupt:
            notes.flush()
            return True
        except MemoryError:
            notes.skipped(Skipped("the rest of a worker's share", "memory ran out"))
        notes.flush()
    return False


def _read_part(part: Part, inspector: Looks, notes: _Notes, send: Callable[..., None],
               check: Callable[[], None]) -> None:
    found = told = 0
    source, dropped = notes.source, inspector.dropped
    for matches in _looked(part, inspector, notes, check):
        for match in matches:
            found += 1
            if found <= MATCHES:
                send(wire.MATCH, source, wire.pack(match))
        for item in dropped[told:]:
            send(wire.DROPPED, source, wire.pack_dropped(item))
        told = len(dropped)
    if found > MATCHES:
        notes.skipped(Skipped(f"{found - MATCHES} matches",
                              f"more than {MATCHES} in one share; the first ones are reported"))


def _looked(part: Part, inspector: Looks, notes: _Notes, check: Callable[[], None]) -> Iterator[Iterable[Match]]:
    """What each content gives, and at the end what waited, also when the person stops it."""
    look, dropped = inspector.look, inspector.dropped
    try:
        for content in part.contents(notes):
            matches = look(content)
            if matches or dropped:
                yield matches
            check()  # what was read already is looked at: a stream ends so, and gives what it had
    except KeyboardInterrupt:
        yield inspector.rest()
        raise
    yield inspector.rest()


def _fork_all(shares: Sequence[Sequence[tuple[int, Part]]], make: Make, desk: _Desk, stop: _Stop,
              beside: Callable[[], AbstractContextManager[None]]) -> bool:
    """`beside`: what runs in the parent from when all are forked (a thread is not forked with it) until they end."""
    sys.stdout.flush()
    sys.stderr.flush()
    readers: dict[int, tuple[int, int]] = {}
    for number, share in enumerate(shares):
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(out)
            for reader in readers:
                os.close(reader)
            _child(share, make, into)
        os.close(into)
        readers[out] = (pid, number)
    interrupted = False
    try:
        with beside():
            interrupted = _collect(readers, shares, desk, stop)
    finally:
        for pid, _ in readers.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return interrupted


def _child(share: Sequence[tuple[int, Part]], make: Make, into: int) -> None:
    """A worker, from its fork to its end. Nothing of the parent's runs in it afterwards."""
    gc.freeze()
    gc.disable()  # a worker makes no cycles, ends soon, and would copy the parent's pages by looking at them
    code, stop = 1, _Stop()
    signal.signal(signal.SIGINT, lambda *_: setattr(stop, "asked", True))  # not in the middle of a frame
    try:
        stopped = _read(share, make, lambda kind, *values: wire.send(into, kind, *values), stop.check)
        wire.send(into, wire.END, 0, stopped)
        code = 0
    except BrokenPipeError:
        code = 0  # the parent is gone
    except BaseException:
        sys.excepthook(*sys.exc_info())  # ours: no values (cli/entry.py)
        raise
    finally:
        os._exit(code)


class _Stop:
    """Remembers Ctrl-C until it is safe to stop; a second one does not wait."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        """The signal came."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def check(self) -> None:
        """Stop here if it came."""
        if self.asked:
            raise KeyboardInterrupt


def _collect(readers: dict[int, tuple[int, int]], shares: Sequence[Sequence[tuple[int, Part]]], desk: _Desk,
             stop: _Stop) -> bool:
    """Take frames until every worker has closed its pipe. `readers` holds those that have not."""
    frames = {out: wire.Frames() for out in readers}
    ended: dict[int, bool] = {}
    with selectors.DefaultSelector() as selector:
        for out in readers:
            selector.register(out, selectors.EVENT_READ)
        while readers:
            for key, _ in selector.select(TICK):
                data = os.read(key.fd, 1 << 20)
                for kind, values in frames[key.fd].feed(data):
                    if kind == wire.END:
                        ended[key.fd] = values[1]
                    else:
                        desk.take(kind, values)
                if not data:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    pid, number = readers.pop(key.fd)
                    _buried(pid, shares[number], key.fd in ended, desk)
            if stop.asked:
                for pid, _ in readers.values():
                    os.kill(pid, signal.SIGINT)  # again at each turn: one may not have been listening yet
    return stop.asked or any(ended.values())


def _buried(pid: int, share: Sequence[tuple[int, Part]], whole: bool, desk: _Desk) -> None:
    _, status = os.waitpid(pid, 0)
    if whole:
        return
    code = os.waitstatus_to_exitcode(status)
    why = f"a worker was killed by signal {-code}" if code < 0 else f"a worker stopped with code {code}"
    for number in {number for number, _ in share}:
        desk.outcomes[number].skipped.append(Skipped("a worker's share", f"{why} before it had read all of it"))
