"""Starts the command: in this session, or in one of its own on a terminal of its own.

A terminal of its own needs a process between: a session's leader, in another group than the command. Without it Ctrl-Z
would do nothing (nobody in the session could continue the command), and the command would be its session's leader. That
process holds nothing open but what it reports through, and stays until `Child.let_go`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from clawsecrets.running import linux

_REPORT = struct.Struct("=ci")
BEGAN, FAILED, STOPPED, ENDED, LOST = b"B", b"F", b"S", b"E", b""
"""What is reported, with a number: its process id, errno, signal, wait status; and that nothing more will be."""


class Ends(NamedTuple):
    """What the command gets as standard input, output and error (this process's own where they are not replaced)."""

    stdin: int
    stdout: int
    stderr: int
    terminal: int = -1
    """The terminal of its own session; -1: it stays in ours."""


class Child(NamedTuple):
    """The command that runs."""

    pid: int
    direct: int
    """Our own child: the command, or its session's leader."""
    reports: int
    """Where its reports are read."""
    own_session: bool
    tether: int
    """The leader stays as long as this is open; -1 without a leader."""

    def send(self, number: int) -> None:
        """A signal to the command alone."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, number)

    def let_go(self) -> None:
        """Forget it: reports are no longer read, the leader may end."""
        for number in {self.reports, self.tether} - {-1}:
            os.close(number)


def start(argv: Sequence[str], environ: Mapping[bytes, bytes], ends: Ends, mask: Iterable[int]) -> Child:
    """Start it. `mask`: the signals that the command finds blocked. OSError when it cannot be run (errno says why)."""
    reports, report = os.pipe2(os.O_CLOEXEC)
    tied, tether = os.pipe2(os.O_CLOEXEC) if ends.terminal >= 0 else (-1, -1)
    us = os.getpid()
    direct = os.fork()
    if direct == 0:
        with contextlib.suppress(BaseException):  # nothing of the parent's stack may run here
            if ends.terminal >= 0:
                _lead(argv, environ, ends, mask, report, tied)
            else:
                linux.end_with_parent(signal.SIGTERM, us)
                _become(argv, environ, ends, mask, report)
        os._exit(127)
    os.close(report)
    if tied >= 0:
        os.close(tied)
    return _begun(Child(direct, direct, reports, ends.terminal >= 0, tether))


def _begun(child: Child) -> Child:
    """The child once it is known that the command could be started."""
    pid = child.pid
    for what, number in read(child.reports, wait=True):
        if what == FAILED:
            child.let_go()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.direct, 0)
            raise OSError(number, os.strerror(number))
        pid = number if what == BEGAN else pid
    os.set_blocking(child.reports, False)
    return child._replace(pid=pid)


def read(reports: int, *, wait: bool = False) -> list[tuple[bytes, int]]:
    """What was reported. With `wait`: until the command was started, or could not be."""
    found: list[tuple[bytes, int]] = []
    while True:
        try:
            content = os.read(reports, _REPORT.size)
        except BlockingIOError:
            return found
        if len(content) < _REPORT.size:
            return [*found, (LOST, 0)]
        what, number = _REPORT.unpack(content)
        found.append((what, number))
        if wait and what in (FAILED, BEGAN):
            return found


def _tell(report: int, what: bytes, number: int) -> None:
    with contextlib.suppress(OSError):
        os.write(report, _REPORT.pack(what, number))


# --- in the new process ----------------------------------------------------------------------------------------------


def _lead(argv: Sequence[str], environ: Mapping[bytes, bytes], ends: Ends, mask: Iterable[int], report: int,
          tied: int) -> NoReturn:
    """Lead a session with the terminal, start the command in it, and report until it has ended."""
    os.setsid()
    fcntl.ioctl(ends.terminal, termios.TIOCSCTTY, 0)
    ready, go = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.close(ready)
            os.setpgid(0, 0)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # or becoming the foreground would stop it
            os.tcsetpgrp(ends.terminal, os.getpid())
            _become(argv, environ, ends, mask, report, go)
        os._exit(127)
    _keep({report, tied, ready})
    signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.valid_signals()) - {signal.SIGHUP})
    if os.read(ready, 1) == b"":
        _tell(report, BEGAN, pid)
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        _tell(report, STOPPED, os.WSTOPSIG(status))
    _tell(report, ENDED, status)
    os.read(tied, 1)
    os._exit(0)


def _become(argv: Sequence[str], environ: Mapping[bytes, bytes], ends: Ends, mask: Iterable[int], report: int,
            go: int = -1) -> NoReturn:
    """Become the command; a failure is reported."""
    try:
        for number, wanted in enumerate((ends.stdin, ends.stdout, ends.stderr)):
            if wanted != number:
                os.dup2(wanted, number)
            os.set_inheritable(number, True)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        execute(argv, environ)
    except OSError as error:
        _tell(report, FAILED, error.errno or 0)
        if go >= 0:
            os.write(go, b"x")
    os._exit(127)


def execute(argv: Sequence[str], environ: Mapping[bytes, bytes]) -> NoReturn:
    """Become a program. OSError when it cannot be."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(argv[0], list(argv), environ)  # noqa: S606 - no shell is what we want


def _keep(kept: set[int]) -> None:
    """Close everything else: the other end of a pipe, or of a terminal, would stay open."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)
