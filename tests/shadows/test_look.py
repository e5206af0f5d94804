"""The shadow check on a state folder of OpenClaw's kind, and on what else a host reads."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.model.secret import SecretValue
from clawsecrets.model.shadow import Looked, Sought
from clawsecrets.scan.literals import Literals
from clawsecrets.shadows.look import HostShadows
from clawsecrets.wiring.shadows import included, leaves
from tests.shut import shut

OLD = "old-token-8f3a61c07d"
OTHER = "another-thing-entirely"
NAME = "openclaw-gateway-token"
PROVIDED = {"providers": {"clawsecrets": {"source": "exec", "command": "/usr/bin/clawsecrets"}}}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    (folder / "agents/main/agent").mkdir(parents=True)
    (folder / "state").mkdir()
    return folder


def look(state: Path, *, value: str = OLD, root: str = "/nowhere", processes: bool = False,
         files: tuple[str, ...] = (), configs: tuple[str, ...] = (), delivered: bool = True) -> Looked:
    looks = HostShadows([str(state)], [str(state.parent / "home")], Literals, leaves, configs, files,
                        processes=processes, root=root, includes=included, delivered=lambda _: delivered)
    return looks.look([Sought(NAME, SecretValue(value))])


def places(found: Looked, *, live: bool) -> list[str]:
    return [shadow.where for shadow in found.shadows if shadow.live is live]


def database(path: Path, table: str, content: str, *, open_log: bool = False) -> sqlite3.Connection:
    made = sqlite3.connect(path)
    made.execute("PRAGMA journal_mode=WAL")
    made.execute("PRAGMA wal_autocheckpoint=0")
    made.execute(f"CREATE TABLE {table} (id TEXT, value TEXT)")
    made.execute(f"INSERT INTO {table} VALUES ('a', ?)", (content,))
    made.commit()
    if not open_log:
        made.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return made


def test_a_field_of_the_configuration_is_named_with_the_command_that_mends_it(state: Path) -> None:
    (state / "openclaw.json").write_text(json.dumps({"gateway": {"auth": {"token": OLD}}, "secrets": PROVIDED}))
    found = look(state)
    assert places(found, live=True) == [f"{state}/openclaw.json: gateway.auth.token"]
    assert found.shadows[0].mend == ("openclaw config set gateway.auth.token --ref-source exec --ref-provider "
                                     f"clawsecrets --ref-id {NAME}")
    assert OLD not in repr(found)


def test_a_reference_that_nobody_would_answer_is_not_told(state: Path) -> None:
    """Without our provider in the configuration, or without the secret in a bundle, the gateway would get no value."""
    config = {"gateway": {"auth": {"token": OLD}}}
    (state / "openclaw.json").write_text(json.dumps(config))
    assert [one.mend for one in look(state).shadows] == ["clawsecrets adopt --apply"]
    assert [one.mend for one in known(state).shadows] == ["clawsecrets adopt --apply"]
    (state / "openclaw.json").write_text(json.dumps({**config, "secrets": PROVIDED}))
    assert "--ref-provider" in known(state).shadows[0].mend
    assert [one.mend for one in look(state, delivered=False).shadows] == ["clawsecrets adopt --apply"]


def known(state: Path) -> Looked:
    """As `look`, of a value that was erased."""
    looks = HostShadows([str(state)], [str(state.parent / "home")], Literals, leaves, processes=False, root="/nowhere")
    return looks.known(lambda value: NAME if value == SecretValue(OLD) else "")


def test_a_field_that_takes_text_only_is_mended_by_adopt(state: Path) -> None:
    (state / "openclaw.json").write_text(json.dumps({"hooks": {"token": OLD}}))
    assert look(state).shadows[0].mend == "clawsecrets adopt --apply"


@pytest.mark.parametrize("content", [f"// was {OLD}\n{{}}", f"{{ not json {OLD}", json.dumps({OLD: 1}),
                                     json.dumps({"mcp": {"headers": {"Authorization": f"Bearer {OLD}"}}})])
def test_it_is_found_in_a_configuration_wherever_it_stands(state: Path, content: str) -> None:
    (state / "openclaw.json").write_text(content)
    assert len(places(look(state), live=True)) == 1


def test_an_environment_file_is_named_with_line_and_variable(state: Path) -> None:
    (state / ".env").write_text(f"A=1\nexport OPENCLAW_GATEWAY_TOKEN='{OLD}'\n")
    assert places(look(state), live=True) == [f"{state}/.env:2 (OPENCLAW_GATEWAY_TOKEN)"]


@pytest.mark.parametrize("name", ["openclaw.json.bak", "openclaw.json.bak.3", "openclaw.json.last-good",
                                  "openclaw.json.clobbered.2026-01-01", ".env.bak", 
                                  "agents/main/agent/auth-profiles.json", "logs/gateway.log"])
def test_what_is_only_kept_is_no_caveat(state: Path, name: str) -> None:
    (state / name).parent.mkdir(exist_ok=True)
    (state / name).write_text(json.dumps({"x": OLD}))
    found = look(state)
    assert (places(found, live=True), places(found, live=False)) == ([], [f"{state}/{name}"])


@pytest.mark.parametrize("encoded", [base64.b64encode(f"user:{OLD}".encode()).decode(), OLD.encode().hex()])
def test_encodings_are_found_and_named(state: Path, encoded: str) -> None:
    (state / "openclaw.json.bak").write_text(encoded)
    assert look(state).shadows[0].form in ("base64", "hex")


@pytest.mark.parametrize("open_log", [False, True], ids=["in the file", "in the log"])
@pytest.mark.parametrize(("table", "live"), [("auth_profile_store", True), ("transcripts", False)])
def test_a_row_of_a_database_in_use(state: Path, table: str, live: bool, open_log: bool) -> None:
    path = state / "agents/main/agent/openclaw-agent.sqlite"
    profile = json.dumps({"filler": "x" * 9000, "profiles": {"a": {"key": OLD}}})  # beyond one page
    made = database(path, table, profile, open_log=open_log)
    try:
        before = {file.name for file in path.parent.iterdir()}
        found = look(state)
        assert places(found, live=live) == [f"{path}: table {table}"]
        assert {file.name for file in path.parent.iterdir()} == before
    finally:
        made.close()


def test_a_deleted_row_that_is_still_in_the_file(state: Path) -> None:
    path = state / "state/openclaw.sqlite"
    made = database(path, "config_machine_state", OLD)
    made.execute("PRAGMA secure_delete=OFF")
    made.execute("DELETE FROM config_machine_state")
    made.commit()
    made.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    assert OLD.encode() in path.read_bytes()
    found = look(state)
    assert (places(found, live=True), places(found, live=False)) == ([], [f"{path}: pages that no row uses any more"])


def test_a_unit_and_the_environment_file_that_it_names(state: Path, tmp_path: Path) -> None:
    units = tmp_path / "root/etc/systemd/system/openclaw.service.d"
    units.mkdir(parents=True)
    named = tmp_path / "gateway.env"
    named.write_text(f"TOKEN={OLD}\n")
    (units / "override.conf").write_text(f"[Service]\nEnvironmentFile=-{named}\nEnvironment=TOKEN={OLD}\n")
    assert places(look(state, root=str(tmp_path / "root")), live=True) == [
        f"{units}/override.conf:3 (Environment)", f"{named}:1 (TOKEN)"]


def test_what_a_login_reads_and_further_files(state: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.profile").write_text(f"export TOKEN={OLD}\n")
    (tmp_path / "compose.env").write_text(f"TOKEN={OLD}\n")
    found = look(state, files=(str(tmp_path / "compose.env"),))
    assert places(found, live=True) == [f"{tmp_path}/compose.env:1 (TOKEN)", f"{tmp_path}/home/.profile:1 (TOKEN)"]


def test_a_running_process_that_was_started_with_it(state: Path) -> None:
    command = [sys.executable, "-c", "print('ready', flush=True); input()"]
    with subprocess.Popen(command, env={"TOKEN": OLD}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = look(state, processes=True)
        process.communicate(b"\n")
    assert any(f"process {process.pid}" in place and place.endswith("TOKEN") for place in places(found, live=True))


def test_nothing_is_found_where_nothing_stands_and_agents_folders_are_left_to_the_scan(state: Path) -> None:
    (state / "openclaw.json").write_text(json.dumps({"gateway": {"auth": {"token": OTHER}}}))
    (state / "workspace").mkdir()
    (state / "workspace/notes.md").write_text(OLD)
    assert look(state) == Looked()


def test_what_cannot_be_looked_at_or_for_is_told(state: Path) -> None:
    (state / "state/openclaw.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    assert "openclaw.sqlite" in look(state).unseen[0]
    assert look(state, value="short").unseen[0] == f"{NAME}: too short to be looked for"


@pytest.mark.parametrize("there", ["state/agents/main", "state", "root/etc/systemd/system/a.service.d",
                                   "home/.config/environment.d", "named", "compose"])
def test_what_may_not_be_listed_is_told_and_never_called_clean(
        state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str) -> None:
    for file in ("state/agents/main/agent/models.json", "root/etc/systemd/system/a.service.d/b.conf",
                 "home/.config/environment.d/c.conf", "named/d.env", "compose/e.env"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(f"T={OLD}\nEnvironmentFile={tmp_path}/named/d.env\n")
    arguments: dict[str, Any] = {"root": str(tmp_path / "root"), "files": (f"{tmp_path}/compose/e.env",)}
    seen = look(state, **arguments)
    assert (len(seen.shadows), seen.unseen) == (5, ())
    shut(monkeypatch, tmp_path / there)
    found = look(state, **arguments)
    hidden = [one.where for one in seen.shadows if one not in found.shadows]
    [line] = found.unseen
    assert hidden and hidden[0].startswith(line.partition(": ")[0])
    assert line.startswith(str(tmp_path / there)) and line.endswith(": Permission denied")
    known = HostShadows([str(state)], [str(tmp_path / "home")], Literals, leaves, processes=False, **arguments).known(
        lambda value: NAME if value == SecretValue(OLD) else "")
    assert known.unseen == found.unseen


def test_a_large_file_is_looked_at_across_its_pieces(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawsecrets.shadows.search.PIECE", 1000)
    for before in range(960, 1010):
        (state / "openclaw.json.bak").write_bytes(b"x" * before + OLD.encode() + b"y" * 2000)
        assert len(look(state).shadows) == 1


def test_what_is_linked_into_the_folder_is_looked_at_once_and_a_circle_ends(state: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    (away / "main/agent").mkdir(parents=True)
    (away / "main/agent/models.json").write_text(OLD)
    (away / "main/back").symlink_to(away)
    (tmp_path / "dot.env").write_text(f"TOKEN={OLD}\n")
    (state / ".env").symlink_to(tmp_path / "dot.env")
    (state / "agents/main/agent").rmdir()
    (state / "agents/main").rmdir()
    (state / "agents").rmdir()
    (state / "agents").symlink_to(away)
    (state / "self").symlink_to(state / "self")
    (state / "again").symlink_to(state)
    found = look(state)
    assert sorted(places(found, live=True)) == [f"{state}/.env:1 (TOKEN)", f"{state}/agents/main/agent/models.json"]
    assert found.unseen == ()


def test_a_link_that_leads_out_is_told(state: Path) -> None:
    (state / "up").symlink_to("/")
    (state / "kernel").symlink_to("/proc/self")
    assert [line.partition(": ")[0] for line in look(state).unseen] == [f"{state}/kernel", f"{state}/up"]


@pytest.mark.parametrize("what", ["fifo", "device", "folder"])
def test_what_is_no_file_is_told_and_nothing_waits_for_it(state: Path, tmp_path: Path, what: str) -> None:
    for path in (state / ".env", tmp_path / "compose.env") if what != "folder" else (tmp_path / "compose.env",):
        {"fifo": lambda path: os.mkfifo(path), "device": lambda path: path.symlink_to("/dev/zero"),
         "folder": lambda path: path.mkdir()}[what](path)
    found = look(state, files=(f"{tmp_path}/compose.env",))
    expected = [f"{path}: it is not a regular file" for path in (state / ".env", tmp_path / "compose.env")]
    assert list(found.unseen) == (expected if what != "folder" else expected[1:])


def test_what_the_configuration_includes_is_read_like_it(state: Path, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text(json.dumps({"token": OLD}))
    (state / "in.json").write_text(json.dumps({"auth": {"$include": str(tmp_path / "out.json")}, "bind": OLD}))
    (state / "openclaw.json").write_text(json.dumps({"gateway": {"$include": "in.json"}}))
    found = look(state)
    assert set(places(found, live=True)) == {f"{state}/in.json: bind", f"{tmp_path}/out.json: token"}
    assert {shadow.mend for shadow in found.shadows} == {"clawsecrets adopt --apply"}
    (tmp_path / "out.json").unlink()
    [line] = look(state).unseen
    assert line.startswith(f"what {state}/openclaw.json includes: {tmp_path}/out.json")


def test_environment_files_of_units_by_specifier_pattern_and_in_quotes(state: Path, tmp_path: Path) -> None:
    units = tmp_path / "home/.config/systemd/user"
    units.mkdir(parents=True)
    for name in ("home/a b.env", "home/one.d/x.env", "home/one.d/y.env", "of/main.conf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"TOKEN={OLD}\n")
    (units / "openclaw.service").write_text('[Service]\nEnvironmentFile="%h/a b.env"\nEnvironmentFile=-%h/one.d/*.env\n'
                                            f"EnvironmentFile={tmp_path}/of/%i.conf\nEnvironmentFile=-/not/there\n")
    found = look(state)
    assert places(found, live=True) == [f"{tmp_path}/{name}:1 (TOKEN)" for name in (
        "home/a b.env", "home/one.d/x.env", "home/one.d/y.env", "of/main.conf")]
    assert found.unseen == ()
