"""The terminal that clawsecrets itself runs on: its size, its mode while the keys go to the command's own terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import termios
import tty

_NO_SIZE = bytes(8)


def is_ours(number: int) -> bool:
    """Whether it is our controlling terminal and we may use it now (in its foreground)."""
    try:
        return os.tcgetpgrp(number) == os.getpgrp()
    except OSError:
        return False


def resize(source: int, target: int) -> None:
    """Give a terminal the size of another one; its programs are told."""
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, _NO_SIZE)
        if size != fcntl.ioctl(target, termios.TIOCGWINSZ, _NO_SIZE):
            fcntl.ioctl(target, termios.TIOCSWINSZ, size)


class Keys:
    """Standard input where that is a terminal: raw while the command runs, so that every key, Ctrl-C too, goes to the
    command's terminal, whose line discipline knows what it means there."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._before: list[object] | None = None

    @property
    def taken(self) -> bool:
        """Whether it is raw, and read by us."""
        return self._before is not None

    def take(self) -> None:
        """Make it raw, where we are in the foreground. Nothing else where not."""
        if self._before is None and is_ours(self.number):
            with contextlib.suppress(termios.error):
                before = termios.tcgetattr(self.number)
                tty.setraw(self.number, termios.TCSADRAIN)
                self._before = before

    def give_back(self) -> None:
        """As it was before."""
        if self._before is not None and is_ours(self.number):
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.number, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]
        self._before = None


def like(source: int, target: int, *, cooked_by_source: bool) -> None:
    """Give a new terminal the modes of another one. `cooked_by_source`: what comes out of it is written to that one as
    it stands, so line ends must not be made twice."""
    with contextlib.suppress(termios.error):
        modes = termios.tcgetattr(source)
        if cooked_by_source:
            modes[1] &= ~termios.OPOST
        termios.tcsetattr(target, termios.TCSANOW, modes)
