"""Containers for the tests of injectors and consumers: a program that reads its secret every 50 ms and writes down
every value that it ever saw, and a private engine with Compose beside it. Not a test file: tests import it.

The reader is a shell script. It takes the secret from a variable or from a file, and appends it to `seen` in a folder
that is mounted into it, whenever it differs from what it read last: so nothing that was wrong for a moment is lost.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clawsecrets.clients.docker_control import Control
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry, Handover, Reply
from tests.real import compose
from tests.real.docker import BASE, Dockerd
from tests.waiting import LONG, until

NAME = "acme/key"
FILE = "acme+key"
"""The secret, and the file that the directory injector makes of it."""
LOOP = """trap 'exit 0' TERM; last=none; echo start >> /log/seen
while :; do
  v="$KEY"
  [ -z "$WHERE" ] || { v=missing; { IFS= read -r v || [ -n "$v" ] || v=empty; } 2>/dev/null < "$WHERE"; }
  [ "$v" = "$last" ] || { echo "$v" >> /log/seen; last="$v"; }
  [ -e /log/stop ] && exit 3
  sleep 0.05
done
"""
"""A value here has no line break, so that `read` gives it whole."""


def unless(bad: str) -> str:
    """A health check, for a shell: healthy while what the reader saw last is another value than `bad`."""
    return f'l=none; while read -r v; do l=$v; done < /log/seen; [ "$l" != {shlex.quote(bad)} ] && [ "$l" != none ]'


def engine() -> Iterator[Dockerd]:
    """An engine with the base image, and Compose on PATH. A module's fixture."""
    with Dockerd() as it, pytest.MonkeyPatch.context() as patch:
        it.load_base()
        for name, text in it.environment().items():
            patch.setenv(name, text)
        patch.setenv("PATH", f"{compose.PROGRAM.parent}:{os.environ['PATH']}")
        yield it


def swarm_engine() -> Iterator[Dockerd]:
    """The same, as the one node of a swarm."""
    for it in engine():
        it.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:0")
        yield it
        it.docker("swarm", "leave", "--force")


def control(engine: Dockerd) -> Control:
    return Control.of(engine.host)


def entry(value: bytes, version: int = 1, name: str = NAME) -> Entry:
    return Entry(name, version, SecretValue(value), "KEY")


def handover(new: bytes, old: bytes | None = None, version: int = 2) -> Handover:
    return Handover(NAME, "generic", "other", SecretValue(new), version, None if old is None else SecretValue(old))


def ok(reply: Reply) -> Reply:
    assert reply.outcome is Outcome.OK, reply.detail
    return reply


def seen(folder: Path) -> list[str]:
    """Every value that the reader saw, in order, without the marks of its starts (after which it says it anew)."""
    file = folder / "seen"
    lines = [line for line in (file.read_text().splitlines() if file.exists() else []) if line != "start"]
    return [line for at, line in enumerate(lines) if not at or lines[at - 1] != line]


def starts(folder: Path) -> int:
    return (folder / "seen").read_text().splitlines().count("start") if (folder / "seen").exists() else 0


def sees(folder: Path, value: bytes) -> None:
    """Wait until it is what the reader saw last."""
    until(lambda: seen(folder)[-1:] == [value.decode()], f"the reader saw {seen(folder)}")


@contextmanager
def running(engine: Dockerd, name: str, log: Path, *options: str | Path) -> Iterator[str]:
    """A reader in a container of this name."""
    log.mkdir(exist_ok=True)
    engine.docker("run", "--detach", "--name", name, "--network", "none", "--volume", f"{log}:/log", *options, BASE,
                  "sh", "-c", LOOP)
    try:
        yield name
    finally:
        engine.docker("rm", "--force", "--volumes", name)


def left(engine: Dockerd) -> list[str]:
    """What stands in the engine: containers, Swarm secrets and volumes."""
    kinds = [("ps", "--all", "--quiet"), ("volume", "ls", "--quiet")]
    found = [line for words in kinds for line in engine.docker(*words).decode().split()]
    if engine.docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip() == b"active":
        found += engine.docker("secret", "ls", "--format", "{{.Name}}").decode().split()
    return found


def wait(seconds: float) -> None:
    """Let readers read: no test's verdict depends on how long."""
    assert seconds < LONG
    time.sleep(seconds)
