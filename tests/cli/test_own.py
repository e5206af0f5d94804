"""Records that clawsecrets keeps for itself: not rotated, not replaced, in no index."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.model.own import PLAN, UNDO
from tests.adopting.small import Small
from tests.cli.desk import ROOT, SCRIPT, Desk, Ran

ADDRESS = b"json://user:a-token-of-the-channel@example.org/abcdef0123456789"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    SCRIPT.chmod(0o755)
    with Desk(tmp_path / "s") as made:
        yield made


def refused(ran: Ran, *words: str) -> None:
    """In one line, with one line of what to do instead."""
    lines = ran.err.splitlines()
    assert ran.code == 2 and ran.out == "" and len(lines) == 2, ran
    assert all(word in ran.err for word in words), ran


def rotations(desk: Desk) -> list[str]:
    return [item["secret"] for item in json.loads(desk.typed("rotations", "--json").out)["rotations"]]


def test_all_rotates_what_was_adopted_and_not_what_undoes_it(desk: Desk) -> None:
    small = Small(desk)
    before = small.contents()
    assert small.adopt("--apply").code == 0
    for words in (("--all", "--dry-run"), ("--all", "--yes")):
        ran = desk.typed("rotate", *words)
        assert "openai-api-key" in ran.out and "openclaw-adoption" not in ran.everything, ran
    assert not set(rotations(desk)) & {PLAN, UNDO}
    for name in rotations(desk):
        desk.quick("rotations", "abort", name)
    assert small.adopt("--apply").code == 0
    assert small.adopt("--undo").code == 0
    assert small.contents() == before


@pytest.mark.parametrize("name", [PLAN, UNDO])
def test_what_an_adoption_keeps_takes_no_value_from_a_person(desk: Desk, name: str) -> None:
    small = Small(desk)
    assert small.adopt("--apply").code == 0
    for words in (("rotate", name), ("rotate", name, "--dry-run"), ("rotate", name, "--new-value-stdin"),
                  ("rotate", "openai-api-key", name, "--yes"), ("set", name, "--replace"),
                  ("notify", "add", name, "--replace"), ("configure", name, "--interval", "1d")):
        refused(desk.typed(*words, stdin=ADDRESS), name, "adopt STATE_FOLDER --undo")
    refused(desk.typed("fingerprints", "export", "--name", name), name)
    assert rotations(desk) == []
    assert small.adopt("--undo").code == 0


def test_before_any_adoption_its_names_are_given_to_nothing_else(desk: Desk) -> None:
    desk.init()
    refused(desk.typed("set", PLAN, stdin=b"mine"), PLAN)
    refused(desk.typed("notify", "add", UNDO, stdin=ADDRESS), UNDO)
    assert json.loads(desk.ok("list", "--json").out)["secrets"] == []


@pytest.mark.parametrize("named", [False, True], ids=["in no channel", "of a channel"])
def test_the_address_of_a_channel_is_not_rotated(desk: Desk, named: bool) -> None:
    desk.config('[notify.channels.phone]\nsecret = "notify-phone"\n' if named else "")
    desk.init()
    desk.quick("set", "plain-key", stdin=b"Zt3mW8qX1nB6vK9cL4rJ7hG2fD5sA0pYuEoI")
    if named:  # as an earlier version stored it
        desk.quick("set", "notify-phone", stdin=ADDRESS)
    else:
        desk.quick("notify", "add", "notify-phone", stdin=ADDRESS)
    ran = desk.typed("rotate", "--all", "--dry-run")
    assert "plain-key" in ran.out and "notify-phone" not in ran.everything, ran
    for words in (("rotate", "notify-phone"), ("rotate", "notify-phone", "--new-value-stdin")):
        refused(desk.typed(*words, stdin=ADDRESS), "notify-phone", "clawsecrets notify add notify-phone --replace")
    desk.quick("configure", "notify-phone", "--interval", "0")
    assert desk.typed("rotate", "--due").err == "nothing is due\n"
    ran = desk.ok("fingerprints", "export")
    assert [row["name"] for row in json.loads(ran.out)["values"]] == ["plain-key"], ran.err
    desk.ok("notify", "add", "notify-phone", "--replace", stdin=ADDRESS)


def test_a_rotation_that_was_begun_of_one_ends_by_an_abort(desk: Desk) -> None:
    """By an earlier version, or before the configuration named it."""
    desk.init()
    desk.quick("set", "notify-phone", stdin=ADDRESS)
    assert desk.typed("rotate", "notify-phone").code == 1
    desk.config('[notify.channels.phone]\nsecret = "notify-phone"\n')
    refused(desk.typed("rotate", "notify-phone"), "clawsecrets rotations abort notify-phone")
    desk.ok("rotations", "abort", "notify-phone")
    desk.ok("notify", "add", "notify-phone", "--replace", stdin=ADDRESS)


def test_nobody_is_asked_for_what_was_erased_in_time(desk: Desk) -> None:
    small = Small(desk)
    assert small.adopt("--apply").code == 0
    desk.later(8 * 86400)
    assert small.adopt("--undo").code == 2
    rows = {row["name"]: row for row in json.loads(desk.typed("status", "--json").out)["secrets"]}
    assert (rows[UNDO]["state"], rows[UNDO]["urgency"]) == ("erased", "idle")
    assert UNDO not in desk.typed("status").err


REPLACED = """\
# as earlier versions let one
from clawsecrets.cli.session import Session
from clawsecrets.model.own import UNDO
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
session = Session()
record, value = session.store.load(UNDO), SecretValue(b"a person's own value")
version = Version(record.last_number + 1, Stage.CURRENT, session.clock.now(), session.store.fingerprint(value))
session.store.commit([Change(record.put_current(version), session.event("x", UNDO), {version.number: value})])
session.close()
"""


def test_an_undo_that_was_replaced_is_one_line_and_the_next_adoption_begins_anew(desk: Desk) -> None:
    small = Small(desk)
    assert small.adopt("--apply").code == 0
    subprocess.run([sys.executable, "-c", REPLACED], env=desk.env, cwd=ROOT, check=True)
    ran = small.adopt("--undo")
    assert ran.code == 3 and len(ran.err.splitlines()) == 2, ran
    assert f"what undoes the adoption cannot be read: the value of {UNDO}" in ran.err
    assert small.adopt("--apply").code == 0, "nothing is left to move"
    (small.state / ".env").write_text("LATER_API_TOKEN=zt3mW8qX1nB6vK9cL4rJ7hG2fD5sA0pYuEoI\n")
    ran = small.adopt("--apply")
    assert ran.code == 3 and UNDO in ran.err, ran
    desk.ok("delete", UNDO)
    desk.ok("purge", UNDO, "--yes")
    assert small.adopt("--apply").code == 0
    assert small.adopt("--undo").code == 0
