"""What running processes of this host hold: their environment, and the files as they see them. Linux; changes nothing.

    pids = companions(pid)            # it and all that share its PID namespace (its container)
    environment(pid), inside(pid, "/run/secrets/key"), started_at(pid)

A file is read as the process sees it: below /proc/PID/root, every symbolic link resolved within that root
(openat2(2), RESOLVE_IN_ROOT), so that a container's links cannot lead to the host's files. This is what a container
really reads; `docker cp` is not: it mounts the host's path anew, and shows the new file where a single-file bind mount
still gives the old one.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

LARGEST = 1 << 20
"""Bytes of a file that is looked at."""
TICK = 1.0 / os.sysconf("SC_CLK_TCK")
"""Seconds: how exactly the kernel tells when a process started."""
_OPENAT2 = 437
"""openat2(2): the same number on every architecture."""
_IN_ROOT = 0x10


class NotSeen(OSError):
    """It cannot be looked at from here: another user's process, or none."""


def environment(pid: int) -> dict[str, bytes]:
    """The environment that a process was started with, by name. NotSeen."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            data = file.read()
    except OSError as error:
        raise NotSeen(error.errno, f"the environment of process {pid} cannot be read") from None
    pairs = (part.partition(b"=") for part in data.split(b"\0") if b"=" in part)
    return {name.decode("utf-8", "replace"): value for name, _, value in pairs}


def started_at(pid: int) -> float:
    """Unix seconds; proc(5), field 22 of stat. NotSeen, also for one that has ended and was not waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        state, ticks = fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        raise NotSeen(f"there is no process {pid}") from None
    if state in (b"Z", b"X"):
        raise NotSeen(f"process {pid} has ended")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks * TICK


def owner(pid: int) -> int:
    """The user whose process it is. NotSeen."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        raise NotSeen(f"there is no process {pid}") from None


def companions(pid: int) -> list[int]:
    """All processes of its PID namespace, it first; only itself where that is ours too. NotSeen."""
    own = _namespace("self")
    theirs = _namespace(str(pid))
    if not theirs:
        raise NotSeen(f"process {pid} cannot be looked at by this user")
    if theirs == own:
        return [pid]
    others = (int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != pid)
    return [pid, *(one for one in others if _namespace(str(one)) == theirs)]


def _namespace(pid: str) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def inside(pid: int, path: str) -> tuple[bytes, float]:
    """A regular file as the process sees it, and when it last changed (ctime). FileNotFoundError; NotSeen; OSError
    where it is none, or larger than LARGEST."""
    with _opened(pid, path, os.O_RDONLY | os.O_NONBLOCK) as number:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            raise OSError(f"{path} is not a regular file of at most {LARGEST} bytes")
        with os.fdopen(os.dup(number), "rb") as file:
            return file.read(LARGEST), found.st_ctime


def listed(pid: int, path: str) -> list[str]:
    """The files that a process sees at `path`: those of a folder (hidden ones are none), else the path itself.
    FileNotFoundError; NotSeen."""
    with _opened(pid, path, os.O_RDONLY | os.O_NONBLOCK) as number:
        if not stat.S_ISDIR(os.fstat(number).st_mode):
            return [path]
        return [f"{path.rstrip('/')}/{name}" for name in sorted(os.listdir(number)) if not name.startswith(".")]


def same_file(pid: int, path: str, here: str) -> bool | None:
    """Whether the process sees, at `path`, the file that stands at `here` on this host now. None: cannot tell."""
    with suppress(OSError), _opened(pid, path, os.O_RDONLY | os.O_NONBLOCK) as number:
        return os.path.samestat(os.fstat(number), os.stat(here))
    return None


@contextmanager
def _opened(pid: int, path: str, flags: int) -> Iterator[int]:
    root = f"/proc/{pid}/root"
    try:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotSeen(error.errno, f"the files of process {pid} cannot be read by this user") from None
    try:
        number = _openat2(top, path, flags | os.O_CLOEXEC)
    finally:
        os.close(top)
    try:
        yield number
    finally:
        os.close(number)


def _openat2(top: int, path: str, flags: int) -> int:
    how = struct.pack("QQQ", flags, 0, _IN_ROOT)
    libc = ctypes.CDLL(None, use_errno=True)
    number = int(libc.syscall(_OPENAT2, top, os.fsencode(path), how, len(how)))
    if number < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return number


def all_of(pids: Sequence[int]) -> list[tuple[int, dict[str, bytes]]]:
    """The environments of those that are still there. NotSeen when the first cannot be looked at."""
    found = [(pids[0], environment(pids[0]))]
    for pid in pids[1:]:
        with suppress(NotSeen):
            found.append((pid, environment(pid)))
    return found
