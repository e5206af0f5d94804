"""adopt, where credentials stand in more than OpenClaw's own files: what openclaw.json includes, a Compose file, a
unit, a login. What is left anywhere is told with the command that takes it out, and is no success."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adopting.small import VALUES, Small
from tests.adopting.test_adopt import killed_at
from tests.cli.desk import SCRIPT, Desk
from tests.waiting import LONG

SEARCH = "search-8c1f0a9e7d6b5c4f3a2b1c0d9e8f7a6b"
BOT = "1234567890:AAkq83hfyt6251jdhw94kduwy3827hdjq1x"
COMPOSE_ONLY = "tool-77ab10c9d8e7f6a5b4c3d2e1f0a9b8c7"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    SCRIPT.chmod(0o755)
    with Desk(tmp_path) as desk:
        yield Small(desk)


def quiet(text: str) -> str:
    """The text, if none of the values stands in it."""
    assert [value for value in (*VALUES.values(), SEARCH, BOT, COMPOSE_ONLY) if value in text] == []
    return text


def adopted(small: Small, *words: str, code: int = 0) -> str:
    ran = small.adopt(*words)
    assert ran.code == code, ran
    return quiet(ran.everything)


# --- $include -------------------------------------------------------------------------------------------------------


def include(small: Small) -> tuple[Path, Path]:
    """Two files that openclaw.json includes, one of them by the other, both with values of their own."""
    config = json.loads(small.config.read_text())
    config["agents"] = {"$include": "./parts/agents.json5"}
    small.config.write_text(json.dumps(config))
    (small.state / "parts").mkdir()
    agents, channels = small.state / "parts/agents.json5", small.state / "parts/memory.json5"
    agents.write_text(f"{{ // of the agents\n  defaults: {{\n    sandbox: {{ssh: {{identityData: '{VALUES['identity']}'"
                      "}}, // kept\n    memory: {$include: ['memory.json5']},\n  },\n}\n")
    channels.write_text(f'{{\n  "search": {{"remote": {{"apiKey": "{SEARCH}"}}}}, /* told */\n}}\n')
    return agents, channels


def test_what_is_included_is_adopted_where_it_stands_and_comes_back(small: Small) -> None:
    agents, memory = include(small)
    before = [agents.read_bytes(), memory.read_bytes(), small.config.read_bytes()]
    moves = {one["where"]: one["way"] for one in json.loads(adopted(small, "--json"))["moves"]}
    assert moves[f"{agents}: agents.defaults.sandbox.ssh.identityData"] == "secret reference, written into the file"
    assert f"{memory}: agents.defaults.memory.search.remote.apiKey" in moves
    adopted(small, "--apply")
    assert [path.name for path in (agents, memory) if SEARCH in path.read_text() or VALUES["identity"]
            in path.read_text()] == []
    assert small.left() == []
    assert "// of the agents" in agents.read_text() and "// kept" in agents.read_text()
    assert "/* told */" in memory.read_text() and '"provider": "clawsecrets"' in agents.read_text()
    adopted(small, "--undo")
    assert [agents.read_bytes(), memory.read_bytes(), small.config.read_bytes()] == before


def test_of_an_included_file_that_was_changed_since_the_fields_alone_come_back(small: Small) -> None:
    agents, memory = include(small)
    adopted(small, "--apply")
    agents.write_text(agents.read_text().replace("// kept", "// mine"))
    assert "was changed since" in adopted(small, "--undo")
    assert "// mine" in agents.read_text() and VALUES["identity"] in agents.read_text()
    assert SEARCH in memory.read_text()


def test_a_configuration_that_is_laid_over_another_is_written_here(small: Small) -> None:
    """OpenClaw writes none such."""
    config = json.loads(small.config.read_text())
    base = small.state / "base.json"
    base.write_text(json.dumps({"gateway": config.pop("gateway"), "agents": config.pop("agents")}))
    small.config.write_text(json.dumps({"$include": "./base.json", **config}))
    before = small.config.read_bytes(), base.read_bytes()
    adopted(small, "--apply")
    assert small.left() == []
    written = json.loads(small.config.read_text())
    assert written["$include"] == "./base.json" and "clawsecrets" in written["secrets"]["providers"]
    assert json.loads(base.read_text())["gateway"]["auth"]["token"]["source"] == "exec"
    assert written["hooks"]["token"].startswith("${")
    adopted(small, "--undo")
    assert (small.config.read_bytes(), base.read_bytes()) == before


def test_an_included_file_that_is_not_there_is_told_before_anything_changes(small: Small) -> None:
    config = json.loads(small.config.read_text())
    small.config.write_text(json.dumps({**config, "agents": {"$include": "./gone.json5"}}))
    before = small.contents()
    assert "gone.json5" in adopted(small, "--apply", code=2)
    assert small.contents() == before


def test_a_running_gateway_whose_port_stands_in_an_included_file_is_seen(small: Small) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        config = json.loads(small.config.read_text())
        gateway = {**config["gateway"], "port": server.getsockname()[1]}
        (small.state / "gateway.json5").write_text(json.dumps(gateway))
        small.config.write_text(json.dumps({**config, "gateway": {"$include": "gateway.json5"}}))
        assert "--stop-command" in adopted(small, "--apply", code=2)


# --- Compose, units, logins -----------------------------------------------------------------------------------------


def compose(small: Small) -> Path:
    path = small.desk.root / "compose.yaml"
    path.write_text(f"""\
services:
  gateway:
    image: openclaw # pinned elsewhere
    environment:
      OPENCLAW_GATEWAY_TOKEN: "{VALUES['gateway']}"  # the same as in openclaw.json
      MY_OTHER_TOKEN: {COMPOSE_ONLY}
      TZ: Europe/Berlin
""")
    return path


def test_a_compose_file_beside_it_is_told_with_the_command_and_is_no_success(small: Small) -> None:
    path = compose(small)
    found = json.loads(adopted(small, "--json"))["elsewhere"]
    told = [one for one in found if str(path) in one["where"]]
    assert [one["command"] for one in told] == [
        f"clawsecrets adopt {small.state} --also {path} --apply"]
    assert "${OPENCLAW_GATEWAY_TOKEN:?" in told[0]["change"]
    before = path.read_bytes()
    said = adopted(small, "--apply", code=1)
    assert "NOT finished: 1 other place(s)" in said and told[0]["command"] in said
    assert path.read_bytes() == before
    assert "nothing to move in OpenClaw's folder" in adopted(small, "--apply", code=1), "it stands there still"


@pytest.mark.parametrize("changed", [False, True], ids=["as it was left", "changed in between"])
def test_the_command_that_is_told_joins_the_first_adoption_and_one_undo_puts_back_both(
        small: Small, changed: bool) -> None:
    path = compose(small)
    before = {**small.contents(), "compose.yaml": path.read_bytes()}
    rows = small.rows()
    adopted(small, "--apply", code=1)
    if changed:
        small.config.write_text(json.dumps({**json.loads(small.config.read_text()), "mine": "kept"}))
    adopted(small, "--also", str(path), "--apply")
    assert small.left() == [] and VALUES["gateway"] not in path.read_text()
    said = adopted(small, "--undo")
    after = {**small.contents(), "compose.yaml": path.read_bytes()}
    assert ("was changed since" in said) is changed
    assert {name for name, content in before.items() if after.get(name) != content} == (
        {"openclaw.json"} if changed else set())
    config = json.loads(small.config.read_text())
    assert config["hooks"]["token"] == VALUES["hooks"] and (config.get("mine") == "kept") is changed
    assert [json.loads(row[0]) for row in small.rows() if row[0][0] == "{"] == [
        json.loads(row[0]) for row in rows if row[0][0] == "{"]


def test_a_compose_file_that_is_named_is_adopted_and_comes_back(small: Small) -> None:
    path = compose(small)
    before = path.read_bytes()
    dry = small.adopt("--also", str(path)).out
    said = adopted(small, "--also", str(path), "--apply")
    text = path.read_text()
    assert 'OPENCLAW_GATEWAY_TOKEN: "${OPENCLAW_GATEWAY_TOKEN:?clawsecrets run gives it}"  # the same' in text
    assert "MY_OTHER_TOKEN: ${MY_OTHER_TOKEN:?clawsecrets run gives it}\n      TZ: Europe/Berlin\n" in text
    assert VALUES["gateway"] not in text and COMPOSE_ONLY not in text
    assert "# pinned elsewhere" in text
    assert "${MY_OTHER_TOKEN} in the Compose file" in dry
    line = next(line for line in said.splitlines() if "docker compose" in line)
    assert "--secret my-other-token" in line and f"--file {path}" in line
    ran = small.desk.run("run", "--secret", "my-other-token", "--secret",
                         "openclaw-gateway-token=OPENCLAW_GATEWAY_TOKEN", "--", "sh", "-c",
                         f'test "$MY_OTHER_TOKEN" = "{COMPOSE_ONLY}"')
    assert ran.code == 0, ran
    adopted(small, "--undo")
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", ["set", "purge", "prove"])
def test_killed_at_a_step_it_is_gone_on_with_there_too(small: Small, step: str) -> None:
    path, (agents, memory) = compose(small), include(small)
    before = {**small.contents(), "compose.yaml": path.read_bytes()}
    killed_at(small, step, "--also", str(path))
    adopted(small, "--apply")
    assert [file.name for file in (path, agents, memory) if any(
        value in file.read_text() for value in (*VALUES.values(), SEARCH, COMPOSE_ONLY))] == []
    assert small.left() == []
    adopted(small, "--undo")
    assert {**small.contents(), "compose.yaml": path.read_bytes()} == before


def test_a_compose_files_own_env_file_is_adopted_too(small: Small) -> None:
    path = small.desk.root / "project/.env"
    path.parent.mkdir()
    path.write_text(f"TZ=UTC\nMY_OTHER_TOKEN={COMPOSE_ONLY}\n")
    said = adopted(small, "--also", str(path), "--apply")
    assert path.read_text() == "TZ=UTC\n"
    assert "my-other-token" in said
    adopted(small, "--undo")
    assert path.read_text() == f"TZ=UTC\nMY_OTHER_TOKEN={COMPOSE_ONLY}\n"


def test_openclaws_own_unit_is_told_line_by_line_and_done_by_the_commands_that_are_told(small: Small) -> None:
    path = small.desk.root / ".config/systemd/user/openclaw-gateway.service"
    path.parent.mkdir(parents=True)
    path.write_text(f"[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN={VALUES['gateway']}\n"
                    f'Environment="MY_OTHER_TOKEN={COMPOSE_ONLY}"\nExecStart=/usr/bin/openclaw gateway run\n')
    before = path.read_bytes()
    planned = json.loads(adopted(small, "--json"))["elsewhere"]
    said = adopted(small, "--apply", code=1)
    assert path.read_bytes() == before and f"still holds plaintext: {path}" in said
    assert "adopted:" not in said
    found = {one["where"].partition(":")[2]: one for one in planned}
    assert "OpenClaw gets it by its SecretRef" in found["2 (OPENCLAW_GATEWAY_TOKEN)"]["change"]
    assert "`clawsecrets run`" in found["3 (MY_OTHER_TOKEN)"]["change"]
    for one in sorted(planned, key=lambda one: one["where"]):
        command, then = one["command"].split(" && ", 1)
        assert then == "systemctl --user daemon-reload && systemctl --user restart openclaw-gateway.service"
        assert one["command"] in said and f"still holds plaintext: {path}" in said
        subprocess.run(["sh", "-c", command], check=True, timeout=LONG)
        said = adopted(small, "--apply", code=1 if one is not planned[-1] else 0)
    assert path.read_text() == "[Service]\nExecStart=/usr/bin/openclaw gateway run\n"
    assert "adopted:" in said
    assert small.desk.quick("get", "my-other-token", "--raw").out == COMPOSE_ONLY


def test_a_login_that_gives_a_value_is_no_success(small: Small) -> None:
    path = small.desk.root / ".profile"
    path.write_text(f"umask 022\nexport GROQ_API_KEY={VALUES['groq']}\n")
    said = adopted(small, "--apply", code=1)
    assert f"{path}:2 (GROQ_API_KEY)" in said and rf"sed -i -E '/^\s*(export\s+)?GROQ_API_KEY\s*=/d' {path}" in said
    assert said.rstrip().splitlines()[-1].startswith("NOT finished: 1 other place(s)")
    path.write_text("umask 022\n")
    assert "nothing to move" in adopted(small, "--apply")
