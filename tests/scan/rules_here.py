"""All rules of this checkout."""

from __future__ import annotations

from functools import cache

from clawsecrets.data import data_path
from clawsecrets.issuers.loader import load_providers
from clawsecrets.model.finding import Rule
from clawsecrets.scan.detector import Detector, Hit
from clawsecrets.scan.rulefile import read_rules, rule_of
from clawsecrets.scan.ruleset import Ruleset
from tests import warm


@cache
def all_rules() -> tuple[Rule, ...]:
    provided = [rule_of(detect, provider.code, provider.name)
                for provider in load_providers().values() for detect in provider.detect]
    files = sorted((data_path("config") / "detect").glob("*.toml"))
    return (*provided, *(rule for file in files for rule in read_rules(file)))


@cache
def ruleset() -> Ruleset:
    return warm.ruleset()


@cache
def detector() -> Detector:
    return Detector(ruleset())


def found(text: str | bytes) -> list[tuple[str, str]]:
    """Rule and value of each hit."""
    data = text.encode() if isinstance(text, str) else text
    return [(hit.rule.id, data[hit.start:hit.end].decode("latin-1")) for hit in detector().hits(data)]


def dropped(text: str) -> dict[str, str]:
    """Rule -> why what it matched was dropped."""
    told: dict[str, str] = {}

    def tell(hit: Hit, why: str) -> None:
        told[hit.rule.id] = why

    detector().hits(text.encode(), tell)
    return told
