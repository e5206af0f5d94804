"""How long tests wait: until what they wait for is there, and at most far longer than any machine needs."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG = 300.0
"""Seconds after which something counts as hanging. Nothing that works takes a tenth of it, on a busy machine either."""


def until(there: Callable[[], object], what: str) -> None:
    """Wait for the condition. AssertionError with `what` when it does not come."""
    end = time.monotonic() + LONG
    while not there():
        assert time.monotonic() < end, f"it did not come: {what}"
        time.sleep(0.01)
