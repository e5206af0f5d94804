"""`run`: a command under `clawsecrets run --watch --as NAME`, which starts it anew by itself when a secret was rotated.

What `run` notes of it (running/noted.py) says which process was started with which versions, and where each value is.
That is only looked up there: the proof is the value itself, read from the process's environment or its file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Consumer, Handover, Reply

PROVES = "the new value is in the environment, or in the file, of the process that `run` has started anew"
CANNOT = "anything while no `clawsecrets run --watch --as NAME` is there"


@dataclass(frozen=True)
class RunConsumer:
    """`note`: where `run` notes the process; `timeout`: seconds that ending and starting may take."""

    target: str
    note: Path
    reads: Collection[str] = ()
    timeout: float = 30.0
    validates: bool = False
    sleep: Callable[[float], None] = time.sleep

    def reload(self, handover: Handover) -> Reply:
        """It notices by itself."""
        return Reply(Outcome.OK, "it starts anew by itself")

    def probe(self, handover: Handover) -> Reply:
        """Which version has the process?"""
        return self._look(handover)

    def prove(self, handover: Handover) -> Reply:
        """Look until a process has the new value, for as long as the old one may take to end."""
        end = time.monotonic() + self.timeout
        while True:
            reply = self._look(handover)
            if reply.outcome is Outcome.OK or time.monotonic() >= end:
                return reply if reply.outcome is not Outcome.REFUSED else Reply(Outcome.LATER, reply.detail)
            self.sleep(0.1)

    def preflight(self, handover: Handover) -> Reply:
        """Does it run, with the current value?"""
        return self._look(handover)

    def describe(self) -> str:
        """For `--dry-run`."""
        return f"starts anew by itself (clawsecrets run --watch --as {self.target}); its process is looked into"

    def _look(self, handover: Handover) -> Reply:
        noted = _noted(self.note)
        if noted is None:
            return Reply(Outcome.LATER, f"no `clawsecrets run --watch --as {self.target}` runs")
        pid, secrets = noted
        told = secrets.get(handover.name)
        if told is None:
            return Reply(Outcome.LATER, f"process {pid} was not given {handover.name}", person=True)
        try:
            value, where = _value(pid, told)
        except PermissionError:
            return Reply(Outcome.LATER, f"process {pid} belongs to another user: it cannot be looked into", person=True)
        except OSError:
            return Reply(Outcome.LATER, f"process {pid} has ended")
        if value is not None and value == handover.new:
            return Reply(Outcome.OK, proof=f"process {pid} has version {handover.new_version} in its {where}")
        return Reply(Outcome.REFUSED, f"process {pid} has another value in its {where}")


def _noted(path: Path) -> tuple[int, Mapping[str, Mapping[str, str]]] | None:
    """The process that was noted, if that very process still runs, and where it has which secret."""
    try:
        content = json.loads(path.read_bytes())
        pid, start = int(content["pid"]), str(content["start"])
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        secrets = {str(name): {str(key): str(text) for key, text in told.items()}
                   for name, told in content["secrets"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return (pid, secrets) if fields[19] == start and fields[0] not in "ZX" else None


def _value(pid: int, told: Mapping[str, str]) -> tuple[SecretValue | None, str]:
    """The value that the process has, and where. OSError."""
    if "file" in told:
        return SecretValue(Path(told["file"]).read_bytes()), "file"
    prefix = told.get("variable", "").encode() + b"="
    for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if item.startswith(prefix):
            return SecretValue(item[len(prefix):]), "environment"
    return None, "environment"


def _conforms(consumer: RunConsumer) -> Consumer:
    return consumer
