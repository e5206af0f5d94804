"""With the provider files that ship: their variables and examples lead to them; a thousand entries stay quick."""

from __future__ import annotations

import secrets
import time

from clawsecrets.importers import dotenv, openclaw_json, recognise
from clawsecrets.issuers.loader import load_providers

PROVIDERS = load_providers()


def test_every_variable_leads_to_its_provider() -> None:
    wrong = []
    for code, provider in PROVIDERS.items():
        for name in (*provider.env, *provider.env_older):
            items = dotenv.parse(f"{name}=plain-0123".encode(), ".env").items
            (found,) = recognise(items, PROVIDERS.values()).candidates
            if (found.provider, found.kind) != (code, provider.kind):
                wrong.append((name, found.provider))
    assert wrong == []
    assert len(PROVIDERS) >= 25


def test_every_example_is_recognised_under_any_name() -> None:
    """High-confidence rules whose whole match is the value; those that need their variable beside it do not apply."""
    checked, wrong = 0, []
    for code, provider in PROVIDERS.items():
        for rule in provider.detect:
            for value in (value for example in rule.examples for value in rule.find(example)):
                if rule.confidence == "high" and rule.fits(value):
                    items = dotenv.parse(f"SOMETHING='{value}'".encode(), ".env").items
                    found = [candidate.provider for candidate in recognise(items, PROVIDERS.values()).candidates]
                    checked += 1
                    if found != [code]:
                        wrong.append((rule.id, found))
    assert wrong == []
    assert checked >= 15


def test_a_thousand_entries_are_quick() -> None:
    """Ten times as many take about ten times as long, on any machine: each of three tries takes its fastest."""
    took = {number: min(seconds(number) for _ in range(3)) for number in (100, 1000)}
    print(f"1,000 entries: {took[1000] * 1000:.0f} ms")
    assert took[1000] < 40 * took[100], took


def seconds(number: int) -> float:
    """What so many entries take of this process's own time."""
    text = "\n".join(f"SERVICE_{n}_TOKEN={secrets.token_urlsafe(32)}" for n in range(number))
    start = time.process_time()
    placed = recognise(dotenv.parse(text.encode(), ".env").items, PROVIDERS.values())
    took = time.process_time() - start
    assert len(placed.candidates) == number
    return took


def test_a_model_provider_s_key_is_named_as_its_provider_file_ranks_it() -> None:
    text = b'{"models": {"providers": {"openai": {"apiKey": "plain-0123"}}}}'
    items = openclaw_json.parse(text, "openclaw.json").items
    (found,) = recognise(items, PROVIDERS.values()).candidates
    assert (found.name, found.provider) == ("openai-api-key", "openai")
