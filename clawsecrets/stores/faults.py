"""How a store's faults are told: one line what and where, one line what to do. Never a value."""

from __future__ import annotations

from pathlib import Path

from clawsecrets.errors import StoreDamaged, StoreError, StoreLocked

RESTORE = "bring it back with `clawsecrets restore BACKUP`; keep the damaged file until that has worked"


def damaged(message: str) -> StoreDamaged:
    """What is on disk is not what was written; the hint names `clawsecrets restore`."""
    return StoreDamaged(message, RESTORE)


def io_failed(doing: str, path: Path, error: OSError) -> StoreError:
    """An operating system error, without its arguments but the reason."""
    reason = error.strerror or type(error).__name__
    return StoreError(f"cannot {doing} {path}: {reason}", "check that its folder exists, is writable and has space")


def too_open(path: Path, mode: int, command: str) -> StoreLocked:
    """A file or folder that others may read; `command` mends it."""
    return StoreLocked(f"{path} is open to other users (mode {mode & 0o7777:04o})", f"run: {command}")
