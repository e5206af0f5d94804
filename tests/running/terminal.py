"""A person at a terminal: runs a program on a pseudo-terminal, types, looks, changes its size."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.waiting import LONG, readable


class Terminal:
    """A program in a session of its own on a terminal. `said` is what it showed so far."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path,
                 redirect: Mapping[int, str] | None = None) -> None:
        self.said = b""
        self.pid, self._number = pty.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
                os.chdir(cwd)
                for number, path in (redirect or {}).items():
                    flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
                    os.dup2(os.open(path, flags, 0o600), number)
                os.execve(command[0], list(command), {**env, "TERM": "xterm"})
            os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            os.close(self._number)
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def type(self, text: bytes) -> None:
        """Press these keys."""
        os.write(self._number, text)

    def until(self, wanted: bytes) -> bytes:
        """Look until that is shown; what was shown since the last look, up to it."""
        while wanted not in self.said:
            if not self._look(LONG):
                raise AssertionError(f"{wanted!r} did not come: {self.said!r}")
        seen, _, self.said = self.said.partition(wanted)
        return seen + wanted

    def end(self) -> int:
        """Look until it ends; its exit code."""
        while self._look(LONG):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def resize(self, lines: int, columns: int) -> None:
        """Change the window's size."""
        fcntl.ioctl(self._number, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def raw(self) -> bool:
        """Whether keys go through uncooked."""
        return not termios.tcgetattr(self._number)[3] & termios.ICANON

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._number)

    def _look(self, seconds: float) -> bool:
        """Whether more came."""
        if not readable(self._number, seconds):
            raise AssertionError(f"nothing comes: {self.said!r}")
        try:
            part = os.read(self._number, 65536)
        except OSError:
            return False
        self.said += part
        return bool(part)
