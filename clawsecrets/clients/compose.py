"""Compose, by its command line: `docker compose` where that is, else `docker-compose`. No value is in its arguments.

What it prints is thrown away (an error could repeat what it read from an env file), but for ids and for its fixed words
about variables that are not set. It gets PATH, HOME, LANG, XDG_RUNTIME_DIR, and Docker's and Compose's own variables.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from clawsecrets.errors import Incomplete, Refused

_PASSED_ON = ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR")
_OWN = ("DOCKER_", "COMPOSE_")
_ID = re.compile(r"[0-9a-f]{12,64}\Z")
_NOT_SET = re.compile(rb'[Tt]he \\?"?([A-Za-z_][A-Za-z0-9_]*)\\?"? variable is not set')


@dataclass(frozen=True)
class Compose:
    """One service of a Compose file. `host`: the engine's address; `timeout` in seconds."""

    file: Path
    service: str
    project: str = ""
    host: str = ""
    timeout: float = 120.0

    def installed(self) -> bool:
        """Whether there is a Compose to run."""
        return bool(self._command())

    def check(self) -> None:
        """Refused when the file cannot be read, has no such service, or takes a variable that is not set here: the
        service would be made with other settings than it has. Incomplete when there is no Compose."""
        done = self._run(["--profile", "*", "config", "--services"])  # one that has a profile is there as well
        if done.returncode:
            raise Refused(f"{self.file}: Compose cannot read it (exit {done.returncode})",
                          f"see `docker compose -f {self.file} config -q`")
        if self.service not in done.stdout.decode("utf-8", "replace").split():
            raise Refused(f"{self.file} has no service {self.service}",
                          "name one of its services (with a Compose older than 2.23: its profile in COMPOSE_PROFILES)")
        if missing := _NOT_SET.search(done.stderr):
            name = missing.group(1).decode()
            raise Refused(f"{self.file} takes {name} from the environment, where it is not set: the service would be "
                          "made with other settings", f"write it into the .env file beside {self.file.name}")

    def containers(self) -> list[str]:
        """The ids of the service's containers, running or not. Incomplete."""
        done = self._run(["ps", "--all", "--quiet", self.service])
        if done.returncode:
            raise Incomplete(f"{self.file}: Compose does not list the service's containers (exit {done.returncode})",
                             f"see `docker compose -f {self.file} ps`")
        return [word for word in done.stdout.decode("utf-8", "replace").split() if _ID.match(word)]

    def recreate(self) -> None:
        """Make the service's containers anew, from the file as it is; nothing is built, no other service touched.
        Refused as `check`; Incomplete when Compose failed, in which case it may have happened."""
        self.check()
        done = self._run(["up", "--detach", "--no-deps", "--no-build", "--force-recreate", self.service])
        if done.returncode:
            raise Incomplete(f"{self.file}: Compose could not recreate {self.service} (exit {done.returncode})",
                             f"see `docker compose -f {self.file} up -d {self.service}`")

    def _command(self) -> Sequence[str]:
        docker = shutil.which("docker")
        if docker and _has_plugin(docker, tuple(sorted(self._environment().items())), self.timeout):
            return [docker, "compose"]
        alone = shutil.which("docker-compose")
        return [alone] if alone else []

    def _run(self, words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        command = self._command()
        if not command:
            _has_plugin.cache_clear()
            raise Incomplete("there is no Compose on this host", "install docker-compose-plugin, or docker-compose")
        named = ["--project-name", self.project] if self.project else []
        try:
            process = subprocess.Popen(
                [*command, "--file", str(self.file), *named, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, env=self._environment(), cwd=self.file.parent, start_new_session=True)
        except OSError as error:
            raise Incomplete(f"{self.file}: Compose cannot be run there: {os.strerror(error.errno or 0)}",
                             "see that its folder is there") from None
        try:
            out, err = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Incomplete(f"{self.file}: Compose had no end within {self.timeout:g} s", "try again") from None
        if process.returncode:
            _has_plugin.cache_clear()  # it may have been installed or removed meanwhile
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def _environment(self) -> Mapping[str, str]:
        passed = {name: text for name, text in os.environ.items() if name in _PASSED_ON or name.startswith(_OWN)}
        if self.host:
            passed["DOCKER_HOST"] = self.host
            passed.pop("DOCKER_CONTEXT", None)
        return passed


@lru_cache(maxsize=16)
def _has_plugin(docker: str, environment: tuple[tuple[str, str], ...], timeout: float) -> bool:
    """Whether `docker compose` is there. Asked once per process, until Compose fails: a rotation runs it ten times."""
    return subprocess.run([docker, "compose", "version"], stdin=subprocess.DEVNULL, capture_output=True,
                          env=dict(environment), timeout=timeout, check=False).returncode == 0
