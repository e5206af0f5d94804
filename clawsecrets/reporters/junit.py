"""JUnit's XML, as CI servers read it: a failed test for each secret, an error for each thing not looked at.

One more test, `coverage`, passes when everything was looked at: a clean report is not an empty one.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from clawsecrets.model.finding import Finding, Report
from clawsecrets.reporters import words
from clawsecrets.reporters.visible import visible

PLACES = 100
"""Places of one secret that are listed."""


class Junit:
    """One suite."""

    def write(self, report: Report) -> str:
        """The whole text."""
        faults = list(words.faults(report))
        cases = [_failure(item) for item in report.findings]
        cases += [_error(what, why) for what, why in faults]
        cases.append(_case("coverage", words.coverage_words(report.coverage), ""))
        counts = (f'tests="{len(cases)}" failures="{len(report.findings)}" errors="{len(faults)}" skipped="0" '
                  f'time="{report.stats.get("seconds", 0.0):.3f}"')
        return (f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="clawsecrets scan" {counts}>\n'
                f'<testsuite name="clawsecrets scan" {counts}>\n{"".join(cases)}</testsuite>\n</testsuites>\n')


def _failure(finding: Finding) -> str:
    lines = [f"{finding.rule}, {finding.severity}, {finding.confidence} confidence, {finding.fingerprint}"]
    if finding.known:
        lines.append(f"known: {words.known_words(finding.known)}")
    for item in finding.locations[:PLACES]:
        reached = words.reached(item)
        lines.append(f"at {words.place(item)}{f' · {reached}' if reached else ''}")
    if len(finding.locations) > PLACES:
        lines.append(f"and {len(finding.locations) - PLACES} more places")
    lines += finding.next
    title = f"{finding.rule_name}: {finding.masked}"
    body = "\n".join(escape(visible(line)) for line in lines)
    inner = f"<failure type={quoteattr(finding.severity)} message={quoteattr(visible(title))}>{body}</failure>"
    return _case(finding.rule, f"{words.place(finding.locations[0])} {finding.fingerprint[:8]}", inner)


def _error(what: str, why: str) -> str:
    return _case("coverage", what, f'<error type="incomplete" message={quoteattr(visible(f"not looked at: {why}"))}/>')


def _case(group: str, name: str, inner: str) -> str:
    return f"<testcase classname={quoteattr(visible(group))} name={quoteattr(visible(name))}>{inner}</testcase>\n"
