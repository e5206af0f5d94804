"""GitLab's code quality report (the Code Climate subset): every place of every secret that is a file of the tree."""

from __future__ import annotations

from clawsecrets.model.finding import Finding, Location, Report
from clawsecrets.reporters import words
from clawsecrets.reporters.visible import as_json, visible

PLACES = 50
"""Places of one secret that are reported."""
_SEVERITIES = {"critical": "blocker", "high": "critical", "medium": "major", "low": "minor"}


class CodeQuality:
    """A list. What could not be looked at is an entry of its own: the format knows no other way to say it."""

    def write(self, report: Report) -> str:
        """The whole text."""
        found: list[object] = [_issue(item, place, number) for item in report.findings
                               for number, place in enumerate(item.locations[:PLACES])]
        found += [_fault(what, why, number) for number, (what, why) in enumerate(words.faults(report))]
        return as_json(found)


def _issue(finding: Finding, location: Location, number: int) -> dict[str, object]:
    where = location.provenance
    reached = words.reached(location)
    told = f"{finding.rule_name}: {finding.masked}{f' · {reached}' if reached else ''}. {finding.next[0]}" \
        if finding.next else f"{finding.rule_name}: {finding.masked}"
    return _entry(told, finding.rule, words.identity(finding, where.path, number), _SEVERITIES[finding.severity],
                  where.path or where.kind.value, location.start_line)


def _fault(what: str, why: str, number: int) -> dict[str, object]:
    return _entry(f"not looked at: {what}: {why}", "incomplete", f"{number:064x}", "critical", what, 1)


def _entry(told: str, check: str, fingerprint: str, level: str, path: str, line: int) -> dict[str, object]:
    return {"type": "issue", "check_name": check, "description": visible(told), "categories": ["Security"],
            "fingerprint": fingerprint, "severity": level,
            "location": {"path": visible(path), "lines": {"begin": max(1, line)}}}
