"""The programs that really read env files, as oracles: what they make of a file, or None when they refuse it."""

from __future__ import annotations

import ctypes
import ctypes.util
import glob
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import LONG

SHELLS = [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]
DOCKER = shutil.which("docker")
_LIBRARIES = glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so") + glob.glob(
    "/usr/lib/systemd/libsystemd-shared-*.so"
)
SYSTEMD = _LIBRARIES[0] if _LIBRARIES else None


def by_shell(path: Path, shell: str) -> dict[str, bytes] | None:
    """`set -a; . FILE`, then the exported variables."""
    words = [shell, "sh"] if shell == "busybox" else [shell]
    env = shutil.which("env") or "env"
    script = f'set -a; . "$1" >/dev/null 2>&1 || exit 9; exec {env} -0'
    done = subprocess.run([*words, "-c", script, "sh", str(path)], env={}, capture_output=True, timeout=LONG)
    if done.returncode:
        return None
    pairs = [item.partition(b"=") for item in done.stdout.split(b"\0") if item]
    return {name.decode(errors="replace"): value for name, _, value in pairs}


def by_systemd(path: Path) -> dict[str, bytes] | None:
    """load_env_file() of systemd's own library, which reads EnvironmentFile= (src/basic/env-file.c)."""
    library = ctypes.CDLL(SYSTEMD)
    found = ctypes.POINTER(ctypes.c_char_p)()
    if library.load_env_file(None, str(path).encode(), ctypes.byref(found)) < 0:
        return None
    pairs: dict[str, bytes] = {}
    for item in iter(found) if found else ():
        if item is None:
            break
        name, _, value = item.partition(b"=")
        pairs[name.decode(errors="replace")] = value
    return pairs


@contextmanager
def docker_reader() -> Iterator[DockerReader]:
    """The docker CLI parses env files itself and sends the result to the engine: we are the engine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Engine)
    server.bodies = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield DockerReader(server)
    finally:
        server.shutdown()
        server.server_close()


class DockerReader:
    """`docker create --env-file`, against a small engine on loopback."""

    def __init__(self, server: http.server.ThreadingHTTPServer) -> None:
        self._server = server

    def __call__(self, path: Path) -> dict[str, bytes] | None:
        bodies: list[dict[str, list[str]]] = self._server.bodies  # type: ignore[attr-defined]
        bodies.clear()
        host = f"tcp://127.0.0.1:{self._server.server_address[1]}"
        command = [str(DOCKER), "-H", host, "create", "--pull", "never", "--env-file", str(path), "image"]
        done = subprocess.run(command, env={"HOME": "/nonexistent"}, capture_output=True, timeout=LONG)
        if done.returncode:
            return None
        pairs = [item.partition("=") for item in bodies[0]["Env"]]
        return {name: value.encode() for name, _, value in pairs}


class _Engine(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._answer(200, b"OK")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)  # type: ignore[attr-defined]
        self._answer(201, json.dumps({"Id": "0" * 64, "Warnings": []}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("API-Version", "1.45")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
