"""Deployments to measure: a home of its own each, filled as imports and rotations would have filled it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from clawsecrets.cli.session import Session
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Store

SCRIPT = Path(sys.executable).with_name("clawsecrets")
"""The console script, beside the interpreter that measures."""
DAY = 86400.0


class World:
    """One CLAWSECRETS_HOME with a store in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {"PATH": f"{SCRIPT.parent}:/usr/bin:/bin", "HOME": str(home), "CLAWSECRETS_HOME": str(home),
                            "LC_ALL": "C.UTF-8"}
        home.mkdir(mode=0o700)
        self.run("init", "--unattended", "--no-recovery")

    def run(self, *words: str, stdin: bytes = b"") -> bytes:
        """One whole command; gives its standard output."""
        return subprocess.run([str(SCRIPT), *words], env=self.environment, input=stdin, check=True,
                              capture_output=True).stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A command that runs; its standard output is a pipe."""
        return subprocess.Popen([str(SCRIPT), *words], env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE)

    def timed(self, *words: str, stdin: bytes = b"") -> float:
        """Seconds of one whole command, from its start until it is gone."""
        began = time.perf_counter()
        self.run(*words, stdin=stdin)
        return time.perf_counter() - began

    def fill(self, count: int, versions: int = 1, alive: int = 1) -> None:
        """`count` secrets of `versions` versions each; the values of all but the newest `alive` are erased.

        One commit for each round of versions, as so many rotations would have left it, audit events included.
        """
        session = Session(config=str(self.home / "clawsecrets.toml"))
        os.environ["CLAWSECRETS_HOME"] = str(self.home)
        try:
            records = [_empty(number, session.clock.now()) for number in range(count)]
            for version in range(1, versions + 1):
                records = list(_round(session.store, records, session.clock.now() - DAY * (versions - version), alive))
        finally:
            session.close()


def _empty(number: int, now: float) -> Record:
    name = f"team-{number % 40:02d}/service-{number:05d}-api-key"
    return Record(Secret(name, "generic", Kind.API_KEY, now, env=f"SERVICE_{number:05d}_API_KEY"))


def _round(store: Store, records: Sequence[Record], now: float, alive: int) -> Sequence[Record]:
    return store.commit([_next(store, record, now, alive) for record in records])


def _next(store: Store, record: Record, now: float, alive: int) -> Change:
    value = SecretValue(secrets.token_hex(24))
    version = Version(record.last_number + 1, Stage.CURRENT, now, store.fingerprint(value), origin="rotation")
    record = record.put_current(version)
    dying = [v.number for v in record.versions if v.number <= version.number - alive]
    for number in dying:
        record = record.change(number, lambda v: replace(v, erased_at=now, dead_at=now))
    event = AuditEvent(now, "bench@host/1", "rotation.done", record.secret.name, version.number)
    return Change(record, event, {version.number: value})


def env_file(path: Path, count: int) -> Path:
    """A .env file with as many keys of providers that are recognised by name or look."""
    lines = [f"SERVICE_{number:05d}_API_KEY={secrets.token_hex(24)}" for number in range(count)]
    path.touch(0o600)
    path.write_text("\n".join(lines) + "\n")
    return path
