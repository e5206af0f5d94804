"""What this process has mounted, by /proc/self/mountinfo (proc(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path

_ESCAPE = re.compile(r"\\([0-7]{3})")


def is_mount_point(path: Path) -> bool:
    """Whether this file itself is mounted. The kernel's table says so; device numbers, which `os.path.ismount`
    compares, do not: a bind mount from the same filesystem has the number of its parent, and a plain file of an overlay
    (every container's root) may have another."""
    table = _table()
    if not table:
        return os.path.ismount(path)
    wanted = os.path.join(os.path.realpath(path.parent), path.name)
    return any(_mounted_at(line) == wanted for line in table)


def kind_of(path: Path) -> str:
    """The type of the file system that a path stands on (`tmpfs`, `ext4`); empty when it cannot be told."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in _table():
        fields, _, what = line.partition(" - ")
        if fields.split(" ")[2:3] == [wanted]:
            return what.split(" ")[0]
    return ""


def _table() -> list[str]:
    try:
        return Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []


def _mounted_at(line: str) -> str:
    """Field 5 of a mountinfo line, its octal escapes undone."""
    fields = line.split(" ")
    return _ESCAPE.sub(lambda m: chr(int(m.group(1), 8)), fields[4]) if len(fields) > 4 else ""
