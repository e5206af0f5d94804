"""How much is found of what operators hold, in the kinds of text it ends up in, and how much is reported wrongly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from clawsecrets.issuers.loader import load_providers
from clawsecrets.model.finding import Rule
from clawsecrets.model.provider import Detect
from tests.scan.accuracy.contexts import CONTEXTS, netrc, pgpass
from tests.scan.accuracy.negatives import negatives
from tests.scan.rules_here import all_rules, detector, found

RECALL = 0.97
WRONG = 2
"""Of 500 hard negatives."""
_SAYS = re.compile(r"key|token|secret|password|hash|code|passphrase|credential|\bid$")


@dataclass(frozen=True)
class Credential:
    """One credential of an operator, and what it is called."""

    rule: Rule
    value: str
    variable: str
    spoken: str


def credentials() -> Iterator[Credential]:
    """The first example's value of each rule, by the name that the provider file or the rule gives it. A rule that
    asks for more around it than a name (a member of a certain JSON object) has only its own examples."""
    providers = load_providers()
    for rule in all_rules():
        detect = Detect(rule.id, rule.pattern, rule.examples, (), near=rule.near)
        value = detect.find(rule.examples[0])[0]
        if rule.provider == "generic" or "\n" in value or (not rule.near and value not in detect.find(f"={value}\n")):
            continue
        names = providers[rule.provider].env if rule.provider in providers else ()
        if rule.near:
            spoken = max(rule.near, key=len)
            spoken += "" if _SAYS.search(spoken) else " key"
            yield Credential(rule, value, re.sub(r"[^A-Za-z0-9]+", "_", spoken).upper(), spoken)
        else:
            yield Credential(rule, value, names[0] if names else f"{rule.provider.upper().replace('-', '_')}_TOKEN",
                             rule.name)


CREDENTIALS = list(credentials())


def reported(text: str, value: str) -> bool:
    """Whether it is reported, whole or nearly so."""
    data = text.encode()
    return any(value.encode() in data[hit.start:hit.end] or
               (data[hit.start:hit.end] in value.encode() and 5 * (hit.end - hit.start) >= 4 * len(value))
               for hit in detector().hits(data))


@pytest.mark.parametrize("context", CONTEXTS)
def test_recall_in_each_context(context: str) -> None:
    missed = [item.rule.id for item in CREDENTIALS
              if not reported(CONTEXTS[context](item.variable, item.spoken, item.value), item.value)]
    assert len(CREDENTIALS) > 250
    assert 1 - len(missed) / len(CREDENTIALS) >= RECALL, Counter(missed)


PASSWORDS = ("wQ7!mXz2#Lr9", "Hn4xK-vT8q2w", "u3Zq0PLm8sYd", "9f$Kd2bRt6!x", "tR8+vGm1pQz5")


@pytest.mark.parametrize("password", PASSWORDS)
def test_passwords_in_files_of_passwords(password: str) -> None:
    for text in (netrc(password), pgpass(password), f"postgres://ops:{password}@db.acme.io/app",
                 f"curl -u ops:{password} https://api.acme.io", f"my password is {password}",
                 f"mysql -u root -p{password} app", f"DB_PASSWORD={password}", f'"password": "{password}"'):
        assert any(password in value for _, value in found(text)), text


def test_hard_negatives() -> None:
    texts = negatives()
    assert len(set(texts)) >= 500
    wrong = [(text[:80], found(text)) for text in texts if found(text)]
    assert len(wrong) * 500 <= WRONG * len(texts), wrong
