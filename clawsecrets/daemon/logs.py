"""The daemon's log: one line an event, as text or as a JSON object, with the rotation's id wherever there is one.

No value gets here: what is logged are names, states and the details of replies, which hold none.
"""

from __future__ import annotations

import datetime
import json
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from clawsecrets.errors import ClawError
from clawsecrets.model.notice import Notice, Severity
from clawsecrets.ports import Clock

if TYPE_CHECKING:
    from clawsecrets.ports import Progress

INFO, WARNING, ERROR = "info", "warning", "error"
_LEVELS = {Severity.INFO: INFO, Severity.WARNING: WARNING, Severity.ERROR: ERROR, Severity.CRITICAL: ERROR}


class Log:
    """Writes to `stream`, whole lines, from any thread. A reader that has left stops nothing."""

    def __init__(self, clock: Clock, form: str = "text", stream: TextIO | None = None) -> None:
        self._clock = clock
        self.form = form
        self._stream = stream if stream is not None else sys.stderr
        self._turn = threading.Lock()

    def write(self, level: str, event: str, /, **fields: object) -> None:
        """One line. Empty fields are left out."""
        said = {key: value for key, value in fields.items() if value not in ("", None, ())}
        moment = datetime.datetime.fromtimestamp(self._clock.now(), datetime.UTC)
        time = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self.form == "json":
            line = json.dumps({"time": time, "level": level, "event": event, **said}, ensure_ascii=True, default=str)
        else:
            line = " ".join([time, level, event, *(f"{key}={_text(value)}" for key, value in said.items())])
        with self._turn:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                pass

    def error(self, event: str, error: ClawError, /, **fields: object) -> None:
        """An error's words."""
        self.write(ERROR, event, **fields, error=error.message, hint=error.hint)

    def notice(self, notice: Notice) -> None:
        """What a person is told."""
        self.write(_LEVELS[notice.severity], f"notice.{notice.topic.value}", secret=notice.secret,
                   rotation=notice.rotation, detail=notice.detail, days_left=notice.days_left, command=notice.command)


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


if TYPE_CHECKING:

    def _conforms(progress: LogProgress) -> Progress:
        return progress
