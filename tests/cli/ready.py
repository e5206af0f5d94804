"""A process that has everything imported and forks for each command: what tests begin with is done in a tenth of a
second instead of a half. What a test is about is run by the console script (desk.py); each command of ours is run by
it somewhere (test_transcripts.py).

    said = command(["clawsecrets", "init"], b"", env, folder)       code, standard output, standard error

There is one for each process of tests, from the first command to that process's end.
"""

from __future__ import annotations

import atexit
import base64
import gc
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.waiting import LONG, readable

ROOT = Path(__file__).resolve().parents[2]
STORED = ("cli", "wiring", "stores", "config", "issuers", "rotate", "injectors", "consumers")
"""The packages in which commands that only prepare something have their modules."""
LATE = ("clawsecrets.stores.vault", "clawsecrets.wiring.scanning", "clawsecrets.cli.scan")
"""Not these: what they import is much, and is not needed."""


def command(words: Sequence[str], stdin: bytes, env: Mapping[str, str], folder: Path) -> tuple[int, bytes, bytes]:
    """Run one command; its exit code (negative: the signal), its standard output and standard error."""
    order = {"words": list(words), "stdin": base64.b64encode(stdin).decode(), "env": dict(env), "folder": str(folder)}
    process = _process()
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    assert readable(process.stdout.fileno(), LONG), f"{words[1]} hangs"
    answer = json.loads(process.stdout.readline())
    return answer["code"], base64.b64decode(answer["out"]), base64.b64decode(answer["err"])


def pid() -> int:
    """Whose children these commands are; 0 where there was none yet."""
    return _process().pid if _process.cache_info().currsize else 0


@cache
def _process() -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-m", __name__], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    atexit.register(process.communicate)  # the end of its orders is its end
    return process


# --- the process itself -----------------------------------------------------------------------------------------------


def main() -> None:
    """Read orders until the input ends."""
    for package in STORED:
        for found in pkgutil.walk_packages(importlib.import_module(f"clawsecrets.{package}").__path__,
                                           f"clawsecrets.{package}."):
            if not found.name.startswith(LATE):
                importlib.import_module(found.name)
    orders, answers = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    gc.collect()
    gc.freeze()
    for line in orders:
        order = json.loads(line)
        streams = [os.memfd_create(name) for name in ("in", "out", "err")]
        os.write(streams[0], base64.b64decode(order["stdin"]))
        os.lseek(streams[0], 0, os.SEEK_SET)
        child = os.fork()
        if child == 0:
            _become(order, streams)
        _, status = os.waitpid(child, 0)
        out, err = (base64.b64encode(_whole(number)).decode() for number in streams[1:])
        for number in streams:
            os.close(number)
        answers.write(json.dumps({"code": os.waitstatus_to_exitcode(status), "out": out, "err": err}) + "\n")
        answers.flush()


def _whole(number: int) -> bytes:
    return os.pread(number, os.fstat(number).st_size, 0)


def _become(order: Mapping[str, object], streams: Sequence[int]) -> None:
    """Be that command, as its console script would, and end."""
    from clawsecrets.cli import entry

    code = 1
    try:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, 64)
        os.chdir(str(order["folder"]))
        os.environ.clear()
        os.environ.update(order["env"])  # type: ignore[call-overload]
        sys.argv = list(order["words"])  # type: ignore[call-overload]
        entry.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
