"""Workflow commands of GitHub Actions: an annotation at the line of each finding, an error for an incomplete scan.

`::error file=…,line=…,col=…,title=…::message`; `%`, CR and LF are written as `%25`, `%0D`, `%0A`, and in a property
`:` and `,` as `%3A` and `%2C`. GitHub shows ten annotations of each level in a step: the most urgent come first.
"""

from __future__ import annotations

from clawsecrets.model.finding import Finding, Kind, Report
from clawsecrets.reporters import words
from clawsecrets.reporters.visible import visible

_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "notice"}
_IN_TREE = frozenset({Kind.FILE, Kind.GIT_BLOB})


class Github:
    """One command a line."""

    def write(self, report: Report) -> str:
        """The whole text."""
        lines = [_annotation(item) for item in report.findings]
        lines += [_command("error", {"title": "clawsecrets: the scan is incomplete"}, f"not looked at: {what}: {why}")
                  for what, why in words.faults(report)]
        lines.append(_data(f"clawsecrets: {words.total_words(report)}; looked at "
                           f"{words.coverage_words(report.coverage)}"))
        return "\n".join(lines) + "\n"


def _annotation(finding: Finding) -> str:
    first = finding.locations[0]
    where = first.provenance
    properties = {}
    if where.kind in _IN_TREE and where.path:
        properties = {"file": where.path, "line": str(first.start_line), "endLine": str(first.end_line),
                      "col": str(first.start_column)}
    properties["title"] = f"{finding.severity}: {finding.rule_name}"
    more = f", and {len(finding.locations) - 1} more places" if len(finding.locations) > 1 else ""
    reached = words.reached(first)
    lines = [f"{finding.masked} ({finding.length} bytes) at {words.place(first)}"
             f"{f' · {reached}' if reached else ''}{more}", f"{finding.rule} · {finding.fingerprint}", *finding.next]
    return _command(_LEVELS[finding.severity], properties, *lines)


def _command(name: str, properties: dict[str, str], *lines: str) -> str:
    told = ",".join(f"{key}={_property(text)}" for key, text in properties.items())
    return f"::{name} {told}::{'%0A'.join(map(_data, lines))}"


def _data(text: str) -> str:
    """A backslash of `visible` stays; what the runner decodes is encoded."""
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
