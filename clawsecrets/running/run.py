"""Runs the command: once, or anew whenever one of its secrets was rotated.

Nothing of the store is open meanwhile. Exit codes: the command's own; 128 + n when signal n ended it; 127 when there is
no such command, 126 when it cannot be run (as shells say it).
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from typing import NamedTuple, NoReturn

from clawsecrets.running import child as children
from clawsecrets.running import ends, linux
from clawsecrets.running.files import folder_of
from clawsecrets.running.given import Given, environ_for
from clawsecrets.running.needles import Needles, Search
from clawsecrets.running.relay import Relay, end_all

NOT_FOUND, NOT_RUN = 127, 126
Started = Callable[[Sequence[Given], int, str], None]
"""Hears of each start: what was given, the process, the folder of its files (empty: none)."""
Look = Callable[[Sequence[Given]], Sequence[Given] | None]
"""What the command is to be given now, where that is another version than it has; None where not."""


class How(NamedTuple):
    """What was asked for."""

    search: Search | None = None
    """For the mask; None: no mask."""
    files: bool = False
    look: Look | None = None
    """With it the command is started anew (--watch)."""
    every: float = 2.0
    """Seconds between two looks."""
    grace: float = 10.0
    """Seconds that the command has to end before it is killed."""
    dropped: Collection[bytes] = ()
    """Variables of ours that hold secrets."""


class NotStarted(Exception):
    """The command could not be started; `code` is what shells give then."""

    def __init__(self, error: OSError) -> None:
        self.found = error.errno not in (errno.ENOENT, errno.ENOTDIR)
        self.code = NOT_RUN if self.found else NOT_FOUND
        self.why = os.strerror(error.errno) if error.errno else "the system refused"
        super().__init__(self.why)


class Ended(NamedTuple):
    """How it ended."""

    code: int
    instead: Sequence[Given] | None
    """With what it is to be started anew."""
    lost: str
    """Why not all that it printed could be written; empty when it was, or when our reader left."""


def run(argv: Sequence[str], given: Sequence[Given], how: How, started: Started) -> Ended:
    """Run it; how it ended. `started` hears of each start. NotStarted; Refused, before anything runs, for what cannot
    be given."""
    if how.search is None and not how.files and how.look is None:
        _instead_of_us(argv, given, how, started)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, linux.READ)
    linux.adopt_orphans()
    signals = linux.signal_file(linux.READ)
    seen: list[bytes] = []
    lost = ""
    while True:
        seen += [each.value.reveal() for each in given]
        needles = Needles(seen, how.search) if how.search is not None else None
        with folder_of(given, os.environ) if how.files else nullcontext("") as folder:
            environ = environ_for(os.environb, given, folder, how.dropped)
            ended = _once(argv, environ, given, how, _Means(needles, signals, before, started, folder))
        lost = lost or ended.lost
        if ended.instead is None:
            return ended._replace(lost=lost)
        given = ended.instead


class _Means(NamedTuple):
    needles: Needles | None
    signals: int
    mask: Collection[int]
    started: Started
    folder: str


def _once(argv: Sequence[str], environ: dict[bytes, bytes], given: Sequence[Given], how: How, means: _Means) -> Ended:
    streams = ends.masked(means.needles) if means.needles is not None else ends.plain()
    try:
        child = children.start(argv, environ, streams.ends, means.mask)
    except OSError as error:
        streams.started()
        streams.close()
        raise NotStarted(error) from None
    streams.started()
    means.started(given, child.pid, means.folder)
    watch = _Watch(how, given)
    relay = Relay(child, streams.flows, means.signals, keys=streams.keys, master=streams.master,
                  size_of=streams.size_of, wake=watch.wake, grace=how.grace)
    try:
        status = relay.run()
    finally:
        instead = watch.end()
        child.let_go()
        streams.close()
    lost = next((flow.lost for flow in streams.flows if flow.lost), "")
    if relay.woken and not relay.told_to_end and instead is not None:
        end_all(how.grace)
        return Ended(0, instead, lost)
    return Ended(_code(status), None, lost)


class _Watch:
    """Looks, in a thread, until something is new. `wake` becomes readable then."""

    def __init__(self, how: How, given: Sequence[Given]) -> None:
        self.wake, self._tell = os.pipe2(os.O_CLOEXEC) if how.look is not None else (-1, -1)
        self._over = threading.Event()
        self._found: Sequence[Given] | None = None
        self._thread: threading.Thread | None = None
        if how.look is not None:
            self._thread = threading.Thread(target=self._run, args=(how.look, how.every, given), daemon=True)
            self._thread.start()

    def _run(self, look: Look, every: float, given: Sequence[Given]) -> None:
        while not self._over.wait(every):
            self._found = look(given)
            if self._found is not None:
                os.write(self._tell, b"x")
                return

    def end(self) -> Sequence[Given] | None:
        """Look no more; what was found."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            os.close(self.wake)
            os.close(self._tell)
        return self._found


def _instead_of_us(argv: Sequence[str], given: Sequence[Given], how: How,
                   started: Started) -> NoReturn:
    """Nothing is left to do for us: the command takes our place."""
    environ = environ_for(os.environb, given, "", how.dropped)
    started(given, os.getpid(), "")
    try:
        children.execute(argv, environ)
    except OSError as error:
        raise NotStarted(error) from None


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
