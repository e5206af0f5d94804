"""The daemon's log: one line an event, as text or as a JSON object, with the rotation's id wherever there is one.

No value gets here: what is logged are names, states and the details of replies, which hold none.
"""

from __future__ import annotations

import datetime
import json
import os
import select
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

from clawsecrets.errors import ClawError
from clawsecrets.model.notice import Notice, Severity
from clawsecrets.ports import Clock

if TYPE_CHECKING:
    from clawsecrets.ports import Progress

INFO, WARNING, ERROR = "info", "warning", "error"
_LEVELS = {Severity.INFO: INFO, Severity.WARNING: WARNING, Severity.ERROR: ERROR, Severity.CRITICAL: ERROR}


PATIENCE = 1.0
"""Seconds that a line waits for a reader that does not read. After that lines are left out until it reads again."""
PIECE = 4096
"""Bytes that a pipe takes at once when it says that it is ready (PIPE_BUF)."""


class Log:
    """Writes to `stream`, whole lines, from any thread. A reader that has left, or does not read, stops nothing: what
    was left out is counted, and said when it reads again."""

    def __init__(self, clock: Clock, form: str = "text", stream: TextIO | None = None) -> None:
        self._clock = clock
        self.form = form
        self._stream = stream if stream is not None else sys.stderr
        self._turn = threading.Lock()
        self._left_out = 0
        self._rest = b""
        """Of a line that was begun."""

    def write(self, level: str, event: str, /, **fields: object) -> None:
        """One line. Empty fields are left out."""
        line = self._line(level, event, fields)
        with self._turn:
            if self._left_out:
                missing = self._line(WARNING, "log.left-out", {"lines": self._left_out})
                if not self._put(missing, 0.0):
                    self._left_out += 1
                    return
                self._left_out = 0
            if not self._put(line, PATIENCE):
                self._left_out += 1

    def _line(self, level: str, event: str, fields: Mapping[str, object]) -> str:
        said = {key: value for key, value in fields.items() if value not in ("", None, ())}
        moment = datetime.datetime.fromtimestamp(self._clock.now(), datetime.UTC)
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self.form == "json":
            return json.dumps({"time": time, "level": level, "event": event, **said}, ensure_ascii=True, default=str)
        return " ".join([time, level, event, *(f"{key}={_text(value)}" for key, value in said.items())])

    def _put(self, line: str, patience: float) -> bool:
        """Whether it was written (its rest at least begun), or never can be."""
        data = f"{line}\n".encode()
        try:
            number = _number(self._stream)
            if number < 0:
                self._stream.write(line + "\n")
                self._stream.flush()
                return True
            self._rest = _written(number, self._rest, patience)
            if self._rest:
                return False
            left = _written(number, data, patience)
        except (OSError, ValueError):
            return True
        if len(left) < len(data):
            self._rest = left
            return True
        return False

    def error(self, event: str, error: ClawError, /, **fields: object) -> None:
        """An error's words."""
        self.write(ERROR, event, **fields, error=error.message, hint=error.hint)

    def notice(self, notice: Notice) -> None:
        """What a person is told."""
        self.write(_LEVELS[notice.severity], f"notice.{notice.topic.value}", secret=notice.secret,
                   rotation=notice.rotation, detail=notice.detail, days_left=notice.days_left, command=notice.command)


def _number(stream: TextIO) -> int:
    """Its file descriptor; -1 = it has none."""
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


def _written(number: int, data: bytes, patience: float) -> bytes:
    """Write to a descriptor, waiting at most so many seconds for each piece; what is left. OSError."""
    ready = select.poll()
    ready.register(number, select.POLLOUT)
    while data and ready.poll(patience * 1000):
        data = data[os.write(number, data[:PIECE]):]
    return data


def _text(value: object) -> str:
    """As it is where that is unmistakable, else as a JSON string (control characters escaped)."""
    text = str(value)
    plain = text.isascii() and text.isprintable() and not any(char in text for char in ' "=')
    return text if plain and text else json.dumps(text, ensure_ascii=True)


class LogProgress:
    """ports.Progress: each step of a rotation as a line. `rotation_of` gives the id of a secret's rotation."""

    def __init__(self, log: Log, rotation_of: Callable[[str], str]) -> None:
        self._log = log
        self._rotation_of = rotation_of

    def step(self, secret: str, state: str, step: str) -> None:
        """A step begins."""
        self._log.write(INFO, "rotation.step", secret=secret, rotation=self._rotation_of(secret), state=state,
                        step=step)

    def result(self, secret: str, step: str, outcome: str, detail: str) -> None:
        """It ended."""
        level = INFO if outcome in ("ok", "later") else WARNING
        self._log.write(level, "rotation.result", secret=secret, rotation=self._rotation_of(secret), step=step,
                        outcome=outcome, detail=detail)

    def waits(self, secret: str, why: str, until: float) -> None:
        """It waits for another process."""
        self._log.write(INFO, "rotation.waits", secret=secret, rotation=self._rotation_of(secret), detail=why)


if TYPE_CHECKING:

    def _conforms(progress: LogProgress) -> Progress:
        return progress
