"""adopt, on a small deployment and a stand-in for OpenClaw's commands: plan, kill and resume, proof, undo, refusals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clawsecrets.adopting.documents import replace_file
from clawsecrets.adopting.plan import Plan
from clawsecrets.errors import ConfigError
from clawsecrets.model.value import SecretValue
from clawsecrets.wiring.adopting import openclaw, state_folder, survey
from tests.adopting.small import STEPS, VALUES, Small
from tests.cli.desk import SCRIPT, Desk
from tests.shut import shut
from tests.waiting import LONG


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    SCRIPT.chmod(0o755)
    with Desk(tmp_path) as desk:
        yield Small(desk)


def value_of(small: Small, name: str) -> str:
    return small.desk.quick("get", name, "--raw").out


def stored(small: Small) -> set[str]:
    names = [one["name"] for one in json.loads(small.desk.ok("list", "--json").out)["secrets"]]
    return {value_of(small, name) for name in names if not name.startswith("openclaw-adoption")}


def killed_at(small: Small, step: str, *more: str) -> None:
    process = subprocess.Popen([str(SCRIPT), *small.words("--apply", *more)], env=small.desk.env, cwd=small.desk.root,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"adopt: {step} "):
            break
    else:
        raise AssertionError(f"it never came to {step}")
    process.send_signal(signal.SIGKILL)
    process.stderr.close()
    process.wait(LONG)


def test_a_dry_run_changes_nothing_and_shows_no_value(small: Small) -> None:
    before = small.contents()
    ran = small.adopt()
    assert ran.code == 0
    assert ran.err.count("openclaw-hooks-token cannot be rotated as it is bound") == 1
    assert ran.err.count("cannot be rotated") == 1, "the gateway's own token becomes a SecretRef"
    assert small.contents() == before
    assert not any(value in ran.everything for value in VALUES.values())
    moves = {move["where"].partition(": ")[2]: move["way"]
             for move in json.loads(small.adopt("--json").out)["moves"]}
    assert moves["gateway.auth.token"] == "secret reference, by plan"
    assert moves["agents.defaults.sandbox.ssh.identityData"] == "secret reference, by config set"
    assert moves["hooks.token"] == "${VARIABLE}"
    assert moves["env.vars.GROQ_API_KEY"] == "environment variable"
    assert len(moves) == len(VALUES)


def test_afterwards_no_value_is_left_and_all_are_in_the_store(small: Small) -> None:
    ran = small.adopt("--apply")
    assert ran.code == 0, ran
    assert small.left() == []
    assert stored(small) == set(VALUES.values())
    assert (small.state / ".env").read_text() == "# kept\nTZ=UTC\n"
    config = json.loads(small.config.read_text())
    assert config["hooks"]["token"] == "${CLAW_OPENCLAW_HOOKS_TOKEN}"
    assert config["env"]["vars"] == {}
    assert "keyRef" in small.rows()[0][0]
    assert "--secret" in ran.err
    assert ran.err.count("cannot be rotated as it is bound") == 1, ran.err
    assert "clawsecrets configure openclaw-hooks-token --strategy assisted" in ran.err
    again = small.adopt("--apply")
    assert (again.code, "nothing to move" in again.err) == (0, True)


def test_references_are_answered_by_the_resolver(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    config = json.loads(small.config.read_text())
    provider = config["secrets"]["providers"]["clawsecrets"]
    name = config["gateway"]["auth"]["token"]["id"]
    asked = json.dumps({"protocolVersion": 1, "provider": "clawsecrets", "ids": [name]})
    done = subprocess.run([provider["command"], *provider["args"]], env={}, input=asked, capture_output=True,
                          text=True, timeout=LONG, check=True)
    assert json.loads(done.stdout)["values"][name] == VALUES["gateway"]


def test_a_bundle_that_is_kept_elsewhere_is_the_one_that_openclaw_is_pointed_at(small: Small) -> None:
    bundle = small.desk.root / "elsewhere" / "refs"
    small.desk.config(f'[injectors.openclaw-refs]\nkind = "resolver-bundle"\npath = "{bundle}"\n')
    assert small.adopt("--apply").code == 0
    provider = json.loads(small.config.read_text())["secrets"]["providers"]["clawsecrets"]
    assert provider["args"][-1] == str(bundle) and bundle.is_file()


def test_a_target_of_that_name_that_is_no_bundle_is_refused_before_anything_changes(small: Small) -> None:
    before = small.contents()
    small.desk.config(f'[injectors.openclaw-refs]\nkind = "directory"\npath = "{small.desk.root}/files"\n')
    for words in ((), ("--apply",)):
        ran = small.adopt(*words)
        assert (ran.code, "[injectors.openclaw-refs] is no resolver-bundle" in ran.err) == (2, True), ran
    assert small.contents() == before


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_it_is_gone_on_with(small: Small, step: str) -> None:
    killed_at(small, step)
    on_disk = {word for word in VALUES if any(line.endswith(f": {word}") for line in small.left())}
    assert all(word in on_disk or value in stored(small) for word, value in VALUES.items()), "a value was lost"
    assert small.desk.forked(*small.words()).code == (step != "capture"), "at its first step it is planned anew"
    assert small.adopt("--apply").code == 0
    assert small.left() == []
    assert stored(small) == set(VALUES.values())
    assert "openclaw-adoption" not in small.desk.run("doctor").everything


def test_undo_puts_back_every_byte(small: Small) -> None:
    before, rows = small.contents(), small.rows()
    assert small.adopt("--apply").code == 0
    assert small.adopt("--undo").code == 0
    assert small.contents() == before
    assert [json.loads(row[0]) if row[0][0] == "{" else row[0] for row in small.rows()] == [
        json.loads(row[0]) if row[0][0] == "{" else row[0] for row in rows]
    assert stored(small) == set(VALUES.values())
    assert small.adopt("--undo").code == 0


def test_undo_of_one_that_was_killed_in_the_middle(small: Small) -> None:
    before = small.contents()
    killed_at(small, "purge")
    assert small.adopt("--undo").code == 0
    after = small.contents()
    assert {name: after.get(name) for name in before} == before


def test_undo_after_a_change_puts_back_the_fields_alone(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    config = json.loads(small.config.read_text())
    config["gateway"]["port"] = 60
    small.config.write_text(json.dumps(config))
    ran = small.adopt("--undo")
    assert (ran.code, "was changed since" in ran.err) == (0, True)
    config = json.loads(small.config.read_text())
    assert (config["gateway"]["port"], config["gateway"]["auth"]["token"]) == (60, VALUES["gateway"])


def test_what_undoes_it_is_gone_after_seven_days(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    small.desk.later(8 * 86400)
    ran = small.adopt("--undo")
    assert ran.code != 0
    assert "7 days" in ran.err
    versions = json.loads(small.desk.ok("history", "openclaw-adoption-undo", "--json").out)["versions"]
    assert all(version["erased_at"] for version in versions)


def test_a_running_gateway_is_refused_unless_something_stops_it(small: Small) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = json.loads(small.config.read_text())
        config["gateway"]["port"] = server.getsockname()[1]
        small.config.write_text(json.dumps(config))
        before = small.contents()
        ran = small.adopt("--apply")
        assert (ran.code, "--stop-command" in ran.err) == (2, True)
        assert small.contents() == before


def test_commands_that_stop_and_start_are_run(small: Small) -> None:
    ran = small.adopt("--apply", "--stop-command", "false", "--start-command", "false")
    assert ran.code == 4  # it was not running, so nothing stopped it; then starting it failed
    assert "--start-command ended with 1" in ran.err
    assert small.left() == []


def test_another_value_in_the_store_is_refused_before_anything_changes(small: Small) -> None:
    small.desk.ok("set", "openclaw-gateway-token", "--provider", "openclaw-gateway", stdin=b"another-value-0123456789")
    before = small.contents()
    ran = small.adopt("--apply")
    assert (ran.code, "another value" in ran.err) == (2, True)
    assert small.contents() == before


def test_an_older_value_on_disk_becomes_a_reference_to_the_current_one(small: Small) -> None:
    small.desk.ok("import", str(small.config))
    small.desk.ok("set", "openclaw-gateway-token", "--replace", stdin=b"the-newer-value-0123456789")
    assert small.adopt("--apply").code == 0
    assert small.left() == []
    assert value_of(small, "openclaw-gateway-token") == "the-newer-value-0123456789"


def test_variables_go_into_a_file_in_memory(small: Small, tmp_path: Path) -> None:
    inside = small.adopt("--apply", "--env-file", str(small.state / "x.env"))
    assert (inside.code, "inside the state folder" in inside.err) == (2, True)
    folder = Path("/dev/shm") / f"clawsecrets-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        ran = small.adopt("--apply", "--env-file", str(folder / "openclaw.env"))
        assert ran.code == 0, ran
        text = (folder / "openclaw.env").read_text()
        assert VALUES["hooks"] in text and VALUES["groq"] in text and VALUES["gateway"] not in text
        assert f"EnvironmentFile={folder}/openclaw.env" in ran.err
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_plaintext_that_is_left_is_told_and_is_not_success(small: Small) -> None:
    config = json.loads(small.config.read_text())
    config["agents"]["defaults"]["note"] = f"the gateway's token is {VALUES['gateway']}"
    small.config.write_text(json.dumps(config))
    ran = small.adopt("--apply")
    assert (ran.code, f"still holds plaintext: {small.config}" in ran.err) == (1, True)
    open_step = f"is open at its step `purge`; go on with it: clawsecrets adopt {small.state} --apply"
    looked = small.adopt()
    assert (looked.code, open_step in looked.err, "dry run" in looked.err) == (1, True, False), looked
    asked = small.adopt("--json")
    assert (asked.code, open_step in json.loads(asked.out)["notes"][-1]) == (1, True), asked
    config = json.loads(small.config.read_text())
    config["agents"]["defaults"]["note"] = "mended"
    small.config.write_text(json.dumps(config))
    assert small.adopt("--apply").code == 0
    assert small.left() == []
    assert small.adopt().code == 0


def test_a_folder_that_cannot_be_listed_ends_it_before_anything_is_done(
        small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = small.state / "agents/main"
    hidden.mkdir(parents=True)
    (hidden / "openclaw.json.bak").write_text(small.config.read_text())
    values = [SecretValue(value) for value in VALUES.values()]
    nothing = Plan(str(small.state), str(small.config))
    assert str(hidden / "openclaw.json.bak") in state_folder(small.state, values, nothing).left()
    shut(monkeypatch, hidden)
    looks = state_folder(small.state, values, nothing)
    for look in (looks.left, looks.clear, lambda: list(looks.dirty()),
                 lambda: survey(small.state, small.config, openclaw(["false"], small.state, small.config), [],
                                lambda candidate: False)):
        with pytest.raises(ConfigError, match=f"{hidden}: cannot be looked at: Permission denied") as caught:
            look()
        assert "as the user that owns it" in caught.value.hint


def test_a_link_stays_and_what_it_leads_to_is_changed(small: Small) -> None:
    for name in (".env", "openclaw.json"):
        (small.state / name).rename(small.desk.root / f"dot{name}")
        (small.state / name).symlink_to(small.desk.root / f"dot{name}")
    before = (small.desk.root / "dot.env").read_bytes()
    assert small.adopt("--apply").code == 0
    assert small.left() == []
    assert (small.state / ".env").is_symlink()
    assert VALUES["variable"] not in (small.desk.root / "dot.env").read_text()
    assert small.adopt("--undo").code == 0
    assert (small.state / ".env").is_symlink()
    assert (small.desk.root / "dot.env").read_bytes() == before


def test_a_folder_and_a_database_that_are_linked_in_are_cleared_too(small: Small) -> None:
    away = small.desk.root / "big-disk"
    away.mkdir()
    (small.state / "state").rename(away / "state")
    (small.state / "state").symlink_to(away / "state")
    (away / "state/openclaw.sqlite").rename(away / "real.sqlite")
    (away / "state/openclaw.sqlite").symlink_to(away / "real.sqlite")
    (away / "state/x.bak").write_text(VALUES["gateway"])
    with contextlib.closing(sqlite3.connect(small.database)) as connection:
        connection.execute("INSERT INTO messages (body) VALUES (?)", (f"in the log: {VALUES['hooks']}",))
        connection.commit()
        assert small.adopt("--apply").code == 0
    assert (small.left(), (away / "state/x.bak").exists()) == ([], False)
    assert not any(value.encode() in path.read_bytes() for path in away.rglob("*") if path.is_file()
                   for value in VALUES.values())


def test_what_a_linked_backup_holds_is_told_and_not_touched(small: Small) -> None:
    kept = small.desk.write("elsewhere/old.json", VALUES["gateway"])
    (small.state / "openclaw.json.bak.7").symlink_to(kept)
    ran = small.adopt("--apply")
    assert (ran.code, kept.read_text()) == (1, VALUES["gateway"])
    assert f"still holds plaintext: {small.state}/openclaw.json.bak.7" in ran.err
    kept.unlink()
    assert small.adopt("--apply").code == 0


def test_the_other_name_of_a_file_is_told(small: Small) -> None:
    os.link(small.state / ".env", small.desk.root / "other")
    ran = small.adopt("--apply")
    assert f"find / -xdev -inum {os.stat(small.desk.root / 'other').st_ino}" in ran.err


def test_a_database_that_is_locked_is_told_and_gone_on_with(small: Small) -> None:
    with contextlib.closing(sqlite3.connect(small.database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        ran = small.adopt("--apply")
        assert (ran.code, f"{small.database}: database is locked" in ran.err) == (4, True), ran
    assert small.adopt("--apply").code == 0
    assert small.left() == []


def test_undo_overwrites_nothing_newer_however_often(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    (small.state / ".env").write_text("TZ=CET\nLATER=1")
    config = json.loads(small.config.read_text())
    config["models"]["providers"]["openai"]["apiKey"] = "newer-key"
    config["env"] = {}
    small.config.write_text(json.dumps(config))
    for _ in range(2):
        assert small.adopt("--undo").code == 0
        assert (small.state / ".env").read_text() == f"TZ=CET\nLATER=1\nMY_TOOL_TOKEN=\"{VALUES['variable']}\"\n"
        config = json.loads(small.config.read_text())
        assert config["models"]["providers"]["openai"]["apiKey"] == "newer-key"
        assert config["gateway"]["auth"]["token"] == VALUES["gateway"]
        assert config["env"] == {"vars": {"GROQ_API_KEY": VALUES["groq"]}}


def test_after_an_undo_a_second_one_leaves_what_was_changed_since(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    assert small.adopt("--undo").code == 0
    config = json.loads(small.config.read_text())
    config["hooks"]["token"] = "newer-token"
    small.config.write_text(json.dumps(config))
    (small.state / ".env").write_text("MY_TOOL_TOKEN=newer\n")
    assert small.adopt("--undo").code == 0
    assert json.loads(small.config.read_text()) == config
    assert (small.state / ".env").read_text() == "MY_TOOL_TOKEN=newer\n"


def test_undo_of_one_that_was_killed_keeps_what_was_changed_since(small: Small) -> None:
    killed_at(small, "profiles")
    config = json.loads(small.config.read_text())
    config["gateway"]["port"] = 60
    small.config.write_text(json.dumps(config))
    with (small.state / "gateway.log").open("a") as log:
        log.write("a newer line\n")
    ran = small.adopt("--undo")
    assert (ran.code, "was changed since" in ran.err) == (0, True)
    config = json.loads(small.config.read_text())
    assert (config["gateway"]["port"], config["gateway"]["auth"]["token"]) == (60, VALUES["gateway"])
    assert (small.state / "gateway.log").read_text().endswith("a newer line\n")


def test_a_text_that_its_table_lets_nobody_mask_is_told_and_left(small: Small) -> None:
    with contextlib.closing(sqlite3.connect(small.database)) as connection, connection:
        connection.execute("CREATE TABLE strict (key TEXT CHECK (key GLOB 'sk-*'))")
        connection.execute("INSERT INTO strict VALUES (?)", (VALUES["model"],))
    ran = small.adopt("--apply")
    assert (ran.code, f"still holds plaintext: {small.database}" in ran.err, "(table strict)" in ran.err) == (1, True,
                                                                                                            True), ran
    assert VALUES["model"] not in ran.everything
    with contextlib.closing(sqlite3.connect(small.database)) as connection, connection:
        connection.execute("DROP TABLE strict")
    assert small.adopt("--apply").code == 0
    assert small.left() == []


def test_undo_without_the_database_puts_back_the_rest_and_tells(small: Small) -> None:
    before = small.contents()
    assert small.adopt("--apply").code == 0
    small.database.unlink()
    ran = small.adopt("--undo")
    assert (ran.code, f"{small.database}: is not there any more" in ran.err) == (0, True), ran
    assert small.contents() == before
    assert "nothing to move" not in small.adopt("--apply").err, "it was undone: a new adoption begins"


def test_a_file_that_comes_back_belongs_to_whom_its_folder_does(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    real = os.stat

    def stat(path: Any, **how: Any) -> Any:
        found = real(path, **how)
        return SimpleNamespace(st_mode=found.st_mode, st_uid=7, st_gid=8)

    monkeypatch.setattr(os, "stat", stat)
    replace_file(str(tmp_path / "openclaw.json.bak"), b"{}", 0o600)
    replace_file(str(tmp_path / "openclaw.json.bak"), b"[]")
    assert given == [(7, 8), (7, 8)]


def test_a_file_that_is_too_large_to_be_changed_hinders_nothing_and_is_told(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawsecrets.adopting.documents.MOST", 1000)
    monkeypatch.setattr("clawsecrets.adopting.clearing.PIECE", 400)
    monkeypatch.setattr("clawsecrets.adopting.clearing.OVERLAP", 100)
    value = VALUES["gateway"].encode()
    (tmp_path / "clean.bin").write_bytes(b"x" * 5000)
    for before in range(340, 410):
        (tmp_path / "held.log").write_bytes(b"x" * before + value + b"y" * 2000)
        folder = state_folder(tmp_path, [SecretValue(value)], Plan(str(tmp_path), ""))
        assert folder.clear() == []
        assert folder.left() == [str(tmp_path / "held.log")]
        assert value in (tmp_path / "held.log").read_bytes()


def test_what_was_changed_between_a_kill_and_the_end_is_kept_by_undo(small: Small) -> None:
    killed_at(small, "profiles")
    config = json.loads(small.config.read_text())
    config["gateway"]["port"] = 60
    small.config.write_text(json.dumps(config))
    assert small.adopt("--apply").code == 0
    assert "was changed since" in small.adopt("--undo").err
    config = json.loads(small.config.read_text())
    assert (config["gateway"]["port"], config["gateway"]["auth"]["token"]) == (60, VALUES["gateway"])
