"""The value that a person brings: asked for where a person sits, looked at before it is taken; and a leaked version
that an older rotation leaves in place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.cli.asking import _beginning, to_read, without_paste
from clawsecrets.issuers.loader import load_providers
from tests.cli.desk import Desk

CONSUMER = '[consumers.app]\nkind = "command"\nprobe = ["true"]\n[consumers.silent]\nkind = "none"\n'


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        made.provider(f'[injectors.out]\nkind = "directory"\npath = "{made.root}/out"\n{CONSUMER}')
        made.init()
        made.seeded()
        made.quick("configure", "acme-api-key", "--inject", "out", "--consume", "app", "--strategy", "assisted")
        yield made


def fresh(desk: Desk) -> str:
    assert desk.fake is not None
    return desk.fake.seed("acme", "by a person").value


def test_on_a_terminal_it_asks_at_once_and_shows_nothing(desk: Desk) -> None:
    value = fresh(desk)
    ran = desk.run("rotate", "acme-api-key", stdin=f"{value}\n".encode(), pty=True)
    assert ran.code == 0 and value not in ran.out, ran
    assert ran.out.index("Paste it here") < ran.out.index("new value of acme-api-key (hidden")
    assert "--new-value-stdin" not in ran.out
    assert desk.quick("get", "acme-api-key", "--raw").out == value


@pytest.mark.parametrize("typed", [b"\n", b"\x03"])
def test_without_an_answer_it_waits_and_says_what_to_run(desk: Desk, typed: bytes) -> None:
    ran = desk.run("rotate", "acme-api-key", stdin=typed, pty=True)
    words = " ".join(ran.out.split())
    assert ran.code == 1 and "run this, it asks for the value: clawsecrets rotate acme-api-key --new-value" in words
    assert "waiting for the new value" in desk.ok("status").out


def test_without_a_terminal_nothing_says_paste(desk: Desk) -> None:
    ran = desk.run("rotate", "acme-api-key")
    assert ran.code == 1 and "paste" not in ran.everything.lower()
    assert "run this, it asks for the value: clawsecrets rotate acme-api-key --new-value-stdin" in ran.err


def test_no_provider_says_paste_where_no_prompt_follows() -> None:
    files = load_providers([])
    for code in files:
        left = without_paste(files[code].manual.steps)
        assert not any("paste" in to_read(step).lower() for step in files[code].manual.steps), code
        assert left and not any("paste" in step.lower() for step in left), code


# --- how a value looks ----------------------------------------------------------------------------------------------


def test_a_value_of_another_look_is_refused_before_anything_is_done(desk: Desk) -> None:
    ran = desk.run("rotate", "acme-api-key", "--new-value-stdin", stdin=b"ghp_ofanother")
    assert ran.code == 2 and "acme_live_…" in ran.err and "ghp_" not in ran.everything, ran
    assert "--as-it-is" in ran.err
    assert desk.ok("rotations").code == 0  # nothing was begun
    taken = desk.run("rotate", "acme-api-key", "--new-value-stdin", "--as-it-is", stdin=b"ghp_ofanother")
    assert taken.code == 4 and "test: refused" in taken.err, taken  # the provider says what the look could not


def test_at_the_prompt_it_is_asked_for_again(desk: Desk) -> None:
    value = fresh(desk)
    ran = desk.run("rotate", "acme-api-key", stdin=f"wrong-one\n{value}\n".encode(), pty=True)
    assert ran.code == 0 and "does not look like" in ran.out and "wrong-one" not in ran.out, ran


def test_set_warns_and_stores(desk: Desk) -> None:
    ran = desk.ok("set", "odd", "--provider", "acme", stdin=b"something")
    assert "warning: that does not look like a credential of acme (acme_live_…)" in ran.err
    assert "warning" not in desk.ok("set", "plain", stdin=b"something").err
    assert "warning" not in desk.ok("set", "gw", "--provider", "openclaw-gateway", stdin=b"0123456789abcdef").err


def test_set_says_which_provider_may_be_meant(desk: Desk) -> None:
    named = desk.ok("set", "groq-api-key", stdin=b"something").err
    assert "if it is groq: clawsecrets configure groq-api-key --provider groq" in named
    assert "no provider was named" not in desk.ok("set", "plain", stdin=b"something").err
    assert "no provider was named" not in desk.ok("set", "brave-api-key", "--provider", "brave-search", stdin=b"x").err


def test_beginnings_are_those_of_the_providers() -> None:
    files = load_providers([])
    found = {code: [_beginning(rule) for rule in files[code].detect] for code in ("anthropic", "groq", "telegram")}
    assert found == {"anthropic": ["sk-ant-api03-"], "groq": ["gsk_"], "telegram": [""]}


# --- it leaked while an older rotation is unfinished ----------------------------------------------------------------


def test_a_leaked_current_version_that_an_older_rotation_leaves_is_said(desk: Desk) -> None:
    desk.quick("configure", "acme-api-key", "--strategy", "default", "--grace", "1h")
    assert desk.run("rotate", "acme-api-key").code == 1  # version 2 is current, version 1 in its grace
    ran = desk.run("rotate", "acme-api-key", "--compromised", "--yes")
    assert "version 2, the current one, was NOT replaced by this" in ran.err and ran.code == 1, ran
    ended = desk.run("rotate", "acme-api-key", "--compromised", "--yes", "--json")
    answer = json.loads(ended.out)["rotations"][0]
    assert ended.code == 0 and answer["not_replaced"] == 0 and answer["version"] == 3
