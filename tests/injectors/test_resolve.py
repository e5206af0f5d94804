"""The resolver as OpenClaw runs it: a process with an empty environment, in another folder, one request on stdin."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.injectors import bundle_format, resolve
from clawsecrets.injectors.atomic import Access
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
from tests.injectors.conftest import Run, ask
from tests.waiting import LONG


def test_the_contract(run: Run, bundle: Path) -> None:
    done = run(bundle, ask("plain", "acme/admin", "acme/admin#token", "line", "odd", "plain"))
    assert done.returncode == 0 and done.stderr == b""
    assert json.loads(done.stdout) == {
        "protocolVersion": 1,
        "values": {
            "plain": "value-1",
            "acme/admin": '{"user":"u","token":"t-2","n":1,"no":"","d":"x","d":"y"}',
            "acme/admin#token": "t-2",
            "line": "ends\n",
            "odd": '"\\\u2028ü🙂\x01',
        },
        "errors": {},
    }


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("absent", "NOT_FOUND"),
        ("Plain", "NOT_FOUND"),
        ("", "NOT_FOUND"),
        ("#token", "NOT_FOUND"),
        ("a\ud800", "NOT_FOUND"),
        ("GATEWAY_TOKEN", "NOT_FOUND"),
        ("acme/admin#absent", "NOT_FOUND"),
        ("acme/admin#", "NOT_FOUND"),
        ("acme/admin#token#x", "NOT_FOUND"),
        ("plain#token", "NOT_AN_OBJECT"),
        ("list#0", "NOT_AN_OBJECT"),
        ("acme/admin#n", "NOT_TEXT"),
        ("acme/admin#no", "NOT_TEXT"),
        ("acme/admin#d", "AMBIGUOUS_DUPLICATE_KEY"),
    ],
)
def test_one_bad_id_costs_that_id_only(run: Run, bundle: Path, asked: str, code: str) -> None:
    done = run(bundle, ask("plain", asked))
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and done.stderr == b""
    assert answer["values"] == {"plain": "value-1"} and list(answer["errors"]) == [asked]
    assert answer["errors"][asked]["code"] == code and answer["errors"][asked]["message"]


def one_line(done: subprocess.CompletedProcess[bytes], code: int, says: str) -> None:
    assert done.returncode == code and done.stdout == b""
    assert done.stderr.startswith(b"clawsecrets: error: ") and done.stderr.count(b"\n") == 1
    assert says in done.stderr.decode(), done.stderr


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (b"", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"\xff\xfe{", "not a JSON object"),
        (b"[" * 9000, "not a JSON object"),
        (b'{"ids":["plain"]}', "protocol version"),
        (b'{"protocolVersion":2,"ids":["plain"]}', "protocol version"),
        (b'{"protocolVersion":true,"ids":["plain"]}', "protocol version"),
        (b'{"protocolVersion":1}', "list of ids"),
        (b'{"protocolVersion":1,"ids":"plain"}', "list of ids"),
        (b'{"protocolVersion":1,"ids":["plain",null]}', "list of ids"),
        (ask(*(f"id-{n}" for n in range(513))), "more than 512"),
        (ask("x" * 262_144), "longer than 262144"),
    ],
    ids=range(12),
)
def test_a_bad_request(run: Run, bundle: Path, request_: bytes, says: str) -> None:
    one_line(run(bundle, request_), 2, says)


@pytest.mark.parametrize(
    "words", [("--bundle",), ("--bundle=",), ("--bundle", ""), ("x",), ("--bundle", "a", "b"), ("-h",)]
)
def test_bad_words(run: Run, bundle: Path, words: tuple[str, ...]) -> None:
    one_line(run(bundle, ask("plain"), *words), 2, "--bundle FILE")
    one_line(run(bundle, ask("plain"), f"--bundle={bundle}x"), 3, "No such file")


def test_the_other_spelling(run: Run, bundle: Path) -> None:
    assert json.loads(run(bundle, ask("plain"), f"--bundle={bundle}").stdout)["values"] == {"plain": "value-1"}


def test_a_closed_stdin_and_a_closed_stdout(script: Path, bundle: Path) -> None:
    line = f"'{script}' resolve --bundle '{bundle}'"
    done = subprocess.run(["/bin/sh", "-c", f"{line} <&-"], env={}, capture_output=True, timeout=LONG)
    one_line(done, 2, "standard input")
    done = subprocess.run(["/bin/sh", "-c", f"{line} >&-"], input=ask("plain"), env={}, capture_output=True,
                          timeout=LONG)
    assert done.returncode == 1 and b"Traceback" not in done.stderr


def _no_key(path: Path) -> None:
    path.with_name("bundle.key").unlink()


def _other_key(path: Path) -> None:
    path.with_name("bundle.key").write_bytes(b"k" * 32)


def _short_key(path: Path) -> None:
    path.with_name("bundle.key").write_bytes(b"k")


def _long_key(path: Path) -> None:
    path.with_name("bundle.key").write_bytes(b"k" * 65)


def _loose_key(path: Path) -> None:
    path.with_name("bundle.key").chmod(0o640)


def _loose(path: Path) -> None:
    path.chmod(0o604)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _later_format(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"version":1,"generation"', b'"version":2,"generation"'))


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_no_key, "No such file"),
        (_other_key, "belongs to another key"),
        (_short_key, "not a bundle key"),
        (_long_key, "too large"),
        (_loose_key, "read by others (mode 0640)"),
        (_loose, "read by others (mode 0604)"),
        (_truncated, "damaged"),
        (_emptied, "damaged"),
        (_later_format, "another version of clawsecrets"),
        (_a_folder, "directory"),
    ],
)
def test_a_bad_bundle(run: Run, bundle: Path, spoil: Callable[[Path], None], says: str) -> None:
    spoil(bundle)
    one_line(run(bundle, ask("plain")), 3, says)


def test_a_pipe_in_place_of_the_bundle_does_not_hang(run: Run, bundle: Path) -> None:
    bundle.unlink()
    os.mkfifo(bundle, 0o600)
    assert run(bundle, ask("plain")).returncode == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@pytest.mark.parametrize(("owner", "code"), [(4242, 0), (0, 3), (77, 3)])
def test_as_another_user(tmp_path: Path, owner: int, code: int) -> None:
    """In a fork: the interpreter itself may lie where another user cannot start it. The uid has no name and no HOME."""
    path = tmp_path / "gw" / "bundle"
    ResolverBundle("t", path, Access(owner, owner)).deliver([Entry("plain", 1, SecretValue("value-1"))])
    bundle_format.opened(path.read_bytes(), path.with_name("bundle.key").read_bytes())  # loads cryptography
    for parent in path.parent.parents:
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    (tmp_path / "in").write_bytes(ask("plain"))
    child = os.fork()
    if child == 0:
        answered = 99
        try:
            os.dup2(os.open(tmp_path / "in", os.O_RDONLY), 0)
            os.dup2(os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT), 1)
            os.environ.clear()
            os.chdir("/")
            os.setgroups([])
            os.setgid(4242)
            os.setuid(4242)
            answered = resolve.main(["--bundle", str(path)])
        finally:
            os._exit(answered)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    answer = (tmp_path / "out").read_bytes()
    assert (json.loads(answer)["values"] == {"plain": "value-1"}) if code == 0 else answer == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
@pytest.mark.parametrize("file", ["bundle", "bundle.key"])
def test_root_does_not_trust_what_another_user_may_write(run: Run, bundle: Path, file: str) -> None:
    os.chown(bundle.with_name(file), 77, 77)
    one_line(run(bundle, ask("plain")), 3, "belongs to uid 77")
