"""A systemd unit: restarted or reloaded by systemctl, then looked into.

What is inside: the environments of the unit's processes, its credentials (LoadCredential=, LoadCredentialEncrypted=;
`systemd-creds`), and files that are named. An environment is frozen at the start, so `action = "reload"` never changes
one. On success the unit's own settings are searched for the old value: `Environment=` is what a token is baked into
(`openclaw gateway install` writes OPENCLAW_GATEWAY_TOKEN into its unit), and another `EnvironmentFile=` may hold a
copy; either would bring the old value back with the next change of the unit.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.clients import processes
from clawsecrets.consumers import inside
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Consumer, Handover, Reply

_ASKED = ("LoadState", "ActiveState", "SubState", "Type", "MainPID", "ControlGroup", "Environment", "EnvironmentFiles",
          "FragmentPath", "DropInPaths", "NRestarts")
_PASSED_ON = ("PATH", "HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
CREDENTIALS = "CREDENTIALS_DIRECTORY"
_QUOTED = re.compile(r"\\([\"'\\$` ])")


PROVES = ("up; the new value is in the environment of its processes, its credentials, or a file that was there before "
          "it started; the old one in none, nor in the unit's settings")
CANNOT = "that a running program read a file again, unless `rereads` says so"


@dataclass(frozen=True)
class SystemdConsumer:
    """`action`: restart or reload. `user`: the unit is one of this user's own manager. `timeout`: seconds until the
    unit is up; `settle`: seconds that it must then stay up."""

    target: str
    unit: str
    action: str = "restart"
    user: bool = False
    files: Sequence[str] = ()
    rereads: bool = False
    reads: Collection[str] = ()
    timeout: float = 90.0
    settle: float = 2.0
    sleep: Callable[[float], None] = time.sleep
    validates: bool = False

    def reload(self, handover: Handover) -> Reply:
        """Restart or reload the unit, and see that it stays up. REFUSED when it does not come up."""
        if self.files:
            self.sleep(inside.APART)
        try:
            code = self._call(self.action, "--no-ask-password", self.unit).returncode
        except (OSError, subprocess.TimeoutExpired):
            return Reply(Outcome.UNKNOWN, f"systemctl {self.action} {self.unit} had no end")
        if code:
            found = self._shown()
            there = found.get("LoadState") == "loaded"
            failed = f"systemctl {self.action} {self.unit} failed (exit {code})"
            why = failed if there else f"there is no unit {self.unit}"
            return Reply(Outcome.REFUSED, f"{why}: see `systemctl status {self.unit}`")
        return self._up()

    def probe(self, handover: Handover) -> Reply:
        """Which value is inside?"""
        return inside.forwards(self._inside(handover))

    def prove(self, handover: Handover) -> Reply:
        """Is it up, with the new value inside and the old one nowhere, not even in the unit's own settings?"""
        up = self._up()
        if up.outcome is not Outcome.OK:
            return up
        reply = self._inside(handover)
        stale = list(self._shadows(handover)) if reply.outcome is Outcome.OK else []
        if stale:
            return Reply(Outcome.LATER, f"it uses the new value, but {stale[0]}", person=True)
        return reply

    def preflight(self, handover: Handover) -> Reply:
        """Is it up, and can it be looked into?"""
        up = self._up()
        if up.outcome is not Outcome.OK:
            return up
        return inside.before(self._inside(handover), "it is up")

    def describe(self) -> str:
        """One line for `--dry-run` and docs."""
        return f"{self.unit} is {self.action}ed by systemctl; its environment, credentials and settings are looked at"

    # --- systemctl --------------------------------------------------------------------------------------------------

    def _call(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        which = ["--user"] if self.user else []
        env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return subprocess.run(["systemctl", *which, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=self.timeout, check=False, env={**env, "SYSTEMD_COLORS": "0", "LC_ALL": "C"})

    def _shown(self) -> Mapping[str, str]:
        """The unit's properties; those that may come several times are joined by line breaks. {} without an answer."""
        found: dict[str, str] = {}
        with suppress(OSError, subprocess.TimeoutExpired):
            done = self._call("show", "--property", ",".join(_ASKED), self.unit)
            for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
                name, mark, text = line.partition("=")
                if mark:
                    found[name] = f"{found[name]}\n{text}" if name in found else text
        return found

    def _up(self) -> Reply:
        """Active, and for `settle` seconds the same process."""
        end, since, before = time.monotonic() + self.timeout, 0.0, ""
        while True:
            found = self._shown()
            state, pid = found.get("ActiveState", ""), found.get("MainPID", "0")
            if not found:
                return Reply(Outcome.LATER, "systemctl does not answer", after=5.0)
            if found.get("LoadState") != "loaded":
                return Reply(Outcome.REFUSED, f"there is no unit {self.unit}")
            if state == "failed":
                return Reply(Outcome.REFUSED, f"{self.unit} has failed: see `systemctl status {self.unit}`")
            if state != "active" or pid != before:
                since, before = time.monotonic(), pid if state == "active" else ""
            elif time.monotonic() - since >= self.settle or _long_up(pid, self.settle):
                return Reply(Outcome.OK)
            if time.monotonic() >= end:
                return Reply(Outcome.REFUSED, f"{self.unit} did not come up within {self.timeout:g} s ({state})")
            self.sleep(0.05)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _inside(self, handover: Handover) -> Reply:
        found = self._shown()
        try:
            pids = self._processes(found)
            if not pids:
                return Reply(Outcome.REFUSED, f"{self.unit} has no process")
            return inside.judge(inside.look(pids, self.files, _credentials(pids[0])), handover, self.rereads)
        except processes.NotSeen as error:
            return Reply(Outcome.LATER, f"{error.args[-1]}: run as its user, or as root", person=True)

    def _processes(self, found: Mapping[str, str]) -> list[int]:
        """The unit's processes, its main one first."""
        main = int(found.get("MainPID") or 0)
        group = found.get("ControlGroup", "")
        members: list[int] = []
        if group:
            with suppress(OSError, ValueError):
                path = Path(f"/sys/fs/cgroup{group}/cgroup.procs")
                members = [int(word) for word in path.read_text().split()]
        return [pid for pid in dict.fromkeys([main, *members]) if pid]

    # --- shadows ----------------------------------------------------------------------------------------------------

    def _shadows(self, handover: Handover) -> Iterator[str]:
        """Where the unit's own settings still hold the old value, and what mends it."""
        found = self._shown()
        if _in_settings(found.get("Environment", ""), handover):
            where = next((path for path in _settings(found) if _has(path, handover)), f"{self.unit}'s settings")
            yield (f"Environment= of {where} still holds the old one: take it out (systemctl edit --full {self.unit}), "
                   "then confirm")
        for line in found.get("EnvironmentFiles", "").splitlines():
            path = line.rpartition(" (")[0] or line
            if _has(Path(path), handover):
                yield f"EnvironmentFile={path} still holds the old one: take it out, then confirm"


def _settings(found: Mapping[str, str]) -> list[Path]:
    words = [found.get("FragmentPath", ""), *found.get("DropInPaths", "").split()]
    return [Path(word) for word in words if word]


def _has(path: Path, handover: Handover) -> bool:
    with suppress(OSError):
        return _in_settings(path.read_bytes()[:processes.LARGEST].decode("utf-8", "surrogateescape"), handover)
    return False


def _in_settings(text: str, handover: Handover) -> bool:
    """Whether the old value stands there, as it is or as systemd quotes it (systemd.syntax(7))."""
    plain = _QUOTED.sub(r"\1", text).replace("%%", "%")
    return any(inside.has_old(form.encode("utf-8", "surrogateescape"), handover) for form in (text, plain))


def _credentials(pid: int) -> list[str]:
    """The folder of the unit's credentials, where it has any."""
    folder = processes.environment(pid).get(CREDENTIALS, b"").decode("utf-8", "surrogateescape")
    return [folder] if folder.startswith("/") else []


def _long_up(pid: str, settle: float) -> bool:
    with suppress(OSError, ValueError):
        return time.time() - processes.started_at(int(pid)) > settle
    return False


def _conforms(consumer: SystemdConsumer) -> Consumer:
    return consumer
