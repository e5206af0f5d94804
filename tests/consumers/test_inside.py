"""What a process holds, and what that shows: the judgement alone, and looking at a process of this host."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.clients import processes
from clawsecrets.consumers.inside import Piece, Seen, judge
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover
from tests.waiting import LONG, until

NEW, OLD = b"sk-new-value-1", b"sk-old-value-1"


def handover(new: bytes = NEW, old: bytes | None = OLD) -> Handover:
    return Handover("k", "p", "other", SecretValue(new), 2, None if old is None else SecretValue(old))


@pytest.mark.parametrize(("content", "new", "old", "outcome"), [
    (NEW, NEW, OLD, Outcome.OK),
    (OLD, NEW, OLD, Outcome.REFUSED),
    (b"postgres://u:" + NEW + b"@h", NEW, OLD, Outcome.OK),
    (b"a," + OLD + b"," + NEW, NEW, OLD, Outcome.REFUSED),
    (b"else", NEW, OLD, Outcome.LATER),
    (NEW, NEW, None, Outcome.OK),
    (NEW, NEW, NEW, Outcome.OK),
    (OLD + b"-more", OLD + b"-more", OLD, Outcome.OK),
    (OLD + b"-more," + OLD, OLD + b"-more", OLD, Outcome.REFUSED),
    (OLD + b"-more", OLD, OLD + b"-more", Outcome.REFUSED),
    (b"1234\n", b"1234", b"12", Outcome.OK),
    (b"port 12345", b"1234", b"12", Outcome.LATER),
    (b"12", b"1234", b"12", Outcome.REFUSED),
], ids=str)
def test_which_value_is_there(content: bytes, new: bytes, old: bytes | None, outcome: Outcome) -> None:
    reply = judge(Seen([Piece("X", content)], started=10.0), handover(new, old))
    assert reply.outcome is outcome, reply
    assert (outcome is Outcome.OK) == bool(reply.proof) and (outcome is Outcome.LATER) == reply.person


@pytest.mark.parametrize(("since", "rereads", "outcome"), [
    (9.0, False, Outcome.OK), (10.0, False, Outcome.LATER), (10.0 - processes.TICK, False, Outcome.LATER),
    (11.0, False, Outcome.LATER), (11.0, True, Outcome.OK), (0.0, False, Outcome.OK),
    (float("inf"), False, Outcome.LATER)])
def test_a_file_counts_for_a_process_that_began_after_it(since: float, rereads: bool, outcome: Outcome) -> None:
    assert judge(Seen([Piece("/f", NEW, since)], started=10.0), handover(), rereads).outcome is outcome


def test_one_stale_copy_is_enough() -> None:
    reply = judge(Seen([Piece("A", NEW), Piece("/f", OLD, 1.0)], started=10.0), handover())
    assert reply.outcome is Outcome.REFUSED and reply.detail.endswith("/f")


@pytest.fixture
def pid() -> Iterator[int]:
    program = "import time\nprint('up', flush=True)\nwhile True: time.sleep(1)"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env={"A": "x=y\nz"})
    assert process.stdout is not None and process.stdout.readline()
    yield process.pid
    process.kill()
    process.wait(LONG)
    process.stdout.close()


def test_a_process_of_this_host(pid: int, tmp_path: Path) -> None:
    assert processes.environment(pid)["A"] == b"x=y\nz"
    assert processes.companions(pid) == [pid] and processes.owner(pid) == os.geteuid()
    (tmp_path / "f").write_bytes(NEW)
    (tmp_path / ".hidden").write_bytes(OLD)
    assert processes.listed(pid, str(tmp_path)) == [f"{tmp_path}/f"]
    content, since = processes.inside(pid, f"{tmp_path}/f")
    assert content == NEW and since == (tmp_path / "f").stat().st_ctime
    assert processes.started_at(pid) <= since + processes.TICK
    assert processes.same_file(pid, f"{tmp_path}/f", f"{tmp_path}/f") is True
    assert processes.same_file(pid, f"{tmp_path}/f", f"{tmp_path}/.hidden") is False
    assert processes.same_file(pid, f"{tmp_path}/none", f"{tmp_path}/f") is None


def test_what_is_no_file_is_not_waited_for(pid: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        processes.inside(pid, f"{tmp_path}/pipe")
    (tmp_path / "large").write_bytes(b"")
    os.truncate(tmp_path / "large", processes.LARGEST + 1)
    with pytest.raises(OSError, match="at most"):
        processes.inside(pid, f"{tmp_path}/large")
    with pytest.raises(FileNotFoundError):
        processes.inside(pid, f"{tmp_path}/none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its root folder")
def test_links_stay_within_the_process_s_root(tmp_path: Path) -> None:
    """A container's link to /etc/… leads to the container's own file, never to the host's."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside").write_bytes(OLD)
    (root / "link").symlink_to(f"../../../../../../{tmp_path}/outside")
    (root / "absolute").symlink_to("/inner")
    (root / "inner").write_bytes(NEW)
    child = os.fork()
    if not child:
        os.chroot(root)
        os.chdir("/")
        (Path("/") / "there").touch()
        while True:
            time.sleep(1)
    try:
        until((root / "there").exists, "the process in its own root")
        assert processes.inside(child, "/absolute")[0] == NEW
        with pytest.raises(FileNotFoundError):
            processes.inside(child, "/link")
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_process_that_is_gone() -> None:
    process = subprocess.Popen(["true"])
    until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z", "its end")
    with pytest.raises(processes.NotSeen):
        processes.started_at(process.pid)
    process.wait()
    for look in (processes.started_at, processes.environment, processes.owner, processes.companions):
        with pytest.raises(processes.NotSeen):
            look(process.pid)
