"""pre-commit and check-jsonschema (it holds GitHub's and GitLab's schemas), in a virtual environment of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PINNED = ("pre-commit==4.7.0", "check-jsonschema==0.39.0")
FOLDER = Path(__file__).resolve().parents[2] / ".cache" / ("ci-tools-" + "-".join(
    word.partition("==")[2] for word in PINNED))


def program(name: str) -> Path:
    """One of its programs."""
    return FOLDER / "bin" / name


def missing() -> str:
    """Why it cannot be used; empty when it can."""
    if all(program(name).is_file() for name in ("pre-commit", "check-jsonschema", "done")):
        return ""
    return f"{', '.join(PINNED)}: not installed; `make real` does it, with pip"


def ensure_installed() -> Path:
    """Install it once. OSError, subprocess.SubprocessError."""
    if missing():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        subprocess.run([str(program("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        *PINNED], check=True)
        program("done").touch()
    return FOLDER
