"""What a command claims and the exit code it ends with, where something is half done, left over or not taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import SCRIPT, Desk

APP = '[consumers.app]\nkind = "command"\nprobe = ["{probe}"]\n'


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        yield made


def rented(desk: Desk, more: str = "") -> Desk:
    """acme-api-key of the fake provider, with a consumer that always agrees and a folder to deliver to."""
    desk.provider(f'[injectors.out]\nkind = "directory"\npath = "{desk.root}/out"\n'
                  f'[injectors.env]\nkind = "env-file"\npath = "{desk.root}/app.env"\ndialect = "shell"\n'
                  f'{more or APP.format(probe="true")}')
    desk.init()
    desk.seeded()
    desk.quick("configure", "acme-api-key", "--inject", "out", "--consume", "app")
    return desk


# --- exit codes -----------------------------------------------------------------------------------------------------


def test_a_supplied_value_that_is_in_use_and_owes_is_work_left(desk: Desk) -> None:
    """4 says that nothing is half done: here the new one is published, and only the old one still has to die."""
    fake = rented(desk).fake
    assert fake is not None
    desk.quick("configure", "acme-api-key", "--strategy", "assisted")
    fake.fault("revoke", "status", status=403)
    fresh = fake.seed("acme", "by a person").value
    ran = desk.typed("rotate", "acme-api-key", "--new-value-stdin", stdin=fresh.encode())
    assert "revoke-old: refused" in ran.err, ran
    assert ran.code == 1, ran
    assert desk.quick("get", "acme-api-key", "--raw").out == fresh


def test_backed_out_but_owing_is_work_left(desk: Desk) -> None:
    first = desk.root / "first"
    probe = desk.write("bin/probe", f'#!/bin/sh\n[ "$(cat)" = "$(cat {first})" ]\n', 0o700)
    fake = rented(desk, APP.format(probe=probe)).fake
    assert fake is not None
    desk.write("first", desk.quick("get", "acme-api-key", "--raw").out)
    fake.fault("revoke", "status", status=403)
    ran = desk.typed("rotate", "acme-api-key")
    assert "the new one still has to be revoked" in ran.out, ran
    assert ran.code == 1, ran


def test_a_value_that_was_not_taken_is_said(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    desk.ok("rotate", "acme-api-key")
    words = ("rotate", "acme-api-key", "--from-version", "1", "--new-value-stdin")
    ran = desk.typed(*words, stdin=b"acme_live_0123")
    assert ran.code == 1 and "was not taken" in ran.err, ran
    answer = json.loads(desk.typed(*words, "--json", stdin=b"acme_live_0123").out)["rotations"][0]
    assert answer["value_unused"] and answer["already"] and answer["exit_code"] == 1
    assert desk.typed(*words[:-1]).code == 0  # nothing was given, nothing is lost


# --- groups ---------------------------------------------------------------------------------------------------------


def test_two_of_a_group_are_not_rotated_in_one_run(desk: Desk) -> None:
    rented(desk)
    desk.seeded(name="acme-second")
    for name in ("acme-api-key", "acme-second"):
        desk.quick("configure", name, "--group", "pair", "--interval", "0", "--consume", "app")
    ran = desk.typed("rotate", "--due", "--yes", "--json")
    document = json.loads(ran.out)
    assert [item["secret"] for item in document["left"]] == ["acme-second"]
    assert [(item["secret"], item["exit_code"]) for item in document["rotations"]] == [("acme-api-key", 0)]
    assert "acme-second: left for another run: acme-api-key of its group pair comes first" in ran.err
    assert ran.code == 1
    named = desk.ok("rotate", "acme-second", "acme-api-key", "--yes")
    assert named.out.count("rotated (version") == 2  # a person's explicit names are obeyed


def test_a_group_waits_for_its_unfinished_one(desk: Desk) -> None:
    rented(desk)
    desk.seeded(name="acme-second")
    for name in ("acme-api-key", "acme-second"):
        desk.quick("configure", name, "--group", "pair", "--interval", "0")
    desk.quick("configure", "acme-second", "--grace", "1h", "--consume", "app")
    assert desk.typed("rotate", "acme-second").code == 1
    ran = desk.typed("rotate", "--due", "--yes")
    assert "acme-api-key: left for another run: acme-second of its group pair comes first" in ran.err, ran
    assert "acme-second: in use; the old one is kept" in ran.out


# --- rotate --due -----------------------------------------------------------------------------------------------------


def test_due_works_off_revocations_that_are_due(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    fake.fault("revoke", "status", status=403, times=2)
    assert desk.typed("rotate", "acme-api-key").code == 1  # owed; the next try is due at once
    ran = desk.typed("rotate", "--due")
    assert "acme-api-key version 1: not yet" in ran.out and ran.code == 1, ran
    document = json.loads(desk.ok("rotate", "--due", "--json").out)
    assert document["tried"] == [], "its next try is not due yet"
    desk.later(3600)
    document = json.loads(desk.ok("rotate", "--due", "--json").out)
    assert [(item["version"], item["dead"]) for item in document["tried"]] == [(1, True)]
    assert desk.typed("revocations").code == 0


def test_due_leaves_a_failed_one_alone_for_a_while(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    desk.quick("configure", "acme-api-key", "--interval", "0")
    fake.fault("create", "status", status=403, times=1)
    assert desk.typed("rotate", "--due").code == 4
    ran = desk.typed("rotate", "--due", "--json")
    document = json.loads(ran.out)
    assert ran.code == 1 and document["rotations"] == [], ran
    assert "its last rotation failed" in document["left"][0]["reason"]
    desk.later(3 * 3600)
    assert "acme-api-key: rotated" in desk.ok("rotate", "--due").out


def test_a_failed_one_is_rotated_at_once_by_its_name(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    fake.fault("create", "status", status=403, times=1)
    assert desk.typed("rotate", "acme-api-key").code == 4
    assert "acme-api-key: rotated" in desk.ok("rotate", "acme-api-key").out


# --- inject -----------------------------------------------------------------------------------------------------------


def test_inject_is_in_the_log_before_it_writes(desk: Desk) -> None:
    rented(desk)
    desk.ok("inject", "acme-api-key")
    events = json.loads(desk.ok("audit-log", "show", "--secret", "acme-api-key", "--json").out)["events"]
    assert [event["action"] for event in events][-2:] == ["secret.delivering", "secret.delivered"]


def test_inject_says_what_failed(desk: Desk) -> None:
    """A target that cannot be written is 6, one that refuses is 4."""
    rented(desk)
    (desk.root / "out").write_text("a file where the folder belongs")
    ran = desk.typed("inject", "acme-api-key")
    assert ran.code in (4, 6) and "out:" in ran.out, ran
    said = desk.typed("inject", "acme-admin").err
    assert said == "acme-admin: nothing to deliver: an admin credential goes nowhere\n"


# --- what a target still holds --------------------------------------------------------------------------------------


def held(desk: Desk) -> tuple[bool, bool]:
    """Whether the folder and the env file hold a value of acme-api-key."""
    env = desk.root / "app.env"
    return (desk.root / "out" / "acme-api-key").exists(), env.exists() and "ACME_API_KEY=" in env.read_text()


@pytest.fixture
def delivered(desk: Desk) -> Desk:
    rented(desk)
    desk.quick("configure", "acme-api-key", "--inject", "env")
    desk.ok("inject", "acme-api-key")
    assert held(desk) == (True, True)
    return desk


def test_a_dropped_target_is_cleared(delivered: Desk) -> None:
    ran = delivered.ok("configure", "acme-api-key", "--no-inject", "out")
    assert "taken out of out" in ran.err
    assert held(delivered) == (False, True)


def test_delete_clears_every_target(delivered: Desk) -> None:
    ran = delivered.ok("delete", "acme-api-key")
    assert "taken out of out" in ran.err and "taken out of env" in ran.err
    assert held(delivered) == (False, False)
    assert "clawsecrets inject acme-api-key" in delivered.ok("undelete", "acme-api-key").err
    delivered.ok("inject", "acme-api-key")
    assert held(delivered) == (True, True)


@pytest.mark.parametrize("words", [("configure", "acme-api-key", "--no-inject", "env"), ("delete", "acme-api-key")])
def test_what_could_not_be_cleared_is_told(delivered: Desk, words: tuple[str, ...]) -> None:
    env = delivered.root / "app.env"
    env.write_text(env.read_text() + "ACME_OTHER='open\n")  # no line of this file can be rewritten now
    ran = delivered.typed(*words)
    assert ran.code == 1 and "NOT taken out of env" in ran.err, ran
    if words[0] == "delete":
        assert delivered.typed("purge", "acme-api-key", "--yes").code == 1
        assert "ACME_API_KEY=" in env.read_text()
    else:
        assert "env" not in json.loads(delivered.ok("show", "acme-api-key", "--json").out)["injectors"]


def test_a_variable_of_another_secret_stays(delivered: Desk) -> None:
    """By its variable the line is the other one's; a file of its own in the folder is not."""
    delivered.quick("set", "other-key", "--env", "ACME_API_KEY", stdin=b"other-value-0123")
    delivered.quick("configure", "other-key", "--inject", "env", "--inject", "out")
    ran = delivered.typed("delete", "acme-api-key")
    assert ran.code == 1 and "another secret goes by ACME_API_KEY there" in ran.err, ran
    assert held(delivered) == (False, True)


def test_what_owes_is_not_deleted(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    fake.fault("revoke", "status", status=403, times=-1)
    assert desk.typed("rotate", "acme-api-key").code == 1
    ran = desk.typed("delete", "acme-api-key")
    assert ran.code == 2 and "not proven dead" in ran.err, ran
    assert (desk.root / "out" / "acme-api-key").exists()


# --- restored -------------------------------------------------------------------------------------------------------


def test_a_refused_current_stays_in_sight(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    desk.quick("backup", "copy")
    desk.ok("rotate", "acme-api-key")  # what the backup holds is dead now
    shutil.rmtree(desk.home / "data")
    desk.ok("restore", "copy", "--recovery-file", "code", "--key-file", "keys/new.key")
    ran = desk.typed("restore", "--confirm", "--yes")
    assert ran.code == 1, ran
    assert "clawsecrets set acme-api-key --replace" in ran.err and "clawsecrets rotate acme-api-key" in ran.err


@pytest.mark.parametrize(("holds", "word", "code"), [("first", "accepted", 0), ("another", "REFUSED", 1)])
def test_a_self_issued_current_is_tried_at_its_consumer(desk: Desk, holds: str, word: str, code: int) -> None:
    probe = desk.write("bin/probe", f'#!/bin/sh\n[ "$(cat)" = "$(cat {desk.root}/holds)" ]\n', 0o700)
    desk.config(APP.format(probe=probe) + "validates = true\n")
    desk.init()
    desk.quick("set", "hooks", "--provider", "openclaw-hooks", stdin=b"first")
    desk.quick("configure", "hooks", "--consume", "app")
    desk.quick("backup", "copy")
    shutil.rmtree(desk.home / "data")
    desk.ok("restore", "copy", "--recovery-file", "code", "--key-file", "keys/new.key")
    desk.write("holds", holds)
    ran = desk.typed("restore", "--confirm", "--yes")
    assert word in ran.out and ran.code == code, ran


# --- nothing to deliver, targets of another host ----------------------------------------------------------------------


def test_inject_of_a_name_that_goes_nowhere_is_said(desk: Desk) -> None:
    rented(desk)
    desk.quick("set", "lonely", stdin=b"x")
    ran = desk.typed("inject", "lonely", "acme-api-key")
    assert ran.code == 2 and "lonely: nothing to deliver: it has no target" in ran.err
    assert "acme-api-key: delivered" in ran.out
    assert desk.typed("inject").code == 0  # nobody asked for it by name


def test_a_target_that_is_not_configured_here_does_not_block_the_confirmation(desk: Desk) -> None:
    rented(desk)
    desk.quick("backup", str(desk.root / "b"))
    file = desk.home / "clawsecrets.toml"
    file.write_text(file.read_text().replace('[injectors.out]\n', '[injectors.other]\n'))
    shutil.rmtree(desk.home / "data")
    desk.ok("restore", str(desk.root / "b"), "--recovery-file", str(desk.root / "code"), "--key-file",
            str(desk.root / "keys" / "second.key"))
    ran = desk.typed("restore", "--confirm", "--yes")
    assert ran.code == 0 and "confirmed" in ran.err, ran
    row = next(line for line in ran.out.splitlines() if line.startswith("acme-api-key"))
    assert "accepted" in row and "out" in row


# --- what is known, and what is not -----------------------------------------------------------------------------------


def test_the_age_of_an_imported_value_is_at_least_that(desk: Desk) -> None:
    desk.init()
    desk.write("app.env", "ANTHROPIC_API_KEY=sk-ant-api03-" + "A1b2C3d4E5" * 9 + "xyzAA\n")
    desk.ok("import", "app.env")
    desk.quick("set", "made-here", stdin=b"x")
    rows = {line.split()[0]: line for line in desk.ok("status").out.splitlines()}
    assert "≥" in rows["anthropic-api-key"] and "≥" not in rows["made-here"]
    found = {row["name"]: row["origin"] for row in json.loads(desk.ok("status", "--json").out)["secrets"]}
    assert found == {"anthropic-api-key": "import", "made-here": "set"}


def test_doctor_asks_the_consumers_and_names_what_waits(desk: Desk) -> None:
    rented(desk, APP.format(probe="false"))
    for name in ("p", "q", "r", "s", "t"):
        desk.quick("set", name, stdin=b"x")
    told = " ".join(desk.typed("doctor").out.split())
    assert "consumer app: NOT well" in told or "consumer app: not reachable" in told, told
    assert "delivered nowhere: p, q, r, s, t" in told
    with (desk.home / "clawsecrets.toml").open("a") as file:
        file.write('\n[consumers.worker]\nkind = "run"\n')
    desk.quick("configure", "q", "--consume", "worker")
    assert "delivered nowhere: p, r, s, t" in " ".join(desk.typed("doctor").out.split()), "`run` hands q over"
    desk.quick("configure", "r", "--consume", "worker@there")
    assert "delivered nowhere: p, s, t" in " ".join(desk.typed("doctor").out.split()), "on another host, too"
    desk.quick("configure", "acme-api-key", "--strategy", "assisted", "--no-consume", "app")
    assert desk.typed("rotate", "acme-api-key").code == 1
    assert "acme-api-key: its rotation waits for you: waiting for the new value" in desk.typed("doctor").out


def test_doctor_says_that_nobody_keeps_the_schedule(desk: Desk) -> None:
    rented(desk)
    desk.quick("configure", "acme-api-key", "--interval", "1d")
    said = "schedule: due and begun by nobody: acme-api-key"
    assert "schedule" not in desk.typed("doctor").out
    desk.later(86400 + 1800)
    assert said not in " ".join(desk.typed("doctor").out.split()), "the timer looks every hour"
    desk.later(2 * 86400)
    ran = desk.typed("doctor")
    told = " ".join(ran.out.split())
    assert said in told and "no daemon answers here" in told and "`rotate --due` from cron" in told and ran.code == 1
    desk.quick("pause", "acme-api-key", "--reason", "moving")
    assert "schedule" not in desk.typed("doctor").out, "a person holds it"
    desk.quick("resume", "acme-api-key")
    desk.ok("rotate", "--due", "--yes")
    assert "schedule" not in desk.typed("doctor").out


def test_a_version_closed_on_a_persons_word_has_no_date_of_death(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    fake.fault("revoke", "status", status=403, times=-1)
    fake.fault("test", "status", status=500, times=0)
    desk.typed("rotate", "acme-api-key")
    owed = json.loads(desk.typed("revocations", "--json").out)["revocations"]
    assert [item["version"] for item in owed] == [1]
    desk.ok("revocations", "resolve", "acme-api-key", "1")
    versions = {v["version"]: v for v in json.loads(desk.ok("history", "acme-api-key", "--json").out)["versions"]}
    assert versions[1]["dead_at"] == 0
    row = next(line for line in desk.ok("history", "acme-api-key").out.splitlines() if line.split()[0] == "1")
    assert row.split()[4] == "-"


# --- the dry run says what would happen -------------------------------------------------------------------------------


@pytest.mark.parametrize("consumer", ["", '[consumers.agent]\nkind = "run"\n'], ids=["nobody", "run"])
def test_a_dry_run_refuses_what_the_rotation_refuses(desk: Desk, consumer: str) -> None:
    desk.config(consumer)
    desk.init()
    desk.quick("set", "openclaw-hooks-token", "--provider", "openclaw-hooks", stdin=b"first-0123456789")
    if consumer:
        desk.quick("configure", "openclaw-hooks-token", "--consume", "agent")
    dry = desk.typed("rotate", "openclaw-hooks-token", "--dry-run", "--json")
    refused = [c["detail"] for c in json.loads(dry.out)["plans"][0]["checks"] if c["outcome"] == "refused"]
    ran = desk.typed("rotate", "openclaw-hooks-token")
    assert dry.code == ran.code == 4, (dry, ran)
    told = ran.everything
    assert told.count(refused[0]) == 1, (refused, told)
    assert "stage" not in told and "probe" not in told
    assert "clawsecrets configure openclaw-hooks-token --inject TARGET --consume TARGET" in told
    doctor = " ".join(desk.typed("doctor").out.split())
    assert "openclaw-hooks-token: it cannot be rotated as it is bound" in doctor


def test_a_dry_run_of_a_compromised_one_asks_what_stops_that(desk: Desk) -> None:
    rented(desk, APP.format(probe="false"))
    words = ("rotate", "acme-api-key", "--dry-run")
    assert desk.typed(*words).code == desk.typed("rotate", "acme-api-key").code == 4
    ran = desk.typed(*words, "--compromised")
    told = " ".join(ran.out.split())
    assert ran.code == 0 and "does not stop the replacement of a compromised one" in told, ran


def test_a_database_without_its_address_is_refused_before_a_person_makes_anything(desk: Desk) -> None:
    """The three commands of README without [providers.postgresql]."""
    desk.init()
    desk.quick("set", "postgresql-admin", "--provider", "postgresql-admin", stdin=b"admin-pw")
    desk.quick("set", "app-db", "--provider", "postgresql", stdin=b"postgresql://app_a:pw@db.example:5432/app")
    desk.quick("configure", "app-db", "--option", "role_a=app_a", "--option", "role_b=app_b")
    dry, ran = desk.typed("rotate", "app-db", "--dry-run"), desk.typed("rotate", "app-db")
    for told in (dry, ran):
        words = " ".join(told.everything.split())
        assert told.code == 4, told
        assert 'base_url = "postgresql://HOST[:PORT]/DATABASE" under [providers.postgresql]' in words
        assert str(desk.home / "clawsecrets.toml") in told.everything.replace("\n", "").replace(" ", "")
    assert "${" not in dry.out and "ROLE ?" not in dry.out, dry.out
    desk.quick("configure", "app-db", "--option", "role_a=", "--option", "role_b=")
    assert "ALTER ROLE (the one that was in use) NOLOGIN" in desk.typed("rotate", "app-db", "--dry-run").out
    desk.quick("configure", "app-db", "--option", "role_a=app_a", "--option", "role_b=app_b")
    assert desk.quick("get", "app-db", "--raw").out == "postgresql://app_a:pw@db.example:5432/app"
    desk.config('[providers.postgresql]\nbase_url = "postgresql://127.0.0.1:1/app"\n')
    assert "ROLE (the one that is not in use) LOGIN" in desk.ok("rotate", "app-db", "--dry-run").out


def test_an_untested_value_is_told_with_the_reason(desk: Desk) -> None:
    desk.init()
    desk.quick("set", "key", stdin=b"first-0123456789")
    told = desk.typed("rotate", "key", "--new-value-stdin", stdin=b"second-0123456789").everything
    assert "the new one was not tested: generic has no way to test a value" in " ".join(told.split()), told


def test_a_hooks_token_is_rotated_where_its_consumer_validates_it(desk: Desk) -> None:
    held, env = desk.root / "held", desk.root / "gw.env"
    probe = desk.write("bin/probe", f'#!/bin/sh\n[ "$(cat)" = "$(cat {held})" ]\n', 0o700)
    reload = desk.write("bin/reload", f"#!/bin/sh\n. {env}\nprintf %s \"$OPENCLAW_HOOKS_TOKEN\" > {held}\n", 0o700)
    desk.config(f'[injectors.env]\nkind = "env-file"\npath = "{env}"\ndialect = "shell"\n[consumers.gateway-hooks]\n'
                f'kind = "command"\nreload = ["{reload}"]\nprobe = ["{probe}"]\nvalidates = true\nreads = ["env"]\n')
    desk.init()
    desk.quick("set", "openclaw-hooks-token", "--provider", "openclaw-hooks", stdin=b"first-0123456789")
    desk.quick("configure", "openclaw-hooks-token", "--inject", "env", "--consume", "gateway-hooks")
    desk.quick("inject", "openclaw-hooks-token")
    ran = desk.typed("rotate", "openclaw-hooks-token")
    assert ran.code == 4 and "restart or reload it once" in ran.everything, ran
    held.write_text("first-0123456789")
    desk.ok("rotate", "openclaw-hooks-token", "--dry-run")
    assert "openclaw-hooks-token: rotated" in desk.ok("rotate", "openclaw-hooks-token").out
    assert held.read_text() == desk.quick("get", "openclaw-hooks-token", "--raw").out != "first-0123456789"


def test_that_a_person_ends_the_old_one_by_making_a_new_one_is_announced(desk: Desk) -> None:
    desk.init()
    desk.quick("set", "telegram-bot-token", "--provider", "telegram", stdin=b"123456789:AA" + b"x1Y2z" * 6 + b"abc")
    dry = " ".join(desk.ok("rotate", "telegram-bot-token", "--dry-run").out.split())
    assert "BotFather; that ends the old one at once" in dry, dry
    assert "revoke-old nothing to call: making the new one has ended it" in dry, dry
    assert desk.typed("rotate", "telegram-bot-token").code == 1
    ran = desk.ok("rotations", "abort", "telegram-bot-token")
    assert "still in use" not in ran.everything and "not rotated; the old one is kept" in ran.out
    assert "that has ended the old one: give it: clawsecrets rotate telegram-bot-token --new-value-stdin" in ran.err


# --- revocations that wait for a person -------------------------------------------------------------------------------


def test_a_retry_says_what_it_did_not_try_and_which_command_ends_it(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    desk.quick("delete", "acme-admin")
    fresh = fake.seed("acme", "by a person").value
    assert desk.typed("rotate", "acme-api-key", "--new-value-stdin", stdin=fresh.encode()).code == 1
    assert desk.typed("revocations").code == 1
    for words in ((), ("acme-api-key",)):
        ran = desk.typed("revocations", "retry", *words)
        assert ran.code == 1 and "acme-api-key version 1: not tried: its rotation waits for you" in ran.err, ran
        assert "clawsecrets rotations resume acme-api-key" in ran.err
    answer = desk.typed("revocations", "retry", "--json")
    left = json.loads(answer.out)["left"]
    assert answer.code == 1 and [(item["version"], item["command"]) for item in left] == [
        (1, "clawsecrets rotations resume acme-api-key")]
    doctor = desk.typed("doctor").out
    assert "clawsecrets rotations resume acme-api-key" in doctor and "revocations retry" not in doctor
    for item in fake.live("acme").values():
        if item.value != fresh:
            fake.bank.kill(item.handle)
    desk.ok("rotations", "resume", "acme-api-key")
    ran = desk.ok("revocations", "retry", "acme-api-key")
    assert ran.err == "nothing is owed\n"


def test_a_retry_that_does_not_end_it_says_what_does(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    fake.fault("revoke", "status", status=403, times=-1)
    assert desk.typed("rotate", "acme-api-key").code == 1
    ran = desk.typed("revocations", "retry", "acme-api-key")
    assert ran.code == 1 and "clawsecrets revocations resolve acme-api-key 1" in ran.err, ran
    assert "clawsecrets revocations retry acme-api-key" in desk.typed("doctor").out


def test_a_retry_tries_nothing_of_a_backup_that_is_not_confirmed(desk: Desk) -> None:
    """What the store owes may be older than what the provider has: a person looks first."""
    fake = rented(desk).fake
    assert fake is not None
    fake.fault("revoke", "status", status=403)
    assert desk.typed("rotate", "acme-api-key").code == 1
    desk.quick("backup", "copy")
    shutil.rmtree(desk.home / "data")
    desk.ok("restore", "copy", "--recovery-file", "code", "--key-file", "keys/new.key")
    live = len(fake.live("acme"))
    ran = desk.typed("revocations", "retry")
    why = "acme-api-key version 1: not tried: it comes from a restored backup that is not confirmed"
    assert ran.code == 1 and why in ran.err and "it goes on with: clawsecrets restore --confirm" in ran.err, ran
    assert len(fake.live("acme")) == live == 2
    desk.ok("restore", "--confirm", "--yes")
    desk.ok("revocations", "retry")
    assert len(fake.live("acme")) == 1


def test_what_an_abort_names_brings_its_debt_on(desk: Desk) -> None:
    fake = rented(desk).fake
    assert fake is not None
    desk.quick("configure", "acme-api-key", "--grace", "1h")
    assert desk.typed("rotate", "acme-api-key").code == 1
    fake.fault("revoke", "status", status=429, times=-1)
    ran = desk.typed("rotations", "abort", "acme-api-key")
    assert ran.code == 1 and "it goes on with: clawsecrets rotations resume acme-api-key" in ran.err, ran
    assert "revocations retry" not in ran.err
    retried = desk.typed("revocations", "retry", "acme-api-key")
    assert "it goes on with: clawsecrets rotations resume acme-api-key" in retried.err, retried
    fake.clear()
    ran = desk.typed("rotations", "resume", "acme-api-key")
    assert "not rotated; the old one is still in use" in ran.out and "revocations" not in ran.err, ran
    assert desk.typed("revocations").code == 0


# --- quickstart -----------------------------------------------------------------------------------------------------


def test_quickstart_says_how_clawsecrets_comes_onto_the_path(desk: Desk) -> None:
    """`make run` starts it by its path: the commands that it prints could not be typed."""
    desk.write(".env", "GROQ_API_KEY=gsk_hT7kQ2mZ9xV4bN6cL1jR8wP3sD5fG0yUeIoAaBbCcDdEeFfGgHh\n")
    line = f"export PATH={SCRIPT.parent}:$PATH"
    assert line not in desk.ok("quickstart", "--yes").everything
    desk.env["PATH"] = "/usr/bin:/bin"
    assert line in desk.ok("quickstart", "--yes").everything


def test_quickstart_hands_over_the_bundle_as_it_is_configured(desk: Desk) -> None:
    desk.write(".openclaw/openclaw.json", '{"gateway": {"auth": {"token": "' + "0f1e2d3c4b5a6978" * 3 + '"}}}')
    bundle = desk.root / "elsewhere" / "refs"
    desk.config(f'[injectors.openclaw-refs]\nkind = "resolver-bundle"\npath = "{bundle}"\n')
    ran = desk.ok("quickstart", "--yes")
    assert bundle.is_file() and f"--provider-arg {bundle} --provider-json-only" in ran.err, ran
