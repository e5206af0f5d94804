"""The findings of a report as text: what the cache keeps, so that a second scan of the same repository can say
them again. As in the report itself, no value is in them.

Where the report was written as JSON, that text is kept as well: who asks for it again needs no finding of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, overload

from clawsecrets.model.finding import Drawn, Finding, Kind, Location, Provenance, Report, Rule

_NAME = "\0"
"""In a line of advice: the finding's own fingerprint."""


class Recalled(NamedTuple):
    """What an earlier scan concluded."""

    findings: Sequence[Finding]
    baselined: Sequence[Finding]
    rules: Mapping[str, Rule]
    """The rules of the findings, by id."""
    sources: tuple[str, ...]
    """What was scanned, in words."""
    layers: int
    """Of images."""
    not_shown: int
    """Matches that were not confident enough."""
    drawn: Drawn | None = None
    """As Report's."""


class Counted(Sequence[Finding]):
    """Findings of which only the number is known: all else of them is drawn already."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Finding: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Finding]: ...
    def __getitem__(self, at: int | slice) -> Finding | Sequence[Finding]:
        raise TypeError("they were not read, only how they are drawn")


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


DRAWN = 16 << 20
"""Bytes of a list as it is drawn; more is not kept."""


def packed(report: Report) -> dict[str, Any]:
    """As JSON can hold it. Findings of `--known` and `--verify` are not to be kept, and lose what is theirs."""
    drawn, rules = report.drawn, {name: _facts(report.rules[name]) for name in report.rules}
    return {"sources": list(report.coverage.sources), "not_shown": int(report.stats.get("not_shown", 0)),
            "layers": report.coverage.layers, "rules": rules,
            "counts": [len(report.findings), len(report.baselined)],
            "rows": _deflated(json.dumps(plain(report), separators=(",", ":")).encode()),
            "drawn": [drawn.by, *map(_deflated, drawn[1:])] if drawn and max(map(len, drawn[1:])) <= DRAWN else None}


def unpacked(table: Mapping[str, Any], rules: Mapping[str, Rule], drawing: str = "") -> Recalled | None:
    """Back again; None when a rule is another one now. `drawing`: no finding will be asked for where it is known how
    all of them are drawn by this code. ValueError, KeyError, IndexError, TypeError or AttributeError when it is not
    what `packed` gives."""
    used = {name: rules[name] for name in table["rules"] if name in rules}
    if any(name not in used or _facts(used[name]) != facts for name, facts in table["rules"].items()):
        return None
    text, counts = table["rows"], tuple(map(int, table["counts"]))
    found: Sequence[Sequence[Finding]]
    drawn = None
    if drawing and table["drawn"] and table["drawn"][0] == drawing:
        _, first, second = table["drawn"]
        drawn = Drawn(drawing, _inflated(first), _inflated(second))
        found = list(map(Counted, counts))
    else:
        found = parsed(json.loads(_inflated(text)), used)
    if tuple(map(len, found)) != counts:
        raise ValueError("another number of findings")
    return Recalled(found[0], found[1], used, tuple(map(str, table["sources"])), int(table["layers"]),
                    int(table["not_shown"]), drawn)


def _deflated(data: bytes) -> tuple[int, str]:
    """How many bytes it is, and base64 of zlib: it is kept as it is as long as it holds."""
    from isal.isal_zlib import compress

    return len(data), base64.b64encode(compress(data, 1)).decode()


def _inflated(packed: Sequence[Any]) -> bytes:
    from isal.isal_zlib import IsalError, decompressobj

    size, text = packed
    if not 0 < size <= LARGEST:
        raise ValueError("too large, or nothing")
    inflate = decompressobj()
    try:
        data = inflate.decompress(base64.b64decode(text, validate=True), size)
    except IsalError:  # type: ignore[misc]  # the stubs do not know it is one
        raise ValueError("damaged") from None
    if not inflate.eof or len(data) != size:
        raise ValueError("of another size, or cut off")
    return data


def plain(report: Report) -> dict[str, Any]:
    """The findings as JSON can hold them."""
    words, refs, places = _Table(), _Table(), _Table()
    rows = [[_row(finding, words, refs, places) for finding in found] for found in (report.findings, report.baselined)]
    return {"findings": rows[0], "baselined": rows[1],
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


def parsed(table: Mapping[str, Any], used: Mapping[str, Rule]) -> list[Sequence[Finding]]:
    """Back again, both lists. `used`: their rules. ValueError, KeyError, IndexError or TypeError when it is not what
    `plain` gives."""
    words, refs = list(map(str, table["words"])), [tuple(map(str, names)) for names in table["refs"]]
    places = [_place(words, refs, *one) for one in table["places"]]
    return [tuple([_finding(words, places, used[rule], *row) for rule, *row in table[which]])
            for which in ("findings", "baselined")]


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
