"""A command at a terminal that a person would have typed it at."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.waiting import LONG


def at_terminal(words: Sequence[str], env: Mapping[str, str], folder: Path | None = None) -> str:
    """Run it with all three streams on a terminal; what stood there. It must succeed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
                               env={**env, "TERM": "xterm"}, start_new_session=True)
    os.close(theirs)
    try:
        said = _all(ours).decode().replace("\r", "")
        assert process.wait(LONG) == 0, said
        return said
    finally:
        os.close(ours)
        process.kill()
        process.wait()


def _all(terminal: int) -> bytes:
    """Everything until the other end is closed. AssertionError when it is not."""
    poll, said, end = select.poll(), b"", time.monotonic() + LONG
    poll.register(terminal, select.POLLIN)
    while time.monotonic() < end:
        if not poll.poll(1000.0):
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:
            return said  # that is how a terminal ends
        if not part:
            return said
        said += part
    raise AssertionError(f"it did not end: {said.decode(errors='replace')[-2000:]}")
