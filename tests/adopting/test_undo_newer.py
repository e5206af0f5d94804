"""adopt --undo after values were replaced: the current ones come back, never one that was rotated; or nothing does."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import canary
from tests.adopting.small import HEX, VALUES, WORD, Small, made
from tests.cli.desk import SCRIPT, Desk, Ran

TOKEN = "openclaw-gateway-token"
SECRETS = {"gateway": TOKEN, "hooks": "openclaw-hooks-token", "groq": "groq-api-key", "variable": "my-tool-token",
           "profile": "anthropic-api-key", "model": "openai-api-key"}
"""Value of the deployment -> the secret that it becomes; `identity` keeps its value in these tests."""
NEWER = {"gateway": made(HEX, 48), "hooks": "hook-" + made(HEX, 32), "groq": "gsk_" + made(WORD, 52),
         "variable": "tool-" + made(HEX, 32), "profile": "sk-ant-api03-" + made(WORD, 93) + "AA",
         "model": "sk-proj-" + made(WORD, 32)}
KILL = """\
import os, signal
real, left = os.replace, [{number}]
def replace(source, target, **how):
    real(source, target, **how)
    if str(target).startswith({state!r}):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
"""
CHANGE = """\
import os, subprocess
real, done = os.replace, []
def replace(source, target, **how):
    real(source, target, **how)
    if str(target).startswith({state!r}) and not done:
        done.append(target)
        env = {{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}}
        subprocess.run({words!r}, input={value!r}, env=env, check=True, capture_output=True)
os.replace = replace
"""
"""Somebody stores another value while the files are written."""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    SCRIPT.chmod(0o755)
    with Desk(tmp_path) as desk:
        yield Small(desk)


def replaced(small: Small, *words: str, values: dict[str, str] | None = None) -> None:
    for word in words:
        small.desk.quick("set", SECRETS[word], "--replace", stdin=(values or NEWER)[word].encode())


def undone(small: Small, code: int = 0) -> str:
    ran: Ran = small.adopt("--undo")
    assert ran.code == code, ran
    assert not [value for value in (*VALUES.values(), *NEWER.values()) if value in ran.everything]
    return ran.everything


def config(small: Small) -> Any:
    return json.loads(small.config.read_text())


def holding(small: Small, value: str) -> list[str]:
    return [path.name for path in sorted(small.state.rglob("*"))
            if path.is_file() and canary.search(path.read_bytes(), value.encode())]


def test_the_current_values_come_back_and_none_that_was_replaced(small: Small) -> None:
    before, rows = small.contents(), small.rows()
    assert small.adopt("--apply").code == 0
    replaced(small, *NEWER)
    said = undone(small)
    text = before["openclaw.json"].decode()
    for word, value in NEWER.items():
        text = text.replace(VALUES[word], value)
        assert f"{SECRETS[word]}: version 2, the current one, stands where version 1 did" in said
        assert holding(small, VALUES[word]) == [], word
    assert small.config.read_text() == text
    assert (small.state / ".env").read_text() == f"# kept\nMY_TOOL_TOKEN=\"{NEWER['variable']}\"\nTZ=UTC\n"
    assert json.loads(small.rows()[0][0]) == json.loads(rows[0][0].replace(VALUES["profile"], NEWER["profile"]))
    assert f"{small.state}/openclaw.json.bak.2: left out: it held a value of" in said
    assert f"{small.state}/gateway.log: left out" in said and f"{small.database}: table messages: left out" in said
    assert not (small.state / "openclaw.json.bak.2").exists()
    assert "*" * 48 in (small.state / "gateway.log").read_text()
    after = small.contents()
    again = undone(small)
    assert sorted(line for line in said.splitlines() if "taken out of" not in line) == sorted(again.splitlines())
    assert small.contents() == after


def test_what_was_not_replaced_comes_back_as_it_was(small: Small) -> None:
    before, rows = small.contents(), small.rows()
    assert small.adopt("--apply").code == 0
    replaced(small, "variable")
    said = undone(small)
    left = {name for name, content in before.items() if small.contents().get(name) != content}
    assert left == {".env"}, "no backup held that one"
    assert small.rows()[1] == rows[1] and "left out" not in said and TOKEN not in said.replace(f"{TOKEN}: taken", "")


def test_of_files_that_were_changed_since_the_current_values_come_back(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    small.config.write_text(json.dumps({**config(small), "mine": 1}))
    (small.state / ".env").write_text("TZ=CET\n")
    replaced(small, *NEWER)
    undone(small)
    now = config(small)
    assert (now["mine"], now["gateway"]["auth"]["token"], now["hooks"]["token"]) == (1, NEWER["gateway"],
                                                                                      NEWER["hooks"])
    assert now["env"] == {"vars": {"GROQ_API_KEY": NEWER["groq"]}}
    assert "secrets" not in now, "nobody would answer a reference to our provider"
    assert (small.state / ".env").read_text() == f"TZ=CET\nMY_TOOL_TOKEN=\"{NEWER['variable']}\"\n"
    assert not [word for word in NEWER if holding(small, VALUES[word])]


def test_included_files_compose_files_and_units_get_the_current_values(small: Small) -> None:
    compose = small.desk.write("compose.yaml", "services:\n  a:\n    environment:\n"
                               f"      OPENCLAW_GATEWAY_TOKEN: {VALUES['gateway']} # told\n"
                               f"      GROQ_API_KEY: '{VALUES['groq']}'\n")
    unit = small.desk.write("openclaw.service", f"[Service]\nEnvironment=\"MY_TOOL_TOKEN={VALUES['variable']}\" A=1\n")
    hooks = small.desk.write("state/hooks.json5", f"{{ // of mine\n token: '{VALUES['hooks']}', enabled: true }}\n")
    small.config.write_text(json.dumps({**config(small), "hooks": {"$include": "./hooks.json5"}}))
    texts = {path: path.read_text() for path in (compose, unit, hooks)}
    also = [word for path in (compose, unit) for word in ("--also", str(path))]
    assert small.adopt("--apply", *also).code == 1, "the unit is a person's to change"
    unit.write_text("[Service]\nEnvironment=A=1\n")
    assert small.adopt("--apply", *also).code == 0
    replaced(small, "gateway", "groq", "variable", "hooks")
    undone(small)
    for path, text in texts.items():
        for word in ("gateway", "groq", "variable", "hooks"):
            quote = '"' if NEWER[word][0].isdigit() and path == compose else ""
            text = text.replace(VALUES[word], f"{quote}{NEWER[word]}{quote}" if word == "gateway" else NEWER[word])
        assert path.read_text().replace('"', "'") == text.replace('"', "'"), path


def test_where_it_stood_in_another_place_too_only_what_was_moved_comes_back(small: Small) -> None:
    env = small.state / ".env"
    env.write_text(env.read_text() + f"# was: {VALUES['variable']}\n")
    assert small.adopt("--apply").code == 1, "it stands in a comment still"
    env.write_text("# kept\nTZ=UTC\n")
    assert small.adopt("--apply").code == 0
    replaced(small, "variable")
    assert f"{env}: held a value of my-tool-token that was replaced since in another place, too" in undone(small)
    assert env.read_text() == f"# kept\nTZ=UTC\nMY_TOOL_TOKEN=\"{NEWER['variable']}\"\n"


def test_a_former_value_that_a_person_put_into_a_compose_file_gives_way_to_the_current_one(small: Small) -> None:
    text = f"services:\n  a:\n    environment:\n      GROQ_API_KEY: '{VALUES['groq']}'\n"
    compose = small.desk.write("compose.yaml", text)
    assert small.adopt("--apply", "--also", str(compose)).code == 0
    compose.write_text(f"# mine\n{text}")
    replaced(small, "groq")
    undone(small)
    said = compose.read_text()
    assert said.startswith("# mine\n") and NEWER["groq"] in said and VALUES["groq"] not in said


def test_of_a_place_that_a_person_has_filled_since_nothing_is_said_to_stand_there(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    mine = config(small)
    mine["hooks"]["token"] = "of-a-person-0123456789"
    small.config.write_text(json.dumps(mine))
    replaced(small, "hooks", "gateway")
    said = undone(small)
    assert config(small)["hooks"]["token"] == "of-a-person-0123456789"
    assert f"{TOKEN}: version 2, the current one, stands where" in said and "openclaw-hooks-token: version" not in said


def test_a_former_value_that_is_a_part_of_the_current_one_is_not_taken_to_stand_there(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    longer = f"{VALUES['variable']}-second"
    replaced(small, "variable", values={"variable": longer})
    undone(small)
    assert (small.state / ".env").read_text() == f"# kept\nMY_TOOL_TOKEN=\"{longer}\"\nTZ=UTC\n"


def test_what_a_second_adoption_moved_out_of_a_new_field_comes_back(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    bot = "1234567890:AA" + made(WORD, 33)
    small.config.write_text(json.dumps({**config(small), "channels": {"telegram": {"botToken": bot}}}))
    (small.state / ".env").write_text("# kept\nTZ=UTC\nMY_OTHER_TOKEN=other-0123456789abcdef\n")
    assert small.adopt("--apply").code == 0
    undone(small)
    assert config(small)["channels"]["telegram"]["botToken"] == bot
    assert "MY_OTHER_TOKEN=other-0123456789abcdef\n" in (small.state / ".env").read_text()


# --- refused before anything changes ----------------------------------------------------------------------------------


def test_a_secret_that_is_gone_is_named_with_its_place_and_nothing_changes(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    small.desk.quick("delete", "my-tool-token")
    before = small.contents()
    said = undone(small, code=4)
    assert f"{small.state}/.env:2: my-tool-token is not in the store any more" in said
    assert "clawsecrets undelete my-tool-token" in said
    small.desk.quick("undelete", "my-tool-token")
    small.desk.quick("delete", "my-tool-token")
    small.desk.quick("purge", "my-tool-token", "--yes")
    assert "clawsecrets set my-tool-token" in undone(small, code=4)
    assert small.contents() == before
    (small.state / ".env").write_text(f"MY_TOOL_TOKEN={VALUES['variable']}\n")  # by hand: the other way out
    undone(small)
    assert config(small)["gateway"]["auth"]["token"] == VALUES["gateway"]
    assert (small.state / ".env").read_text() == f"MY_TOOL_TOKEN={VALUES['variable']}\n"


def test_an_unfinished_rotation_is_named_and_nothing_changes(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    assert small.desk.run("rotate", "groq-api-key").code == 1, "it waits for the new one"
    before = small.contents()
    said = undone(small, code=4)
    assert "groq-api-key is in the middle of a rotation" in said and "rotations resume groq-api-key" in said
    assert small.contents() == before
    assert small.desk.run("rotations", "abort", "groq-api-key").code == 0
    undone(small)


def test_a_value_that_cannot_be_written_there_is_named_and_nothing_changes(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    small.desk.quick("set", "my-tool-token", "--replace", stdin=b"it's \"both\" quotes")
    before, rows = small.contents(), small.rows()
    said = undone(small, code=4)
    assert f"{small.state}/.env: MY_TOOL_TOKEN cannot be written" in said and "both" not in said
    assert (small.contents(), small.rows()) == (before, rows)


def test_a_line_that_holds_the_former_value_twice_is_named_and_nothing_changes(small: Small) -> None:
    env = small.state / ".env"
    env.write_text(f"# kept\nMY_TOOL_TOKEN=\"{VALUES['variable']}\" # it is {VALUES['variable']}\nTZ=UTC\n")
    assert small.adopt("--apply").code == 0
    replaced(small, "variable")
    before, rows = small.contents(), small.rows()
    said = undone(small, code=4)
    assert f"{env}: what would be put back holds a value of my-tool-token that was replaced since in another" in said
    assert (small.contents(), small.rows()) == (before, rows)


def test_a_store_that_cannot_be_opened_changes_nothing(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    (small.desk.root / "keys/master.key").rename(small.desk.root / "keys/away")
    before = small.contents()
    undone(small, code=3)
    assert small.contents() == before


def test_a_file_that_is_gone_and_held_it_elsewhere_too_is_named(small: Small) -> None:
    env = small.state / ".env"
    env.write_text(env.read_text() + f"# was: {VALUES['variable']}\n")
    small.adopt("--apply")
    env.write_text("# kept\nTZ=UTC\n")
    assert small.adopt("--apply").code == 0
    replaced(small, "variable")
    env.unlink()
    before = small.contents()
    said = undone(small, code=4)
    assert f"{env} is not there any more, and it held a value of my-tool-token" in said
    assert small.contents() == before
    env.touch()
    undone(small)
    assert env.read_text() == f"MY_TOOL_TOKEN=\"{NEWER['variable']}\"\n"


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("again", [False, True], ids=["as it was", "and replaced again before the next"])
def test_killed_in_the_middle_the_next_one_ends_it(small: Small, number: int, again: bool) -> None:
    assert small.adopt("--apply").code == 0
    replaced(small, *NEWER)
    small.desk.write("site/sitecustomize.py", KILL.format(number=number, state=str(small.state)))
    env = dict(small.desk.env)
    small.desk.env["PYTHONPATH"] = str(small.desk.root / "site")
    assert small.adopt("--undo").code == -9
    small.desk.env = env
    current = dict(NEWER)
    if again:
        current |= {"gateway": made(HEX, 48), "variable": "tool-" + made(HEX, 32)}
        replaced(small, "gateway", "variable", values=current)
    undone(small)
    now = config(small)
    assert now["gateway"]["auth"]["token"] == current["gateway"] and now["hooks"]["token"] == current["hooks"]
    assert (small.state / ".env").read_text() == f"# kept\nMY_TOOL_TOKEN=\"{current['variable']}\"\nTZ=UTC\n"
    assert NEWER["profile"] in small.rows()[0][0]
    assert not [word for word in NEWER if holding(small, VALUES[word])]
    assert not again or holding(small, NEWER["gateway"]) == []


def test_one_that_is_replaced_while_the_files_are_written_is_no_success(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    words = [str(SCRIPT), "set", SECRETS["groq"], "--replace"]
    small.desk.write("site/sitecustomize.py", CHANGE.format(state=str(small.state), words=words,
                                                            value=NEWER["groq"].encode()))
    env = dict(small.desk.env)
    small.desk.env["PYTHONPATH"] = str(small.desk.root / "site")
    said = undone(small, code=1)
    assert "groq-api-key was changed meanwhile: the files hold its version 1" in said
    assert "run adopt --undo again, before the gateway is started" in said
    small.desk.env = env
    again = undone(small)
    assert config(small)["env"]["vars"] == {"GROQ_API_KEY": NEWER["groq"]}
    assert holding(small, VALUES["groq"]) == ["openclaw.json.bak.2"], "put back when it was current still"
    assert f"{small.state}/openclaw.json.bak.2: still holds a value of groq-api-key that was replaced since" in again


# --- what the store says afterwards -----------------------------------------------------------------------------------


def test_nobody_is_said_to_be_served_afterwards_and_no_reference_is_told_that_nobody_answers(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    shown = json.loads(small.desk.quick("show", TOKEN, "--json").out)
    assert (shown["injectors"], shown["consumers"]) == (["openclaw-refs"], ["gateway"])
    replaced(small, "gateway")
    said = undone(small)
    assert f"{TOKEN}: taken out of openclaw-refs" in said and "clawsecrets adopt --apply first" in said
    shown = json.loads(small.desk.quick("show", TOKEN, "--json").out)
    assert (shown["injectors"], shown["consumers"], shown["acks"]) == ([], [], [])
    bundle = (small.desk.home / "data/bundles/openclaw").read_text()
    assert not [name for name in SECRETS.values() if name in bundle]
    said = small.desk.run("rotate", TOKEN).everything
    assert "no consumer" in said and "gateway:" not in said
    replaced(small, "gateway", values={"gateway": made(HEX, 48)})
    env = {"OPENCLAW_STATE_DIR": str(small.state)}
    found = json.loads(small.desk.run("shadows", TOKEN, "--json", env=env).out)["shadows"]
    assert [one["mend"] for one in found if "gateway.auth.token" in one["where"]] == ["clawsecrets adopt --apply"]
    assert small.adopt("--apply").code == 0, "and that does it"
    assert config(small)["gateway"]["auth"]["token"]["id"] == TOKEN
    assert json.loads(small.desk.quick("show", TOKEN, "--json").out)["consumers"] == ["gateway"]


def test_a_reference_that_a_person_added_is_answered_still(small: Small) -> None:
    assert small.adopt("--apply").code == 0
    reference = {"source": "exec", "provider": "clawsecrets", "id": TOKEN}
    small.config.write_text(json.dumps({**config(small), "talk": {"apiKey": reference}}))
    undone(small)
    now = config(small)
    assert now["talk"]["apiKey"] == reference and now["gateway"]["auth"]["token"] == VALUES["gateway"]
    assert "clawsecrets" in now["secrets"]["providers"]
    assert json.loads(small.desk.quick("show", TOKEN, "--json").out)["injectors"] == ["openclaw-refs"]
    assert json.loads(small.desk.quick("show", SECRETS["model"], "--json").out)["injectors"] == []


def test_a_text_that_holds_nothing_replaced_is_put_back_beside_one_that_does(small: Small) -> None:
    with closing(sqlite3.connect(small.database)) as connection, connection:
        connection.execute("INSERT INTO messages (body) VALUES (?)", (f"hooks: {VALUES['hooks']}",))
    assert small.adopt("--apply").code == 0
    replaced(small, "model")
    undone(small)
    assert [row[0] for row in small.rows()[1:]] == [f"my key is {'*' * len(VALUES['model'])}, keep it",
                                                    f"hooks: {VALUES['hooks']}"]
