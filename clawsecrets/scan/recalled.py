"""The findings of a report as text: what the cache keeps, so that a second scan of the same repository can say
them again. As in the report itself, no value is in them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from clawsecrets.model.finding import Finding, Kind, Location, Provenance, Report, Rule

_NAME = "\0"
"""In a line of advice: the finding's own fingerprint."""


class Recalled(NamedTuple):
    """What an earlier scan concluded."""

    findings: tuple[Finding, ...]
    baselined: tuple[Finding, ...]
    rules: Mapping[str, Rule]
    """The rules of the findings, by id."""
    sources: tuple[str, ...]
    """What was scanned, in words."""
    layers: int
    """Of images."""
    not_shown: int
    """Matches that were not confident enough."""


class _Table:
    """Values that are told by their number."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """The number of one."""
        return self._numbers.setdefault(value, len(self._numbers))

    def values(self) -> list[Any]:
        """All, by their numbers."""
        return list(self._numbers)


LARGEST = 64 << 20
"""Bytes of JSON."""


def packed(report: Report) -> str:
    """As one text: base64 of zlib of JSON, for it is kept as it is as long as it holds."""
    return base64.b64encode(zlib.compress(json.dumps(plain(report), separators=(",", ":")).encode(), 1)).decode()


def unpacked(text: str, rules: Mapping[str, Rule]) -> Recalled | None:
    """Back again; None when a rule is another one now. ValueError, KeyError, IndexError or TypeError when it is not
    what `packed` gives."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(base64.b64decode(text, validate=True), LARGEST)
    except zlib.error:
        raise ValueError("damaged") from None
    if not inflate.eof:
        raise ValueError("too large, or cut off")
    return parsed(json.loads(data), rules)


def plain(report: Report) -> dict[str, Any]:
    """As JSON can hold it. Findings of `--known` and `--verify` are not to be kept, and lose what is theirs."""
    words, refs, places = _Table(), _Table(), _Table()
    rows = [[_row(finding, words, refs, places) for finding in found] for found in (report.findings, report.baselined)]
    rules = {name: _facts(report.rules[name]) for name in report.rules}
    return {"sources": list(report.coverage.sources), "not_shown": int(report.stats.get("not_shown", 0)),
            "layers": report.coverage.layers, "rules": rules, "findings": rows[0], "baselined": rows[1],
            "words": words.values(), "refs": refs.values(), "places": places.values()}


def _facts(rule: Rule) -> list[Any]:
    """What a finding, or what is said of it, takes from its rule, besides what the rules' hash covers."""
    return [rule.provider, rule.name, rule.confidence, rule.page]


def _row(finding: Finding, words: _Table, refs: _Table, places: _Table) -> list[Any]:
    where: list[int] = []
    for provenance, *lines, encoding in finding.locations:
        texts = [words.number(text) for text in (*provenance[1:7], *provenance[8:])]
        place = places.number((provenance.kind.value, refs.number(provenance.refs), *texts))
        where += (place, *lines, words.number(encoding))
    advice = [words.number(line.replace(finding.fingerprint, _NAME)) for line in finding.next]
    return [finding.rule, finding.masked, finding.length, finding.fingerprint, finding.severity, finding.baseline,
            advice, where]


def parsed(table: Mapping[str, Any], rules: Mapping[str, Rule]) -> Recalled | None:
    """Back again; None when a rule is another one now. ValueError, KeyError, IndexError or TypeError when it is not
    what `plain` gives."""
    used = {name: rules[name] for name in table["rules"] if name in rules}
    if any(name not in used or _facts(used[name]) != facts for name, facts in table["rules"].items()):
        return None
    words, refs = list(map(str, table["words"])), [tuple(map(str, names)) for names in table["refs"]]
    places = [_place(words, refs, *one) for one in table["places"]]

    def found(rows: Iterable[Sequence[Any]]) -> tuple[Finding, ...]:
        return tuple([_finding(words, places, used[rule], *row) for rule, *row in rows])

    return Recalled(found(table["findings"]), found(table["baselined"]), used, tuple(map(str, table["sources"])),
                    int(table["layers"]), int(table["not_shown"]))


def _place(words: Sequence[str], refs: Sequence[tuple[str, ...]], kind: str, ways: int, *texts: int) -> Provenance:
    path, commit, author, date, message, reachable, image, platform, layer, made, container = (words[k] for k in texts)
    return Provenance(Kind(kind), path, commit, author, date, message, reachable, refs[ways], image, platform, layer,
                      made, container)


def _finding(words: Sequence[str], places: Sequence[Provenance], rule: Rule, masked: str, length: int,
             fingerprint: str, severity: str, baseline: str, advice: Sequence[int], where: Sequence[int]) -> Finding:
    steps, make = iter(where), tuple.__new__
    locations: list[Location] = [make(Location, (places[place], start, end, column, words[encoding]))
                                 for place, start, end, column, encoding in zip(*[steps] * 5, strict=True)]
    if not locations:
        raise ValueError("a finding without a place")
    return Finding(rule.id, rule.name, rule.provider, rule.confidence, masked, length, fingerprint, severity,
                   tuple(locations), baseline=baseline,
                   next=tuple([words[number].replace(_NAME, fingerprint) for number in advice]))
