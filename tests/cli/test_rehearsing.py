"""rotate --dry-run beside the rotation itself: the same words and exit code where that would do nothing, and what an
unfinished one would go on with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import canary
from tests.cli.desk import Desk, Ran
from tests.fake_provider import FakeProvider

KEY = "acme-api-key"
GIVEN = b"acme_live_0123456789"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        yield made


def rented(desk: Desk, *words: str) -> FakeProvider:
    """acme-api-key of the fake provider with a folder to deliver to; `words` configure it."""
    fake = desk.provider(f'[injectors.out]\nkind = "directory"\npath = "{desk.root}/out"\n'
                         '[consumers.app]\nkind = "command"\nprobe = ["true"]\n')
    desk.init()
    desk.seeded()
    desk.quick("configure", KEY, "--inject", "out", *words)
    return fake


def rehearsed(desk: Desk, *words: str, stdin: bytes = b"") -> tuple[Ran, dict[str, Any]]:
    """The dry run, in words and as JSON, which agree and change nothing."""
    before = desk.quick("show", KEY, "--json").out
    ran = desk.typed("rotate", KEY, *words, "--dry-run", stdin=stdin)
    document = desk.typed("rotate", KEY, *words, "--dry-run", "--json", stdin=stdin)
    assert ran.code == document.code, (ran, document)
    assert desk.quick("show", KEY, "--json").out == before
    assert not stdin or not canary.search(f"{ran.everything}{document.everything}".encode(), stdin)
    [plan] = json.loads(document.out)["plans"]
    return ran, plan


def same(desk: Desk, code: int, *words: str, stdin: bytes = b"") -> tuple[Ran, dict[str, Any]]:
    """What the dry run says, which is what the rotation says: nothing of it is done."""
    dry, plan = rehearsed(desk, *words, stdin=stdin)
    ran = desk.typed("rotate", KEY, *words, *(["--yes"] if "--compromised" in words else []), stdin=stdin)
    assert (dry.code, dry.out, dry.err) == (ran.code, ran.out, ran.err) and ran.code == code, (dry, ran)
    assert plan["steps"] == []
    return ran, plan


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_restored_store_that_is_not_confirmed(desk: Desk) -> None:
    rented(desk)
    desk.ok("backup", "copy")
    for part in ("data", "state"):
        shutil.rmtree(desk.home / part)
    desk.ok("restore", "copy", "--recovery-file", "code", "--key-file", "keys/new.key")
    ran, plan = same(desk, 2)
    assert "waits for your confirmation" in ran.err and "clawsecrets restore --confirm" in ran.err
    assert [check["outcome"] for check in plan["checks"]] == ["refused"]
    assert "waits for your confirmation" in plan["checks"][0]["detail"]


def test_a_held_copy_of_a_store(desk: Desk) -> None:
    rented(desk)
    other = f"sqlite://{desk.root}/other/store.db"
    desk.ok("init", "--store", other, "--key-file", str(desk.root / "other-key"), "--no-recovery")
    desk.ok("store", "copy", "--to", other)
    ran, _ = same(desk, 2, "--store", other)
    assert "is kept in another store" in ran.err
    assert rehearsed(desk)[0].code == 0


@pytest.mark.parametrize("number", ["7", "-1"])
def test_a_version_that_never_was(desk: Desk, number: str) -> None:
    rented(desk)
    ran, _ = same(desk, 2, "--from-version", number)
    assert f"{KEY} has no version {number}" in ran.err and "version 1 is current" in ran.err


def test_a_value_that_the_strategy_does_not_take(desk: Desk) -> None:
    rented(desk)
    ran, _ = same(desk, 2, "--new-value-stdin", stdin=GIVEN)
    assert "is rotated by itself (overlap): it takes no value from a person" in ran.err
    ran, plan = rehearsed(desk, "--from-version", "1")
    assert ran.code == 0 and plan["steps"] and not plan["already"] and plan["unfinished"] == ""


def test_one_that_was_rotated_already(desk: Desk) -> None:
    rented(desk, "--consume", "app")
    assert desk.typed("rotate", KEY).code == 0
    ran, plan = same(desk, 0, "--from-version", "1")
    assert "already rotated (version 2 is current)" in ran.out and plan["already"]
    ran, _ = same(desk, 1, "--from-version", "1", "--new-value-stdin", stdin=GIVEN)
    assert "was not taken" in ran.err


def test_what_cannot_be_asked_of_one_keeps_the_others_from_nothing(desk: Desk) -> None:
    rented(desk, "--consume", "app")
    desk.seeded(name="acme-second")
    desk.quick("configure", "acme-second", "--inject", "out", "--consume", "app")
    file = desk.home / "clawsecrets.toml"
    whole = file.read_text()
    file.write_text(f'{whole}[injectors.gone]\nkind = "directory"\npath = "{desk.root}/gone"\n')
    desk.quick("configure", KEY, "--inject", "gone")
    file.write_text(whole)
    dry = desk.typed("rotate", KEY, "acme-second", "--dry-run")
    document = json.loads(desk.typed("rotate", KEY, "acme-second", "--dry-run", "--json").out)
    planned = {plan["secret"]: bool(plan["steps"]) for plan in document["plans"]}
    assert planned == {KEY: False, "acme-second": True}
    ran = desk.typed("rotate", KEY)
    assert dry.code == ran.code == 2 and ran.err == dry.err and "gone" in dry.err, (dry, ran)


# --- an unfinished one ------------------------------------------------------------------------------------------------


def steps(plan: dict[str, Any]) -> list[str]:
    return [item["step"] for item in plan["steps"]]


def test_one_that_waits_for_a_person_goes_on_from_there(desk: Desk) -> None:
    rented(desk, "--strategy", "assisted")
    assert desk.typed("rotate", KEY).code == 1
    ran, plan = rehearsed(desk)
    assert ran.code == 0 and plan["unfinished"] == "waiting for the new value"
    assert steps(plan)[:2] == ["obtain", "test"] and "announce" not in ran.out
    assert "goes on with the rotation that was begun: waiting for the new value" in " ".join(ran.out.split())
    desk.quick("configure", KEY, "--strategy", "default")
    assert steps(rehearsed(desk)[1])[:2] == ["obtain", "test"], "it ends as it began"


def test_one_that_revokes_the_old_one_goes_on_with_that(desk: Desk) -> None:
    fake = rented(desk, "--consume", "app")
    fake.fault("revoke", "status", status=429, times=-1)
    assert desk.typed("rotate", KEY).code == 1
    _, plan = rehearsed(desk)
    assert steps(plan) == ["revoke-old", "prove-dead"] and "still has to be revoked" in plan["unfinished"]
    assert [check["detail"] for check in plan["checks"]] == ["store: writable"]
    _, plan = rehearsed(desk, "--compromised")
    assert steps(plan) == ["revoke-old", "prove-dead"]


def backing_out(desk: Desk) -> None:
    """The rotation is on its way back, and cannot revoke the new one yet."""
    fake = rented(desk, "--consume", "app", "--grace", "1h")
    assert desk.typed("rotate", KEY).code == 1
    fake.fault("revoke", "status", status=429, times=-1)
    assert desk.typed("rotations", "abort", KEY).code == 1


def test_one_on_its_way_back_ends_before_a_compromised_one_is_replaced(desk: Desk) -> None:
    backing_out(desk)
    _, plan = rehearsed(desk)
    assert steps(plan) == ["revoke-new"] and plan["unfinished"] == "unfinished (undoing)"
    ran, plan = rehearsed(desk, "--compromised")
    assert steps(plan)[:3] == ["revoke-new", "announce", "create"]
    assert "then one is begun for the compromised value" in " ".join(ran.out.split())


def test_a_stuck_one_is_said_as_it_is(desk: Desk) -> None:
    fake = rented(desk, "--consume", "app")
    fake.fault("create", "lose", times=-1)
    fake.fault("list", "status", status=403, times=-1)
    assert desk.typed("rotate", KEY).code == 5
    ran, plan = same(desk, 5)
    assert plan["unfinished"] == "stuck: a person must decide" and "rotations resume" in ran.err
