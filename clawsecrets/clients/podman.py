"""Podman without its service: the command line gives an image as a stream. It is run only where Podman was named, or
is what this host has."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

from clawsecrets.errors import Incomplete, NotFound, UsageError

NAME = re.compile(r"[A-Za-z0-9][\w./:@+-]{0,511}\Z")
"""What may be given to it as a name: nothing that it takes for an option."""
_SECONDS = 60


def installed() -> bool:
    """Whether there is a podman to run."""
    return shutil.which("podman") is not None


def knows(name: str) -> bool:
    """Whether it has an image. Incomplete when it does not work; UsageError for what is no name."""
    status = _asked(["image", "exists", "--", name], name)
    if status not in (0, 1):
        raise Incomplete("podman: it cannot be asked for images", "see `podman images`")
    return status == 0


def _asked(arguments: Sequence[str], name: str) -> int:
    if not NAME.match(name):
        raise UsageError("this is no name of an image", "give NAME:TAG, or a path")
    try:
        return subprocess.run(["podman", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=_SECONDS, check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        raise Incomplete("podman: it does not work here", "see `podman info`") from None


class Saved:
    """`podman save` as a stream."""

    def __init__(self, name: str) -> None:
        if not knows(name):
            raise NotFound("podman has no such image", "see `podman images`")
        self._process = subprocess.Popen(
            ["podman", "save", "--quiet", "--format", "docker-archive", "--", name], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; empty at the end. OSError when podman fails."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if not data and self._process.wait():
            raise OSError("podman could not save the image")
        return data

    def close(self) -> None:
        """End it."""
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
