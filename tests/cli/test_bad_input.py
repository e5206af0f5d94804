"""Broken files, wrong keys, bad disks, odd clocks and misbehaving providers: one clear line and a hint, the documented
exit code, nothing lost, never a traceback."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import warm
from tests.cli.desk import LIMIT, SCRIPT, Desk, Ran
from tests.waiting import until

VALUE = "value-0123456789abcdef"
FLIPS = 12
"""Bytes of the database flipped here; every byte is tests/stores' part."""
ROOT_ONLY = "needs root, to mount a small file system: this run proves nothing about full and read-only disks"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        yield made


@pytest.fixture
def stocked(desk: Desk) -> Desk:
    """A store that holds one-key."""
    desk.init()
    desk.quick("set", "one-key", stdin=VALUE.encode())
    return desk


def complains(ran: Ran, code: int, *, about: str = "") -> None:
    """One line of error, one of hint, that exit code, no traceback."""
    errors = [line for line in ran.err.splitlines() if line.startswith("clawsecrets: error: ")]
    hints = [line for line in ran.err.splitlines() if line.startswith("hint: ")]
    assert ran.code == code, ran
    assert (len(errors), len(hints)) == (1, 1), ran
    assert "Traceback" not in ran.err and "bug" not in ran.err, ran
    assert about in errors[0], ran


def intact(desk: Desk) -> None:
    """The value is there, and the store is sound."""
    assert desk.quick("get", "one-key", "--raw").out == VALUE
    desk.quick("audit-log", "verify")


# --- files to import ------------------------------------------------------------------------------------------------


BAD_ENV = {
    "utf-16": b"\xff\xfe\x00K\x00=\x00", "open quote": b"KEY='unterminated\nB=1", "zeros": b"\x00\x00\x00",
    "zero in a value": b"KEY=\x00x\n", "not utf-8": b"A=1\n\xf0\x28\x8c", "3 MB": b"KEY=" + b"x" * (3 << 20),
}
BAD_JSON5 = {
    "empty": b"", "open": b"{", "array": b"[1, 2", "no value": b'{"a": }', "open quote": b"{a: 'b}",
    "bytes": b"\xff\xff", "deep": b"[" * 100_000, "null": b"null", "number": b"7", "odd shape": b'{"gateway": [1, 2]}',
    "odd type": b"{gateway: {auth: {token: 5}}}",
}
BAD_KEYS = {
    "empty": b"", "short": b"x", "zeros": b"\x00" * 64, "look-alike": b"clawsecrets-key-1 " + b"A" * 80,
    "noise": bytes(range(192, 256)),
}


@pytest.mark.parametrize("kind", BAD_ENV)
def test_malformed_env(stocked: Desk, kind: str) -> None:
    stocked.write("bad.env", BAD_ENV[kind])
    ran = stocked.typed("import", "bad.env")
    if ran.code != 0:  # what can be read of it may be read
        complains(ran, 2, about="bad.env")
    assert "Traceback" not in ran.err
    intact(stocked)


@pytest.mark.parametrize("kind", BAD_JSON5)
def test_malformed_json5(stocked: Desk, kind: str) -> None:
    stocked.write("openclaw.json", BAD_JSON5[kind])
    ran = stocked.typed("import", "openclaw.json")
    if ran.code != 0:
        complains(ran, 2, about="openclaw.json")
    assert "Traceback" not in ran.err and "bug" not in ran.err, ran
    intact(stocked)


EMPTY = {
    "store": ("list", "--store", ""), "config": ("list", "--config="), "group": ("store", "check", ""),
    "scan": ("scan", "path", ".", "--known", "--store", ""), "bare scan": ("scan", "--config", ""),
    "key": ("rekey", "--key-file", ""), "output": ("fingerprints", "export", "-o", ""),
    "argument": ("adopt", ""), "many": ("import", "one.env", ""), "repeated": ("adopt", "--also", ""),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_an_empty_place_is_not_the_default(stocked: Desk, kind: str) -> None:
    """A variable of a shell that is not set."""
    ran = stocked.typed(*EMPTY[kind])
    complains(ran, 2, about="it is empty")
    assert ran.out == ""


LESS = ("import ctypes, os, sys; [ctypes.CDLL(None).prctl(24, right, 0, 0, 0) for right in (1, 2)]; "
        "os.execv(sys.argv[1], sys.argv[1:])")
"""Runs a command as somebody to whom modes of files mean something, also where that is root (PR_CAPBSET_DROP)."""


@pytest.mark.parametrize("words", ["import {}", "providers check {}", "rules list --rules {}"])
def test_a_file_that_may_not_be_read(stocked: Desk, words: str) -> None:
    """It is told as one that is missing is, with the reason."""
    path = stocked.write("shut/file", "", 0o000)
    done = subprocess.run([sys.executable, "-c", LESS, str(SCRIPT), *words.format(path).split()],
                          text=True, capture_output=True, env=stocked.env, cwd=stocked.root, timeout=LIMIT, check=False)
    ran = Ran(done.stdout, done.stderr, done.returncode)
    complains(ran, 2, about="file")
    assert "cannot be read: Permission denied" in ran.everything, ran


# --- keys -----------------------------------------------------------------------------------------------------------


def test_wrong_passphrase(desk: Desk) -> None:
    desk.ok("init", "--passphrase-stdin", "--recovery-file", "code", stdin=b"right words")
    env = {"CLAWSECRETS_PASSPHRASE_FILE": str(desk.write("pass", "right words\n"))}
    assert desk.typed("set", "one-key", stdin=VALUE.encode(), env=env).code == 0
    for wrong in ("wrong words\n", "", "right words \n", "x" * 100_000):
        desk.write("pass", wrong)
        complains(desk.typed("get", "one-key", "--raw", env=env), 3)
    (desk.root / "pass").unlink()
    complains(desk.typed("get", "one-key", "--raw", env=env), 3, about="passphrase file")
    desk.write("pass", "right words\n")
    assert desk.typed("get", "one-key", "--raw", env=env).out == VALUE


@pytest.mark.parametrize("kind", BAD_KEYS)
def test_wrong_key_file(stocked: Desk, kind: str) -> None:
    key = stocked.root / "keys" / "master.key"
    right = key.read_bytes()
    stocked.write("keys/master.key", BAD_KEYS[kind])
    complains(stocked.typed("get", "one-key", "--raw"), 3)
    stocked.write("keys/master.key", right)
    intact(stocked)


def test_the_key_of_another_store(stocked: Desk) -> None:
    stocked.ok("init", "--key-file", str(stocked.root / "keys" / "other.key"), "--no-recovery",
               "--store", f"sqlite://{stocked.root}/o/store.db")
    right = (stocked.root / "keys" / "master.key").read_bytes()
    shutil.copy(stocked.root / "keys" / "other.key", stocked.root / "keys" / "master.key")
    complains(stocked.typed("get", "one-key", "--raw"), 3)
    stocked.write("keys/master.key", right)
    intact(stocked)


@pytest.mark.parametrize(("path", "mode"), [("keys/master.key", 0o644), ("home/data/store/store.db", 0o666),
                                            ("home/data/store", 0o777), ("home/clawsecrets.toml", 0o666)])
def test_loose_modes(stocked: Desk, path: str, mode: int) -> None:
    target = stocked.root / path
    kept = target.stat().st_mode
    target.chmod(mode)
    ran = stocked.typed("get", "one-key", "--raw")
    complains(ran, 2 if path.endswith(".toml") else 3, about=str(target))
    assert "chmod" in ran.err
    target.chmod(kept)
    intact(stocked)


def test_a_place_whose_name_is_not_utf_8(desk: Desk) -> None:
    """The store would write it down. Nothing is made, or changed."""
    odd = os.fsdecode(os.fsencode(desk.root) + b"/x-\xff")
    recovery = ("--recovery-file", f"{odd}/new/code")
    complains(desk.run("init", "--unattended", *recovery, env={"CLAWSECRETS_HOME": odd}), 2, about="not UTF-8")
    complains(desk.run("init", "--key-file", f"{odd}/key", *recovery), 2, about="not UTF-8")
    assert not os.path.lexists(odd)
    desk.init()
    complains(desk.run("rekey", "--key-file", f"{odd}/key"), 2, about="not UTF-8")
    assert not os.path.lexists(odd)


# --- the database ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 1, 100, 5000, 20_000])
def test_truncated(stocked: Desk, left: int) -> None:
    whole = stocked.database.read_bytes()
    stocked.database.write_bytes(whole[:left])
    for words in (["get", "one-key", "--raw"], ["status"], ["set", "two"], ["rekey"], ["backup", "copy"]):
        complains(stocked.typed(*words, stdin=b"x"), 3)
    stocked.database.write_bytes(whole)
    intact(stocked)


def test_flipped_bits(stocked: Desk, random_seed: int) -> None:
    anchor = stocked.home / "state" / "anchor.json"
    whole, seen = stocked.database.read_bytes(), anchor.read_bytes()
    for place in random.Random(random_seed).sample(range(len(whole)), FLIPS):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        stocked.database.write_bytes(flipped)
        ran = stocked.typed("get", "one-key", "--raw")
        if ran.code == 0:
            assert ran.out == VALUE, place  # the byte says nothing: never a wrong value
        else:
            complains(ran, 3)
        stocked.database.write_bytes(whole)
        anchor.write_bytes(seen)  # what could be read was logged, too: take that back
    intact(stocked)


def test_not_a_database(stocked: Desk) -> None:
    stocked.database.write_bytes(b"SQLite format 3\x00" + os.urandom(8192))
    complains(stocked.typed("status"), 3, about="store.db")
    stocked.database.unlink()
    stocked.database.mkdir()
    complains(stocked.typed("status"), 3)


def test_an_older_file(stocked: Desk) -> None:
    older = stocked.database.read_bytes()
    stocked.quick("set", "two-key", stdin=b"x" * 20)
    stocked.database.write_bytes(older)
    ran = stocked.typed("get", "one-key", "--raw")
    complains(ran, 3)
    assert "--accept-older" in ran.err
    assert stocked.ok("get", "one-key", "--raw", "--accept-older").out == VALUE


# --- disks ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Desk]:
    """A desk on a file system of 3 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip(ROOT_ONLY)
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mount is refused here: this run proves nothing about full and read-only disks")
    try:
        with Desk(mount / "s") as desk:
            desk.init()
            desk.quick("set", "one-key", stdin=VALUE.encode())
            yield desk
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def test_full_disk(small: Desk) -> None:
    filler = small.root / "filler"
    with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    complains(small.typed("set", "two-key", stdin=b"x" * 200_000), 3)
    for words in (["configure", "one-key", "--interval", "1d"], ["rekey"], ["backup", "copy"], ["delete", "one-key"]):
        ran = small.typed(*words)
        if ran.code:
            complains(ran, 3)
    assert small.ok("get", "one-key").out  # masked: reading needs no room
    filler.unlink()
    small.typed("undelete", "one-key")
    intact(small)


def test_read_only_disk(small: Desk) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small.root.parent], check=True)
    assert small.ok("get", "one-key").out
    assert "one-key" in small.ok("status").out
    complains(small.typed("set", "two-key", stdin=b"x"), 3)
    complains(small.typed("delete", "one-key"), 3)
    assert small.typed("doctor").code == 1
    subprocess.run(["mount", "-o", "remount,rw", small.root.parent], check=True)
    intact(small)


def test_a_full_standard_output(stocked: Desk) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SCRIPT, "list"], env=stocked.env, stdout=full, stderr=subprocess.PIPE, check=False)
    complains(Ran("", done.stderr.decode(), done.returncode), 6, about="No space left")


def test_a_reader_that_leaves(stocked: Desk) -> None:
    line = "clawsecrets providers --json | head -1; exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", line], env=stocked.env, capture_output=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"{\n", b"", 0)


def test_a_terminal_that_cannot_show_it(stocked: Desk) -> None:
    ran = stocked.typed("get", "one-key", env={"PYTHONIOENCODING": "ascii", "LANG": "C"})
    assert (ran.code, ran.out.strip()) == (0, "????????")


@pytest.mark.parametrize("env", [{}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}], ids=str)
def test_json_holds_every_character_whatever_the_stream(stocked: Desk, env: dict[str, str]) -> None:
    stocked.quick("configure", "one-key", "--group", "größe→")
    assert json.loads(stocked.typed("list", "--json", env=env).out)["secrets"][0]["group"] == "größe→"
    odd = stocked.typed("providers", "check", "byte\udcff.toml", "--json", env=env)
    assert json.loads(odd.out)["file"] == "byte\udcff.toml", odd


# --- the clock ------------------------------------------------------------------------------------------------------


def test_a_clock_set_back(stocked: Desk) -> None:
    """The clock of the child alone stands ten days back (by sitecustomize, before anything reads it)."""
    stocked.write("site/sitecustomize.py", "import time\nreal = time.time\ntime.time = lambda: real() - 10 * 86400\n")
    env = {"PYTHONPATH": str(stocked.root / "site")}
    for words in (["status"], ["get", "one-key"], ["audit-log", "verify"], ["doctor"], ["rotate", "--due"]):
        ran = stocked.typed(*words, env=env)
        assert "Traceback" not in ran.err and ran.code in (0, 1), (words, ran)
    assert " -" not in stocked.typed("status", env=env).out.replace("  -", "")  # no negative age
    assert stocked.typed("set", "two-key", stdin=b"x" * 20, env=env).code == 0
    intact(stocked)


# --- providers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rented(desk: Desk) -> Desk:
    """An acme key at the fake provider, delivered to a file, with a consumer that always agrees."""
    desk.provider(f'[injectors.out]\nkind = "directory"\npath = "{desk.root}/out"\n'
                  '[consumers.app]\nkind = "command"\nprobe = ["true"]\n')
    desk.init()
    desk.seeded()
    desk.quick("configure", "acme-api-key", "--inject", "out", "--consume", "app")
    return desk


FAULTS = ("500", "429", "garbage", "slow", "drip", "hang", "reset", "302")
OPERATIONS = ("create", "whoami", "revoke")
TROUBLE = [pytest.param(operation, fault, marks=() if number % 3 == place else pytest.mark.soak)
           for place, operation in enumerate(OPERATIONS) for number, fault in enumerate(FAULTS)]
"""Each fault once, among all operations; every pair in the soak."""


@pytest.mark.parametrize(("operation", "fault"), TROUBLE)
def test_provider_trouble(rented: Desk, operation: str, fault: str) -> None:
    """It ends with a documented code, says what happened, and once the provider is well the next run finishes: then
    exactly one credential lives, and it is the one that is served."""
    fake = rented.fake
    assert fake is not None
    if fault.isdigit():
        headers = {"Retry-After": "1", "Location": fake.url + "/elsewhere"}
        fake.fault(operation, "status", status=int(fault), times=-1, headers=headers)
    else:
        fake.fault(operation, fault, times=-1, seconds=LIMIT if fault == "hang" else 4)
    usual = (rented.home / "clawsecrets.toml").read_text()
    rented.config(usual.replace('timeout = "5m"', 'timeout = "1s"'))
    ran = rented.typed("rotate", "acme-api-key")
    assert ran.code in (0, 1, 3, 4, 5) and "Traceback" not in ran.err and "bug" not in ran.err, ran
    assert ran.code == 0 or len(ran.err.splitlines()) >= 1, ran
    assert rented.quick("get", "acme-api-key", "--raw").out in {item.value for item in fake.live().values()}
    rented.config(usual)  # from here on it answers, and is waited for
    fake.clear()
    fake.let_go()
    until(lambda: not fake.holding, "the end of what it held")
    for _ in range(4):
        if rented.typed("rotations").code == 0 and rented.typed("revocations").code == 0:
            break
        rented.typed("rotations", "resume", "acme-api-key")
        rented.typed("revocations", "retry")
    rented.typed("revocations", "retry", "acme-api-key")  # a creation that happened late: its label is watched
    assert {item.value for item in fake.live().values()} == {rented.quick("get", "acme-api-key", "--raw").out}


def test_no_provider_at_all(rented: Desk) -> None:
    fake = rented.fake
    assert fake is not None
    before = rented.quick("get", "acme-api-key", "--raw").out
    fake.server.server_close()
    fake.server.shutdown()
    ran = rented.typed("rotate", "acme-api-key")
    assert ran.code in (1, 4, 5) and "Traceback" not in ran.err, ran
    assert rented.quick("get", "acme-api-key", "--raw").out == before
    assert rented.typed("rotate", "acme-api-key", "--dry-run").code in (0, 6)


@pytest.mark.parametrize("text", ["a\nforged  line", "a\x1b[2J", "a\u202eb", "x" * 501])
@pytest.mark.parametrize(("option", "before"), [("--group", ""), ("--handle", ""), ("--option", "project=")])
def test_a_free_text_is_one_visible_line(stocked: Desk, option: str, before: str, text: str) -> None:
    complains(stocked.typed("configure", "one-key", option, before + text), 2, about=f"{option}: one line")


@pytest.mark.parametrize("form", ["{0}", "it was {0}, see there", "{1}"])
def test_a_reason_that_holds_a_value_is_refused(stocked: Desk, form: str) -> None:
    """Of the secret itself and of any other, since it is kept and shown in plaintext."""
    reason, known = form.format(VALUE, VALUE.encode().hex()), "0" * 32
    stocked.quick("set", "another", stdin=b"another-0123456789")
    for words in (["pause", "one-key"], ["pause", "another"], ["baseline", "add", known, "--expires", "9d"]):
        ran = stocked.typed(*words, "--reason", reason)
        complains(ran, 2, about="--reason: it holds a value of the store")
        assert reason not in ran.everything
    complains(stocked.typed("baseline", "add", known, "--expires", "9d", "--reason", "a test", "--who", VALUE), 2)
    assert not (stocked.root / ".clawsecrets-baseline").exists()
    assert VALUE not in stocked.quick("audit-log").out and "secret.paused" not in stocked.quick("audit-log").out
    stocked.quick("pause", "one-key", "--reason", "shared until the move")


def test_a_baseline_needs_no_store_and_no_passphrase(desk: Desk) -> None:
    words = ("baseline", "add", "0" * 32, "--expires", "9d", "--reason")
    desk.ok(*words, "no store")
    desk.ok("init", "--passphrase-stdin", "--recovery-file", "code", stdin=b"right words")
    desk.ok(*words, "nobody is asked")


# --- a token in the place of a path -----------------------------------------------------------------------------------

TYPED = {"by a rule": "ghp_" + "".join(random.Random(5).choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMN23456789", k=36)),
         "hexadecimal": hashlib.sha256(b"typed").hexdigest()[:48]}
PLACES = [("import", "{}"), ("import", "/nonexistent/{}"), ("render", "{}"), ("backup", "{}/x"),
          ("--config", "{}", "status"), ("status", "--config={}"), ("adopt", "{}"), ("providers", "check", "{}"),
          ("store", "copy", "/nonexistent/{}/x")]


@pytest.mark.parametrize("kind", list(TYPED))
def test_a_token_typed_as_a_path_is_not_repeated(stocked: Desk, kind: str) -> None:
    token = TYPED[kind]
    warm.put(stocked.home / "cache")
    for words in PLACES:
        ran = stocked.typed(*(word.format(token) for word in words))
        complains(ran, ran.code)
        assert ran.code in (2, 3, 6), (words, ran)
        assert token not in ran.everything and token[4:] not in ran.everything, words


def test_an_ordinary_path_is_named_as_it_was_typed(stocked: Desk) -> None:
    for path in ("/nonexistent/openclaw-2026-11-30.env", f"{stocked.root}/folder1of2/my_file_1.env"):
        complains(stocked.typed("import", path), 2, about=path)
