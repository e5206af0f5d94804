"""A real Podman for tests: its own storage and service in a temporary folder. Not a test file: tests import it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real.docker import base_tar
from tests.waiting import LONG, until

STORAGE = """[storage]
driver = "vfs"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""
SETTINGS = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
tmp_dir = "{0}/tmp"
"""
"""Without the limits Podman asks for more than a test machine may give."""


class Podman:
    """One private Podman, its settings in the environment of this process (as an operator's are)."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "podman.sock"

    def __call__(self, *words: str | Path, data: bytes = b"") -> bytes:
        """The command line. AssertionError with its words."""
        done = subprocess.run(["podman", *map(str, words)], input=data, capture_output=True, timeout=LONG, check=False)
        assert done.returncode == 0, (words, done.stderr.decode()[-1500:])
        return done.stdout


@contextmanager
def podman() -> Iterator[Podman]:
    """A Podman with the image `base:1`, and its service at `socket`."""
    with tempfile.TemporaryDirectory(prefix="claw-pm-", ignore_cleanup_errors=True) as name, \
            pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        for file, text, variable in (("storage.conf", STORAGE, "CONTAINERS_STORAGE_CONF"),
                                     ("containers.conf", SETTINGS, "CONTAINERS_CONF")):
            (folder / file).write_text(text.format(folder))
            patch.setenv(variable, str(folder / file))
        it = Podman(folder)
        (folder / "base.tar").write_bytes(base_tar())
        it("import", "--quiet", folder / "base.tar", "base:1")
        service = subprocess.Popen(["podman", "system", "service", "--time", "0", f"unix://{it.socket}"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(it.socket.exists, "podman's service")
            yield it
        finally:
            service.terminate()
            service.wait(LONG)
            it("rm", "--force", "--all", "--time", "1")
