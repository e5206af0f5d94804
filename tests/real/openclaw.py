"""A real OpenClaw gateway for tests: installed once by npm, started on a free loopback port, never left behind.

    with Gateway({"gateway": {"auth": {"mode": "token", "token": "..."}}}) as gateway:
        gateway.url, gateway.cli("secrets", "reload", "--json")

Linux only (process trees are found under /proc). Not a test file: tests import it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.waiting import LONG

OPENCLAW = "2026.9.6"
NODE = "24"
LOCATION_VARIABLE = "CLAWSECRETS_OPENCLAW_DIR"
START_SECONDS = LONG
"""How long a gateway may take to become ready: 6 s with a warm compile cache, 12 s with a cold one, on a calm host."""
HURRIED = (b"state lease heartbeat did not become ready", b"refused execution")
"""With these a gateway gives up by itself where the host is so busy that it misses a limit of its own (5 s for a thread
to begin; no setting changes that). Started again, as systemd would, it comes up."""

QUIET: dict[str, Any] = {
    "gateway": {"mode": "local", "bind": "loopback", "controlUi": {"enabled": False}},
    "discovery": {"mdns": {"mode": "off"}},
    "update": {"checkOnStart": False},
    "browser": {"enabled": False},
    "cron": {"enabled": False},
}
"""What every test gateway starts from; a test's own configuration is merged over it."""

SWITCHES = {
    "OPENCLAW_NO_RESPAWN": "1",
    "OPENCLAW_NO_AUTO_UPDATE": "1",
    "OPENCLAW_DISABLE_BONJOUR": "1",
    "OPENCLAW_SKIP_CANVAS_HOST": "1",
    "OPENCLAW_SKIP_BROWSER_CONTROL_SERVER": "1",
    "OPENCLAW_SKIP_GMAIL_WATCHER": "1",
    "OPENCLAW_SKIP_CRON": "1",
    "OPENCLAW_SKIP_STARTUP_MODEL_PREWARM": "1",
    "OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED": "1",
}
"""Environment of every process: one process instead of a launcher and a child, and no background work."""


def location() -> Path:
    """Where the npm packages live: $CLAWSECRETS_OPENCLAW_DIR, else `.cache/openclaw` of this checkout (git-ignored)."""
    given = os.environ.get(LOCATION_VARIABLE)
    return Path(given).resolve() if given else Path(__file__).resolve().parents[2] / ".cache" / "openclaw"


def node(root: Path | None = None) -> Path:
    """The node binary that the `node` npm package brought."""
    return (root or location()) / "node_modules" / "node" / "bin" / "node"


def ensure_installed() -> Path:
    """Install openclaw and node by npm where they are missing; returns the folder that holds `node_modules`.

    Idempotent, and safe when several processes call it at once. Raises `RuntimeError` with npm's last lines.
    """
    root = location()
    if _installed(root):
        return root
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _installed(root):
            _install(root)
    return root


def _installed(root: Path) -> bool:
    manifest = root / "node_modules" / "openclaw" / "package.json"
    try:
        return json.loads(manifest.read_text())["version"] == OPENCLAW and os.access(node(root), os.X_OK)
    except (OSError, ValueError, KeyError):
        return False


def _install(root: Path) -> None:
    (root / "package.json").write_text('{"private": true}\n')
    _npm(root, f"node@{NODE}")  # first: openclaw's own install script refuses an older node
    _npm(root, f"openclaw@{OPENCLAW}", f"node@{NODE}")
    if not _installed(root):
        raise RuntimeError(f"npm succeeded, but openclaw {OPENCLAW} or node is not under {root}")


def _npm(root: Path, *packages: str) -> None:
    print(f"npm install {' '.join(packages)} under {root} ...", file=sys.stderr, flush=True)
    path = f"{node(root).parent}:{os.environ.get('PATH', os.defpath)}"
    command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *packages]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=900, check=False
    )
    if done.returncode:
        raise RuntimeError(f"npm install failed ({done.returncode}): {done.stderr.strip()[-1500:]}")


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid upon `base`, dictionaries key by key, anything else replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def exec_provider(command: Path | str, *args: str) -> dict[str, Any]:
    """The configuration of an exec SecretRef provider (its command must be a regular file, ours, at most 0755)."""
    return {"source": "exec", "command": str(command), "args": list(args), "jsonOnly": True}


def exec_ref(name: str, provider: str = "clawsecrets") -> dict[str, str]:
    """A SecretRef to `name` of an exec provider."""
    return {"source": "exec", "provider": provider, "id": name}


def replace_text(path: Path, text: str) -> None:
    """Replace the file in one step: who reads it meanwhile (a resolver that is still under way) reads a whole one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


class Gateway:
    """One real gateway with its own state folder, configuration, home and port; everything goes on exit.

    `config` is merged over `QUIET`. `env` is added to the processes' environment, which starts out empty but for
    PATH, HOME and the switches: nothing of the developer's own shell reaches it. Ready in about 6 s; with
    `plugins` (the bundled ones: telegram, memory-core, providers...) in about 8 s.
    """

    def __init__(
        self, config: Mapping[str, Any], env: Mapping[str, str] | None = None, plugins: bool = False
    ) -> None:
        self.root = ensure_installed()
        self.base = Path(tempfile.mkdtemp(prefix="claw-gw-"))
        self.state_dir = self.base / "state"
        self.state_dir.mkdir(mode=0o700)
        (self.base / "home").mkdir(mode=0o700)
        self.port = _free_port()
        self.url = f"ws://127.0.0.1:{self.port}"
        self.config_path = self.state_dir / "openclaw.json"
        self.log_path = self.base / "gateway.log"
        self.extra_env = {} if plugins else {"OPENCLAW_DISABLE_BUNDLED_PLUGINS": "1"}
        self.extra_env.update(env or {})
        logging = {"logging": {"file": str(self.base / "openclaw.log")}}
        self.write_config(merged(merged(QUIET, logging), config))
        self.process: subprocess.Popen[bytes] | None = None
        self._before: dict[Path, int] = {}

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replace the whole configuration file (0600); a running gateway notices in about a second."""
        new = self.config_path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(config, indent=1))
        new.replace(self.config_path)

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the gateway and its command line run with."""
        return {
            "PATH": f"{node(self.root).parent}:/usr/bin:/bin",
            "HOME": str(self.base / "home"),
            "OPENCLAW_STATE_DIR": str(self.state_dir),
            "OPENCLAW_CONFIG_PATH": str(self.config_path),
            "NODE_COMPILE_CACHE": str(self.root / "compile-cache"),
            **SWITCHES,
            **self.extra_env,
            **(env or {}),
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def start(self, wait: bool = True) -> None:
        """Start the process; with `wait`, return only when it is ready. `RuntimeError` with its log if it is not."""
        self._before = {file: file.stat().st_size for file in self._logs() if file.exists()}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._openclaw(), "gateway", "run", "--port", str(self.port)],
                env=self.environment(),
                cwd=self.base,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until `/readyz` answers 200, starting it again where it was HURRIED; `RuntimeError` with the end of the
        log otherwise."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process is None or (self.process.poll() is not None and not self.revived()):
                break
            if self.http_status("/readyz") == 200:
                return
            time.sleep(0.03)
        raise RuntimeError(f"the gateway did not become ready:\n{self.log_text()[-3000:]}")

    def revived(self) -> bool:
        """Whether it had ended because it was HURRIED, and was started again."""
        said = b"".join(file.read_bytes()[self._before.get(file, 0):] for file in self._logs() if file.exists())
        ended = self.process is not None and self.process.poll() is not None
        if not ended or not any(words in said for words in HURRIED):
            return False
        self.kill()
        self.start(wait=False)
        return True

    def http_status(self, path: str) -> int:
        """The HTTP status the gateway answers at `path`; 0 when nothing listens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def stop(self, seconds: float = 60.0) -> None:
        """Ask the gateway to end (SIGTERM) and wait; what has not gone by then is killed."""
        self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """End the gateway as a crash would (SIGKILL), together with its helpers."""
        self._end(signal.SIGKILL, LONG)

    def _end(self, how: signal.Signals, seconds: float) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        family = _family(process.pid)
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            process.send_signal(how)
            process.wait(seconds)
        for pid in {*family, *_family(process.pid), *_of_state_dir(self.state_dir)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(LONG)

    def close(self) -> None:
        """Kill whatever runs and remove every file. Safe to call twice."""
        self.kill()
        shutil.rmtree(self.base, ignore_errors=True)

    def cli(
        self, *args: str, env: Mapping[str, str] | None = None, stdin: str = "", timeout: float = LONG
    ) -> subprocess.CompletedProcess[str]:
        """Run the real `openclaw` command line against this gateway's state and configuration."""
        command = [*self._openclaw(), *args]
        return subprocess.run(
            command,
            env=self.environment(env),
            cwd=self.base,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def log_text(self) -> str:
        """All that the gateway printed and logged so far."""
        return "".join(file.read_text(errors="replace") for file in self._logs() if file.exists())

    def _logs(self) -> tuple[Path, Path]:
        return self.log_path, self.base / "openclaw.log"

    def _openclaw(self) -> list[str]:
        return [str(node(self.root)), str(self.root / "node_modules" / "openclaw" / "openclaw.mjs")]


def _free_port() -> int:
    """A free one, below those that the system gives away, so that nobody else has it when the gateway starts."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    below = range(10_000, first) if first > 11_000 else range(61_000, 65_536)
    for port in random.SystemRandom().sample(below, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


def _die_with_parent() -> None:
    """In the child, before exec: SIGTERM when the test process dies, however it dies (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _processes() -> Iterator[tuple[int, int, int]]:
    """(pid, parent, session) of every process."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        yield int(entry.name), int(fields[1]), int(fields[3])


def _family(pid: int) -> set[int]:
    """Every process below `pid` or in its session; helpers that open a session of their own are below it."""
    found = {pid}
    processes = list(_processes())
    while True:
        more = {p for p, parent, session in processes if parent in found or session == pid} - found
        if not more:
            return found - {pid}
        found |= more


def _of_state_dir(state_dir: Path) -> set[int]:
    """Every process whose environment names this (unique, temporary) state folder."""
    mark = f"OPENCLAW_STATE_DIR={state_dir}".encode()
    found = set()
    for pid, _, _ in _processes():
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found
