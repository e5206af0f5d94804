"""Every rule of every file, through the whole detector: what it must find, and what it must not."""

from __future__ import annotations

import re

import pytest

from clawsecrets.model.finding import CONFIDENCES, Rule
from clawsecrets.model.provider import Detect, pattern_fault
from clawsecrets.scan.checksums import ALGORITHMS
from tests.scan.rules_here import all_rules, detector, found

RULES = all_rules()
EXAMPLES = [(rule, text) for rule in RULES for text in rule.examples]
NEGATIVES = [(rule, text) for rule in RULES for text in rule.negative]


def covered(rule: Rule, text: str) -> bool:
    """Whether what the rule means is reported. Where another rule of the same provider, or one that is at least as
    certain, says the same of the same text, that is as good."""
    data = text.encode()
    meant = [value.encode() for value in Detect(rule.id, rule.pattern, (), (), near=rule.near).find(text)]
    for hit in detector().hits(data):
        value = data[hit.start:hit.end]
        same = any(value in one or one in value for one in meant)
        rank = CONFIDENCES.index(hit.rule.confidence)
        if hit.rule.id == rule.id or (same and (hit.rule.provider == rule.provider
                                                or rank <= CONFIDENCES.index(rule.confidence))):
            return True
    return False


def test_every_example_is_found() -> None:
    assert len(RULES) >= 250 and len(EXAMPLES) >= len(RULES)
    assert [(rule.id, text) for rule, text in EXAMPLES if not covered(rule, text)] == []


def test_no_negative_is_found() -> None:
    assert [(rule.id, text) for rule, text in NEGATIVES if any(hit == rule.id for hit, _ in found(text))] == []


def test_generic_rules_find_nothing_in_their_negatives() -> None:
    generic = [(rule, text) for rule, text in NEGATIVES if rule.provider == "generic"]
    assert len(generic) > 30
    assert [(rule.id, text, found(text)) for rule, text in generic if found(text)] == []


def test_examples_are_found_wherever_they_stand() -> None:
    missed = []
    for rule in RULES:
        data = b"lorem ipsum\n" * 700 + rule.examples[0].encode() + b"\n" + b"dolor sit amet\n" * 700
        start = 12 * 700 - 1
        if not any(start <= hit.start <= start + len(rule.examples[0]) + 1 for hit in detector().hits(data)):
            missed.append(rule.id)
    assert missed == []


UNMISTAKABLE = re.compile(r"\((?:gh(?:\[pou\]|s|r)_|github_pat_|sk-ant-|sk-or-v1-|sk-\(\?:proj|sk-admin|sk-\["
                          r"|gl(?:pat|dt|rt|cbt|ptt|ft|soat|ffct|agent|oas)-|GR1348941|xox[bpecd]|xox\[aros\]|xwfp-|xapp-"
                          r"|xai-|tskey-|npm_|dckr_|pypi-Ag|nvapi-|pplx-|shp[a-z]{2}_|\(\?:\\b\(\?:atkn\|prtapi\)\|shptka)")
"""How the patterns begin whose beginning and length nothing else has: they are seen behind letters too."""


@pytest.mark.parametrize("before", ["dir", "KEY", "x_", "a1", "token-"])
def test_what_is_glued_to_a_word_is_found(before: str) -> None:
    glued = [rule for rule in RULES if UNMISTAKABLE.match(rule.pattern)]
    assert len(glued) > 30
    assert [rule.id for rule in RULES if rule not in glued and UNMISTAKABLE.match(rule.pattern[2:])] == []
    missed = []
    for rule in glued:
        value = Detect(rule.id, rule.pattern, (), ()).find(rule.examples[0])[0]
        text = f"one {before}{value} two\n"
        if not any(text[hit.start:hit.end] == value for hit in detector().hits(text.encode())):
            missed.append(rule.id)
    assert missed == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_rule_is_sound(rule: Rule) -> None:
    detect = Detect(rule.id, rule.pattern, (), (), near=rule.near)
    assert pattern_fault(detect.expression) == ""
    assert rule.confidence in CONFIDENCES and rule.name and rule.examples
    assert not rule.checksum or rule.checksum in ALGORITHMS


def test_ids_are_unique() -> None:
    ids = [rule.id for rule in RULES]
    assert sorted(ids) == sorted(set(ids))
