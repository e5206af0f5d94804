"""A process by its pidfile: signalled only when it is surely the one that is meant, then looked into."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from clawsecrets.consumers.process import ProcessConsumer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover, Reply
from tests import canary as canaries
from tests.waiting import LONG, until

OLD, NEW = canaries.fresh(), canaries.fresh()
PROGRAM = """
import os, signal, sys, time
def again(*_):
    with open(sys.argv[1], "a") as file: file.write("hup\\n")
signal.signal(signal.SIGHUP, again)
with open(sys.argv[1], "a") as file: file.write("up\\n")
while True: time.sleep(0.01)
"""


@dataclass
class Running:
    process: subprocess.Popen[bytes]
    pidfile: Path
    log: Path

    def told(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    log = tmp_path / "log"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(log)],
                               env={"KEY": OLD.decode(), "DSN": "postgres://u@h"})
    it = Running(process, tmp_path / "pid", log)
    until(it.told, "the process")
    it.pidfile.write_text(f"{process.pid}\n")
    yield it
    process.kill()
    process.wait(LONG)


def consumer(running: Running) -> ProcessConsumer:
    return ProcessConsumer("p", running.pidfile, settle=0.05, timeout=5.0)


def handover(new: bytes = NEW, old: bytes | None = OLD) -> Handover:
    return Handover("acme/key", "generic", "other", SecretValue(new), 2, None if old is None else SecretValue(old))


def refused(reply: Reply, words: str) -> None:
    assert reply.outcome is Outcome.REFUSED and words in reply.detail, reply


def test_it_is_signalled_and_looked_into(running: Running, tmp_path: Path) -> None:
    one = consumer(running)
    assert "KEY (process" in one.prove(handover(OLD, None)).proof
    assert one.preflight(handover(OLD, None)).outcome is Outcome.OK
    assert one.reload(handover()).outcome is Outcome.OK
    until(lambda: running.told() == ["up", "hup"], "the signal")
    refused(one.prove(handover()), "KEY")
    refused(one.probe(handover()), "KEY")
    absent = one.prove(handover(NEW, b"another-old-value"))
    assert absent.outcome is Outcome.LATER and absent.person


def test_a_file_that_it_reads_again(running: Running, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(NEW)
    one = replace(consumer(running), files=[str(tmp_path / "key")])
    reply = one.prove(handover(NEW, None))
    assert reply.outcome is Outcome.LATER and reply.person and "changed after the process started" in reply.detail
    assert replace(one, rereads=True).prove(handover(NEW, None)).outcome is Outcome.OK


def test_no_signal_no_harm(running: Running) -> None:
    assert replace(consumer(running), signal_name="").reload(handover()).outcome is Outcome.OK
    assert running.told() == ["up"]


def test_a_stale_pidfile_is_no_order(running: Running) -> None:
    """Another process has the number by now: it began after the file was written."""
    os.utime(running.pidfile, (time.time() - 3600, time.time() - 3600))
    for reply in (consumer(running).reload(handover()), consumer(running).prove(handover())):
        refused(reply, "is stale")
    assert running.told() == ["up"]


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "4194304999"])
def test_a_pidfile_without_a_process(running: Running, text: str) -> None:
    running.pidfile.write_text(text)
    refused(consumer(running).reload(handover()), "names no process")


def test_a_pidfile_that_others_could_have_written(running: Running, tmp_path: Path) -> None:
    running.pidfile.chmod(0o666)
    refused(consumer(running).reload(handover()), "another user")
    running.pidfile.chmod(0o644)
    (tmp_path / "link").symlink_to(running.pidfile)
    refused(replace(consumer(running), pidfile=tmp_path / "link").reload(handover()), "names no process")
    if os.geteuid() == 0:
        os.chown(running.pidfile, 12345, -1)
        refused(consumer(running).reload(handover()), "another user")
    assert running.told() == ["up"]


def test_one_that_dies_of_the_signal(running: Running) -> None:
    one = replace(consumer(running), signal_name="TERM", timeout=0.3, settle=LONG)
    reply = one.reload(handover())
    assert reply.outcome is Outcome.UNKNOWN and "names no process" in reply.detail
    refused(one.prove(handover()), "names no process")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_one_of_another_user_cannot_be_shown(running: Running) -> None:
    """Asked in a child that gave up being root."""
    running.pidfile.chmod(0o644)
    for folder in running.pidfile.parents:
        if folder.stat().st_mode & 0o055 != 0o055:
            folder.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setuid(65534)
        os.write(writer, consumer(running).prove(handover()).detail.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        told = file.read().decode()
    os.waitpid(child, 0)
    assert "as its user, or as root" in told
