"""A module of ours as a process of its own: what hangs, leaks or takes too much ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping

_PLACE = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""What of the environment counts for all: the interpreter's place."""


def start(module: str, given: Mapping[str, str], kept: Iterable[str] = ()) -> subprocess.Popen[bytes]:
    """It, with pipes for standard input and output, in a session of its own. Of our environment it has the
    interpreter's place and the variables `kept`; and those of `given`. OSError."""
    environ = {name: os.environ[name] for name in (*_PLACE, *kept) if name in os.environ} | {"PYTHONUTF8": "1", **given}
    # -P: the folder it is started in is no place to import from
    return subprocess.Popen([sys.executable, "-P", "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, cwd="/", env=environ, start_new_session=True)
