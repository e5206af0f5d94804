"""A Swarm service: the secrets it refers to; pointing it to others, waiting until that is done, putting it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any

from clawsecrets.clients.docker_control import Control

GATEWAY_UID, GATEWAY_MODE = "1000", 0o400
"""What OpenClaw's gateway needs of a secret file: its own, and nobody else's."""
LOOK_AGAIN = 0.1
BACK_AT_LEAST = 30.0
"""Seconds that putting a service back may take, however little it had to become healthy."""
_BACK = ("rollback_started", "rollback_completed", "rollback_paused")


class Failed(Exception):
    """Its tasks did not become healthy."""


def references(service: Mapping[str, Any]) -> dict[str, str]:
    """File name in the task -> id of the Swarm secret."""
    return {str((ref.get("File") or {}).get("Name")): str(ref.get("SecretID")) for ref in _refs(service["Spec"])}


def pointed(spec: Mapping[str, Any], wanted: Mapping[str, tuple[str, str]], uid: str | None = None,
            gid: str | None = None, mode: int | None = None, without: Collection[str] = ()
            ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The specification with these files (name -> id and name of the secret), and its list of references. Everything
    else of it stays, unknown fields too."""
    new = deepcopy(dict(spec))
    refs = [ref for ref in _refs(new) if (ref.get("File") or {}).get("Name") not in without]
    there = {(ref.get("File") or {}).get("Name"): ref for ref in refs}
    for file, (ident, name) in wanted.items():
        ref = there.get(file)
        if ref is None:
            ref = {"File": {"Name": file, "UID": GATEWAY_UID, "GID": GATEWAY_UID, "Mode": GATEWAY_MODE}}
            refs.append(ref)
        ref["SecretID"], ref["SecretName"] = ident, name
        for key, value in (("UID", uid), ("GID", gid), ("Mode", mode)):
            if value is not None:
                ref["File"][key] = value
    new["TaskTemplate"]["ContainerSpec"]["Secrets"] = refs
    return new, refs


def _refs(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    return spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or []


def converge(control: Control, name: str, refs: Mapping[str, str], timeout: float,
             sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until the service's update is complete and all its tasks run with these references. Failed; also when the
    service is put back to others meanwhile (by its own failure action, or by somebody)."""
    end = time.monotonic() + timeout
    while True:
        service = control.service(name)
        state = str((service.get("UpdateStatus") or {}).get("State", ""))
        if state == "paused" or references(service) != refs:
            raise Failed(f"service {name}: its tasks did not become healthy")
        if state not in ("updating", "rollback_started") and settled(service, control.tasks(name)):
            return
        if time.monotonic() >= end:
            raise Failed(f"service {name} did not become healthy within {timeout:g} s")
        sleep(LOOK_AGAIN)


def settled(service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether as many tasks as wanted run, and every one has the service's present secrets."""
    meant = [task for task in tasks if task.get("DesiredState") == "running"]
    if any(_state(task) != "running" or _of(task) != references(service) for task in meant):
        return False
    mode = service["Spec"].get("Mode") or {}
    replicas = (mode.get("Replicated") or {}).get("Replicas") if "Replicated" in mode else None
    return len(meant) == replicas if replicas is not None else bool(meant)


def ending(task: Mapping[str, Any]) -> bool:
    """Whether it is meant to end and, as far as its node has said, still runs."""
    return task.get("DesiredState") in ("shutdown", "remove") and _state(task) in ("starting", "running")


def _state(task: Mapping[str, Any]) -> str:
    return str((task.get("Status") or {}).get("State", ""))


def _of(task: Mapping[str, Any]) -> dict[str, str]:
    return references({"Spec": {"TaskTemplate": task.get("Spec") or {"ContainerSpec": {}}}})


def roll_back(control: Control, name: str, timeout: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Put the service back to its previous specification, unless Swarm does so itself; wait for it. Failed."""
    timeout = max(timeout, BACK_AT_LEAST)
    end = time.monotonic() + timeout
    service = control.service(name)
    if str((service.get("UpdateStatus") or {}).get("State", "")) not in _BACK:
        control.update_service(str(service["ID"]), int(service["Version"]["Index"]), service["Spec"], back=True)
    while True:
        service = control.service(name)
        state = str((service.get("UpdateStatus") or {}).get("State", ""))
        if state not in ("updating", "rollback_started") and settled(service, control.tasks(name)):
            return
        if time.monotonic() >= end:
            raise Failed(f"service {name} was put back, but did not become healthy within {timeout:g} s")
        sleep(LOOK_AGAIN)
