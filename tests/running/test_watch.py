"""`run --watch`: a rotation starts the command anew, with the new value, and can prove it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.cli.desk import LIMIT, Desk
from tests.running.test_pipes import running
from tests.waiting import until

CONSUMER = '[consumers.bot]\nkind = "run"\n'
SHOW = 'echo "start $$ $(printf %s "$ACME_API_KEY" | sha256sum | cut -c1-8)"; '


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A store with a key of the fake provider, used by a consumer of kind run."""
    with Desk(tmp_path / "s") as made:
        made.provider(CONSUMER)
        made.init()
        made.seeded()
        made.quick("configure", "acme-api-key", "--env", "ACME_API_KEY", "--consume", "bot")
        yield made


def watched(desk: Desk, script: str, *words: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return running(desk, "--secret", "acme-api-key", "--watch", "--as", "bot", *words, "--", "sh", "-c", script)


def line(process: subprocess.Popen[bytes]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().decode().split()


def digest(desk: Desk) -> str:
    import hashlib

    return hashlib.sha256(desk.quick("get", "acme-api-key", "--raw").out.encode()).hexdigest()[:8]


def test_a_rotation_is_proven_by_the_new_process(desk: Desk) -> None:
    with watched(desk, SHOW + "exec sleep 600") as process:
        word, old, first = line(process)
        assert (word, first) == ("start", digest(desk))
        ran = desk.run("rotate", "acme-api-key", "-v")
        assert ran.code == 0, ran
        _, new, second = line(process)
        assert second == digest(desk) != first and new != old and not Path(f"/proc/{old}").exists()
        assert f"process {new} has version 2 in its environment" in desk.ok("show", "acme-api-key").out
        process.terminate()
        assert process.wait(LIMIT) == 128 + signal.SIGTERM
        assert process.stderr is not None
        assert b"acme-api-key: version 2 instead of 1: the command is started anew" in process.stderr.read()
    assert not list((desk.home / "state" / "run").iterdir())


def test_with_files(desk: Desk) -> None:
    script = 'echo "start $$ $CLAWSECRETS_FILES"; exec sleep 600'
    with watched(desk, script, "--files") as process:
        _, _, old = line(process)
        assert desk.run("rotate", "acme-api-key").code == 0
        _, pid, new = line(process)
        assert not Path(old).exists() and Path(new, "acme-api-key").exists()
        assert f"process {pid} has version 2 in its file" in desk.ok("show", "acme-api-key").out
        process.terminate()
        process.wait(LIMIT)
        assert not Path(new).exists()


def test_one_that_does_not_end_is_killed_with_what_it_left(desk: Desk) -> None:
    script = "trap '' TERM; (trap '' TERM; setsid sleep 600) & echo start $$ $!; while :; do sleep 0.05; done"
    with watched(desk, script, "--grace", "1s") as process:
        _, old, helper = line(process)
        assert desk.run("rotate", "acme-api-key").code == 0
        _, new, _ = line(process)
        assert new != old and not Path(f"/proc/{old}").exists() and not Path(f"/proc/{helper}").exists()
        process.kill()


def test_other_changes_of_the_store_do_not_restart_it(desk: Desk) -> None:
    with watched(desk, SHOW + "exec sleep 600") as process:
        line(process)
        desk.quick("set", "other", stdin=b"other-value-1")
        desk.quick("configure", "acme-api-key", "--group", "g")
        desk.ok("get", "acme-api-key", "--raw")
        assert desk.run("rotate", "acme-api-key").code == 0  # it waited for the new process
        process.terminate()
        assert process.wait(LIMIT) == 128 + signal.SIGTERM
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read().count(b"start") == 1 and process.stderr.read().count(b"started anew") == 1


def test_a_rotation_without_it_is_not_called_proven(desk: Desk) -> None:
    ran = desk.run("rotate", "acme-api-key", "--dry-run")
    assert "no `clawsecrets run --watch --as bot` runs" in ran.everything
    with running(desk, "--secret", "acme-admin=X", "--", "true") as process:
        assert process.wait(LIMIT) == 2  # an admin credential


def test_one_name_runs_once_and_is_known(desk: Desk) -> None:
    with watched(desk, SHOW + "exec sleep 600") as process:
        _, pid, _ = line(process)
        note = desk.home / "state" / "run" / "bot.json"
        until(note.exists, "the note")
        assert note.stat().st_mode & 0o777 == 0o600
        second = desk.run("run", "--secret", "acme-api-key", "--watch", "--as", "bot", "--", "true")
        assert second.code == 2 and f"process {pid} already runs under that name" in second.err
        process.kill()  # a note that a kill left stands in nobody's way
        until(lambda: not Path(f"/proc/{pid}").exists(), "its end")
    assert desk.run("run", "--secret", "acme-api-key", "--watch", "--as", "bot", "--", "true").code == 0
    for words, said in ((["--watch", "--as", "nobody"], "no such consumer"), (["--as", "bot"], "--as needs --watch")):
        ran = desk.run("run", "--secret", "acme-api-key", *words, "--", "true")
        assert ran.code == 2 and said in ran.err


def test_told_to_end_during_the_restart_it_ends(desk: Desk) -> None:
    script = "trap 'echo ending' TERM; echo start; while :; do sleep 0.05; done"
    with watched(desk, script, "--grace", "600s") as process:
        line(process)
        desk.quick("set", "acme-api-key", "--replace", stdin=b"by-hand-0123456789")
        assert line(process) == ["ending"]
        process.send_signal(signal.SIGHUP)
        assert process.wait(LIMIT) == 128 + signal.SIGHUP


def test_the_value_after_the_restart_is_masked_too(desk: Desk) -> None:
    with watched(desk, 'echo "k=$ACME_API_KEY"; exec sleep 600') as process:
        assert line(process) == ["k=********"]
        assert desk.run("rotate", "acme-api-key").code == 0
        assert line(process) == ["k=********"]
        os.killpg(process.pid, signal.SIGKILL)


def test_a_store_that_is_gone_is_said_once_and_the_command_runs_on(desk: Desk) -> None:
    with watched(desk, SHOW + "exec sleep 600") as process:
        line(process)
        desk.database.parent.rename(desk.root / "away")
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"not watched meanwhile: there is no store at ")
        (desk.root / "away").rename(desk.database.parent)
        assert process.poll() is None
        process.terminate()
        assert process.wait(LIMIT) == 128 + signal.SIGTERM
        assert process.stderr.read() == b""
