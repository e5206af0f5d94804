"""Podman without its service, by its command line: an image as a stream, and its secrets (a value goes by standard
input). It is run only where Podman was named, or is what this host has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from clawsecrets.errors import Incomplete, NotFound, UsageError
from clawsecrets.model.secret import SecretValue

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


# --- secrets ---------------------------------------------------------------------------------------------------------

SECRET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?\Z")
"""What Podman takes as the name of a secret."""


def secret_labels(name: str) -> Mapping[str, str] | None:
    """The labels of a secret; None when there is none of that name. Incomplete."""
    done = _secret("inspect", name)
    if done.returncode:
        if _is_none(done):
            return None
        raise Incomplete(f"podman: it cannot be asked for the secret {name} (exit {done.returncode})",
                         "see `podman secret ls`")
    try:
        labels = json.loads(done.stdout)[0]["Spec"].get("Labels")
    except (ValueError, LookupError, AttributeError, TypeError):
        raise Incomplete("podman: its answer about a secret makes no sense", "see `podman secret inspect`") from None
    return labels if isinstance(labels, dict) else {}


def put_secret(name: str, value: SecretValue, labels: Mapping[str, str]) -> None:
    """Make a secret of that name, in place of one that is there: in one step where Podman knows `--replace`, else it is
    removed first (no running container is affected: each has its own copy). Incomplete: it may be gone, or new."""
    words = [part for key, text in labels.items() for part in ("--label", f"{key}={text}")]
    done = _secret("create", "--replace", *words, name, "-", data=value.reveal())
    if done.returncode and b"unknown flag: --replace" in done.stderr:
        remove_secret(name)
        done = _secret("create", *words, name, "-", data=value.reveal())
    if done.returncode:
        raise Incomplete(f"podman: it cannot make the secret {name} (exit {done.returncode})", "see `podman info`")


def remove_secret(name: str) -> None:
    """Remove a secret; nothing when there is none. Incomplete."""
    done = _secret("rm", name)
    if done.returncode and not _is_none(done):
        raise Incomplete(f"podman: it cannot remove the secret {name} (exit {done.returncode})",
                         "see `podman secret ls`")


def _is_none(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether it says that there is none of that name."""
    return b"no such secret" in done.stderr or b"no secret with name" in done.stderr


def _secret(*words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`podman secret …`. What it says is looked at for fixed words only."""
    try:
        return subprocess.run(["podman", "secret", *words], input=data, capture_output=True, timeout=_SECONDS,
                              check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise Incomplete("podman: it does not work here", "see `podman info`") from None
