"""How a store's faults are told: one line what and where, one line what to do. Never a value."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from clawsecrets.errors import StoreDamaged, StoreError, StoreLocked

SPACE = "make space, then run the command again; nothing was lost"
LEAST = 65536
"""Bytes that a commit needs at least: an index of the write-ahead log and some pages."""
_SYSTEM = (Path("/usr"), Path("/var"))
"""As `/` itself: what stands in them is the system's."""
RESTORE = "bring it back with `clawsecrets restore BACKUP`; keep the damaged file until that has worked"


def damaged(message: str) -> StoreDamaged:
    """What is on disk is not what was written; the hint names `clawsecrets restore`."""
    return StoreDamaged(message, RESTORE)


def io_failed(doing: str, path: Path, error: OSError) -> StoreError:
    """An operating system error, without its arguments but the reason."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(f"cannot {doing} {path}: the disk is full", SPACE)
    reason = error.strerror or type(error).__name__
    return StoreError(f"cannot {doing} {path}: {reason}", "check that its folder exists, is writable and has space")


def disk_full(folder: Path) -> bool:
    """Whether the disk of this folder has no room for a commit."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < LEAST or (disk.f_files > 0 and disk.f_favail == 0)


def kept_from(path: Path) -> StoreError | None:
    """What the system says of a store that cannot be changed now; None: nothing."""
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return StoreError(f"{path} is read-only here", "make it and its folder writable; list, show and status work as "
                          "it is, but what hands a value out is written to its audit log first")
    if disk_full(path.parent):
        return StoreError(f"{path} cannot be changed: the disk is full", SPACE)
    return None


def not_writable(path: Path) -> StoreError:
    """Why a store that was opened only for reading cannot be changed."""
    return kept_from(path) or StoreError(f"{path} could be opened only for reading", "if the disk was full and has "
                                         "space now, run the command again; else check the disk")


def too_open(path: Path, mode: int, command: str) -> StoreLocked:
    """A file or folder that others may read; `command` mends it."""
    return StoreLocked(f"{path} is open to other users (mode {mode & 0o7777:04o})", f"run: {command}")


def folder_too_open(folder: Path, mode: int, command: str) -> StoreLocked:
    """A folder that others may use; `command` mends it, unless it is there for them (a sticky one) or the system's:
    closing that to them would do harm."""
    if mode & stat.S_ISVTX or len(folder.parts) <= 2 or folder.parent in _SYSTEM:
        return StoreLocked(f"{folder} is open to other users (mode {mode & 0o7777:04o}), and is there for them, too",
                           "choose another folder, one of its own")
    return too_open(folder, mode, command)
