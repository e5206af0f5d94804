"""SARIF 2.1.0 (OASIS standard), in the subset that GitHub code scanning reads.

Values never: the message has the mask. `partialFingerprints` go by rule, value and path, so that an alert stays the
same when the line moves. GitHub takes 25,000 results and 25,000 rules of a run; more are left out here, the least
urgent first, and a notification says so. A scan that could not look at everything says `executionSuccessful: false`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import quote

from clawsecrets import __version__
from clawsecrets.model.finding import Finding, Kind, Location, Report, Rule
from clawsecrets.reporters import words
from clawsecrets.reporters.visible import as_json, visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RESULTS = 25_000
"""The most results of a run."""
RELATED = 20
"""The most further places of one result."""
NOTIFICATIONS = 1000
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SCORES = {"critical": "9.8", "high": "8.5", "medium": "6.0", "low": "3.0"}
"""`security-severity`: GitHub calls from 9.0 critical, from 7.0 high, from 4.0 medium."""
_BY_CONFIDENCE = {"high": "high", "medium": "medium", "low": "low"}
_PRECISION = {"high": "very-high", "medium": "high", "low": "medium"}
_ROOT = "%SRCROOT%"


class Sarif:
    """One run."""

    def write(self, report: Report) -> str:
        """The whole text."""
        shown = report.findings[:RESULTS]
        rules = sorted({item.rule for item in shown})
        numbers = {rule: number for number, rule in enumerate(rules)}
        first = {item.rule: item for item in reversed(shown)}
        run = {
            "tool": {"driver": {
                "name": "clawsecrets", "version": __version__, "semanticVersion": __version__,
                "rules": [_rule(name, report.rules.get(name), first[name]) for name in rules],
            }},
            "automationDetails": {"id": "clawsecrets/scan/"},
            "columnKind": "utf16CodeUnits",
            "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of what was scanned."}}},
            "invocations": [_invocation(report)],
            "results": [_result(item, numbers[item.rule]) for item in shown],
        }
        return as_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, 5)


def _rule(name: str, rule: Rule | None, finding: Finding) -> dict[str, object]:
    title = visible(rule.name if rule else finding.rule_name)
    confidence = rule.confidence if rule else finding.confidence
    about = (f"A value that looks like this credential stands where others can read it: {title}. Whoever has read it "
             "can use it, until it is revoked.")
    steps = ("1. Make a new one, deliver it, and revoke this one: `clawsecrets rotate NAME --compromised` where it is "
             "in the store, else where it was made.\n"
             "2. Take it out of where it stands, its history included: deleting it in a new commit is no cure.\n"
             "3. If it is no secret: `clawsecrets baseline add FINGERPRINT --reason TEXT --expires 90d`.")
    return {
        "id": name, "name": "".join(part.capitalize() for part in name.replace("-", ".").split(".")),
        "shortDescription": {"text": f"Leaked: {title}"}, "fullDescription": {"text": about},
        "help": {"text": f"{about}\n\n{steps}", "markdown": f"{about}\n\n{steps}"},
        "defaultConfiguration": {"level": _LEVELS[_BY_CONFIDENCE.get(confidence, "low")]},
        "properties": {"tags": ["security", "secret", "external/cwe/cwe-798"],
                       "precision": _PRECISION.get(confidence, "medium"), "problem.severity": "error",
                       "security-severity": _SCORES[_BY_CONFIDENCE.get(confidence, "low")]},
    }


def _result(finding: Finding, number: int) -> dict[str, object]:
    first, *others = finding.locations
    told = f"{visible(finding.rule_name)}: {visible(finding.masked)} ({finding.length} bytes)"
    reached = visible(words.reached(first))
    known = f" It is {visible(words.known_words(finding.known))}." if finding.known else ""
    message = f"{told}{f', {reached}' if reached else ''}.{known} {' '.join(map(_sentence, finding.next))}"
    path = first.provenance.path
    return {
        "ruleId": finding.rule, "ruleIndex": number, "level": _LEVELS[finding.severity],
        "message": {"text": _plain(message.rstrip())},
        "locations": [_location(first)],
        "relatedLocations": [{"id": at, "message": {"text": _plain(visible(words.reached(item))) or "also here"},
                              **_location(item)} for at, item in enumerate(others[:RELATED], 1)],
        "partialFingerprints": {"primaryLocationLineHash": f"{words.identity(finding, path)[:16]}:1",
                                "secretFingerprint/v1": finding.fingerprint},
        "properties": {"severity": finding.severity, "confidence": finding.confidence, "places": len(finding.locations),
                       "live": finding.live, "security-severity": _SCORES[finding.severity]},
    }


def _plain(text: str) -> str:
    """A message without embedded links (SARIF 3.11.6: `[text](target)`): a file can be called so."""
    return text.replace("](", "]\\(")


def _sentence(text: str) -> str:
    shown = visible(text)
    return shown[:1].upper() + shown[1:] + ("" if shown.endswith(".") else ".")


def _location(location: Location) -> dict[str, object]:
    where = location.provenance
    physical: dict[str, object] = {
        "artifactLocation": {"uri": uri(location), "uriBaseId": _ROOT},
        "region": {"startLine": max(1, location.start_line), "startColumn": max(1, location.start_column),
                   "endLine": max(1, location.start_line, location.end_line)},
    }
    whole = "/".join(filter(None, (where.image, where.platform, where.layer, where.container, where.commit,
                                   where.path))) or where.kind.value
    return {"physicalLocation": physical,
            "logicalLocations": [{"fullyQualifiedName": visible(whole), "kind": "resource"}]}


def uri(location: Location) -> str:
    """A relative URI reference (RFC 3986): the path where there is one, else a name for the kind of place. Nothing in
    it leads above the root, and no first segment looks like a scheme."""
    where = location.provenance
    parts: Sequence[str] = os.fsencode(where.path).decode("latin-1").split("/") if where.path else ()
    safe = [quote(part.encode("latin-1"), safe="!$&'()*+,;=@~") for part in parts if part not in ("", ".", "..")]
    if not safe:
        safe = [where.kind.value, *([where.commit] if where.kind is Kind.GIT_MESSAGE and where.commit else [])]
    return "/".join(safe)


def _invocation(report: Report) -> dict[str, object]:
    notes = [_notification("error", f"not looked at: {what}: {why}") for what, why in words.faults(report)]
    over = len(notes) - NOTIFICATIONS
    if over > 0:
        notes = [*notes[:NOTIFICATIONS], _notification("error", f"not looked at: {over} more")]
    if len(report.findings) > RESULTS:
        notes.append(_notification("warning", f"{len(report.findings) - RESULTS} findings of the least severity are "
                                              f"left out: a run holds {RESULTS}"))
    notes.append(_notification("note", f"looked at {words.coverage_words(report.coverage)}"))
    return {"executionSuccessful": report.complete, "toolExecutionNotifications": notes}


def _notification(level: str, text: str) -> dict[str, object]:
    return {"level": level, "message": {"text": _plain(visible(text))}}
