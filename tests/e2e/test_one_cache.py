"""The cache's folder under stress: many scans at once, scans that are killed, no room, damage. What is found and the
exit code do not depend on it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.shell import Said, Shell, token
from tests.plants.git_plants import Garden
from tests.waiting import LONG


@pytest.fixture
def garden(shell: Shell) -> Garden:
    made = Garden(shell.root / "repo", token)
    made.root.mkdir()
    made.git("init", "-q", ".")
    for number in range(20):
        made.write("a.txt", f"{number}\n" * 500)
        made.write("leak.txt", token("leak") if number == 7 else "nothing")
        made.commit(f"Change {number}")
    return made


def found(said: Said) -> None:
    """What must be said in any case."""
    assert (said.code, said.complete, said.err) == (1, True, ""), said
    assert [item["path"] for item in said.findings] == ["leak.txt"]


def started(shell: Shell, garden: Garden) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*shell.command("git", garden.root), "--format", "json"], env=shell.env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def test_many_at_once_and_some_are_killed(shell: Shell, garden: Garden) -> None:
    for wait in (0.05, 0.1, 0.2, 0.3):
        together = [started(shell, garden) for _ in range(3)]
        time.sleep(wait)
        os.killpg(together[0].pid, signal.SIGKILL)
        for process in together:
            out, err = process.communicate(timeout=LONG)
            if process is not together[0]:
                found(Said(process.returncode, out.decode(), err.decode()))
    for _ in range(2):
        found(shell.json("git", garden.root))
    left = {path.name.partition("-")[0].partition(".")[0] for path in (shell.root / "home/cache").iterdir()}
    assert left <= {"rules", "scan", "key"}, left


def test_no_room_for_cache_or_report(shell: Shell, garden: Garden) -> None:
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    for output in ([], ["--output", str(shell.root / "report.json")]):
        done = subprocess.run([*shell.command("git", garden.root), "--format", "json", *output], env=shell.env,
                              preexec_fn=no_room, capture_output=True, timeout=LONG, check=False)
        said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
        if output:
            assert (said.code, said.out) == (6, "") and "File too large" in said.err, said
        else:
            found(said)
    assert not list(shell.root.glob("report*"))


def test_damage_to_every_file_of_the_cache(shell: Shell, garden: Garden) -> None:
    found(shell.json("git", garden.root))

    def noise(path: Path) -> None:
        path.write_bytes(os.urandom(4096) + path.read_bytes()[4096:])

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    for spoil in (noise, lambda path: path.write_bytes(b""), folder):
        for path in (shell.root / "home/cache").iterdir():
            if path.is_file():
                spoil(path)
        for _ in range(2):
            found(shell.json("git", garden.root))
