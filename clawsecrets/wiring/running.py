"""For `run`: what the mask looks for values with, and whether the store may have changed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from clawsecrets.config import Config
from clawsecrets.running.needles import Find, Search

FAR = 10.0
"""Seconds between two looks at a store that has no files here."""

Mark = tuple[tuple[int, ...], ...]


def search() -> Search:
    """Looks for many texts in one pass."""
    from clawsecrets.scan.literals import Literals

    def ready(texts: Sequence[bytes]) -> Find:
        return Literals(texts)

    return ready


def mark(config: Config) -> Mark:
    """How the store's files stand there: another mark, and something was written. Empty where there are none to see.
    Of a store on a cluster it is another one every `FAR` seconds: only a look can tell."""
    path = config.store.file
    if path is None:
        return ((int(time.monotonic() / FAR),),)
    found: list[tuple[int, ...]] = []
    for name in (path, f"{path}-wal", f"{path}-journal"):
        try:
            seen = os.stat(name)
        except OSError:
            continue
        found.append((seen.st_ino, seen.st_mtime_ns, seen.st_size))
    return tuple(found)
