"""Which way each field goes, OpenClaw's names for its fields, and changes of its files in place."""

from __future__ import annotations

import json

import pytest

from clawsecrets.adopting.documents import with_references, with_variables, without_references, without_variables
from clawsecrets.adopting.plan import Left, Move, Plan, Way, read, written
from clawsecrets.adopting.surface import Place, Stands, moves, target


@pytest.mark.parametrize(("pattern", "kind"), [
    ("gateway.auth.token", "gateway.auth.token"),
    ("models.providers.*.apiKey", "models.providers.apiKey"),
    ("models.providers.*.headers.*", "models.providers.headers"),
    ("models.providers.*.request.tls.key", "models.providers.request.tls.key"),
    ("skills.entries.*.apiKey", "skills.entries.apiKey"),
    ("channels.telegram.accounts.*.botToken", "channels.telegram.accounts.*.botToken"),
])
def test_openclaws_type_of_a_field(pattern: str, kind: str) -> None:
    assert target(pattern.split(".")) == kind


def place(dotted: str, *, text: bool = False, admin: bool = False) -> Place:
    return Place("a-name", Stands.CONFIG, "f", dotted, tuple(dotted.split(".")), dotted, "", tuple(dotted.split(".")),
                 text, admin)


def test_the_registry_decides_between_a_plan_and_config_set() -> None:
    found, _ = moves([place("a.b"), place("a.c"), place("a.d", text=True)], {"a.b"}, {"a-name": "A_NAME"})
    assert [(move.way, move.variable) for move in found] == [
        (Way.REF, ""), (Way.SET, ""), (Way.VARIABLE, "CLAW_A_NAME")]


def test_a_text_field_takes_the_variable_that_the_value_has_in_env() -> None:
    env = Place("a-name", Stands.ENV_FILE, "f", "f:1", (), "THEIRS", "THEIRS")
    found, _ = moves([place("a.d", text=True), env], set(), {"a-name": "A_NAME"})
    assert [move.variable for move in found] == ["THEIRS", "THEIRS"]


def test_an_admin_credential_stays_in_the_configuration() -> None:
    found, left = moves([place("a.b", admin=True)], {"a.b"}, {})
    assert (found, len(left)) == ([], 1)


def test_a_plan_is_read_as_it_was_written() -> None:
    move = Move("n", "w", Way.PROFILE, "f", ("p", 1), "d", "V", "t")
    plan = Plan("/f", "/f/openclaw.json", (move,), (Left("x", "y"),), ("/k",))
    assert read(written(plan)) == plan


@pytest.mark.parametrize(("raw", "expected"), [
    ("A=1\nB=2\nC=3\n", "A=1\nC=3\n"),
    ("A=1\nexport B = 'x\nC=no\n'\nD=4", "A=1\nD=4"),
    ('A=1\nB="a\\"b" # told\nD=4\n', "A=1\nD=4\n"),
    ("# B=2\nB=2", "# B=2\n"),
    ("A='\nB=2\n'\n", "A='\nB=2\n'\n"),
    ("B=1\nA=2\nB=3\n", "A=2\n"),
])
def test_a_variable_is_taken_out_over_all_of_its_lines(raw: str, expected: str) -> None:
    assert without_variables(raw.encode(), {"B"}) == expected.encode()


def test_auth_profiles_get_references_and_their_values_back() -> None:
    before = json.dumps({"version": 1, "profiles": {"a:b": {"type": "api_key", "key": "v"}, "c": {"token": "w"}}})
    after = with_references(before, "clawsecrets", {("a:b", "key"): "one", ("c", "token"): "two"})
    profiles = json.loads(after)["profiles"]
    assert profiles["a:b"] == {"type": "api_key", "keyRef": {"source": "exec", "provider": "clawsecrets", "id": "one"}}
    assert "token" not in profiles["c"]
    assert with_references(after, "clawsecrets", {("a:b", "key"): "one"}) == after
    names = {("a:b", "key"): "one", ("c", "token"): "two"}
    as_it_was = (lambda name, value: value, lambda name, there: False)
    assert json.loads(without_references(after, before, names, "clawsecrets", *as_it_was)) == json.loads(before)
    newer = json.loads(after) | {"profiles": {**profiles, "a:b": {"type": "api_key", "key": "newer"}}}
    back = json.loads(without_references(json.dumps(newer), before, names, "clawsecrets", *as_it_was))["profiles"]
    assert (back["a:b"]["key"], back["c"]["token"]) == ("newer", "w")


@pytest.mark.parametrize(("now", "expected"), [
    ("A=1", "A=1\nB='x\ny'\n"),
    ("A=1\nB=newer\n", "A=1\nB=newer\n"),
    ("", "B='x\ny'\n"),
])
def test_a_variable_comes_back_where_there_is_none_of_its_name(now: str, expected: str) -> None:
    back = with_variables(now.encode(), b"A=0\nB='x\ny'\nC=3\n", {"B"})
    assert back == expected.encode()
    assert with_variables(back, b"A=0\nB='x\ny'\nC=3\n", {"B"}) == back
