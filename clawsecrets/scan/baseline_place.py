"""Where a baseline is looked for. By itself, since most scans have none, and need not wait for its reader."""

from __future__ import annotations

from pathlib import Path

NAME = ".clawsecrets-baseline"
"""Its name at the root of what is scanned."""


def usual_place(start: Path) -> Path:
    """Where the baseline of the folder `start` stands: at the root of its repository, else in the folder itself."""
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder / NAME
    return start / NAME
