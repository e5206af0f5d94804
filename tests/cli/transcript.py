"""Reads and plays transcripts: what a person types, and what the program answers on each stream.

    # a comment
    % file .env                     a step of Python below; its text are the `|` lines that follow
    | NAME=value
    $ clawsecrets list              a command, in the scratch folder; NAME=value in front of it is its environment
    $ clawsecrets set x <<< text    text (no newline after it) on standard input
    $ clawsecrets list --json > a   standard output is golden/a.json
    tty$ clawsecrets get x <<< y\\n  on a terminal of 80 columns; `\\n` is the return key
      what it prints on stdout
    ! what it prints on stderr
    = 0                             its exit code

CLAWSECRETS_WRITE_TRANSCRIPTS=1 writes what was answered into the files, to be read before it is committed.
"""

from __future__ import annotations

import difflib
import getpass
import json
import re
import shlex
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.desk import PROVIDERS, ROOT, Desk, Ran
from tests.fake_provider import ADMIN
from tests.fake_services import Services

GOLDEN = Path(__file__).parent / "golden"
_PUT = [
    (re.compile(r"acme_live_[0-9a-f]{32}|(?:rollco|pairco)_[0-9a-f]{32}"), "<value>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\dZ"), "YYYY-MM-DD HH:MMZ"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "YYYY-MM-DD"),
    (re.compile(r"clawsecrets-[0-9a-f]{12}"), "clawsecrets-<id>"),
    (re.compile(r"clawsecrets-demo-\w{8}"), "clawsecrets-demo-XXXXXXXX"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<mac>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<fingerprint>   "),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    # ages, and only those: of one digit or two, of seconds or, where the machine is slow, of minutes. Any other
    # duration is a part of what is said, and stays
    (re.compile(r"\b\d{1,2}[sm](?= ago\b)|(?<=due since )\d{1,2}[sm]\b"), "Ns"),
    (re.compile(r"(?<=  )(?: \d|\d\d)[sm](?= +(?:\d+[dhm]|- +-) )"), " Ns"),  # in a table, before EVERY
    (re.compile(r"\b5\dm\b"), "59m"),  # what is left of an hour
    (re.compile(r"≥\d+[sm]\b"), "≥Ns"),
    (re.compile(r"; \d+\.\d s$", re.MULTILINE), "; N s"),
    (re.compile(r"[^\s`\"]+/bin/python[\d.]*"), "PYTHON"),
]
_WIDER = re.compile(r" (?=(?:AGE|≥\d[sm]|\d{1,2}[sm]) +(?:EVERY|\d+d))")
"""What the other lines of a table have before their age where one is as wide as `≥12s`."""
_TIMES = re.compile(r"(_at|now|since|until|age|at|due)$")


@dataclass
class Step:
    """One `%` or `$` line with what belongs to it."""

    line: str
    text: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)


def read(path: Path) -> list[Step]:
    """The steps of a file; comments and empty lines are steps without effect."""
    steps: list[Step] = []
    for line in path.read_text().splitlines():
        if line.startswith("| ") or line == "|":
            steps[-1].text.append(line[2:])
        elif line.startswith(("  ", "! ", "= ")) or line == "!":
            steps[-1].expected.append(line)
        else:
            steps.append(Step(line))
    return steps


def play(steps: list[Step], desk: Desk, *, write: bool) -> list[str]:
    """Run every step; gives the file as it was answered."""
    told: list[str] = []
    for step in steps:
        told += [step.line, *(f"| {line}".rstrip() for line in step.text)]
        if step.line.startswith("% "):
            words = shlex.split(step.line[2:])
            STEPS[words[0]](desk, words[1:], "".join(line + "\n" for line in step.text))
        elif step.line.startswith(("$ ", "tty$ ")):
            told += _answer(step.line, desk, write=write)
    return told


def _answer(line: str, desk: Desk, *, write: bool) -> list[str]:
    terminal = line.startswith("tty$ ")
    line = line.split("$ ", 1)[1]
    line, _, typed = line.partition(" <<< ")
    line, _, golden = line.partition(" > ")
    words = [_fill(word, desk) for word in shlex.split(line)]
    env: dict[str, str] = {}
    while "=" in words[0]:
        name, _, env[name] = words.pop(0).partition("=")
    assert words.pop(0) == "clawsecrets", line
    stdin = _fill(typed, desk).replace("\\n", "\n").encode()
    ran = desk.run(*words, stdin=stdin, env=env, pty=True) if terminal else desk.typed(*words, stdin=stdin, env=env)
    if golden:
        _compare(ran, golden, desk, write=write)
        ran = Ran("", ran.err, ran.code)
    told = [f"  {text}".rstrip() or "  " for text in normalise(ran.out, desk).splitlines()]
    told += [f"! {text}".rstrip() for text in normalise(ran.err, desk).splitlines()]
    return [*told, f"= {ran.code}"]


def _fill(text: str, desk: Desk) -> str:
    if desk.services is not None:
        text = text.replace("$SERVICES", desk.services.host)
    text = text.replace("$S", str(desk.root)).replace("$PROVIDERS", str(PROVIDERS)).replace("$ADMIN", ADMIN)
    if desk.fake is not None and "$FRESH" in text:
        text = text.replace("$FRESH", desk.fake.seed("acme", "by a person").value)
    for word, style in (("$ONCE", "refresher-once"), ("$REFRESH", "refresher")):
        if desk.fake is not None and word in text:
            text = text.replace(word, desk.fake.seed(style, "by a person").refresh)
    return text.replace("$URL", desk.fake.url) if desk.fake is not None else text


def normalise(text: str, desk: Desk) -> str:
    """Without what differs from run to run: times, ids, fingerprints, ports, paths, who and where."""
    text = text.replace(str(desk.root), "$S").replace(str(ROOT), "$ROOT").replace("\x1b", "␛")
    text = re.sub(rf"{getpass.getuser()}@{re.escape(socket.gethostname())}/\d+", "USER@HOST/PID", text)
    if re.search(r"≥\d\d[sm]\b", text):
        text = _WIDER.sub("", text)
    for pattern, put in _PUT:
        text = pattern.sub(put, text)
    return text


def tidy(value: object, key: str = "") -> object:
    """JSON with the same things replaced; zero times stay, they mean `never`."""
    if isinstance(value, dict):
        return {name: tidy(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [tidy(item, key) for item in value]
    if isinstance(value, float | int) and not isinstance(value, bool) and value and _TIMES.search(key):
        return "<time>"
    return value


def _compare(ran: Ran, name: str, desk: Desk, *, write: bool) -> None:
    document = json.loads(ran.out)
    got = normalise(json.dumps(tidy(document), indent=2, ensure_ascii=False), desk) + "\n"
    path = GOLDEN / f"{name}.json"
    if write:
        path.write_text(got)
    assert document["schema"] == 1
    differs = difflib.unified_diff(path.read_text().splitlines(), got.splitlines(), name, "now", lineterm="")
    assert got == path.read_text(), "\n".join(differs)


# --- steps ----------------------------------------------------------------------------------------------------------


def _file(desk: Desk, words: list[str], text: str) -> None:
    desk.write(words[0], _fill(text, desk), int(words[1], 8) if len(words) > 1 else 0o600)


def _fault(desk: Desk, words: list[str], text: str) -> None:
    rest = dict(word.split("=") for word in words[2:])
    numbers = {key: int(value) for key, value in rest.items() if key in ("status", "times", "seconds")}
    assert desk.fake is not None
    desk.fake.fault(words[0], words[1], **{k: v for k, v in rest.items() if k not in numbers}, **numbers)


def _provider(desk: Desk, words: list[str], text: str) -> None:
    desk.provider(_fill(text, desk))
    desk.init()


def _gateway(desk: Desk, words: list[str], text: str) -> None:
    targets = desk.gateway(words[0])
    desk.config(targets + text)
    desk.init()
    desk.ok("import", "gateway/.env")


def _kill(desk: Desk, words: list[str], text: str) -> None:
    assert desk.fake is not None
    for item in desk.fake.live(words[0]).values():
        desk.fake.bank.kill(item.handle)


def _later(desk: Desk, words: list[str], text: str) -> None:
    desk.later(int(words[0]))


def _services(desk: Desk, words: list[str], text: str) -> None:
    desk.services = Services().__enter__()


def _damage(desk: Desk, words: list[str], text: str) -> None:
    with desk.database.open("r+b") as file:
        file.truncate(int(words[0]))


STEPS: dict[str, Callable[[Desk, list[str], str], None]] = {
    "file": _file,
    "init": lambda desk, words, text: desk.init(),
    "provider": _provider,
    "seed": lambda desk, words, text: (desk.seeded(*words), None)[1],
    "gateway": _gateway,
    "fault": _fault,
    "kill": _kill,
    "config": lambda desk, words, text: (desk.config(_fill(text, desk)), None)[1],
    "unset": lambda desk, words, text: (desk.env.pop(words[0]), None)[1],
    "keep": lambda desk, words, text: (shutil.copy(desk.database, desk.root / words[0]), None)[1],
    "put-back": lambda desk, words, text: (shutil.copy(desk.root / words[0], desk.database), None)[1],
    "remove": lambda desk, words, text: (desk.root / words[0]).unlink(),
    "mode": lambda desk, words, text: (desk.root / words[1]).chmod(int(words[0], 8)),
    "truncate": _damage,
    "later": _later,
    "services": _services,
}
