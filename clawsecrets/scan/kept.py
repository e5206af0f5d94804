"""Reading what was kept in the cache folder: only files that nobody else could have written."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path


def read_kept(path: Path, most: int, owners: Collection[int]) -> bytes | None:
    """The bytes of a regular file of at most `most` bytes, if it and its folder belong to one of these users and nobody
    else may write to them. None for anything else, also for one that cannot be read; a link is not followed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        at = os.fstat(handle)
        if not stat.S_ISREG(at.st_mode) or at.st_size > most or not (
                unshared(at, owners) and unshared(path.parent.stat(), owners)):
            return None
        with open(handle, "rb", closefd=False) as file:
            return file.read(min(most, at.st_size + 1))  # not `most`: so much memory is asked for first
    except OSError:
        return None
    finally:
        os.close(handle)


def unshared(at: os.stat_result, owners: Collection[int]) -> bool:
    """Whether it belongs to one of these users, and nobody else may write to it."""
    return at.st_uid in owners and not at.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
