"""The two stores side by side, in one process: reads, writes, a bundle's entries, all records. Not whole commands.

OpenBao is a dev server on this machine (in memory, http) or, with `--raft`, one node with Raft storage and TLS: the
least that a team's cluster costs. A network adds its round trip to each request; requests are counted, too.

    python -m bench.stores [--raft]

The server is the one that the tests start; the development requirements must be installed.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import figures
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Store
from clawsecrets.rotate.delivery import entries_for
from clawsecrets.stores import sqlite
from clawsecrets.stores.keys import KeyFile
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.reply import Reply
from clawsecrets.stores.vault.transport import Connection, Wire

SIZE, BUNDLE, TIMES = 1000, 512, 10
NOW = 1_790_000_000.0


class Counting(Wire):
    """Counts what is sent."""

    count = 0

    def send(self, *given: Any, **named: Any) -> Reply:
        self.count += 1
        return super().send(*given, **named)


def secret(number: int) -> Record:
    bound = ("one", "all") if number == 0 else ("all",) if number < BUNDLE else ()
    made = Record(Secret(f"team/service-{number:04}", "generic", Kind.API_KEY, NOW, injectors=bound))
    return made.add_version(Version(1, Stage.CURRENT, NOW))


def fill(store: Store) -> float:
    """Milliseconds for each of the first commits."""
    began = time.perf_counter()
    for number in range(SIZE):
        store.commit([change(secret(number), 1)])
    return (time.perf_counter() - began) * 1000 / SIZE


def change(record: Record, number: int) -> Change:
    event = AuditEvent(NOW, "bench@host/1", "secret.set", record.secret.name, number)
    return Change(record, event, {number: SecretValue(f"value-{number}")} if number else {})


def works(store: Store) -> Mapping[str, Callable[[], object]]:
    """What is measured, by name."""
    names, turn = itertools.cycle(f"team/service-{number:04}" for number in range(SIZE)), itertools.count()

    def promote() -> None:
        record = store.load(next(names))
        number = record.last_number + 1
        store.commit([change(record.put_current(Version(number, Stage.CURRENT, NOW)), number)])

    def step() -> None:
        record = store.load(next(names))
        store.commit([change(replace(record, reconcile=next(turn) % 2 == 0), 0)])

    def lease() -> None:
        held = store.acquire(next(names), "bench@host/1", 60.0)
        store.renew(held)
        store.release(held)

    def value() -> None:
        record = store.load(next(names))
        store.value(record.secret.name, 1)

    return {
        "load one record": lambda: store.load(next(names)),
        "load a record and its value": value,
        "commit a step (no value)": step,
        "commit a new current value": promote,
        "take, renew and give up a lease": lease,
        "append an audit event": lambda: store.log(AuditEvent(NOW, "bench@host/1", "value.read")),
        f"all {SIZE} records (`status`)": lambda: list(store.records()),
        "a bundle of 1": lambda: entries_for(store, None, "one"),
        f"a bundle of {BUNDLE}": lambda: entries_for(store, None, "all"),
    }


def measured(store: Store, wire: Counting | None) -> dict[str, dict[str, float]]:
    """A row for each work: spread of TIMES, and the requests of one."""
    rows = {}
    for name, work in works(store).items():
        work()
        before = wire.count if wire else 0
        times = []
        for _ in range(TIMES):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        rows[name] = {**figures.spread(times), "requests": round((wire.count - before) / TIMES, 1) if wire else 0}
        print(f"  {name:<34} {rows[name]['p50_ms']:>8.1f} ms  {rows[name]['requests']:>7} requests", flush=True)
    return rows


@contextmanager
def embedded() -> Iterator[tuple[Store, None]]:
    with tempfile.TemporaryDirectory(prefix="clawsecrets-bench-") as folder:
        root = Path(folder)
        store, _ = sqlite.create(root / "data" / "store.db", root / "state" / "anchor", [KeyFile(root / "key" / "k")],
                                 recovery=False)
        yield store, None
        store.close()


@contextmanager
def openbao(*, raft: bool) -> Iterator[tuple[Store, Counting]]:
    from tests.real import openbao as servers

    with servers.Cluster() if raft else servers.Dev() as server:
        connection = Connection([server.url], lambda: SecretValue(server.token), ca_file=str(server.ca_file or ""))
        wire = Counting(connection)
        store = vault.create(connection, "secret", "bench", wire=wire)
        yield store, wire
        store.close()


def main(words: list[str]) -> int:
    """Measure both, keep the figures."""
    raft, machine = "--raft" in words, figures.machine()
    found: dict[str, object] = {"size": SIZE, "times": TIMES, "server": "raft, TLS" if raft else "in memory, http"}
    for name, place in (("embedded", embedded()), ("openbao", openbao(raft=raft))):
        with place as (store, wire):
            print(name, flush=True)
            first = fill(store)
            print(f"  {'first commit of each':<34} {first:>8.1f} ms", flush=True)
            found[name] = {"first_commit_ms": round(first, 2), "rows": measured(store, wire)}
    figures.write("stores-raft" if raft else "stores", machine, found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
