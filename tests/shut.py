"""A folder that this user may not look into: the system calls say so, for tests that run as root, too."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def shut(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """From now on it cannot be listed, nor can anything in it be looked at."""
    for name in ("scandir", "listdir", "stat", "lstat", "open"):
        monkeypatch.setattr(os, name, _refusing(getattr(os, name), folder))


def _refusing(call: Any, folder: Path) -> Any:
    def refusing(path: Any = ".", *words: Any, **named: Any) -> Any:
        if not isinstance(path, int):
            asked = Path(os.fsdecode(path))
            if folder in asked.parents or (asked == folder and call.__name__ in ("scandir", "listdir")):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return call(path, *words, **named)

    return refusing
