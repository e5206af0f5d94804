"""GitLab's secret detection report, schema 15.2 (`artifacts: reports: secret_detection`)."""

from __future__ import annotations

import time
import uuid

from clawsecrets import __version__
from clawsecrets.model.finding import Finding, Kind, Report
from clawsecrets.reporters import words
from clawsecrets.reporters.visible import as_json, visible

SCHEMA = "15.2.1"
NO_COMMIT = "0000000"
"""The schema wants a commit; GitLab's own analyser writes this for a file that is in none."""
MESSAGES = 1000
_SEVERITIES = {"critical": "Critical", "high": "High", "medium": "Medium", "low": "Low"}
_NAMES = uuid.UUID("6b0c0e6e-5b0e-4f0a-9a53-0d6a3b5f7c11")
"""Namespace of our report ids (RFC 9562, version 5)."""
_TOOL = {"id": "clawsecrets", "name": "clawsecrets", "version": __version__, "vendor": {"name": "clawsecrets"}}


class Gitlab:
    """`at`: when the scan ended, Unix seconds; now, when it is not told."""

    def __init__(self, at: float | None = None) -> None:
        self._at = at

    def write(self, report: Report) -> str:
        """The whole text."""
        end = time.time() if self._at is None else self._at
        messages = [{"level": "fatal", "value": visible(f"not looked at: {what}: {why}")}
                    for what, why in words.faults(report)][:MESSAGES]
        messages.append({"level": "info", "value": visible(f"looked at {words.coverage_words(report.coverage)}")})
        return as_json({
            "version": SCHEMA,
            "scan": {"analyzer": _TOOL, "scanner": _TOOL, "type": "secret_detection",
                     "start_time": _moment(end - report.stats.get("seconds", 0.0)), "end_time": _moment(end),
                     "status": "success" if report.complete else "failure", "messages": messages},
            "vulnerabilities": [_vulnerability(item) for item in report.findings],
        })


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def _vulnerability(finding: Finding) -> dict[str, object]:
    first = finding.locations[0]
    where = first.provenance
    commit: dict[str, object] = {"sha": where.commit or NO_COMMIT}
    for name in ("author", "date", "message"):
        if text := visible(getattr(where, name)):
            commit[name] = text
    places = [f"{words.place(item)}{f' · {reached}' if (reached := words.reached(item)) else ''}"
              for item in finding.locations[:20]]
    name = f"{visible(finding.rule_name)}: {visible(finding.masked)}"
    return {
        "id": str(uuid.uuid5(_NAMES, words.identity(finding, where.path))),
        "name": name, "description": "\n".join(map(visible, (name, *places))),
        "severity": _SEVERITIES[finding.severity], "solution": "\n".join(map(visible, finding.next)),
        "identifiers": [
            {"type": "clawsecrets_rule_id", "name": f"clawsecrets rule {finding.rule}", "value": finding.rule},
            {"type": "cwe", "name": "CWE-798", "value": "798", "url": "https://cwe.mitre.org/data/definitions/798.html"},
        ],
        "location": {"file": visible(where.path) or _no_file(where.kind), "start_line": first.start_line,
                     "end_line": first.end_line, "commit": commit},
        "details": {"fingerprint": {"type": "text", "name": "Fingerprint", "value": finding.fingerprint}},
    }


def _no_file(kind: Kind) -> str:
    return kind.value
