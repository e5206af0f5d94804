"""A container, or a Compose service: make it read again, wait until it is healthy, look at what is inside.

How it is made to read again (`action`):
  recreate   by Compose, from its file: for what stands in an env file, since a container keeps its environment. Never
             by copying a container's settings by hand: what is not copied would be lost.
  restart    for files: mounts are made anew, so a single mounted file that was replaced is seen, too
  a signal   (`HUP`) for a program that reads its files again then
  none       it reads its files by itself at every use

What is inside is read by /proc where the container's processes are this host's and may be looked at, else by running
`cat` in it. A single mounted file keeps its old content when the file is replaced (rename): it is recognised, refused
before a rotation where nothing would mend it, and named where it is the reason.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clawsecrets.clients import processes
from clawsecrets.clients.compose import Compose
from clawsecrets.clients.docker_control import Control
from clawsecrets.consumers import inside
from clawsecrets.consumers.containers import look_into, pid_of
from clawsecrets.errors import ClawError, NotFound, Refused
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Consumer, Handover, Reply

RECREATE, RESTART, NOTHING = "recreate", "restart", "none"
STOPPING = 10
"""Seconds that a container has to stop before it is killed (Docker's own default)."""
LOOK_AGAIN = 0.2
"""Seconds between two looks at a container that is starting."""


PROVES = ("healthy; the new value is in the environment of its processes, or in a file that was there before it "
          "started; the old one in neither")
CANNOT = "that a running program read a file again, unless `rereads` says so"


@dataclass(frozen=True)
class DockerConsumer:
    """One container by its name (`container`), or all of one Compose service (`compose`). `files`: files or folders
    inside that may hold the value. `timeout`: seconds that it may take to become healthy; `settle`: seconds that one
    without a health check must keep running, and that one which is not started anew has to read again before a check
    of its health counts."""

    target: str
    control: Control
    container: str = ""
    compose: Compose | None = None
    action: str = RESTART
    files: Sequence[str] = ()
    rereads: bool = False
    reads: Collection[str] = ()
    timeout: float = 60.0
    settle: float = 2.0
    sleep: Callable[[float], None] = time.sleep
    validates: bool = False

    def reload(self, handover: Handover) -> Reply:
        """Restart, recreate or signal it, and wait until it is healthy. REFUSED when it does not become so. A
        container that was started with the new value already is left alone."""
        try:
            if not self.rereads and self._has_it_by_variable(handover):
                return Reply(Outcome.OK, "it was started with it")
            self._act()
        except Refused as error:
            return Reply(Outcome.REFUSED, f"{error.message}; {error.hint}")
        except NotFound:
            return Reply(Outcome.REFUSED, f"{self._named()} is not there")
        except ClawError as error:
            return Reply(Outcome.UNKNOWN, error.message)
        anew = self.action in (RECREATE, RESTART)
        return self._looked(lambda: (self._healthy if anew else self._healthy_still)(self._containers()))

    def probe(self, handover: Handover) -> Reply:
        """Which value is inside?"""
        return inside.forwards(self._looked(lambda: self._inside(self._containers(), handover)))

    def prove(self, handover: Handover) -> Reply:
        """Is it healthy, and is the new value inside, and the old one nowhere?"""
        def proof() -> Reply:
            found = self._containers()
            healthy = self._healthy(found)
            return self._inside(found, handover) if healthy.outcome is Outcome.OK else healthy

        return self._looked(proof)

    def preflight(self, handover: Handover) -> Reply:
        """Is it there and healthy, can it be looked into, and would the action reach it?"""
        return self._looked(lambda: self._preflight(handover))

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""
        how = {RECREATE: "recreated by Compose", RESTART: "restarted", NOTHING: "left running"}
        return f"{self._named()} is {how.get(self.action, f'sent SIG{self.action}')}; what is inside is looked at"

    # --- acting -----------------------------------------------------------------------------------------------------

    def _named(self) -> str:
        compose = self.compose
        return f"service {compose.service} of {compose.file}" if compose else f"container {self.container}"

    def _act(self) -> None:
        if self.action == RECREATE:
            assert self.compose is not None
            self.compose.recreate()
            return
        for ident in self._containers():
            if self.action == RESTART:
                self.control.restart(ident, STOPPING)
            elif self.action != NOTHING:
                self.control.kill(ident, self.action)

    def _containers(self) -> list[str]:
        """Ids. NotFound when there is none."""
        if self.compose is None:
            return [str(self.control.inspect(self.container)["Id"])]
        found = self.compose.containers()
        if not found:
            raise NotFound(f"{self._named()} has no container", "start it")
        return found

    def _looked(self, act: Callable[[], Reply]) -> Reply:
        """The reply of a look: whatever goes wrong means that it cannot be told now."""
        try:
            return act()
        except Refused as error:
            return Reply(Outcome.REFUSED, f"{error.message}; {error.hint}")
        except NotFound:
            return Reply(Outcome.REFUSED, f"{self._named()} is not there")
        except ClawError as error:
            return Reply(Outcome.LATER, f"{error.message}; {error.hint}", after=5.0)

    # --- health -----------------------------------------------------------------------------------------------------

    def _healthy(self, idents: Sequence[str]) -> Reply:
        end = time.monotonic() + self.timeout
        for ident in idents:
            while True:
                state = self.control.inspect(ident)
                verdict = self._verdict(state)
                if verdict is not None:
                    break
                if time.monotonic() >= end:
                    return Reply(Outcome.REFUSED, f"{_name(state)} did not become healthy within {self.timeout:g} s")
                self.sleep(LOOK_AGAIN)
            if verdict:
                return Reply(Outcome.REFUSED, f"{_name(state)} {verdict}")
        return Reply(Outcome.OK)

    def _healthy_still(self, idents: Sequence[str]) -> Reply:
        """As `_healthy` for what runs on: its health was found with the old value. A check counts that began after it
        had `settle` seconds to read the new one; where none comes within `timeout` (they are rarer), the last does."""
        states = [self.control.inspect(ident) for ident in idents]
        if not any(_checked(state) for state in states):
            return self._healthy(idents)
        self.sleep(self.settle)
        end = time.monotonic() + self.timeout
        for ident in idents:
            before = _checked(self.control.inspect(ident))
            while time.monotonic() < end:
                state = self.control.inspect(ident)
                if self._verdict(state) or (_checked(state) != before and not _failing(state)):
                    break
                self.sleep(LOOK_AGAIN)
        return self._healthy(idents)

    def _verdict(self, found: Mapping[str, Any]) -> str | None:
        """Empty: healthy; None: not yet; else what is wrong."""
        state = found.get("State")
        state = state if isinstance(state, dict) else {}
        if state.get("Restarting"):
            return None  # it may still come up; the time runs
        if not state.get("Running"):
            return f"has ended (exit {state.get('ExitCode')})"
        health = state.get("Health")
        status = health.get("Status") if isinstance(health, dict) else "none"
        if status in ("none", "", None):
            return "" if _age(state) >= self.settle else None
        return {"healthy": "", "unhealthy": "is not healthy"}.get(str(status))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _has_it_by_variable(self, handover: Handover) -> bool:
        """Whether all were started with the new value in their environment, and have the old one nowhere."""
        with suppress(ClawError, processes.NotSeen):
            found = self._containers()
            replies = [inside.judge(inside.Seen([p for p in seen.pieces if not p.since], seen.started), handover)
                       for seen in map(self._seen, found)]
            return all(reply.outcome is Outcome.OK for reply in replies) and self._healthy(found).outcome is Outcome.OK
        return False

    def _inside(self, idents: Sequence[str], handover: Handover) -> Reply:
        def each() -> Iterator[Reply]:
            for ident in idents:
                found = self.control.inspect(ident)
                reply = inside.judge(self._seen(ident), handover, self.rereads)
                kept = self._kept(found) if reply.outcome is not Outcome.OK else ""
                if kept:
                    reply = Reply(reply.outcome, f"{reply.detail}; {kept}", person=reply.person)
                if reply.outcome is Outcome.REFUSED and self.action != RECREATE and _VARIABLE.search(reply.detail):
                    why = f"{reply.detail}; a container keeps its environment: recreate it (action = \"recreate\")"
                    reply = Reply(Outcome.REFUSED, why)
                yield reply if reply.outcome is not Outcome.OK else Reply(Outcome.OK, proof=f"{_name(found)}: "
                                                                          f"{reply.proof}")

        return inside.worst(each(), lambda: Reply(Outcome.LATER, f"{self._named()} has no container"))

    def _seen(self, ident: str) -> inside.Seen:
        return look_into(self.control, ident, self.files, restarted=self.action in (RECREATE, RESTART))

    # --- single mounted files ---------------------------------------------------------------------------------------

    def _singles(self, found: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Its mounts of single files that may hold the value: (on this host, inside)."""
        mounts = found.get("Mounts")
        pairs = [(str(one.get("Source", "")), str(one.get("Destination", "")))
                 for one in (mounts if isinstance(mounts, list) else []) if one.get("Type") == "bind"]
        return [(here, there) for here, there in pairs if os.path.isfile(here)
                and any(there == file or there.startswith(f"{file.rstrip('/')}/") for file in self.files)]

    def _kept(self, found: Mapping[str, Any]) -> str:
        """Words about a mounted file that was replaced without the container seeing it; empty when there is none."""
        pid = pid_of(found)
        for here, there in self._singles(found) if self.control.local and pid else ():
            if processes.same_file(pid, there, here) is False:
                return f"{there} is mounted as a single file, and {here} was replaced: {_MEND}"
        return ""

    def _preflight(self, handover: Handover) -> Reply:
        if self.compose is not None:
            self.compose.check()
        idents = self._containers()
        healthy = self._healthy(idents)
        if healthy.outcome is not Outcome.OK:
            return healthy
        for ident in idents:
            for here, there in self._singles(self.control.inspect(ident)):
                if self.action not in (RECREATE, RESTART):
                    why = f"{there} is mounted as a single file ({here}): when it is replaced the container keeps the "
                    return Reply(Outcome.REFUSED, f"{why}old value; {_MEND}")
        return inside.before(self._inside(idents, handover), "it is there")


def _health(found: Mapping[str, Any]) -> Mapping[str, Any]:
    state = found.get("State")
    health = state.get("Health") if isinstance(state, dict) else None
    return health if isinstance(health, dict) else {}


def _checked(found: Mapping[str, Any]) -> str:
    """When its last health check began, as the engine says it; empty: there was none."""
    log = _health(found).get("Log")
    last = log[-1] if isinstance(log, list) and log else None
    return str(last.get("Start", "")) if isinstance(last, dict) else ""


def _failing(found: Mapping[str, Any]) -> bool:
    """Whether the last ones failed, though not often enough yet to make it unhealthy."""
    return bool(_health(found).get("FailingStreak"))


_VARIABLE = re.compile(r" \((process \d+|environment)\)")
"""How the place of a variable is said (inside.look, containers.look_into)."""
_MEND = 'mount its folder, or let it be restarted (action = "restart" or "recreate")'


def _name(found: Mapping[str, Any]) -> str:
    return str(found.get("Name", "")).lstrip("/") or str(found.get("Id", ""))[:12]


def _age(state: Mapping[str, Any]) -> float:
    """Seconds since it started."""
    from datetime import UTC, datetime

    text = str(state.get("StartedAt", ""))[:19]
    try:
        return time.time() - datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _conforms(consumer: DockerConsumer) -> Consumer:
    return consumer
