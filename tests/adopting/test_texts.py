"""Changes of configurations, Compose files and units as text: the value alone, everything else as it stands."""

from __future__ import annotations

import json5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.adopting import compose_text, units
from clawsecrets.adopting.inplace import replaced
from clawsecrets.errors import Refused
from clawsecrets.model.value import SecretValue

REF = {"source": "exec", "provider": "clawsecrets", "id": "a"}


def parse(raw: bytes) -> object:
    return json5.loads(raw.decode("utf-8-sig"))


@pytest.mark.parametrize(("before", "path", "after"), [
    ('{ // told\n  a: "v", /* "v" */ b: 1, }', ("a",), '{ // told\n  a: "new", /* "v" */ b: 1, }'),
    ("{'a': {\"b\": ['x', 'v']}}", ("a", "b", 1), "{'a': {\"b\": ['x', \"new\"]}}"),
    ('{"a\\u0062": "v", "url": "http://x/y"}', ("ab",), '{"a\\u0062": "new", "url": "http://x/y"}'),
    ('{"a": "v", "a": "w"}', ("a",), '{"a": "new", "a": "new"}'),
    ('\ufeff{"a":"v"}', ("a",), '\ufeff{"a":"new"}'),
    ('[{"a": "v"}]', (0, "a"), '[{"a": "new"}]'),
])
def test_a_value_is_replaced_where_it_stands(before: str, path: tuple[str | int, ...], after: str) -> None:
    assert replaced(before.encode(), {path: "new"}, parse).decode() == after


def test_a_reference_comes_in_a_values_place_and_goes_again() -> None:
    raw = b'{a: {b: "v" /* why */}, c: "w"}'
    there = replaced(raw, {("a", "b"): REF}, parse)
    assert parse(there) == {"a": {"b": REF}, "c": "w"}
    assert replaced(there, {("a", "b"): "v"}, parse) == raw


def test_what_would_come_out_otherwise_is_refused() -> None:
    with pytest.raises(Refused):
        replaced(b'{"a": "v"}', {("b",): "new"}, parse)  # nothing stands there


@given(st.recursive(st.text() | st.integers() | st.booleans() | st.none(),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)),
       st.booleans())
def test_any_document_keeps_everything_else(document: object, quoted: bool) -> None:
    raw = json5.dumps({"x": document, "a": "v", "y": [document]}, quote_keys=quoted).encode("utf-8", "surrogatepass")
    try:
        json5.loads(raw.decode())
    except ValueError:  # no UTF-8; or a NUL before a digit, which json5 writes as \0 and cannot read back
        return
    assert parse(replaced(raw, {("a",): REF}, parse)) == {**parse(raw), "a": REF}  # type: ignore[dict-item]


COMPOSE = b"""\
services:
  gateway:            # the one
    image: openclaw
    environment:
      OPENCLAW_GATEWAY_TOKEN: first-value   # told
      "QUOTED": "second \\" value"
      SINGLE: 'third''s'
      GIVEN: ${GIVEN}
      DOLLARS: a$$b
      BLOCK: |
        fifth-value
    ports: ["1:1"]
    labels:
      NOT_ONE: first-value
  other:
    environment:
    - LISTED=first-value
    - "IN_QUOTES=sixth" # told
    - PASSED_ON
"""


def test_the_variables_of_a_compose_file() -> None:
    found = {one.name: one.value.reveal_text() for one in compose_text.entries(COMPOSE)}
    assert found == {"OPENCLAW_GATEWAY_TOKEN": "first-value", "QUOTED": 'second " value', "SINGLE": "third's",
                     "DOLLARS": "a$b", "LISTED": "first-value", "IN_QUOTES": "sixth"}


def test_only_the_value_changes_and_it_comes_back() -> None:
    entries = compose_text.entries(COMPOSE)
    lines = {one.line: one.name for one in entries}
    changed = compose_text.interpolated(COMPOSE, lines, [one.value for one in entries])
    text = changed.decode()
    assert "OPENCLAW_GATEWAY_TOKEN: ${OPENCLAW_GATEWAY_TOKEN:?clawsecrets run gives it}   # told" in text
    assert '- "IN_QUOTES=${IN_QUOTES:?clawsecrets run gives it}" # told' in text
    assert compose_text.put_back(changed, COMPOSE, lines, COMPOSE) == COMPOSE
    assert compose_text.put_back(b"# new\n" + changed, COMPOSE, lines, COMPOSE) == b"# new\n" + COMPOSE


def test_a_line_that_holds_something_else_by_now_is_left() -> None:
    entries = compose_text.entries(COMPOSE)
    lines = {one.line: one.name for one in entries}
    assert compose_text.interpolated(COMPOSE, lines, [SecretValue("another")]) == COMPOSE


@given(st.binary(max_size=200) | st.text(alphabet="environment:- \n\"'=#$ABa", max_size=80).map(str.encode))
def test_anything_is_read(raw: bytes) -> None:
    compose_text.entries(raw)
    units.assigned(raw)


def test_the_variables_of_a_unit_and_what_is_to_be_done() -> None:
    raw = b"[Service]\nEnvironment=A=one\nEnvironment=\"B=two words\" 'C=100%%'\n#Environment=D=no\nExecStart=/x\n"
    found = units.assigned(raw)
    assert [(one.name, one.line, one.value.reveal_text(), one.alone) for one in found] == [
        ("A", 2, "one", True), ("B", 3, "two words", False), ("C", 3, "100%", False)]
    path = "/home/u/.config/systemd/user/openclaw.service"
    assert units.advice(path, found[0], "", "") == (
        "line 2: take it out; OpenClaw gets it by its SecretRef",
        rf"sed -i -E '/^\s*Environment\s*=\s*[^A-Za-z0-9_]?A=/d' {path} && systemctl --user daemon-reload && "
        "systemctl --user restart openclaw.service")
    change, command = units.advice("/etc/systemd/system/openclaw.service.d/x.conf", found[0], "A", "/run/e")
    assert change == "line 2: EnvironmentFile=/run/e in its place"
    assert "=/run/e|' /etc/systemd/system/openclaw.service.d/x.conf && systemctl daemon-reload" in command
    assert command.endswith("systemctl restart openclaw.service")
    assert "take B out of the line" in units.advice(path, found[1], "B", "")[0]
