"""Canary values go through every command, and are looked for in everything that comes out or stays behind.

Searched in plain, base64, hex, URL and escaped form (tests/canary.py): standard output and error, every file under the
scratch folder except those that are meant to hold a value, and command line and environment of every child process.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary as canaries
from tests.cli.desk import LIMIT, SCRIPT, Desk, Ran
from tests.cli.watch import Watch
from tests.waiting import until

MEANT = {"app.env", "out", "in.env", "openclaw.json", "code", "pass", "keys", "gateway", "bin"}
"""Under the scratch folder: inputs, targets, key and recovery code."""
TARGETS = """
[injectors.app-env]
kind = "env-file"
path = "{root}/app.env"
dialect = "compose"
[injectors.out]
kind = "directory"
path = "{root}/out"
[injectors.refs]
kind = "resolver-bundle"
path = "{root}/bundles/refs"
[consumers.loud]
kind = "command"
reload = ["sh", "-c", "cat; env; echo reloaded"]
probe = ["{root}/bin/probe"]
"""
PROBE = """#!/bin/sh
# prints the value that it gets, and what a process list would show of it
tee -a "{root}/bin/stdin.seen"
cat "/proc/$$/cmdline" "/proc/$$/environ" >> "{root}/probe.seen"
echo "$CLAWSECRETS_SECRET" >&2
while [ -e "{root}/bin/watched" ] && ! [ -e "{root}/bin/seen" ]; do sleep 0.01; done
exit {code}
"""


class Leaks:
    """Remembers values, what commands said, and finds one in the other."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.values, self.heard = desk, list[bytes](), list[tuple[str, bytes]]()

    def fresh(self) -> bytes:
        """A new canary."""
        self.values.append(canaries.fresh())
        return self.values[-1]

    def plain(self) -> bytes:
        """A canary that every env file dialect can carry."""
        value = canaries.fresh().replace(b'"', b"").replace(b" ", b"")
        self.values.append(value)
        return value

    def run(self, *words: str, stdin: bytes = b"", env: dict[str, str] | None = None, pty: bool = False) -> Ran:
        """Run a command, and keep what it said for the search."""
        if pty or Watch.watching:
            ran = self.desk.run(*words, stdin=stdin, env=env, pty=pty)
        else:
            ran = self.desk.typed(*words, stdin=stdin, env=env)
        self.heard.append((" ".join(words), ran.everything.encode()))
        return ran

    def learn(self) -> None:
        """Every value that the fake provider ever gave out is a canary, too."""
        assert self.desk.fake is not None
        styles = ("acme", "rollco", "selfroll", "refresher", "refresher-once", "pairco")
        made = [item for style in styles for item in self.desk.fake.ever(style)]
        known = [text.encode() for item in made for text in (item.value, item.refresh) if text]
        self.values += [value for value in [*known, self.desk.fake.admin.encode()] if value not in self.values]

    def found(self) -> list[str]:
        """Where a value was said or stays: never the value itself."""
        places = [(f"output of {what}", data) for what, data in self.heard]
        places += [(f"file {path.relative_to(self.desk.root)}", path.read_bytes()) for path in self.files()]
        return [f"{place}: value {number} as {form}" for place, data in places
                for number, value in enumerate(self.values) for form in canaries.search(data, value)]

    def files(self) -> Iterator[Path]:
        for path in sorted(self.desk.root.rglob("*")):
            if path.is_file() and path.relative_to(self.desk.root).parts[0] not in MEANT:
                yield path


@pytest.fixture
def leaks(tmp_path: Path) -> Iterator[Leaks]:
    with Desk(tmp_path / "s") as desk:
        yield Leaks(desk)


@pytest.fixture
def stocked(leaks: Leaks) -> Leaks:
    """A store with an acme key, bound to two targets and a consumer that prints what it gets."""
    desk = leaks.desk
    desk.provider(TARGETS.format(root=desk.root))
    desk.write("bin/probe", PROBE.format(root=desk.root, code=0), 0o700)
    desk.init()
    leaks.values += [(desk.root / name).read_bytes().strip() for name in ("code", "keys/master.key")]
    desk.seeded()
    desk.quick("configure", "acme-api-key", "--inject", "app-env", "--inject", "out", "--inject", "refs",
            "--consume", "loud")
    leaks.learn()
    return leaks


def test_the_search_would_find_one(leaks: Leaks) -> None:
    value = leaks.fresh()
    leaks.desk.write("stray.log", b"token=" + value)
    leaks.heard.append(("a command", value.hex().encode()))
    assert len(leaks.found()) >= 2


def test_ordinary_commands(stocked: Leaks) -> None:
    run = stocked.run
    value, other = stocked.fresh(), stocked.fresh()
    with Watch() as watch:
        run("set", "one-key", "-v", stdin=value)
        run("set", "one-key", stdin=other)
        run("set", "one-key", "--replace", stdin=other)
        for command in ("get", "show", "history"):
            run(command, "one-key", "-v")
            run(command, "one-key", "--json")
        for words in (["list"], ["status"], ["doctor"], ["audit-log"], ["audit-log", "verify"], ["rotations"],
                      ["revocations"], ["inject"], ["rotate", "--due"], ["plan"], ["plan", "--json"], ["plan", "--ics"],
                      ["rotate", "acme-api-key", "--dry-run"]):
            run(*words, "-v")
            run(*words, "--json")
        run("list", pty=True)
        run("rekey")
        run("backup", "copy")
        run("restore", "copy", "--recovery-file", "code", "--store", f"sqlite://{stocked.desk.root}/r/store.db",
            "--key-file", "keys/second")
        run("delete", "one-key")
        run("undelete", "one-key")
        run("delete", "one-key")
        run("purge", "one-key", "--yes")
    assert stocked.desk.run("get", "acme-api-key", "--raw").out.encode() in stocked.values  # not vacuous
    assert b"clawsecrets" in watch.programs
    assert stocked.found() == []
    assert [form for value in stocked.values for form in canaries.search(watch.everything, value)] == []


def test_running_and_rendering(leaks: Leaks) -> None:
    value = leaks.fresh()
    leaks.desk.init()
    assert leaks.run("set", "one-key", stdin=value).code == 0
    (leaks.desk.root / "out").mkdir()
    script = 'env; env >&2; env | base64 -w0; cat "$CLAWSECRETS_FILES"/* | od -An -v -tx1 | tr -d " \\n"; exit 3'
    with Watch() as watch:
        for words in (["-v"], ["--files"], ["--watch"]):
            assert leaks.run("run", "--secret", "one-key=ONE", *words, "--", "sh", "-c", script, pty=True).code == 3
            assert leaks.run("run", "--secret", "one-key=ONE", *words, "--", "true").code == 0
        for text, code in (("secret('one-key')", 0), ("secret('one-key') + 1", 2), ("{}[secret('one-key')]", 2),
                           ("secret(secret('one-key'))", 2), ("secret('one-key').x", 2)):
            leaks.desk.write("t.j2", "{{ " + text + " }}")
            assert leaks.run("render", "t.j2", "--output", "out/made", "-v").code == code, text
        assert leaks.run("render", "t.j2", pty=True).code == 2
    leaks.run("audit-log", "--json")
    assert (leaks.desk.root / "out" / "made").read_bytes() == value  # it was there to leak
    assert leaks.found() == []
    holding = [content for content in watch.seen if canaries.search(content, value)]
    strangers = [content for content in holding if not content.startswith(b"ONE=") and b"\0ONE=" not in content]
    assert strangers == []  # only the command itself has it, in the environment that it was given


def test_import_of_files(leaks: Leaks) -> None:
    values = [leaks.plain() for _ in range(3)]
    leaks.desk.init()
    leaks.desk.write("in.env", b"ANTHROPIC_API_KEY=" + values[0] + b"\nSTRANGE=" + values[1] + b"\n=" + values[2])
    for words in (["--dry-run"], ["--dry-run", "--json"], ["-v"], ["--json"]):
        leaks.run("import", "in.env", *words)
    leaks.desk.write("in.env", b"ANTHROPIC_API_KEY=" + values[0] + b"\nSTRANGE=" + values[1] + b"\n")
    assert leaks.run("import", "in.env", "-v").code == 0
    leaks.desk.write("openclaw.json", b'{gateway: {auth: {token: "' + values[2] + b'" oops')
    assert leaks.run("import", "openclaw.json", "-v").code == 2
    assert leaks.found() == []


def test_addresses_of_channels(leaks: Leaks) -> None:
    token = leaks.plain().decode().replace("+/=&%", "x")
    leaks.values[-1] = token.encode()
    leaks.desk.config('[notify.channels.hook]\nsecret = "hook"\n')
    leaks.desk.init()
    for address, code in ((f"nonsense://{token}", 2), (f"slack://{token}", 2), (token, 2),
                          (f"json://me:{token}@127.0.0.1:9/{token}", 0)):
        assert leaks.run("notify", "add", "hook", "-v", stdin=address.encode()).code == code
    for words, code in ((["test"], 6), (["test", "--json"], 6), (["list"], 0), (["list", "--json"], 0),
                        (["test", token], 2), (["add", token.upper()], 2), ([token], 2)):
        assert leaks.run("notify", *words, "-v").code == code, words
    leaks.run("notify", "test", pty=True)
    leaks.run("doctor", "-v")
    leaks.heard = [(what.replace(token, "TOKEN").replace(token.upper(), "TOKEN"), said) for what, said in leaks.heard]
    leaks.desk.write("home/clawsecrets.toml", f'[notify.channels.hook]\nsecret = "json://h/{token}"\n')
    assert leaks.run("notify", "list").code == 2
    leaks.desk.config("")
    assert leaks.found() == []


@pytest.mark.parametrize("words", [["rotate"], ["rotate", "--verbose"], ["rotate", "--json"]])
def test_rotation(stocked: Leaks, words: list[str]) -> None:
    stocked.desk.write("bin/watched", "the probe stays until it was seen")
    with Watch(b"probe", stocked.desk.root / "bin" / "seen") as watch:
        ran = stocked.run(*words, "acme-api-key")
        assert ran.code == 0, ran
        assert stocked.run("inject", "-v").code == 0
    stocked.learn()
    held = (stocked.desk.root / "app.env").read_bytes()
    assert any(value in held for value in stocked.values)  # the target holds it, so there was something to leak
    assert stocked.found() == []
    assert b"probe" in watch.programs
    assert [form for value in stocked.values for form in canaries.search(watch.everything, value)] == []


@pytest.mark.parametrize("style", ["refresher", "refresher-once"])
def test_refresh_tokens(stocked: Leaks, style: str) -> None:
    """Stored, used, lost, asked for anew and given again: said nowhere, and in no target."""
    run, fake = stocked.run, stocked.desk.fake
    assert fake is not None
    tokens = [fake.seed(style).refresh.encode() for _ in range(3)]
    run("set", "refresher-client-secret", stdin=fake.admin.encode())
    run("set", "bot", "--provider", style, "--env", "BOT", "--refresh-token", "-v", stdin=tokens[0])
    assert run("configure", "bot", "--inject", "app-env", "--inject", "out", "--inject", "refs").code == 0
    with Watch() as watch:
        assert run("rotate", "bot", "-v").code in (0, 1)
        for answer in ("reset", "garbage"):
            run("rotations", "resume", "bot", "--done")
            fake.fault("refresh", answer, when="after")
            run("rotate", "bot", "--json")
        run("rotate", "bot", "--new-value-stdin", "-v", stdin=tokens[1])
        run("set", "bot", "--refresh-token", "--replace", stdin=tokens[2])
        for words in (["show", "bot"], ["history", "bot"], ["rotations"], ["audit-log"],
                      ["get", "bot", "--version", "3"],
                      ["get", "bot", "--version", "1", "--reveal"], ["status"], ["providers", "show", style]):
            run(*words)
            run(*words, "--json")
    stocked.learn()
    values = {item.value.encode() for item in fake.ever(style)}  # those stand in the targets, where they belong
    stocked.values = [value for value in stocked.values if value not in values]
    assert set(tokens) <= set(stocked.values) and fake.calls["refresh"] > 1
    assert stocked.found() == []
    assert [form for value in stocked.values for form in canaries.search(watch.everything, value)] == []


def test_rotation_on_a_terminal(stocked: Leaks) -> None:
    assert stocked.run("rotate", "acme-api-key", "-v", pty=True).code == 0
    stocked.learn()
    assert stocked.found() == []


@pytest.mark.parametrize("code", [1, 75])
def test_a_consumer_that_prints_and_refuses(stocked: Leaks, code: int) -> None:
    stocked.desk.write("bin/probe", PROBE.format(root=stocked.desk.root, code=code), 0o700)
    ran = stocked.run("rotate", "acme-api-key", "-v")
    assert ran.code in (1, 4, 5), ran
    for words in (["status"], ["doctor"], ["rotations", "--json"], ["rotate", "acme-api-key", "--dry-run"]):
        stocked.run(*words)
    stocked.learn()
    assert stocked.found() == []


@pytest.mark.parametrize("operation", ["create", "whoami", "revoke", "list"])
@pytest.mark.parametrize("how", ["garbage", "status"])
def test_a_provider_that_answers_the_value(stocked: Leaks, operation: str, how: str) -> None:
    fake = stocked.desk.fake
    assert fake is not None
    echoed = stocked.fresh().decode()
    old = stocked.desk.run("get", "acme-api-key", "--raw").out
    body = f'{{"error": "bad key {old} {echoed}", "secret": ["{echoed}"]}}'
    fake.fault(operation, how, times=-1, status=500, body=body)
    ran = stocked.run("rotate", "acme-api-key", "-v")
    assert "bug" not in ran.err, ran
    stocked.run("rotations", "--json")
    fake.clear()
    stocked.run("rotate", "acme-api-key", "-v")
    stocked.learn()
    assert stocked.found() == []


def test_values_typed_in_the_wrong_place(stocked: Leaks) -> None:
    value = stocked.plain().decode().replace("+/=&%", "x")
    stocked.values[-1] = value.encode()
    for words in (["rotate", "acme-api-key", value, "--yes"], ["rotate", value], ["set", "acme-api-key", value],
                  ["set", value.upper()], ["get", value], ["show", value], ["history", value], ["delete", value],
                  ["configure", value], ["configure", "acme-api-key", "--option", value], [value],
                  ["set", "acme-api-key", "--value", value], ["set", "acme-api-key", f"--value={value}"],
                  [f"--{value}"], ["rotations", value], ["rotations", "resume", value], ["inject", value],
                  ["revocations", "retry", value], ["get", "acme-api-key", "--version", value],
                  ["rotate", "acme-api-key", "--from-version", value], ["audit-log", "--last", value],
                  ["list", "--json=" + value], ["set", "acme-api-key", "-v", value],
                  ["revocations", "resolve", "acme-api-key", value], ["providers", "show", value],
                  ["set", "new-one", "--provider", value], ["set", "new-one", "--env", value + "-"],
                  *(["configure", "acme-api-key", option, value] for option in (
                      "--provider", "--strategy", "--interval", "--grace", "--inject", "--consume"))):
        ran = stocked.run(*words)
        assert ran.code == 2, (words, ran)
        assert ran.err.count("\n") <= 2, ran
    stocked.heard = [(what.replace(value, "VALUE"), said) for what, said in stocked.heard]
    assert stocked.found() == []


# --- bugs and signals -----------------------------------------------------------------------------------------------

BREAK = {
    "an exception": "raise RuntimeError(value)",
    "a chain of exceptions": "try:\n            raise KeyError(value)\n        except KeyError as e:\n"
                             "            raise ValueError(value) from e",
    "a thread": "import threading; t = threading.Thread(target=lambda: (_ for _ in ()).throw(RuntimeError(value)))\n"
                "        t.start(); t.join(); raise RuntimeError(value)",
    "a finaliser": "class X:\n            def __del__(self): raise RuntimeError(value)\n"
                   "        X(); raise RuntimeError(value)",
    "a warning": "import warnings; warnings.warn('something odd'); raise RuntimeError(value)",
    "an exit": "raise MemoryError(value)",
}


@pytest.mark.parametrize("how", BREAK)
def test_a_bug_says_where_and_never_what(stocked: Leaks, how: str) -> None:
    """A fault planted into the store (by sitecustomize, in the child only) raises an exception with the value in it."""
    stocked.desk.write("site/sitecustomize.py", f"""
import clawsecrets.stores.sqlite as s
real = s.SqliteStore.value
def broken(self, name, number):
        value = real(self, name, number).reveal().decode()
        {BREAK[how]}
s.SqliteStore.value = broken
""")
    env = {"PYTHONPATH": str(stocked.desk.root / "site"), "PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1"}
    ran = stocked.run("get", "acme-api-key", "--raw", "-v", env=env)
    assert ran.code == 70, ran
    assert "this is a bug" in ran.err
    assert "Error" in ran.err.splitlines()[-1]
    assert stocked.found() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGABRT, -6)])
def test_a_signal_in_the_middle(stocked: Leaks, number: signal.Signals, code: int) -> None:
    fake = stocked.desk.fake
    assert fake is not None
    fake.fault("whoami", "hang", seconds=LIMIT)
    env = {**stocked.desk.env, "PYTHONFAULTHANDLER": "1"}
    process = subprocess.Popen([SCRIPT, "rotate", "acme-api-key", "-v"], env=env, cwd=stocked.desk.root,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    until(lambda: fake.holding, "the request")
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=LIMIT)
    stocked.heard.append((f"rotate, killed by {number.name}", out + err))
    fake.let_go()
    fake.clear()
    assert process.returncode == code, err
    assert stocked.run("rotate", "acme-api-key", "-v").code == 0  # and the next run goes on
    stocked.learn()
    assert stocked.found() == []


def test_nothing_stays_in_the_temporary_folder(stocked: Leaks) -> None:
    stocked.run("rotate", "acme-api-key")
    stocked.run("backup", "copy")
    assert list((stocked.desk.root / "tmp").iterdir()) == []


def test_the_demo_leaves_nothing(leaks: Leaks) -> None:
    assert leaks.run("quickstart", "--demo").code == 0
    assert list((leaks.desk.root / "tmp").iterdir()) == []
    assert leaks.desk.run("status").code == 3  # no store was made outside of the sample
