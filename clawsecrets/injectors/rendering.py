"""Renders a template within limits of time and size, whatever stands in it: in a process of its own (jinja.py), which
is killed when it takes too long. Nothing is written anywhere, so a killed one leaves nothing behind.

A thread or a signal could not end it: `{{ 9 ** (9 ** 9) }}` is one step of Python, and the daemon renders in a thread.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from clawsecrets.clients import own_module
from clawsecrets.errors import ClawError, UsageError
from clawsecrets.injectors.atomic import LARGEST

SECONDS = 10.0
"""For which a template may take at most, without what reading the values takes. Most take milliseconds."""
STARTING = 120.0
"""Seconds after which the process counts as one that does not start, on a busy machine."""
_PIECE = 1 << 16
_LONGEST_LINE = 4 << 20
"""Bytes. A name stands in the template."""

Lookup = Callable[[str], str]
"""The value of a secret, as text. ClawError where there is none to give."""


def render(text: str, lookup: Lookup) -> str:
    """The template with values in it. UsageError, with the line, for what is wrong in it; an error of `lookup` comes as
    its own kind, with the line too."""
    fault: ClawError
    with _started() as process:
        child = _Child(process)
        try:
            said, refused = _conversed(child, text, lookup)
            if refused is not None:
                fault = type(refused)(f"{_place(said)}{refused.message}", refused.hint)
            elif "fault" in said:
                fault = UsageError(f"{_place(said)}{said['fault']}", said["hint"])
            else:
                return child.content(said["size"]).decode()
        except TimeoutError:
            fault = UsageError(f"it takes longer than {SECONDS:g} s", "a loop in it does not end: mend the template")
        except (OSError, ValueError, KeyError):  # of a process that is not there any more
            fault = UsageError("it ended the process that renders it: it takes too much memory or time",
                               "mend the template")
    raise fault


def _place(said: Mapping[str, Any]) -> str:
    return f"line {said['line']}: " if said["line"] else ""


def _conversed(child: _Child, text: str, lookup: Lookup) -> tuple[Mapping[str, Any], ClawError | None]:
    """The child's last line, and why a value was not given. TimeoutError, OSError, ValueError, KeyError."""
    child.say({"text": text, "most": LARGEST, "seconds": SECONDS})
    child.line(STARTING)
    refused: ClawError | None = None
    while "name" in (said := child.line()):
        try:
            answer = {"value": lookup(said["name"])}
        except ClawError as error:
            refused, answer = error, {}
        child.say(answer)
    return said, refused


@contextmanager
def _started() -> Iterator[subprocess.Popen[bytes]]:
    """The process that renders; gone at the end. UsageError where there can be none."""
    why = ""
    try:
        process = own_module.start("clawsecrets.injectors.jinja", {})
    except OSError as error:
        why = error.strerror or type(error).__name__
    if why:
        raise UsageError(f"the process that renders it cannot be started: {why}", "try it again")
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what it did not read is nobody's any more
                if pipe is not None:
                    pipe.close()


class _Child:
    """The other end of a rendering."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._to, self._number = process.stdin, process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._number, select.POLLIN)
        self._read = bytearray()
        self._left = SECONDS

    def say(self, what: Mapping[str, object]) -> None:
        """One line, which it waits for. OSError when it is gone."""
        self._to.write(json.dumps(what).encode() + b"\n")
        self._to.flush()

    def line(self, most: float = 0.0) -> dict[str, Any]:
        """Its next line, within the time that is left; or within `most` seconds, which do not count. TimeoutError;
        OSError or ValueError when it is gone."""
        before = self._left
        self._left = most or before
        while (end := self._read.find(b"\n")) < 0:
            if len(self._read) > _LONGEST_LINE:
                raise ValueError("a line without an end")
            self._more()
        line = bytes(self._read[:end])
        del self._read[:end + 1]
        self._left = before if most else self._left
        found: dict[str, Any] = json.loads(line)
        return found

    def content(self, size: int) -> bytes:
        """So many bytes that follow. As `line`."""
        while len(self._read) < size:
            self._more()
        return bytes(self._read[:size])

    def _more(self) -> None:
        began = time.monotonic()
        if not self._poll.poll(max(0.0, self._left) * 1000):
            raise TimeoutError
        self._left -= time.monotonic() - began
        piece = os.read(self._number, _PIECE)
        if not piece:
            raise ValueError("it is gone")
        self._read += piece
