"""Secrets as files: 0400, in a folder of this run, in memory only (tmpfs), removed when the command has ended.

Each run holds a lock on its folder for as long as it lives. A folder whose lock is free was left by a run that was
killed: the next run removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from clawsecrets.errors import Refused
from clawsecrets.running.given import Given

IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def folder_of(given: Sequence[Given], environ: Mapping[str, str]) -> Iterator[str]:
    """A folder with their files, for as long as the block lasts. Refused where nothing in memory can hold it."""
    base = _base(environ)
    name = f"{os.getpid()}-{secrets.token_hex(6)}"
    with _locked(base):
        _sweep(base)
        os.mkdir(base / name, 0o700)
        held = os.open(base / name, _OPEN)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        for each in given:
            _write(held, each)
        yield str(base / name)
    finally:
        shutil.rmtree(base / name, ignore_errors=True)
        os.close(held)


def _write(folder: int, given: Given) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    number = os.open(given.file, flags, 0o400, dir_fd=folder)
    with os.fdopen(number, "wb") as file:
        os.fchmod(number, 0o400)
        file.write(given.value.reveal())


def _base(environ: Mapping[str, str]) -> Path:
    """Our folder in the first place that is in memory and that nobody else can write to."""
    for place in _places(environ):
        path = place / f"clawsecrets-run-{os.geteuid()}"
        with contextlib.suppress(OSError):
            if _filesystem(place) not in IN_MEMORY:
                continue
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
                return path
    raise Refused("there is no folder in memory (tmpfs) to put the files into",
                  "set XDG_RUNTIME_DIR to one of your own, or leave --files out")


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(named):
        yield Path(named)
    yield Path(f"/run/user/{os.geteuid()}")
    if os.geteuid() == 0:
        yield Path("/run")
    yield Path("/dev/shm")  # noqa: S108 - the folder below it is made 0700, and refused when it is not ours


def _filesystem(path: Path) -> str:
    """The type of the filesystem that a folder is on (proc(5), mountinfo: device, and the type behind ` - `)."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        if line.split(" ", 3)[2] == wanted:
            return line.partition(" - ")[2].split(" ", 1)[0]
    return ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    number = os.open(path, _OPEN)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _sweep(base: Path) -> None:
    """Remove what runs left that are gone."""
    for name in os.listdir(base):
        with contextlib.suppress(OSError):
            number = os.open(base / name, _OPEN)
            try:
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(base / name, ignore_errors=True)
            finally:
                os.close(number)
