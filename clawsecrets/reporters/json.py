"""The report as one JSON object; docs/json.md says what each field means ("scan")."""

from __future__ import annotations

from clawsecrets.model.finding import Coverage, Dropped, Finding, Known, Location, Report, Skipped
from clawsecrets.reporters.visible import as_json, without_bytes

SCHEMA = 1


class Json:
    """The documented, versioned form, with everything in it."""

    def write(self, report: Report) -> str:
        """The whole text."""
        return as_json({
            "schema": SCHEMA,
            "findings": [finding_json(item) for item in report.findings],
            "baselined": [finding_json(item) for item in report.baselined],
            "skipped": [_skipped(item) for item in report.coverage.skipped],
            "coverage": _coverage(report.coverage, report),
            "dropped": [_dropped(item) for item in report.dropped],
            "stats": dict(report.stats),
        })


def finding_json(finding: Finding) -> dict[str, object]:
    """One finding: what it is, then its first place, then every place."""
    places = [location_json(item) for item in finding.locations]
    return {
        "rule": finding.rule, "name": finding.rule_name, "provider": finding.provider,
        "confidence": finding.confidence, "severity": finding.severity, "masked": finding.masked,
        "length": finding.length, "fingerprint": finding.fingerprint, "known": _known(finding.known),
        "live": finding.live, "live_detail": without_bytes(finding.live_detail), "baseline": finding.baseline,
        "next": [without_bytes(line) for line in finding.next],
        **places[0],
        "locations": places,
    }


def location_json(location: Location) -> dict[str, object]:
    """One place. Fields that do not apply are empty."""
    where = location.provenance
    return {
        "kind": where.kind.value, "path": without_bytes(where.path), "start_line": location.start_line,
        "end_line": location.end_line, "start_column": location.start_column, "encoding": location.encoding,
        "commit": without_bytes(where.commit), "author": without_bytes(where.author),
        "date": without_bytes(where.date), "message": without_bytes(where.message),
        "reachable": without_bytes(where.reachable), "image": without_bytes(where.image),
        "platform": without_bytes(where.platform), "layer": without_bytes(where.layer),
        "instruction": without_bytes(where.instruction), "container": without_bytes(where.container),
        "refs": [without_bytes(ref) for ref in where.refs],
    }


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
