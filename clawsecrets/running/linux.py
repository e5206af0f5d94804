"""What Linux offers and Python 3.11 does not: signals as a file, adopting orphans, ending with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Iterable
from typing import NamedTuple

_KERNEL = 0x80
"""si_code of what the kernel sent, such as the keys of a terminal (asm-generic/siginfo.h SI_KERNEL)."""
_INFO = struct.Struct("=IiiI112x")
"""The beginning of struct signalfd_siginfo (signalfd(2)): signal, errno, code, pid."""
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_CLOEXEC, _NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_libc = ctypes.CDLL(None, use_errno=True)


class Came(NamedTuple):
    """A signal that came."""

    number: int
    by_kernel: bool
    """Not sent by a process: a key of the terminal, or its end. Everybody in the terminal's group got it."""


def signal_file(numbers: Iterable[int]) -> int:
    """A descriptor that these signals (blocked by the caller) are read from. OSError."""
    wanted = ctypes.create_string_buffer(128)
    _libc.sigemptyset(wanted)
    for number in numbers:
        _libc.sigaddset(wanted, int(number))
    return _checked(_libc.signalfd(-1, wanted, _CLOEXEC | _NONBLOCK))


def came(number: int) -> list[Came]:
    """What came on such a descriptor."""
    try:
        content = os.read(number, 64 * _INFO.size)
    except BlockingIOError:
        return []
    return [Came(signo, code == _KERNEL) for signo, _, code, _ in _INFO.iter_unpack(content)]


def adopt_orphans() -> None:
    """Processes below this one whose parent ends become its children. OSError."""
    _checked(_libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def end_with_parent(number: int, parent: int) -> None:
    """This process gets the signal when its parent ends; at once, where that happened already. OSError."""
    _checked(_libc.prctl(_SET_PDEATHSIG, int(number), 0, 0, 0))
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def descendants(root: int) -> list[int]:
    """Every process below `root`, as far as /proc shows them now."""
    found: list[int] = []
    queue = [root]
    while queue:
        pid = queue.pop()
        children = _children(pid)
        found += children
        queue += children
    return found


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for task in os.listdir(f"/proc/{pid}/task")
                for word in open(f"/proc/{pid}/task/{task}/children").read().split()]
    except OSError:
        return []


def orphaned_group() -> bool:
    """Whether nobody could continue this process's group if it were stopped (POSIX: an orphaned process group). Then
    the keys of a terminal do not stop it."""
    group, session = os.getpgrp(), os.getsid(0)
    pid = os.getppid()
    try:
        while pid > 1 and os.getsid(pid) == session:
            if os.getpgid(pid) != group:
                return False
            pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])  # noqa: SIM115
    except (OSError, ValueError):
        return True
    return True


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


FORWARDED = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
                       signal.SIGALRM, signal.SIGURG, signal.SIGIO,
                       *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)})
"""Passed on to the command as they are."""
READ = FORWARDED | {signal.SIGCHLD, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT}
"""Read from the descriptor."""
