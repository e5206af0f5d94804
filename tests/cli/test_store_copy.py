"""store copy and store check by the real commands: what they say, their exit codes, and SIGKILL at any moment."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import search
from tests.cli.desk import SCRIPT, Desk
from tests.waiting import LONG

VALUE = "canary-value-93c1f0"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        made.init()
        for number in range(6):
            made.quick("set", f"key-{number}", stdin=f"{VALUE}-{number}".encode())
            made.quick("set", f"key-{number}", "--replace", stdin=f"{VALUE}-{number}-second".encode())
        yield made


def urls(desk: Desk) -> tuple[str, str]:
    """The store, and an empty second one."""
    other = f"sqlite://{desk.root}/other/store.db"
    desk.ok("init", "--store", other, "--key-file", str(desk.root / "other-key"), "--no-recovery")
    return f"sqlite://{desk.database}", other


def test_a_store_moves_and_moves_back(desk: Desk) -> None:
    one, other = urls(desk)
    said = []

    def run(*words: str, code: int = 0) -> str:
        ran = desk.run(*words)
        said.append(ran.everything)
        assert ran.code == code, (words, ran)
        return ran.everything

    assert "would be: 6 copied" in run("store", "copy", "--to", other, "--dry-run")
    assert json.loads(desk.ok("list", "--store", other, "--json").out)["secrets"] == []
    told = run("store", "copy", "--to", other)
    assert "6 copied" in told and "the copy is held" in told and "--retire-source" in told
    assert "6 secret(s): the same in both" in run("store", "check", one, "--against", other)
    assert "kept in another store" in run("rotate", "key-1", "--store", other, code=2)
    assert "kept in another store" in run("status", "--store", other)
    run("set", "key-1", "--replace", "--store", other, code=2)
    assert "6 same" in run("store", "copy", "--from", one, "--to", other)
    assert "6 moved" in run("store", "copy", "--from", one, "--to", other, "--retire-source")
    assert "is kept in another store" in run("rotate", "key-1", code=2) and other in run("status", "--json")
    told = " ".join(run("doctor", code=1).split())
    assert f"6 of 6 secrets are kept in another store: {other}" in told and f'put url = "{other}" under' in told
    assert "delivered nowhere" not in told and "rotate key" not in told
    assert desk.ok("get", "key-3", "--raw", "--store", other).out == f"{VALUE}-3-second"
    desk.quick("set", "key-3", "--replace", "--store", other, stdin=f"{VALUE}-3-third".encode())
    assert "key-3: version 3 is only in the second" in run("store", "check", one, "--against", other, code=1)
    run("store", "copy", "--from", other, "--to", one, "--retire-source")
    assert desk.quick("get", "key-3", "--raw").out == f"{VALUE}-3-third"
    run("store", "check", one, "--against", other)
    assert "sound" in run("store", "check") and "sound" in run("store", "check", other) and "sound" in run("store")
    assert not search("\n".join(said).encode(), VALUE.encode())


def test_a_store_that_was_made_is_the_one_that_is_used(desk: Desk, tmp_path: Path) -> None:
    other = f"sqlite://{tmp_path}/other/store.db"
    ran = desk.ok("init", "--store", other, "--key-file", str(tmp_path / "k" / "other-key"), "--no-recovery")
    told = " ".join(ran.err.split())
    assert f'stays as it is, and names another store: put url = "{other}" under [store] there' in told
    (desk.home / "clawsecrets.toml").unlink()
    third = f"sqlite://{tmp_path}/third/store.db"
    ran = desk.ok("init", "--store", third, "--key-file", str(tmp_path / "k" / "third-key"), "--no-recovery")
    written = (desk.home / "clawsecrets.toml").read_text()
    assert "stays as it is" not in ran.err and f'[store]\n\nurl = "{third}"' in written
    desk.quick("set", "there", stdin=b"x")
    assert desk.ok("get", "there", "--raw", "--store", third).out == "x"


def test_what_differs_is_not_written_over(desk: Desk) -> None:
    _, other = urls(desk)
    desk.quick("set", "key-2", "--store", other, stdin=b"another life")
    ran = desk.run("store", "copy", "--to", other, "--json")
    answer = json.loads(ran.out)
    assert ran.code == 1 and list(answer["refused"]) == ["key-2"] and len(answer["secrets"]) == 5
    assert desk.ok("get", "key-2", "--raw", "--store", other).out == "another life"


def test_bad_input_is_one_clear_line(desk: Desk) -> None:
    one, other = urls(desk)
    for words, code, said in (
        (("store", "copy"), 2, "one and the same store"),
        (("store", "copy", "--to", one), 2, "one and the same store"),
        (("store", "copy", "--to", "sqlite:///nowhere/x.db"), 3, "there is no store at"),
        (("store", "copy", "--to", "gopher://x"), 2, "not known"),
        (("store", "check", one, "--against", one), 2, "one and the same"),
        (("store", "check", other + "x"), 3, "there is no store at"),
    ):
        ran = desk.run(*words)
        assert ran.code == code and said in ran.err and ran.out == "", (words, ran)


def test_a_damaged_store_is_said(desk: Desk) -> None:
    one, other = urls(desk)
    desk.ok("store", "copy", "--to", other)
    import sqlite3

    with sqlite3.connect(desk.root / "other" / "store.db") as db:
        db.execute("DELETE FROM audit WHERE seq = 2")
    ran = desk.run("store", "check", one, "--against", other, "--json")
    assert ran.code == 3 and any("event 2" in fault for fault in json.loads(ran.out)["faults"]), ran


def test_killed_and_run_again(desk: Desk) -> None:
    one, other = urls(desk)
    dice = random.Random(11)
    for turn in range(6):
        words = [str(SCRIPT), "store", "copy", "--to", other, *(["--retire-source"] if turn > 2 else [])]
        with subprocess.Popen(words, env=desk.env, cwd=desk.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            time.sleep(dice.uniform(0.1, 0.8))
            process.send_signal(signal.SIGKILL)
            process.wait(LONG)
    desk.ok("store", "copy", "--to", other, "--retire-source")
    desk.ok("store", "check", one, "--against", other)
    assert desk.ok("get", "key-5", "--raw", "--store", other).out == f"{VALUE}-5-second"
