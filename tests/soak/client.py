"""A client of the gateway that never stops: every 100 ms it reads the token as `get` does and connects with it.

    python -m tests.soak.client URL          CLAWSECRETS_HOME names the deployment; ends when standard input closes

One JSON line per attempt: {"start", "read", "end"} in CLOCK_MONOTONIC seconds (one clock for all processes), "version"
of the token, "ok", and "why" not. Attempts overlap, as those of many clients would: a refused one does not delay the
next. It is a process of its own, so that it reads what is committed and nothing else.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from dataclasses import asdict, dataclass

from clawsecrets.cli.session import Session
from clawsecrets.clients.gateway import GatewayClient, GatewayError
from clawsecrets.ports import Store
from tests.real.deployment import TOKEN
from tests.waiting import readable

EVERY = 0.1
WORKERS = 12
"""Attempts at once: a refused one takes the gateway 0.25 s, and up to 5 s after many."""


@dataclass
class Attempt:
    """One try to connect."""

    start: float
    read: float
    end: float = 0.0
    version: int = 0
    ok: bool = False
    why: str = ""


def main(url: str) -> None:
    """Run until standard input closes, then wait for the attempts under way."""
    ticks: queue.Queue[float | None] = queue.Queue()
    session = Session()
    workers = [threading.Thread(target=work, args=(url, session.store, ticks)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    due = time.monotonic()
    while not readable(sys.stdin.fileno(), max(0.0, due - time.monotonic())):
        ticks.put(due)
        due += EVERY
    for _ in workers:
        ticks.put(None)
    for worker in workers:
        worker.join()
    session.close()


def work(url: str, store: Store, ticks: queue.Queue[float | None]) -> None:
    """Make one attempt a tick."""
    while ticks.get() is not None:
        sys.stdout.write(json.dumps(asdict(attempt(url, store))) + "\n")
        sys.stdout.flush()


def attempt(url: str, store: Store) -> Attempt:
    """Read the token, connect, tell."""
    start = time.monotonic()
    current = store.load(TOKEN).current
    assert current is not None
    token = store.value(TOKEN, current.number)
    told = Attempt(start, time.monotonic(), version=current.number)
    try:
        with GatewayClient(url, token, timeout=20.0):
            told.end = time.monotonic()
            told.ok = True
    except GatewayError as error:
        told.end, told.why = time.monotonic(), error.detail
    return told


if __name__ == "__main__":
    main(sys.argv[1])
