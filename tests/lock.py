"""Print requirements.lock: what pyproject.toml's dependencies resolve to now, in a venv of its own (`make lock`).

Pins only, no hashes and no addresses: it is a constraints file (`pip install -c`), whatever index pip is set up for.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

HEADER = """\
# Written by `make lock`; do not edit. The versions this project is tested with, for Python {python} on Linux.
# Used as constraints: pip install -c requirements.lock -e '.[dev]'
"""
OURS = ("pip", "setuptools", "wheel")


def main() -> None:
    """Resolve, and print name==version lines in alphabetical order."""
    root = Path(__file__).resolve().parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", *wanted], check=True, stdout=sys.stderr)
        frozen = subprocess.run([*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True).stdout
    pins = [line for line in frozen.splitlines() if line.partition("==")[0].lower() not in OURS]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(HEADER.format(python=python) + "\n".join(sorted(pins, key=str.lower)))


if __name__ == "__main__":
    main()
