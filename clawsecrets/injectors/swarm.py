"""`swarm-secret`: Docker Swarm secrets, which can neither be changed nor read back, nor removed while in use.

Each version is a Swarm secret of its own (`anthropic-api-key.v7`); the service is updated to it under the file name,
uid, gid and mode that its tasks know (`--secret-rm old --secret-add source=new,target=…`). Only that list is changed in
the service's specification. OK is said when Swarm has replaced the tasks and they are healthy; where they do not become
so, the service is put back to its previous specification and the answer is REFUSED. Versions that nothing uses any more
are removed once the newest is older than `keep`.

Which secrets are ours, and of which version, stands in their labels; what they hold, in a salted hash (check.py).
"""

from __future__ import annotations

import re
import secrets as random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clawsecrets.clients.docker import Answered
from clawsecrets.clients.docker_control import Control
from clawsecrets.clients.docker_services import Failed, converge, pointed, references, roll_back
from clawsecrets.errors import Incomplete, NotFound, Refused
from clawsecrets.injectors import check, mapping
from clawsecrets.injectors.answers import attempt
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Entry, Injector, Reply

LARGEST = 500 * 1024
"""Bytes of a Swarm secret (Docker's documentation of `docker secret create`)."""
TURNS = 5
"""Times that an update is tried anew because somebody else updated the service."""
CONFLICT = 409
_TARGET, _SECRET, _VERSION, _CHECK = (f"clawsecrets.{word}" for word in ("target", "secret", "version", "check"))
_ODD = re.compile(r"[^a-zA-Z0-9._-]")


HOLDS = "the secret that the service refers to, recognised by a salted hash in its labels"
NEEDS = "nothing: Swarm replaces the tasks, and a service that does not become healthy is put back"


@dataclass(frozen=True)
class Given:
    """Who may read the file in a task. None: as the service has it; 1000, 1000 and 0400 where it has none yet."""

    uid: str | None = None
    gid: str | None = None
    mode: int | None = None


class SwarmSecret:
    """The secrets of one or more services. `files`: secret name -> file name (below /run/secrets), where the usual one
    is not wanted. `timeout`: seconds that a service may take to become healthy; `keep`: seconds."""

    def __init__(self, target: str, control: Control, services: Sequence[str], given: Given | None = None,
                 files: Mapping[str, str] | None = None, timeout: float = 120.0, keep: float = 0.0,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        self._target = target
        self._control = control
        self._services = services
        self._given = given or Given()
        self._files = dict(files or {})
        self._timeout = timeout
        self._keep = keep
        self._sleep = sleep

    @property
    def target(self) -> str:
        """Its configured name."""
        return self._target

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        """Make the secrets, update the services, wait until they are healthy, remove what is left over."""
        return self._attempt(lambda: self._deliver(entries))

    def could(self, entries: Sequence[Entry]) -> Reply:
        """Whether Swarm can carry them and the services are there. Writes nothing."""
        return self._attempt(lambda: self._could(entries), Outcome.REFUSED)

    def remove(self, bound: Mapping[str, str]) -> Reply:
        """Take them out of the services, then remove every version."""
        return self._attempt(lambda: self._remove(bound))

    def holds(self, entry: Entry) -> bool | None:
        """Whether every service refers to a secret that was made of that value. None: the engine does not answer."""
        try:
            ours = {str(one["ID"]): one for one in self._ours()}
            file = self._file(entry.name)
            return all(self._is(ours.get(references(self._control.service(name)).get(file, "")), entry)
                       for name in self._services)
        except NotFound:
            return False
        except Incomplete:
            return None

    def preflight(self) -> Reply:
        """Whether this engine is a manager, and has the services."""
        return self._attempt(lambda: self._could([]), Outcome.REFUSED)

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        """Files in the tasks that more than one user may read."""
        found: list[str] = []
        files = {self._file(name) for name in names}
        with suppress(Incomplete, NotFound):
            for service in self._services:
                for ref in pointed(self._control.service(service)["Spec"], {})[1]:
                    file, mode = ref.get("File") or {}, int((ref.get("File") or {}).get("Mode") or 0)
                    if file.get("Name") in files and mode & 0o037 & ~(self._given.mode or 0):
                        found.append(f"{file['Name']} of service {service} has mode {mode:04o} in its tasks")
        return found

    def describe(self) -> str:
        """One line."""
        return f"makes Swarm secrets and updates {', '.join(self._services)}"

    # --- delivering -------------------------------------------------------------------------------------------------

    def _attempt(self, work: Callable[[], str], on_failure: Outcome = Outcome.UNKNOWN) -> Reply:
        def inner() -> str:
            try:
                return work()
            except NotFound:
                raise Refused(f"there is no service {' or '.join(self._services)}", "create it first") from None

        try:
            return attempt(inner, on_failure)
        except Failed as error:
            return Reply(Outcome.REFUSED, str(error))
        except Incomplete as error:
            return Reply(on_failure, error.message)

    def _file(self, name: str) -> str:
        return self._files.get(name) or mapping.file_name(name)

    def _could(self, entries: Sequence[Entry]) -> str:
        for entry in entries:
            if not 0 < len(entry.value) <= LARGEST:
                raise Refused(f"{entry.name}: a Swarm secret has 1 to {LARGEST} bytes, not {len(entry.value)}")
        mapping.refuse_collisions((entry.name, self._file(entry.name)) for entry in entries)
        if not self._control.node():
            raise Refused("this engine is not in a swarm", "docker swarm init, or name a manager's engine")
        for name in self._services:
            self._control.service(name)
        return f"{', '.join(self._services)} could have {len(entries)} secret(s)"

    def _deliver(self, entries: Sequence[Entry]) -> str:
        if not entries:
            return "nothing is bound to it"
        self._could(entries)
        ours = self._ours()
        made: list[str] = []
        wanted = {self._file(entry.name): self._secret(entry, ours, made) for entry in entries}
        try:
            for name in self._services:
                self._update(name, wanted)
        except Failed as error:
            self._sweep(set(made))
            raise Refused(str(error), "see `docker service ps --no-trunc`") from None
        self._prune({entry.name: wanted[self._file(entry.name)][0] for entry in entries})
        return f"healthy with {', '.join(name for _, name in wanted.values())}"

    def _ours(self) -> list[dict[str, Any]]:
        return self._control.secrets(f"{_TARGET}={self._target}")

    def _is(self, one: Mapping[str, Any] | None, entry: Entry) -> bool:
        labels = _labels(one or {})
        return (labels.get(_SECRET) == entry.name and labels.get(_VERSION) == str(entry.version)
                and check.matches(labels.get(_CHECK, ""), entry.value))

    def _secret(self, entry: Entry, ours: Sequence[Mapping[str, Any]], made: list[str]) -> tuple[str, str]:
        """Id and name of the Swarm secret that holds it; made where there is none yet."""
        for one in ours:
            if self._is(one, entry):
                return str(one["ID"]), str(one["Spec"]["Name"])
        labels = {_TARGET: self._target, _SECRET: entry.name, _VERSION: str(entry.version),
                  _CHECK: check.of(entry.value)}
        name = f"{_ODD.sub('-', mapping.file_name(entry.name))[:40]}.v{entry.version}"
        for candidate in (name, f"{name}.{random.token_hex(4)}"):
            try:
                made.append(self._control.create_secret(candidate, entry.value, labels))
                return made[-1], candidate
            except Answered as error:
                if error.status != CONFLICT:
                    raise
        raise Incomplete(f"the name {name} is taken in the swarm", "try again")

    def _update(self, name: str, wanted: Mapping[str, tuple[str, str]]) -> None:
        """Point one service to these, and wait. Failed (and put back, if this changed it) when it does not become
        healthy."""
        changed, refs = self._change(name, lambda spec: pointed(spec, wanted, self._given.uid, self._given.gid,
                                                                self._given.mode))
        try:
            converge(self._control, name, refs, self._timeout, self._sleep)
        except Failed as error:
            if not changed:
                raise
            roll_back(self._control, name, self._timeout, self._sleep)
            raise Failed(f"{error}; it was put back") from None

    def _change(self, name: str, changed: Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[dict[str, Any]]]]
                ) -> tuple[bool, dict[str, str]]:
        """Change the references of a service; whether that was needed, and what it refers to now."""
        for turn in range(TURNS):
            service = self._control.service(name)
            spec, refs = changed(service["Spec"])
            told = references({"Spec": spec})
            if refs == (service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Secrets") or []):
                return False, told
            try:
                self._control.update_service(str(service["ID"]), int(service["Version"]["Index"]), spec)
                return True, told
            except Answered:  # somebody else may have updated it since it was read
                if turn == TURNS - 1 or self._control.service(name)["Version"] == service["Version"]:
                    raise
        raise AssertionError("the last turn returns or raises")

    # --- what is left over ------------------------------------------------------------------------------------------

    def _prune(self, current: Mapping[str, str]) -> None:
        """Remove versions that were replaced longer ago than `keep`. What is in use Swarm does not remove."""
        ours = self._ours()
        newest = {str(one["ID"]): _made_at(one) for one in ours}
        for one in ours:
            held = current.get(_labels(one).get(_SECRET, ""))
            if held and one["ID"] != held and time.time() - newest.get(held, time.time()) >= self._keep:
                self._control.remove_secret(str(one["ID"]))

    def _sweep(self, idents: set[str]) -> None:
        for ident in idents:
            self._control.remove_secret(ident)

    def _remove(self, bound: Mapping[str, str]) -> str:
        files = {self._file(name) for name in bound}
        for name in self._services:
            changed, refs = self._change(name, lambda spec: pointed(spec, {}, without=files))
            if changed:
                converge(self._control, name, refs, self._timeout, self._sleep)
        self._sweep({str(one["ID"]) for one in self._ours() if _labels(one).get(_SECRET) in bound})
        return f"removed {', '.join(sorted(bound))}"


def _labels(one: Mapping[str, Any]) -> Mapping[str, str]:
    spec = one.get("Spec")
    labels = spec.get("Labels") if isinstance(spec, dict) else None
    return labels if isinstance(labels, dict) else {}


def _made_at(one: Mapping[str, Any]) -> float:
    """Unix seconds; now when it cannot be read, so that nothing is removed on its account."""
    with suppress(ValueError):
        return datetime.fromisoformat(f"{str(one.get('CreatedAt', ''))[:19]}+00:00").timestamp()
    return time.time()


def _conforms(injector: SwarmSecret) -> Injector:
    return injector
