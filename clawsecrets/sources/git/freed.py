"""Memory that was freed goes back to the system: glibc keeps it for what may come, and git is started besides."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Whatever is free (malloc_trim(3)). Where there is no such function (musl), nothing is kept either."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
