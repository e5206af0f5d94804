"""How long tests wait: until what they wait for is there, and at most far longer than any machine needs."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

LONG = 300.0
"""Seconds after which something counts as hanging. Nothing that works takes a tenth of it, on a busy machine either."""


def until(there: Callable[[], object], what: str | Callable[[], str]) -> None:
    """Wait for the condition. AssertionError with `what` (told then) when it does not come. What comes at once is seen
    at once; while it does not, looking takes little from those who are to bring it about."""
    end, pause = time.monotonic() + LONG, 0.01
    while not there():
        assert time.monotonic() < end, f"it did not come: {what() if callable(what) else what}"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.05)


def readable(number: int, seconds: float) -> bool:
    """Whether a descriptor, of any number, has something to read (or its end) before that time is over."""
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(1000 * seconds))
