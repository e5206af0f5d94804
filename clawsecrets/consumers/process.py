"""A process that is found by its pidfile: sent a signal, then looked into.

A pidfile may be stale, and its number another process's by now: nothing is signalled that began after the file was
written, and the signal goes to the very process that was judged (pidfd). A pidfile that another user could have written
is refused, for by it that user would choose whom we signal.
"""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.clients import processes
from clawsecrets.consumers import inside
from clawsecrets.errors import Refused
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Consumer, Handover, Reply

WRITTEN_LATE = 1.0
"""Seconds by which clocks and file times may differ when a pidfile is judged."""


PROVES = "the new value is in its environment, or in a file that was there before it started; the old one in neither"
CANNOT = "that a running program read a file again, unless `rereads` says so"


@dataclass(frozen=True)
class ProcessConsumer:
    """`signal_name` as `HUP`; empty: none, it reads its files again by itself. `files`: those that may hold the value.
    `settle`: seconds that it must still be there after the signal, or until it is back under a new number."""

    target: str
    pidfile: Path
    signal_name: str = "HUP"
    files: Sequence[str] = ()
    rereads: bool = False
    reads: Collection[str] = ()
    timeout: float = 30.0
    settle: float = 1.0
    sleep: Callable[[float], None] = time.sleep
    validates: bool = False

    def reload(self, handover: Handover) -> Reply:
        """Send the signal; UNKNOWN when the process is not there afterwards, within the timeout."""
        if not self.signal_name:
            return Reply(Outcome.OK, "nothing is sent")
        if self.files:
            self.sleep(inside.APART)
        try:
            number = os.pidfd_open(self._pid())
        except Refused as error:
            return Reply(Outcome.REFUSED, f"{error.message}; {error.hint}")
        except OSError:
            return Reply(Outcome.REFUSED, f"the process of {self.pidfile} has just ended")
        try:
            signal.pidfd_send_signal(number, signal.Signals[f"SIG{self.signal_name}"])
        except OSError as error:
            return Reply(Outcome.REFUSED, f"it cannot be sent SIG{self.signal_name}: {os.strerror(error.errno or 0)}")
        finally:
            os.close(number)
        return self._still_there()

    def probe(self, handover: Handover) -> Reply:
        """Which value is inside?"""
        return inside.forwards(self._looked(handover))

    def prove(self, handover: Handover) -> Reply:
        """Is the new value inside, and the old one nowhere?"""
        return self._looked(handover)

    def preflight(self, handover: Handover) -> Reply:
        """Is it there, and can it be looked into?"""
        reply = self._looked(handover)
        if reply.outcome is Outcome.LATER and reply.person:
            return Reply(Outcome.OK, f"it is there; not yet shown: {reply.detail}")
        return reply

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""
        sent = f"sent SIG{self.signal_name}" if self.signal_name else "left running"
        return f"the process of {self.pidfile} is {sent}; what is inside is looked at"

    def _still_there(self) -> Reply:
        end = time.monotonic() + self.timeout
        quiet = time.monotonic() + self.settle
        while True:
            try:
                self._pid()
                if time.monotonic() >= quiet:
                    return Reply(Outcome.OK)
            except Refused as error:
                if time.monotonic() >= end:
                    return Reply(Outcome.UNKNOWN, f"after SIG{self.signal_name}: {error.message}")
                quiet = time.monotonic() + self.settle
            self.sleep(0.05)

    def _looked(self, handover: Handover) -> Reply:
        try:
            return inside.judge(inside.look([self._pid()], self.files), handover, self.rereads)
        except Refused as error:
            return Reply(Outcome.REFUSED, f"{error.message}; {error.hint}")
        except processes.NotSeen as error:
            return Reply(Outcome.LATER, f"{error.args[-1]}: run as its user, or as root", person=True)

    def _pid(self) -> int:
        """Refused when there is no such process, or the file cannot be trusted."""
        try:
            with open(self.pidfile, "rb", opener=_not_through_links) as file:
                found, text = os.fstat(file.fileno()), file.read(64)
            pid = int(text.split()[0])
            began, owner = processes.started_at(pid), processes.owner(pid)
        except (OSError, ValueError, IndexError):
            raise Refused(f"{self.pidfile} names no process that runs", "start it, or correct pidfile") from None
        if began > found.st_mtime + WRITTEN_LATE:
            raise Refused(f"{self.pidfile} is stale: process {pid} began after it was written", "start it anew")
        if found.st_uid not in (0, os.geteuid(), owner) or stat.S_IMODE(found.st_mode) & 0o022:
            raise Refused(f"{self.pidfile} could have been written by another user than its process's",
                          "let only root, or the process's user, write it")
        return pid


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _conforms(consumer: ProcessConsumer) -> Consumer:
    return consumer
