"""openclaw.json: JSON5, every known field, references, and errors that show nothing."""

from __future__ import annotations

import json
import tomllib
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.data import data_path
from clawsecrets.errors import ConfigError
from clawsecrets.importers import Item, Reading, includes, openclaw_json
from clawsecrets.importers.fields import load_fields
from clawsecrets.model.secret import Kind
from tests.canary import search

FIELDS = load_fields()
RAW = tomllib.loads((data_path("config") / "openclaw-fields.toml").read_text())


def read(document: object) -> Reading:
    text = document if isinstance(document, str) else json.dumps(document)
    return openclaw_json.parse(text.encode(), "o.json", FIELDS)


def only(document: object) -> Item:
    (item,) = read(document).items
    return item


def nested(path: str, value: object) -> Any:
    """A document with `value` at `path`; `*` becomes the key `x`."""
    for part in reversed(path.split(".")):
        value = {"x" if part == "*" else part: value}
    return value


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_table_holds_all_the_fields_of_that_version() -> None:
    assert RAW["openclaw"] == "2026.9.6"
    kinds = [one for one in RAW["fields"] if not one.get("text")]
    assert (len(kinds), len(RAW["fields"]) - len(kinds), len(RAW["pointers"])) == (170, 34, 25)
    assert len(RAW["variables"]) == 183
    assert {one["kind"] for one in RAW["fields"]} <= set(Kind)
    assert set(RAW["variables"].values()) <= {*Kind, "setting"}
    assert {name for names in RAW["models"].values() for name in names} <= set(RAW["variables"])


@pytest.mark.parametrize("entry", RAW["fields"], ids=lambda entry: entry["path"])
def test_every_field_is_recognised_at_its_path(entry: dict[str, Any]) -> None:
    found = read(nested(entry["path"], "value-0123"))
    (item,) = found.items
    assert found.references == ()
    assert item.where == f"o.json: {entry['path'].replace('*', 'x')}"
    if entry.get("public"):
        assert item.kind == "public"
    elif entry["path"].endswith(".*"):
        assert item.known_as == ("x",)
    else:
        assert item.kind == entry["kind"]
        assert item.known_as[: len(entry.get("env", ()))] == tuple(entry.get("env", ()))
        assert item.name


@pytest.mark.parametrize("path", RAW["pointers"])
def test_every_pointer_is_a_reference(path: str) -> None:
    found = read(nested(path, "/run/secrets/x"))
    assert found.items == ()
    assert "names a file" in found.references[0].reason


# --- what a field is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("document", "known_as", "name", "suffix"), [
    (nested("gateway.auth.token", "v"), ("OPENCLAW_GATEWAY_TOKEN",), "openclaw-gateway-auth-token", ""),
    (nested("hooks.token", "v"), (), "openclaw-hooks-token", ""),
    (nested("channels.telegram.botToken", "v"), ("TELEGRAM_BOT_TOKEN",), "telegram-bot-token", ""),
    (nested("channels.telegram.accounts.ops.botToken", "v"), ("TELEGRAM_BOT_TOKEN",), "telegram-ops-bot-token", "ops"),
    (nested("channels.telegram.accounts.default.botToken", "v"), ("TELEGRAM_BOT_TOKEN",), "telegram-bot-token", ""),
    (nested("models.providers.openai.apiKey", "v"), ("CODEX_API_KEY", "OPENAI_API_KEY"), "openai-api-key", ""),
    (nested("models.providers.my-llm.apiKey", "v"), (), "my-llm-api-key", ""),
    (nested("tts.providers.elevenlabs.apiKey", "v"), ("ELEVENLABS_API_KEY", "XI_API_KEY"), "tts-elevenlabs-api-key",
     ""),
    (nested("plugins.entries.typesafe.config.apiKey", "v"), (), "typesafe-api-key", ""),
    ({"profiles": {"openai:default": {"type": "api_key", "provider": "openai", "key": "v"}}},
     ("CODEX_API_KEY", "OPENAI_API_KEY"), "profiles-openai-default-key", ""),
])
def test_fields_know_their_variable_name_and_account(
    document: object, known_as: tuple[str, ...], name: str, suffix: str
) -> None:
    item = next(item for item in read(document).items if item.value.reveal() == b"v")
    assert (item.known_as, item.name, item.suffix) == (known_as, name, suffix)


def test_lists_match_and_are_shown_as_openclaw_writes_them() -> None:
    document = {"tools": {"media": {"models": [{}, {"request": {"auth": {"token": "v"}}}]}}}
    item = only(document)
    assert item.where == "o.json: tools.media.models[1].request.auth.token"
    assert item.kind == "api-key"


def test_variables_of_the_users_own_keep_their_name() -> None:
    item = only({"env": {"vars": {"GROQ_API_KEY": "v"}}})
    assert (item.env, item.kind) == ("GROQ_API_KEY", "")
    header = only({"models": {"providers": {"x": {"headers": {"X-Title": "v"}}}}})
    assert (header.env, header.known_as, header.kind) == ("", ("X-Title",), "")


def test_other_texts_come_along_without_a_claim() -> None:
    found = read({"agents": {"list": [{"name": "main"}]}, "port": 1, "on": True, "none": None})
    assert [(item.where, item.kind, item.known_as) for item in found.items] == [
        ("o.json: agents.list[0].name", "", ())
    ]


@pytest.mark.parametrize(("value", "reason"), [
    ({"source": "exec", "provider": "clawsecrets", "id": "telegram-bot-token"}, "already a SecretRef (exec)"),
    ({"source": "env", "provider": "default", "id": "X"}, "already a SecretRef (env)"),
    ("${TELEGRAM_BOT_TOKEN}", "refers to an environment variable"),
    ("Bearer ${TOKEN}", "refers to an environment variable"),
])
def test_references_are_not_imported(value: object, reason: str) -> None:
    found = read(nested("channels.telegram.botToken", value))
    assert found.items == ()
    (reference,) = found.references
    assert (reference.what, reference.reason) == ("channels.telegram.botToken", reason)


def test_an_object_that_only_resembles_a_reference_is_read() -> None:
    document = {"x": {"source": "web", "id": "1"}, "source": "env", "id": "top"}
    assert [item.key for item in read(document).items] == ["source", "id", "source", "id"]


def test_json5_is_read_like_json() -> None:
    text = "// c\n{channels: {telegram: {botToken: 'a\\u0062c', /* d */ enabled: true,},},}\n"
    assert only(text).value.reveal() == b"abc"
    assert only("\ufeff" + text).value.reveal() == b"abc"


def test_includes_are_named() -> None:
    assert read({"$include": "./more.json", "x": "y"}).notes == (
        "o.json: $include: includes other files; import them as well",
    )


@pytest.mark.parametrize(("text", "fault"), [
    ("{a: 1,\n b: VALUE}", "line 2"),
    ("{\n\n a: 'VALUE}", "line 3"),
    ("{a: 'VALUE'}}", "line 1"),
    ("", "line 1: is not JSON5"),
    ("['VALUE']", "is not an object"),
    ("'VALUE'", "is not an object"),
    ('{"a":' + "[" * 5000, "nested too deeply"),
    ("{'a': '\udcff VALUE'}", "is not UTF-8"),
])
def test_errors_name_the_line_and_show_nothing(text: str, fault: str) -> None:
    value = "s3cr-et_VALUE_0123456789"
    raw = text.replace("VALUE", value).encode("utf-8", "surrogateescape")
    with pytest.raises(ConfigError) as caught:
        openclaw_json.parse(raw, "o.json", FIELDS)
    assert caught.value.message.startswith("o.json: ")
    assert fault in caught.value.message
    assert caught.value.__context__ is None
    assert search("".join(traceback.format_exception(caught.value)).encode(), value.encode()) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["gateway", "models", "channels", "env", "profiles", "$include"]), JSON))
def test_any_document_is_read(document: dict[str, object]) -> None:
    found = read(document)
    places = [item.where for item in found.items]
    assert len(set(places)) == len(places)


@given(st.binary(max_size=60) | st.text(alphabet="{}[]'\":,ab1/*\\ \n", max_size=40).map(str.encode))
def test_anything_is_read_or_refused(raw: bytes) -> None:
    try:
        openclaw_json.parse(raw, "o.json", FIELDS)
    except ConfigError as error:
        assert error.message.startswith("o.json: ")
        assert error.hint


@pytest.mark.parametrize(("document", "port"), [
    ({}, 18789), ({"gateway": {"port": 19001}}, 19001), ({"gateway": {"auth": {}}}, 18789), ({"gateway": 3}, 18789),
    ({"gateway": {"port": True}}, 18789), ({"gateway": {"port": 70000}}, 18789), ([1], 18789),
])
def test_the_gateways_port(document: object, port: int) -> None:
    assert includes.gateway_port(includes.parts("o.json", lambda _: json.dumps(document).encode())) == port
