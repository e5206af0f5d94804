"""Looking into one running container: by /proc where its processes are this host's and may be read, else by exec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from clawsecrets.clients import processes
from clawsecrets.clients.docker_control import Control
from clawsecrets.consumers import inside


def look_into(control: Control, ident: str, files: Sequence[str], *, restarted: bool) -> inside.Seen:
    """What it holds. `restarted`: it is started anew after every delivery, so that what stands in its files was read.
    ClawError."""
    found = control.inspect(ident)
    pid = pid_of(found)
    if control.local and pid and _is_of(pid, str(found.get("Id", ident))):
        with suppress(processes.NotSeen):
            return inside.look(processes.companions(pid), files)
    return _by_exec(control, ident, found, files, restarted)


def pid_of(found: Mapping[str, Any]) -> int:
    """Its main process, as the engine's host counts; 0 when it does not run."""
    state = found.get("State")
    pid = state.get("Pid") if isinstance(state, dict) else 0
    return pid if isinstance(pid, int) else 0


def _is_of(pid: int, ident: str) -> bool:
    """Whether that process of this host is the container's: an engine in a virtual machine counts its own."""
    with suppress(OSError):
        return ident[:12] in Path(f"/proc/{pid}/cgroup").read_text()
    return False


def _by_exec(control: Control, ident: str, found: Mapping[str, Any], files: Sequence[str],
             restarted: bool) -> inside.Seen:
    """By `cat` in it, or, for its environment, what Docker says of it (Podman's answer is no proof: it names a secret's
    present value, whatever the process was started with). When a file changed is not known then."""
    code, output = control.run_inside(ident, ["cat", "/proc/1/environ"])
    pairs = output.split(b"\0") if not code else []
    config = found.get("Config")
    if code and control.engine.name == "docker" and isinstance(config, dict):
        pairs = [str(pair).encode() for pair in config.get("Env") or ()]
    pieces = [inside.Piece(f"{name.decode('utf-8', 'replace')} (environment)", value)
              for name, mark, value in (pair.partition(b"=") for pair in pairs) if mark]
    unseen = "" if pairs else "its environment cannot be read"
    for path in files:
        code, output = control.run_inside(ident, ["cat", path])
        if code:
            unseen = unseen or f"`cat {path}` failed in it: name a file, or look as root of this host"
        else:
            pieces.append(inside.Piece(path, output, since=0.0 if restarted else float("inf")))
    return inside.Seen(pieces, started=1.0, unseen=unseen)
