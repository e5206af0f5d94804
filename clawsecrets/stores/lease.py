"""Leases: who may rotate a secret. The fence is the epoch, which only grows, also over releases and purges.

A holder that is alive keeps its lease until it expires (CLOCK_BOOTTIME: sleep counts, setting the clock does not).
One whose process is gone, or that was of another boot, is replaced at once. A stopped process is alive. Whether a
process is gone can be told only in its own PID namespace; a container's holder is waited for.
"""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

from clawsecrets.errors import Fenced, StoreBusy, UsageError
from clawsecrets.model.secret import valid_name
from clawsecrets.ports import Lease
from clawsecrets.stores.codec import canonical
from clawsecrets.stores.database import one, rows
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.seal import mac, same

_COLUMNS = (str, str, int, float, str, int, str, bytes)
_SELECT = "SELECT name, holder, epoch, expires, boot, pid, started, mac FROM leases"


@dataclass(frozen=True, slots=True)
class Row:
    """One lease as it is stored. `holder` empty: it was given up."""

    name: str
    holder: str
    epoch: int
    expires: float
    """CLOCK_BOOTTIME seconds."""
    boot: str
    pid: int
    started: str
    """Start time of the process in clock ticks since boot, and its PID namespace."""


def boottime() -> float:
    """Seconds since boot, sleep included; where there is no such clock, the monotonic one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@cache
def boot_id() -> str:
    """The kernel's id of this boot; empty where there is none."""
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When that process began (field 22 of /proc/PID/stat) and our PID namespace; empty when it is gone or hidden."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in "ZX":
        return ""
    return f"{fields[19]} {_namespace()}"


def alive(row: Row) -> bool:
    """Whether the holder must be waited for. In doubt, yes."""
    if row.boot != boot_id():
        return False
    namespace = _namespace()
    if not namespace or not row.started.endswith(f" {namespace}"):
        return True
    began = process_start(row.pid)
    return began == row.started if began else _hidden(row.pid)


def _hidden(pid: int) -> bool:
    """Whether there is a process of another user that /proc does not show us (`hidepid`, `ProtectProc=invisible`)."""
    if Path(f"/proc/{pid}").exists():
        return False  # it is shown, so what began is gone
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and not ours to signal
    return True


def acquire(db: sqlite3.Connection, key: bytes, name: str, holder: str, ttl: float) -> Lease:
    """Take the lease within the transaction that is open. StoreBusy names a live holder."""
    if not valid_name(name) or not holder or not ttl > 0:
        raise UsageError(f"a lease needs a secret's name, a holder and a time to live (name {name!r})")
    row, now = _find(db, key, name), boottime()
    if row is not None and row.holder and now < row.expires and alive(row):
        raise StoreBusy(f"{name} is being worked on by {row.holder}",
                        f"wait for it to end; if it hangs, it is replaced in {row.expires - now:.0f} s",
                        row.expires - now)
    epoch = 1 if row is None else row.epoch + 1
    _put(db, key, Row(name, holder, epoch, now + ttl, boot_id(), os.getpid(), process_start(os.getpid())))
    return Lease(name, holder, epoch, ttl)


def require(db: sqlite3.Connection, key: bytes, lease: Lease) -> Row:
    """The row of a lease that is still ours. Fenced when it was given up or taken over."""
    row = _find(db, key, lease.name)
    if row is None or (row.holder, row.epoch) != (lease.holder, lease.epoch):
        by = f" by {row.holder}" if row is not None and row.holder else ""
        raise Fenced(f"the lease on {lease.name} was taken over{by}; nothing was committed",
                     "look at `clawsecrets status`: the other process goes on with it")
    return row


def renew(db: sqlite3.Connection, key: bytes, lease: Lease) -> None:
    """Extend it by its ttl from now. Fenced."""
    row = require(db, key, lease)
    _put(db, key, Row(row.name, row.holder, row.epoch, boottime() + lease.ttl, row.boot, row.pid, row.started))


def release(db: sqlite3.Connection, key: bytes, lease: Lease) -> None:
    """Give it up, keeping its epoch; nothing when it was taken over."""
    row = _find(db, key, lease.name)
    if row is not None and (row.holder, row.epoch) == (lease.holder, lease.epoch):
        _put(db, key, Row(row.name, "", row.epoch, 0.0, "", 0, ""))


def everyone(db: sqlite3.Connection, key: bytes) -> list[Row]:
    """Every lease. StoreDamaged names one that was altered."""
    return [_checked(key, row) for row in rows(db, _COLUMNS, f"{_SELECT} ORDER BY name")]


def rewrite(db: sqlite3.Connection, key: bytes, leases: list[Row], *, free: bool) -> None:
    """Write leases under a new key; `free` gives them up (a restored store has no holders)."""
    for row in leases:
        _put(db, key, Row(row.name, "", row.epoch, 0.0, "", 0, "") if free else row)


def _find(db: sqlite3.Connection, key: bytes, name: str) -> Row | None:
    row = one(db, _COLUMNS, f"{_SELECT} WHERE name = ?", (name,))
    return None if row is None else _checked(key, row)


def _checked(key: bytes, columns: tuple[object, ...]) -> Row:
    row = Row(*columns[:-1])  # type: ignore[arg-type]
    given = columns[-1]
    if not isinstance(given, bytes) or not same(given, _mac(key, row)):
        raise damaged(f"the lease on {row.name} was altered")
    return row


def _mac(key: bytes, row: Row) -> bytes:
    return mac(key, canonical(list(astuple(row))))


def _put(db: sqlite3.Connection, key: bytes, row: Row) -> None:
    db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*astuple(row), _mac(key, row)))
