"""What `run --as NAME` notes of the command: which process has which versions, and where. Never a value.

    {"pid": 123, "start": "8817", "secrets": {"my-key": {"version": "3", "variable": "MY_KEY"}}}

`start` is field 22 of /proc/PID/stat: with it the process is told from a later one of the same number. With --files a
secret has `file`, the path, instead of `variable`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from clawsecrets.errors import UsageError
from clawsecrets.running.given import Given


class Noted:
    """The note of one name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def require_free(self) -> None:
        """UsageError where a command already runs under that name."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(self._path.read_bytes())
            if _start(content["pid"]) == content["start"]:
                raise UsageError(f"process {int(content['pid'])} already runs under that name", "give it another one")

    def write(self, given: Sequence[Given], pid: int, folder: str) -> None:
        """The command was started. OSError."""
        secrets = {each.name: {"version": str(each.version), **_place(each, folder)} for each in given}
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "w") as file:
            json.dump({"pid": pid, "start": _start(pid), "secrets": secrets}, file)
        draft.replace(self._path)

    def remove(self) -> None:
        """It runs no more."""
        self._path.unlink(missing_ok=True)


def _place(given: Given, folder: str) -> dict[str, str]:
    return {"file": f"{folder}/{given.file}"} if folder else {"variable": given.variable}


def _start(pid: int) -> str:
    try:
        return Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
