"""How urgent a finding is. One table, and what moves a finding up or down in it.

    high confidence      high        a value of a format that nothing else has
    medium               medium
    low                  low
    live                 critical    the store or the provider says that it is accepted today
    dead                 low         the store or the provider says that it is refused
    out of sight         one less    only a reflog leads there, or nothing: a clone would not have it
"""

from __future__ import annotations

from collections.abc import Collection

from clawsecrets.model.finding import Finding, Known

SEVERITIES = ("critical", "high", "medium", "low")
"""The most urgent first."""
REACH = ("", "branch", "index", "tag", "remote", "pull", "stash", "notes", "reflog", "dangling")
"""How something is reached, the most telling first; empty: it is no part of a history (a file, an image)."""
OUT_OF_SIGHT = frozenset({"reflog", "dangling"})
_BY_CONFIDENCE = {"high": "high", "medium": "medium", "low": "low"}


def severity(confidence: str, reached: Collection[str], known: Known | None = None, live: str = "") -> str:
    """The severity of a value that stands where `reached` says, one word for each of its places.

    `live` is what the provider said: live, dead, unknown, or nothing. It outweighs what the store believes.
    """
    if live == "live" or (known is not None and known.live and live != "dead"):
        return "critical"
    if live == "dead" or known is not None:
        return "low"
    found = _BY_CONFIDENCE.get(confidence, "low")
    if reached and all(word in OUT_OF_SIGHT for word in reached):
        return SEVERITIES[min(SEVERITIES.index(found) + 1, len(SEVERITIES) - 1)]
    return found


def urgency(finding: Finding) -> tuple[int, bool, int, str, str]:
    """A key to sort findings by, the most urgent first; two runs sort them alike."""
    first = finding.locations[0].provenance
    return (SEVERITIES.index(finding.severity), finding.known is None, rank(first.reachable), finding.rule,
            finding.fingerprint)


def rank(reachable: str) -> int:
    """The place of a word in `REACH`; a word that it does not have comes last."""
    return REACH.index(reachable) if reachable in REACH else len(REACH)
