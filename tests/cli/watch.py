"""Looks at every process below this one while commands run: command line and environment, as /proc shows them."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Self


class Watch:
    """A thread that samples /proc until the `with` block ends. `seen` is everything any child ever showed.

    `told` is made once a program of the name `wanted` was seen: one that waits for it is not over too soon.
    """

    watching = False
    """Whether one does now: then every command is to be a process as a person starts it."""

    def __init__(self, wanted: bytes = b"", told: Path | None = None) -> None:
        self._wanted, self._told = wanted, told
        self.seen: set[bytes] = set()
        self.programs: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        Watch.watching = True
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        Watch.watching = False
        self._stop.set()
        self._thread.join()

    @property
    def everything(self) -> bytes:
        return b"\n".join(sorted(self.seen))

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            for pid in _below(os.getpid()):
                for part in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        content = Path(f"/proc/{pid}/{part}").read_bytes()
                        self.seen.add(content)
                        if part == "cmdline":
                            self.programs.update(os.path.basename(word) for word in content.split(b"\0")[:3])
            if self._told is not None and self._wanted in self.programs:
                self._told.touch()


def _below(root: int) -> list[int]:
    found, queue = [], [root]
    while queue:
        parent = queue.pop()
        children: list[int] = []
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with contextlib.suppress(OSError):
                    children += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
        found += children
        queue += children
    return found
