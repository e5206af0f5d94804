"""The shipped provider files as data: sound, honest about their looks, and covering what was promised."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from clawsecrets.data import data_path
from clawsecrets.issuers.loader import check_file, explain, load_providers
from clawsecrets.model.secret import Kind

FILES = load_providers()
TEST_FILES = Path(__file__).parent.parent / "data" / "providers"
PROMISED = {
    "openclaw-gateway", "openclaw-gateway-password", "openclaw-hooks", "anthropic", "openai", "openrouter",
    "google-gemini", "groq", "mistral", "xai", "deepseek", "elevenlabs", "deepgram", "brave-search", "telegram",
    "discord", "slack", "whatsapp", "matrix", "mattermost", "github", "gitlab", "vault-approle", "tailscale",
    "sendgrid", "generic", "anthropic-admin", "openai-admin", "openrouter-management",
}
SHARED = {
    ("openrouter-management", "openrouter.key"): "a management key looks like an inference key",
    ("telegram-manager", "telegram.bot-token"): "a manager is a bot as any other; its variable's name tells",
}
"""Examples that another provider's sure rule matches too, and why that is right."""


def test_all_that_was_promised_is_there() -> None:
    assert set(FILES) >= PROMISED


@pytest.mark.parametrize("path", sorted([*data_path("providers").glob("*.toml"), *TEST_FILES.glob("*.toml")]),
                         ids=lambda path: path.stem)
def test_sound(path: Path) -> None:
    assert check_file(path) == []


@pytest.mark.parametrize("code", FILES)
def test_explained_in_plain_words(code: str) -> None:
    words = "\n".join(explain(FILES[code]))
    assert FILES[code].name in words
    assert FILES[code].manual.url in words
    assert all(step in words for step in FILES[code].manual.steps)


@pytest.mark.parametrize("code", FILES)
def test_examples_match_their_rule_only(code: str) -> None:
    for rule in FILES[code].detect:
        assert rule.examples
        assert rule.negative
        for example in rule.examples:
            (secret,) = rule.find(example)
            assert secret in example
            assert rule.find(f'"{secret}"') in ([secret], [])  # a rule that needs the variable's name finds nothing
            for other in FILES:
                for foreign in FILES[other].detect:
                    if other != code and foreign.confidence == "high" and foreign.find(example):
                        assert (code, foreign.id) in SHARED, f"{foreign.id} matches an example of {rule.id}"


def test_rule_ids_are_unique_and_begin_with_the_code() -> None:
    rules = [(code, rule.id) for code in FILES for rule in FILES[code].detect]
    assert len({rule for _, rule in rules}) == len(rules)
    assert all(rule.startswith(f"{code}.") for code, rule in rules)


def test_a_variable_names_one_provider() -> None:
    names = [name for code in FILES for name in (*FILES[code].env, *FILES[code].env_older)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", name) for name in names)


def test_intervals_follow_the_table() -> None:
    """Gateway 30 days, everything else 90, but where the provider itself ends a credential earlier."""
    earlier = {"whatsapp": 55, "tailscale": 80, "tailscale-api": 80, "vault-token": 30, "vault-approle": 30,
               "vault-app-token": 30, "vault-pki": 30,
               "twitch-public": 25}
    for code in FILES:
        days = 30 if FILES[code].kind is Kind.GATEWAY_TOKEN else earlier.get(code, 90)
        assert FILES[code].interval == days * 86400, code


def test_admin_credentials_are_assisted() -> None:
    """A rotation that loses its only admin credential would lock every other rotation out."""
    for code in FILES:
        if FILES[code].kind is Kind.ADMIN:
            assert FILES[code].strategy == "assisted", code
        if FILES[code].needs_admin and FILES[code].strategy != "refresh":  # the refresh token is its way, or none
            assert FILES[code].fallback_strategy == "assisted", code


def test_a_file_that_only_reads_never_needs_a_label() -> None:
    for code in FILES:
        test = FILES[code].operation("test")
        assert test is None or "label" not in test.request.names(), code
        about = test is None or test.request.credential.value == "self" or "value" in test.request.names()
        compared = test is not None and all(any(item.equals == "${value}" for item in answer.where)
                                            for answer in test.ok)
        assert about or compared, code


def test_success_is_not_believed_by_status_alone() -> None:
    """A captive portal answers 200 to everything: a test's OK must look into the body, or be a 204."""
    for code in FILES:
        test = FILES[code].operation("test")
        for answer in test.ok if test is not None else ():
            assert answer.where or answer.status in ((204,), (403,)), code


def test_the_strategy_falls_back_where_something_is_missing() -> None:
    openai = FILES["openai"]
    assert openai.strategy_for(has_admin=True, options={"project_id": "p"}) == "overlap"
    assert openai.strategy_for(has_admin=False, options={"project_id": "p"}) == "assisted"
    assert openai.strategy_for(has_admin=True, options={}) == "assisted"
    assert openai.missing_options({}) == ("project_id",)
    assert FILES["mattermost"].missing_options({"user_id": "u"}) == ("base_url",)
    assert FILES["openrouter"].missing_options({}) == ()
    assert FILES["gitlab"].strategy_for(has_admin=False, options={}) == "cut-over"
    assert FILES["groq"].strategy_for(has_admin=False, options={}) == "assisted"


def test_looks() -> None:
    example = FILES["groq"].detect[0].examples[0]
    assert FILES["groq"].looks(example)
    assert not FILES["groq"].looks(example + "x")
    assert not FILES["openai"].looks(example)


def test_handles_are_read_off_the_value() -> None:
    assert FILES["telegram"].handle_of("123456789:AAbc") == "123456789"
    assert FILES["sendgrid"].handle_of(f"SG.{'a' * 22}.{'b' * 43}") == "a" * 22
    assert FILES["tailscale"].handle_of("tskey-auth-kX-abc") == "kX"
    assert FILES["telegram"].handle_of("no id here") == ""


def test_exchanges_hold_no_real_looking_secret() -> None:
    for path in (Path(__file__).parent / "exchanges").glob("*.json"):
        text = json.dumps(json.loads(path.read_text()))
        for code in FILES:
            assert not any(rule.find(text) for rule in FILES[code].detect if rule.confidence == "high"), path.name
