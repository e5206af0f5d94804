"""A real PostgreSQL (Debian's `postgresql`) on a free port of loopback, as a user that is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import LONG

ADMIN, ADMIN_PASSWORD = "postgres", "admin-canary-Zq81"


def binaries() -> Path | None:
    """The folder with initdb and postgres: on PATH, or where Debian keeps them."""
    found = shutil.which("initdb")
    if found and (Path(found).resolve().parent / "postgres").is_file():
        return Path(found).resolve().parent
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return kept[-1].parent if kept else None


def missing() -> str:
    """Why it cannot be used; empty when it can."""
    if binaries() is None:
        return "postgresql is not installed; `make real` does it, with apt"
    return "" if os.geteuid() or _user() is not None else "it does not run as root, and there is no other user for it"


def ensure_installed() -> None:
    """With apt, as root."""
    if missing():
        subprocess.run(["apt-get", "install", "-y", "-q", "postgresql"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def _user() -> pwd.struct_passwd | None:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


@dataclass
class Server:
    """A running server. Its superuser is ADMIN with ADMIN_PASSWORD."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """As `base_url` says it."""
        return f"postgresql://127.0.0.1:{self.port}/postgres"

    @property
    def log(self) -> str:
        """All that it has logged; every statement stands there."""
        return (self.folder / "log").read_text()


def _as_user(command: Sequence[str | Path], **more: object) -> subprocess.Popen[bytes]:
    user = _user() if os.geteuid() == 0 else None
    ids = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    return subprocess.Popen([str(word) for word in command], env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                            cwd="/", **ids, **more)  # type: ignore[call-overload,no-any-return]


@contextmanager
def server(*, hba: str = "scram-sha-256") -> Iterator[Server]:
    """Start one and stop it. `hba`: how it lets in by TCP."""
    folder, found = Path(tempfile.mkdtemp(prefix="claw-pg-")), binaries()
    assert found is not None
    user = _user() if os.geteuid() == 0 else None
    password = folder / "password"
    password.write_text(ADMIN_PASSWORD + "\n")
    if user:
        for path in (folder, password):
            os.chown(path, user.pw_uid, user.pw_gid)
    made = _as_user([found / "initdb", "-D", folder / "data", "-U", ADMIN, "--pwfile", password, "-N",
                     "--auth-host", hba, "--auth-local", "scram-sha-256"], stdout=subprocess.DEVNULL)
    assert made.wait(LONG) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        running = _as_user([found / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder,
                            "-F", "-c", "log_statement=all", "-c", "log_connections=on"], stdout=log, stderr=log)
    try:
        end = time.monotonic() + LONG
        while "ready to accept connections" not in (folder / "log").read_text():
            assert running.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)
        yield Server(port, folder)
    finally:
        running.send_signal(signal.SIGINT)  # fast: SIGTERM would wait for whoever keeps a session
        running.wait(LONG)
        shutil.rmtree(folder, ignore_errors=True)
