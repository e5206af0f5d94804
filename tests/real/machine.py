"""A machine of its own for tests: a real systemd as PID 1 of new namespaces, on a copy-on-write view of this host.

    with Machine({Path(sys.base_prefix): "/opt/python"}) as machine:
        machine.run("systemctl", "is-system-running")
        machine.path("/etc/systemd/system/x.service").write_text(…)

Nothing of this host is written: every change is in memory and goes with the machine. It shares the host's network (a
fake provider on loopback is reached) and kernel. None of the host's units is there. Needs root, Linux with cgroup 2 and
overlay file systems, systemd 250 or newer. Not a test file: tests import it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.real import docker
from tests.waiting import LONG, until

TOOLS = ("systemd-run", "systemd-creds", "systemd-analyze", "systemd-sysusers", "unshare", "nsenter", "pivot_root",
         "dbus-daemon")
OLDEST = 250
"""systemd's version; LoadCredentialEncrypted= is from then."""
SYSTEMD = next((path for path in (Path("/usr/lib/systemd/systemd"), Path("/lib/systemd/systemd")) if path.exists()),
               Path("/usr/lib/systemd/systemd"))
BOOT = r"""
set -eu
base=$1; shift
mount --make-rprivate /
mount -t tmpfs -o size=1g,mode=755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
cd "$base/root"
while [ "$1" != -- ]; do mkdir -p ".$2"; mount --bind "$1" ".$2"; mount -o remount,bind,ro ".$2"; shift 2; done; shift
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do : > "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
rm -rf etc/systemd/system etc/credstore.encrypted
rm -rf etc/fstab usr/lib/systemd/system-generators usr/lib/systemd/system/*.target.wants
mkdir -p etc/systemd/system usr/local/bin
printf '[Unit]\nWants=systemd-journald.socket dbus.socket\n' > etc/systemd/system/nothing.target
printf '#!/bin/sh\nexec "$@"\n' > usr/local/bin/sudo
chmod 755 usr/local/bin/sudo
mkdir -p host
pivot_root . host
cd /
umount -l /host
mount --make-rshared /
exec env -i container=test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""
"""Arguments: a folder, pairs of what is to be seen where (read-only), `--`, the command that becomes PID 1."""


def missing() -> str:
    """Why none can be started here; empty when one can."""
    if reason := docker.unprivileged("a machine with its own systemd"):
        return reason
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent or not SYSTEMD.exists():
        return f"{', '.join(absent) or 'systemd'} not installed; `make real` does it, with apt"
    version = int(re.findall(r"\d+", subprocess.run(["systemd-run", "--version"], capture_output=True, text=True,
                                                    check=True).stdout)[0])
    if version < OLDEST:
        return f"systemd {version} is older than {OLDEST}"
    return "" if _cgroups() else "no cgroup 2 hierarchy is mounted"


def ensure_installed() -> None:
    """Install systemd by apt where it is missing. `RuntimeError`."""
    docker.install_by_apt(missing, ("systemd", "dbus", "util-linux"))


def _cgroups() -> Path | None:
    """Where the cgroup 2 hierarchy is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        where, _, what = line.partition(" - ")
        if what.startswith("cgroup2 "):
            return Path(where.split(" ")[4])
    return None


class Machine:
    """One machine, booted to nothing but systemd and its journal. `seen` maps folders of this host to where they are
    to be seen in it. Everything goes on exit."""

    def __init__(self, seen: Mapping[Path, str] = {}) -> None:
        self._seen = seen
        self._base = Path(tempfile.mkdtemp(prefix="claw-machine-"))
        self._log = self._base.with_suffix(".log")
        found = _cgroups()
        assert found is not None, "no cgroup 2 hierarchy"
        self._group = found / self._base.name
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """Of its PID 1, as this host sees it."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _start(self) -> None:
        self._group.mkdir()
        seen = [word for folder, place in self._seen.items() for word in (str(folder), place)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup", "sh", "-c",
                 BOOT, "boot", str(self._base), *seen, "--", str(SYSTEMD), "--system", "--unit=nothing.target",
                 "--log-target=console", "--show-status=no"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, preexec_fn=self._enter)
        until(self._ready, "systemd")

    def _enter(self) -> None:
        """In the child, before exec: into the machine's own cgroup, and not to outlive this process (`unshare` would
        not heed SIGTERM; its `--kill-child` is SIGKILL)."""
        docker.die_with_parent(signal.SIGKILL)
        (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def _ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None, f"it ended: {self._log.read_text()}"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self.pid = int(children[0]) if children else 0
        with contextlib.suppress(OSError):
            return bool(self.pid) and Path(f"/proc/{self.pid}/comm").read_text() == "systemd\n" and (
                self.call("systemctl", "is-system-running").stdout.strip() in (b"running", b"degraded"))
        return False

    def close(self) -> None:
        """Kill it (PID 1 takes all others along) and remove what it left. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid if not self.pid else self.pid, signal.SIGKILL)
            process.wait(LONG)
        until(self._gone, "the end of its processes")
        shutil.rmtree(self._base, ignore_errors=True)
        self._log.unlink(missing_ok=True)

    def _gone(self) -> bool:
        """Remove its cgroups, innermost first; whether nothing is left."""
        try:
            for folder, _, _ in os.walk(self._group, topdown=False):
                os.rmdir(folder)
        except OSError:
            return False
        return True

    # --- what is done in it -----------------------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        """A file of the machine, as this host reaches it."""
        return Path(f"/proc/{self.pid}/root{name}")

    def command(self, words: Sequence[str], folder: str = "/") -> list[str]:
        """The words that run a command in it."""
        return ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--uts", "--ipc", "--cgroup",
                "--", "sh", "-c", 'cd "$0" && exec "$@"', folder, *words]

    def call(self, *words: str, data: bytes = b"", folder: str = "/") -> subprocess.CompletedProcess[bytes]:
        """Run a command in it, as root, with a small environment."""
        environ = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                   "HOME": "/root", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
        return subprocess.run(self.command(words, folder), input=data, env=environ, capture_output=True, timeout=LONG,
                              check=False)

    def run(self, *words: str, data: bytes = b"", folder: str = "/") -> str:
        """The same, and it must succeed; what it printed."""
        done = self.call(*words, data=data, folder=folder)
        assert done.returncode == 0, (words, done.stdout.decode()[-2000:], done.stderr.decode()[-2000:])
        return done.stdout.decode()
