"""What a value is taken for, what it is called, and what is left for a person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.errors import ConfigError
from clawsecrets.importers import Placement, dotenv, looks, openclaw_json, read_file, recognise
from clawsecrets.importers.candidates import Candidate, secret_name
from clawsecrets.importers.fields import load_fields
from clawsecrets.model.provider import Detect, Manual, Provider
from clawsecrets.model.secret import Kind, valid_name

FIELDS = load_fields()
RANDOM = "q7Zt0mXw4LrKp29sVbN8"


def provider(code: str, kind: Kind, env: tuple[str, ...], older: tuple[str, ...] = (), *rules: Detect) -> Provider:
    manual = Manual("https://p.example", ("Make one",))
    return Provider(code, code.title(), kind, "", "assisted", 1.0, manual, env=env, env_older=older, detect=rules)


def rule(code: str, pattern: str, example: str, **more: object) -> Detect:
    return Detect(code, pattern, (example,), (), **more)  # type: ignore[arg-type]


PROVIDERS = [
    provider("openclaw-gateway", Kind.GATEWAY_TOKEN, ("OPENCLAW_GATEWAY_TOKEN",), ("GATEWAY_TOKEN",)),
    provider("openclaw-hooks", Kind.WEBHOOK_SECRET, ("OPENCLAW_HOOKS_TOKEN",)),
    provider("openai", Kind.API_KEY, ("OPENAI_API_KEY",), (),
             rule("o", r"\b(sk-proj-[a-z0-9]{8})\b", "sk-proj-abcd0123")),
    provider("openrouter", Kind.API_KEY, ("OPENROUTER_API_KEY",), (),
             rule("r", r"\b(sk-or-[a-z0-9]{8})\b", "sk-or-abcd0123")),
    provider("router-admin", Kind.ADMIN, ("ROUTER_ADMIN",), (),
             rule("a", r"ROUTER_ADMIN=(sk-or-[a-z0-9]{8})\b", "ROUTER_ADMIN=sk-or-abcd0123", confidence="medium")),
    provider("twin-a", Kind.API_KEY, ("TWIN_A",), (), rule("ta", r"\b(tw-[a-z0-9]{8})\b", "tw-abcd0123")),
    provider("twin-b", Kind.API_KEY, ("TWIN_B",), (), rule("tb", r"\b(tw-[a-z0-9]{8})\b", "tw-abcd0123")),
    provider("brave", Kind.API_KEY, ("BRAVE_API_KEY",), (),
             rule("b", r"\b(BSA[A-Za-z0-9]{16,40})\b", "BSAq7Zt0mXw4LrKp29s", confidence="medium", entropy=3.0)),
    provider("telegram", Kind.MESSAGING_TOKEN, ("TELEGRAM_BOT_TOKEN",)),
]


def from_env(text: str, file: str = ".env") -> Placement:
    return recognise(dotenv.parse(text.encode(), file).items, PROVIDERS, FIELDS)


def one(text: str) -> Candidate:
    placed = from_env(text)
    assert placed.unplaced == ()
    (candidate,) = placed.candidates
    return candidate


# --- by name --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "name", "code", "kind"), [
    ("OPENAI_API_KEY=abc", "openai-api-key", "openai", Kind.API_KEY),
    ("OPENCLAW_GATEWAY_TOKEN=abc", "openclaw-gateway-token", "openclaw-gateway", Kind.GATEWAY_TOKEN),
    ("GATEWAY_TOKEN=abc", "openclaw-gateway-token", "openclaw-gateway", Kind.GATEWAY_TOKEN),
    ("OPENAI_API_KEY_2=abc", "openai-api-key-2", "openai", Kind.API_KEY),
    ("OPENAI_API_KEY_WORK=abc", "openai-api-key-work", "openai", Kind.API_KEY),
    ("TELEGRAM_BOT_TOKEN_OPS=abc", "telegram-bot-token-ops", "telegram", Kind.MESSAGING_TOKEN),
    ("OPENCLAW_LIVE_OPENAI_KEY=abc", "openclaw-live-openai-key", "openai", Kind.API_KEY),
    ("COHERE_API_KEY=abc", "cohere-api-key", "generic", Kind.API_KEY),
    ("COHERE_API_KEY_2=abc", "cohere-api-key-2", "generic", Kind.API_KEY),
    ("SLACK_SIGNING_SECRET=abc", "slack-signing-secret", "generic", Kind.WEBHOOK_SECRET),
])
def test_by_the_variable(text: str, name: str, code: str, kind: Kind) -> None:
    found = one(text)
    assert (found.name, found.provider, found.kind) == (name, code, kind)
    assert (found.env, found.where) == (text.partition("=")[0], ".env:1")
    assert found.value.reveal() == b"abc"
    assert found.env in found.how


def test_a_list_becomes_one_candidate_per_entry_without_a_variable() -> None:
    placed = from_env("OPENAI_API_KEYS=one1, two2;three3\nOPENAI_API_KEY_2=four4")
    assert [(c.name, c.env, c.value.reveal().decode()) for c in placed.candidates] == [
        ("openai-api-keys-1", "", "one1"),
        ("openai-api-keys-2", "", "two2"),
        ("openai-api-keys-3", "", "three3"),
        ("openai-api-key-2", "OPENAI_API_KEY_2", "four4"),
    ]
    assert placed.conflicts == ()


def test_a_variable_that_names_a_file_or_setting_is_no_second_key() -> None:
    placed = from_env("OPENAI_API_KEY_FILE=/run/x\nMATTERMOST_URL=https://m.example")
    assert placed.candidates == ()
    assert [(s.what, "setting" in s.reason) for s in placed.unplaced] == [
        ("OPENAI_API_KEY_FILE", False), ("MATTERMOST_URL", True),
    ]


# --- by look --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "code"), [
    ("WHATEVER=sk-proj-abcd0123", "openai"),
    ("OPENAI_API_KEY=sk-or-abcd0123", "openrouter"),
    ("COHERE_API_KEY=sk-or-abcd0123", "openrouter"),
    ("ROUTER_ADMIN=sk-or-abcd0123", "router-admin"),
    ("OPENROUTER_API_KEY=unlike", "openrouter"),
    ("SEARCH=BSAq7Zt0mXw4LrKp29s", "brave"),
])
def test_by_the_look_and_when_it_goes_before_the_name(text: str, code: str) -> None:
    assert one(text).provider == code


def test_two_providers_that_look_alike_decide_nothing() -> None:
    placed = from_env("WHATEVER=tw-abcd0123")
    assert placed.candidates == ()
    assert one("TWIN_B=tw-abcd0123").provider == "twin-b"


def test_too_little_entropy_for_the_rule() -> None:
    assert from_env("SEARCH=BSAaaaaaaaaaaaaaaaaaaa").candidates == ()


# --- generic, unplaced ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    f"BACKEND_SECRET={RANDOM}", f"myServiceToken={RANDOM}", f"SMTP_PASSWORD={RANDOM}", f"X_KEY_1={RANDOM}",
    "DATABASE_URL=postgres://app:hunter2@db/app",
    'DEPLOY="-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"',
])
def test_a_telling_name_and_entropy_make_a_generic_secret(text: str) -> None:
    assert one(text).provider == "generic"


@pytest.mark.parametrize(("text", "reason"), [
    ("OPENAI_API_KEY=changeme", "placeholder"),
    ("OPENAI_API_KEY=your-key-here", "placeholder"),
    ("OPENAI_API_KEY=<your key>", "placeholder"),
    ("OPENAI_API_KEY=xxx", "placeholder"),
    ("OPENAI_API_KEY=sk-proj-xxxxxxxxxx", "placeholder"),
    ("OPENAI_API_KEY=sk-...", "placeholder"),
    ("OPENAI_API_KEY=", "empty"),
    ("OPENAI_API_KEY='  '", "empty"),
    (f"NODE_ENV={RANDOM}", "not recognised"),
    ("LOG_LEVEL=debug", "not recognised"),
    ("SESSION_TOKEN=abcabc", "too plain"),
    ("AUTH_KEY=1234567890123456", "too plain"),
    ("KEY=/etc/ssl/private/server.key", "too plain"),
    (f"TOKEN_URL=https://x.example/{RANDOM}", "not recognised"),
])
def test_the_rest_is_unplaced_with_a_reason(text: str, reason: str) -> None:
    placed = from_env(text)
    assert placed.candidates == ()
    (skipped,) = placed.unplaced
    assert reason in skipped.reason
    assert skipped.what == text.partition("=")[0]


@pytest.mark.parametrize("text", ['{"type": "service_account", "key": "v"}', "[1,2]", "myhorse", "pa<ss>word", RANDOM])
def test_no_placeholder(text: str) -> None:
    assert not looks.placeholder(text)


# --- one value, many places; one name, many values --------------------------------------------------------------------


def test_the_same_value_twice_is_one_candidate_with_two_places() -> None:
    config = json.dumps({"gateway": {"auth": {"token": RANDOM}, "remote": {"token": RANDOM}}})
    items = [*dotenv.parse(f"GATEWAY_TOKEN={RANDOM}".encode(), ".env").items,
             *openclaw_json.parse(config.encode(), "o.json", FIELDS).items]
    placed = recognise(items, PROVIDERS, FIELDS)
    (found,) = placed.candidates
    assert (found.name, found.provider, found.env) == ("openclaw-gateway-token", "openclaw-gateway", "GATEWAY_TOKEN")
    assert [place.where for place in found.places] == [
        ".env:1", "o.json: gateway.auth.token", "o.json: gateway.remote.token",
    ]
    assert (placed.conflicts, placed.notes) == ((), ())


def test_a_generic_copy_joins_the_recognised_one_wherever_it_stands() -> None:
    (found,) = from_env("MY_TOKEN=sk9Zt0mXw4LrKp29sVbN8\nTELEGRAM_BOT_TOKEN=sk9Zt0mXw4LrKp29sVbN8").candidates
    assert (found.provider, found.env, len(found.places)) == ("telegram", "TELEGRAM_BOT_TOKEN", 2)
    assert found.where == ".env:1"


@pytest.mark.parametrize("text", [
    f"OPENCLAW_GATEWAY_TOKEN={RANDOM}\nOPENCLAW_HOOKS_TOKEN={RANDOM}",
    f"POSTGRES_PASSWORD={RANDOM}\nREDIS_PASSWORD={RANDOM}",
])
def test_different_secrets_that_share_a_value_stay_two_with_a_note(text: str) -> None:
    placed = from_env(text)
    assert len(placed.candidates) == 2
    (note,) = placed.notes
    assert note == " and ".join(c.name for c in placed.candidates) + " have the same value"


def test_different_values_for_one_name_are_a_conflict() -> None:
    items = [
        *dotenv.parse(b"GATEWAY_TOKEN=first1\nOPENCLAW_GATEWAY_TOKEN=second2", "a.env").items,
        *dotenv.parse(b"OPENCLAW_GATEWAY_TOKEN_2=third3\nOPENCLAW_GATEWAY_TOKEN=fourth4", "b.env").items,
    ]
    placed = recognise(items, PROVIDERS, FIELDS)
    assert [(c.name, c.value.reveal()) for c in placed.candidates] == [
        ("openclaw-gateway-token", b"first1"),
        ("openclaw-gateway-token-3", b"second2"),
        ("openclaw-gateway-token-2", b"third3"),
        ("openclaw-gateway-token-4", b"fourth4"),
    ]
    assert [str(conflict) for conflict in placed.conflicts] == [
        "openclaw-gateway-token: a.env:1 and a.env:2 hold different values; "
        "the second is imported as openclaw-gateway-token-3",
        "openclaw-gateway-token: a.env:1 and b.env:2 hold different values; "
        "the second is imported as openclaw-gateway-token-4",
    ]


# --- openclaw.json ----------------------------------------------------------------------------------------------------


def test_a_whole_configuration() -> None:
    document = {
        "gateway": {"auth": {"mode": "token", "token": "gw-0123"}, "tls": {"keyPath": "/k"}},
        "hooks": {"token": "hook-0123"},
        "models": {"providers": {
            "openai": {"apiKey": "oa-0123", "baseUrl": "https://x.example", "headers": {"X-Title": "my bot"}},
            "my-llm": {"apiKey": "ll-0123"},
            "groq": {"apiKey": {"source": "exec", "provider": "c", "id": "groq"}},
        }},
        "channels": {"telegram": {"botToken": "tg-0123", "accounts": {"ops": {"botToken": "tg-4567"}}}},
        "env": {"vars": {"MISTRAL_API_KEY": "mi-0123", "EDITOR": "vi"}},
        "agents": {"defaults": {"sandbox": {"ssh": {"knownHostsData": "host key"}}}},
        "custom": {"thing": "sk-proj-abcd0123", "serviceToken": RANDOM},
    }
    reading = openclaw_json.parse(json.dumps(document).encode(), "o.json", FIELDS)
    placed = recognise(reading.items, PROVIDERS, FIELDS)
    assert [(c.name, c.provider, c.env) for c in placed.candidates] == [
        ("openclaw-gateway-token", "openclaw-gateway", "OPENCLAW_GATEWAY_TOKEN"),
        ("openclaw-hooks-token", "openclaw-hooks", ""),
        ("openai-api-key", "openai", "OPENAI_API_KEY"),
        ("my-llm-api-key", "generic", ""),
        ("telegram-bot-token", "telegram", "TELEGRAM_BOT_TOKEN"),
        ("telegram-bot-token-ops", "telegram", ""),
        ("mistral-api-key", "generic", "MISTRAL_API_KEY"),
        ("custom-thing", "openai", ""),
        ("custom-service-token", "generic", ""),
    ]
    assert {(s.what, s.where) for s in placed.unplaced} == {
        ("X-Title", "o.json: models.providers.openai.headers.X-Title"),
        ("EDITOR", "o.json: env.vars.EDITOR"),
        ("knownHostsData", "o.json: agents.defaults.sandbox.ssh.knownHostsData"),
    }
    assert {reference.what for reference in reading.references} == {
        "gateway.tls.keyPath", "models.providers.groq.apiKey",
    }


# --- always -----------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from(["OPENAI_API_KEY", "GATEWAY_TOKEN", "MY_SECRET", "COHERE_API_KEY", "OPENAI_API_KEYS", "X", "_9"])
VALUES = st.sampled_from(
    [RANDOM, "sk-or-abcd0123", "sk-proj-abcd0123", "changeme", "", "a,b,c", "tw-abcd0123", "\u00e9" * 40]
)


@given(st.lists(st.tuples(KEYS, VALUES), max_size=12))
def test_names_are_valid_and_unique_and_nothing_is_lost(entries: list[tuple[str, str]]) -> None:
    items = [item for number, (key, value) in enumerate(entries)
             for item in dotenv.parse(f"{key}='{value}'".encode(), f"{number}.env").items]
    placed = recognise(items, PROVIDERS, FIELDS)
    names = [candidate.name for candidate in placed.candidates]
    assert len(set(names)) == len(names)
    assert all(valid_name(name) for name in names)
    told = [place.where for c in placed.candidates for place in c.places] + [s.where for s in placed.unplaced]
    assert {where.partition(":")[0] for where in told} == {f"{number}.env" for number in range(len(entries))}
    shown = repr(placed)
    assert not [value for _, value in entries if len(value) > 6 and value in shown]


@given(st.text(max_size=200))
def test_any_text_makes_a_valid_name(text: str) -> None:
    assert valid_name(secret_name(text))


@given(st.text(max_size=40), st.text(max_size=80))
def test_looks_never_fail(key: str, text: str) -> None:
    assert looks.bits(text) >= 0
    assert looks.secretive(key, text) in (True, False)
    assert looks.placeholder(text) in (True, False)


# --- files --------------------------------------------------------------------------------------------------------


def test_files_are_told_apart_by_name_and_content(tmp_path: Path) -> None:
    config, disguised, env = tmp_path / "openclaw.json", tmp_path / "openclaw.conf", tmp_path / ".env"
    config.write_text("{x: 'y'}")
    disguised.write_text("\ufeff \n {x: 'y'}")
    env.write_text("x=y")
    assert [read_file(path).items[0].where for path in (config, disguised, env)] == [
        f"{config}: x", f"{disguised}: x", f"{env}:1",
    ]


@pytest.mark.parametrize("name", ["missing.env", "."])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_file(tmp_path / name)
