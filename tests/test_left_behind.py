"""A test file that leaves a process or many open files behind fails, and is the one that is blamed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import LONG

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "import os, subprocess\n"
LEAVES = {
    "a zombie": "def test_it():\n    if os.fork() == 0:\n        os._exit(0)\n",
    "one that runs on": "def test_it():\n    global kept\n    kept = subprocess.Popen(['sleep', '600'])\n",
    "one by a thread": ("import threading\n"
                        "def test_it():\n"
                        "    def begin():\n        global kept\n        kept = subprocess.Popen(['sleep', '600'])\n"
                        "    one = threading.Thread(target=begin)\n    one.start()\n    one.join()\n"),
    "open files": "def test_it():\n    global kept\n    kept = [open('/dev/null') for _ in range(60)]\n",
}
CLEAN = ("import pytest\n"
         "@pytest.fixture(scope='module')\n"
         "def other():\n"
         "    process = subprocess.Popen(['sleep', '600'])\n    yield process\n    process.kill()\n    process.wait()\n"
         "def test_it(other):\n    assert other.poll() is None\n"
         "def test_waits():\n    assert subprocess.run(['true']).returncode == 0\n")


def run(folder: Path, **files: str) -> tuple[int, str]:
    """These test files in one process, in order of their names, under the rules of this folder: code and words."""
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(BEGIN + text)
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen([sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p",
                                    "no:cacheprovider", "--rootdir", str(folder), "-c", "/dev/null", str(folder)],
                                   cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        code = process.wait(LONG)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what the file left behind
        said.seek(0)
        return code, said.read()


@pytest.mark.parametrize("what", LEAVES)
def test_the_file_that_leaves_one_behind_fails_alone(tmp_path: Path, what: str) -> None:
    code, said = run(tmp_path, a=CLEAN, b=LEAVES[what], c=CLEAN)
    assert code == 1, said
    assert "5 passed, 1 error" in said, said
    assert f"test_b.py left {'60 descriptors open' if what == 'open files' else 'processes behind'}" in said, said


CIRCLE = ("def test_it():\n    for _ in range(60):\n        one = [open('/dev/null')]\n        one.append(one)\n"
          "def test_waits():\n    assert True\n")


def test_what_a_file_ends_itself_is_nobody_s_fault(tmp_path: Path) -> None:
    code, said = run(tmp_path, a=CLEAN, b=CIRCLE)
    assert code == 0 and "4 passed" in said, said
