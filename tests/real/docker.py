"""A real container engine for tests: a private `dockerd` in a temporary folder; skopeo, buildah, podman beside it.

    with Dockerd() as engine:
        engine.load_base()
        engine.docker("build", "-t", "app:1", folder)
        engine.host                                     # unix:///…/docker.sock

Needs root and Linux. No image is pulled: the base is made of this host's shell. Not a test file: tests import it.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import LONG

TOOLS = ("dockerd", "docker", "containerd", "runc", "skopeo", "buildah", "podman", "git")
PACKAGES = ("docker.io", "skopeo", "buildah", "podman")
BASE = "base:1"
_SYS_ADMIN = 21
"""Number of CAP_SYS_ADMIN: without it no engine can mount anything."""


def missing() -> str:
    """Why no engine can be started here; empty when one can."""
    if reason := unprivileged("dockerd"):
        return reason
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} not installed; `make real` does it, with apt"
    return ""


def unprivileged(what: str) -> str:
    """Why this process may not mount and make namespaces, which `what` needs; empty when it may."""
    if os.geteuid() != 0:
        return f"{what} needs root"
    return "" if _privileged() else f"{what} needs the capability SYS_ADMIN (a privileged container)"


def _privileged() -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> _SYS_ADMIN & 1)


def ensure_installed() -> None:
    """Install the tools by apt where they are missing. `RuntimeError` with apt's last lines, or when it cannot be."""
    install_by_apt(missing, PACKAGES)


def install_by_apt(missing: Callable[[], str], packages: Sequence[str]) -> None:
    """Install packages where `missing` says that something is not installed. `RuntimeError`."""
    reason = missing()
    if "not installed" not in reason:
        if reason:
            raise RuntimeError(reason)
        return
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"{reason}; there is no apt-get here")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
        print(" ".join(command), "...", file=sys.stderr, flush=True)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            raise RuntimeError(f"apt-get failed ({done.returncode}): {done.stderr.strip()[-1500:]}")
    if reason := missing():
        raise RuntimeError(reason)


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """In the child, before exec: that signal when the test process dies, however it dies (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, number)


def base_tar() -> bytes:
    """A root file system with a shell and a few tools of this host, and the libraries they need."""
    wanted = [Path(found) for tool in ("sh", "rm", "ln", "cat", "mkdir", "sleep") if (found := shutil.which(tool))]
    files: dict[str, Path] = {f"/bin/{path.name}": path for path in wanted}
    for path in wanted:
        said = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+)", said):
            files[library] = Path(library)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in sorted(files.items()):
            member = tarfile.TarInfo(name.lstrip("/"))
            data = path.resolve().read_bytes()
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def overlay_fits(folder: Path) -> bool:
    """Whether an overlay can be mounted with its layers in this folder: not where that is an overlay itself."""
    layers = [folder / name for name in ("lower", "upper", "work", "merged")]
    for layer in layers:
        layer.mkdir()
    options = "lowerdir={},upperdir={},workdir={}".format(*layers)
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, layers[3]], capture_output=True,
                          check=False)
    if done.returncode == 0:
        subprocess.run(["umount", layers[3]], check=True)
    return done.returncode == 0


class Dockerd:
    """One private engine: its own data, socket and containerd; no network. Everything goes on exit. `storage` is
    Docker's driver: vfs copies every layer and works everywhere; overlay2 needs a file system that takes an overlay."""

    def __init__(self, storage: str = "vfs") -> None:
        self._storage = storage
        self.base = Path(tempfile.mkdtemp(prefix="claw-dk-"))
        self.socket = self.base / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.log_path = self.base / "dockerd.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start it, and wait until it answers. `RuntimeError` with its log if it does not."""
        (self.base / "daemon.json").write_text("{}")
        for folder in ("data", "exec", "config", "home"):
            (self.base / folder).mkdir()
        (self.base / "config" / "config.json").write_text("{}")
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", str(self.base / "data"), "--exec-root", str(self.base / "exec"),
                 "--pidfile", str(self.base / "pid"), "-H", self.host, "--iptables=false", "--ip6tables=false",
                 "--bridge=none", f"--storage-driver={self._storage}", "--config-file", str(self.base / "daemon.json")],
                env=self.environment(), cwd=self.base, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent)
        end = time.monotonic() + LONG
        while time.monotonic() < end and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        raise RuntimeError(f"dockerd did not become ready:\n{self.log_path.read_text()[-3000:]}")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError, http.client.HTTPException):
            sock.settimeout(30)
            sock.connect(str(self.socket))
            sock.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return sock.recv(64).split()[1:2] == [b"200"]
        return False

    def close(self) -> None:
        """Stop it (it stops its containerd) and remove every file. Safe to call twice."""
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(LONG)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(LONG)
        shutil.rmtree(self.base, ignore_errors=True)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the engine and the tools run with: nothing of the developer's own configuration."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.base / "home"), "DOCKER_HOST": self.host,
                "DOCKER_CONFIG": str(self.base / "config"), "DOCKER_BUILDKIT": "0", "BUILDAH_ISOLATION": "chroot",
                "STORAGE_DRIVER": "vfs", "LC_ALL": "C", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
                **(more or {})}

    def run(self, command: Sequence[str | Path], data: bytes = b"") -> bytes:
        """Run a tool; what it printed. `RuntimeError` with its words when it fails."""
        done = subprocess.run([str(part) for part in command], env=self.environment(), cwd=self.base, input=data,
                              capture_output=True, timeout=LONG, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stderr.decode()[-1500:]}")
        return done.stdout

    def docker(self, *arguments: str | Path, data: bytes = b"") -> bytes:
        """The real `docker` command line against this engine."""
        return self.run(["docker", *arguments], data)

    def buildah(self, *arguments: str | Path) -> bytes:
        """buildah, with a store of its own in the same folder."""
        return self.run(["buildah", "--root", self.base / "store", "--runroot", self.base / "run",
                         "--storage-driver", "vfs", *arguments])

    def skopeo(self, *arguments: str | Path) -> bytes:
        """skopeo, without a policy that asks for signatures."""
        return self.run(["skopeo", "--insecure-policy", "--tmpdir", self.base, *arguments])

    def load_base(self, *changes: str, message: str = "") -> None:
        """Import the base image."""
        self.docker("import", *(part for change in changes for part in ("-c", change)),
                    *(("-m", message) if message else ()), "-", BASE, data=base_tar())
