"""The command's standard streams: each a terminal where ours is one, else a pipe; unmasked, our own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from typing import NamedTuple

from clawsecrets.running.child import Ends
from clawsecrets.running.flow import MOST, Flow, Sink
from clawsecrets.running.mask import Mask
from clawsecrets.running.needles import Needles
from clawsecrets.running.terminal import Keys, like, resize


class Set(NamedTuple):
    """Everything for one run of the command."""

    ends: Ends
    flows: tuple[Flow, ...] = ()
    keys: Keys | None = None
    master: int = -1
    size_of: int = -1
    theirs: tuple[int, ...] = ()
    """The command's ends, to be closed here once it has started."""

    def started(self) -> None:
        """The command has its ends."""
        for number in self.theirs:
            os.close(number)

    def close(self) -> None:
        """Release ours."""
        for flow in self.flows:
            flow.close()


def plain() -> Set:
    """Our own streams, unmasked."""
    return Set(Ends(0, 1, 2))


def masked(needles: Needles) -> Set:
    """Streams through the mask. On a terminal the command gets one of its own, with the same modes and size."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return _on_terminal(needles) if os.isatty(1) else _piped(needles)


def _on_terminal(needles: Needles) -> Set:
    master, slave = os.openpty()
    keys = Keys(0) if os.isatty(0) else None
    like(1, slave, cooked_by_source=keys is None)
    resize(1, slave)
    flows = [_flow(master, 1, needles, terminal=True)]
    error, theirs = slave, [slave]
    if not os.isatty(2):
        source, error = _pipe()
        flows.append(_flow(source, 2, needles))
        theirs.append(error)
    ends = Ends(slave if keys else 0, slave, error, slave)
    return Set(ends, tuple(flows), keys, master, 1, tuple(theirs))


def _piped(needles: Needles) -> Set:
    source, output = _pipe()
    flows = [_flow(source, 1, needles)]
    if os.path.samestat(os.fstat(1), os.fstat(2)):  # 2>&1: one pipe keeps the order
        return Set(Ends(0, output, output), tuple(flows), theirs=(output,))
    if not os.isatty(2):
        source, error = _pipe()
        flows.append(_flow(source, 2, needles))
        return Set(Ends(0, output, error), tuple(flows), theirs=(output, error))
    master, error = os.openpty()  # only to write to: colour stays, the terminal in front is still ours
    like(2, error, cooked_by_source=True)
    resize(2, error)
    flows.append(_flow(master, 2, needles, terminal=True))
    return Set(Ends(0, output, error), tuple(flows), None, master, 2, (output, error))


def _pipe() -> tuple[int, int]:
    source, output = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, MOST)
    return source, output


def _flow(source: int, number: int, needles: Needles, *, terminal: bool = False) -> Flow:
    os.set_blocking(source, False)
    return Flow(source, Sink(number), Mask(needles), terminal=terminal)
