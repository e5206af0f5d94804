"""The report as one JSON object; docs/json.md says what each field means ("scan")."""

from __future__ import annotations

from collections.abc import Sequence
from json import JSONEncoder
from json.encoder import encode_basestring

from clawsecrets.model.finding import Coverage, Dropped, Finding, Known, Location, Provenance, Report, Skipped
from clawsecrets.reporters.visible import Ready, as_json, escaped, without_bytes

SCHEMA = 1
_HERE = "\0"
"""Where findings stand: no JSON holds it."""


class Json:
    """The documented, versioned form, with everything in it."""

    def write(self, report: Report) -> str:
        """The whole text."""
        return b"".join(self.pieces(report)).decode()

    def pieces(self, report: Report) -> Sequence[bytes]:
        """The whole text in parts, none of them copied: what is drawn is large, and memory that nobody has touched yet
        takes longer to fill than a processor takes to write it."""
        findings, baselined = report.drawn[1:] if report.drawn else drawn(report)
        first, second, third = as_json({
            "schema": SCHEMA,
            "findings": Ready(_HERE),
            "baselined": Ready(_HERE),
            "skipped": [_skipped(item) for item in report.coverage.skipped],
            "coverage": _coverage(report.coverage, report),
            "dropped": [_dropped(item) for item in report.dropped],
            "stats": dict(report.stats),
        }).split(_HERE)
        return first.encode(), findings, second.encode(), baselined, third.encode()


def drawn(report: Report) -> tuple[bytes, bytes]:
    """Its findings, and those of the baseline, as they stand in the whole text."""
    findings = _Findings()
    return findings.every(report.findings).encode(), findings.every(report.baselined).encode()


class _Findings:
    """Findings as text, each: what it is, then its first place, then every place. Many matches stand at one place, and
    a place is most of the text: its parts are written once."""

    def __init__(self) -> None:
        self._encode = JSONEncoder(ensure_ascii=False).encode
        self._refs: dict[tuple[str, ...], str] = {}
        self._places: dict[int, tuple[str, str]] = {}
        """By the identity of those that the report holds: what comes before the lines, and after them."""

    def every(self, found: Sequence[Finding]) -> str:
        """All of these, as a list that stands in an object, one a line."""
        return "[\n    " + ",\n    ".join(map(self.one, found)) + "\n  ]" if found else "[]"

    def one(self, finding: Finding) -> str:
        """One of them."""
        own = escaped(self._encode({
            "rule": finding.rule, "name": finding.rule_name, "provider": finding.provider,
            "confidence": finding.confidence, "severity": finding.severity, "masked": finding.masked,
            "length": finding.length, "fingerprint": finding.fingerprint, "known": _known(finding.known),
            "live": finding.live, "live_detail": without_bytes(finding.live_detail), "baseline": finding.baseline,
            "next": [without_bytes(line) for line in finding.next],
        }))
        places = [self._location(item) for item in finding.locations]
        return f'{own[:-1]}, {places[0][1:-1]}, "locations": [{", ".join(places)}]}}'

    def _location(self, location: Location) -> str:
        """One place. Fields that do not apply are empty."""
        where = location.provenance
        parts = self._places.get(id(where))
        if parts is None:
            parts = self._places[id(where)] = self._parts(where)
        _, start, end, column, encoding = location
        return (f'{parts[0]}, "start_line": {start}, "end_line": {end}, "start_column": {column}, "encoding": '
                f'{escaped(encode_basestring(encoding))}, {parts[1]}')

    def _parts(self, where: Provenance) -> tuple[str, str]:
        _, path, commit, author, date, message, reachable, _, image, platform, layer, made, container = [
            _quoted(text) if isinstance(text, str) else "" for text in where]
        refs = self._refs.get(where.refs)
        if refs is None:
            refs = self._refs[where.refs] = ", ".join(map(_quoted, where.refs))
        return (escaped(f'{{"kind": {_quoted(where.kind.value)}, "path": {path}'),
                escaped(f'"commit": {commit}, "author": {author}, "date": {date}, "message": {message}, "reachable": '
                        f'{reachable}, "image": {image}, "platform": {platform}, "layer": {layer}, "instruction": '
                        f'{made}, "container": {container}, "refs": [{refs}]}}'))


def _quoted(text: str) -> str:
    return encode_basestring(text if text.isascii() else without_bytes(text))


def _known(known: Known | None) -> dict[str, object] | None:
    if known is None:
        return None
    return {"name": known.name, "version": known.version, "stage": known.stage, "live": known.live}


def _skipped(item: Skipped) -> dict[str, object]:
    return {"what": without_bytes(item.what), "reason": without_bytes(item.reason), "by_choice": item.by_choice}


def _coverage(coverage: Coverage, report: Report) -> dict[str, object]:
    return {
        "complete": report.complete, "interrupted": report.interrupted, "shallow": coverage.shallow,
        "sources": [without_bytes(name) for name in coverage.sources], "objects": coverage.objects,
        "bytes": coverage.bytes, "cached": coverage.cached, "refs": coverage.refs, "commits": coverage.commits,
        "layers": coverage.layers,
    }


def _dropped(item: Dropped) -> dict[str, object]:
    return {"rule": item.rule, "path": without_bytes(item.place.path or item.place.key), "line": item.line,
            "reason": without_bytes(item.reason), "masked": item.masked}
