"""What an HTTP answer means, by the declarations of a provider file. What is not declared is UNKNOWN.

Answers are tried in the order ok, refused, later, unknown. Without a declaration: 429 is LATER, 5xx is LATER for an
operation that only reads (nothing can have happened) and UNKNOWN for one that acts. An HTML page is nobody's API
answer, it comes from something in between, so it is UNKNOWN too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from clawsecrets.model.provider import Answer, Condition, Operation
from clawsecrets.model.rotation import Outcome

MAX_AFTER = 86400.0
LATEST = 1e12
"""Seconds. Numbers beyond are no time."""
MISSING = object()
"""What `point` gives where nothing stands."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, and the declared answer that matched with the document in which its parts stand."""

    outcome: Outcome
    answer: Answer | None = None
    document: object = MISSING
    after: float = 0.0
    declared: bool = True

    def text(self, pointer: str) -> str:
        """The text or number at a pointer, as text; empty when the pointer is empty or nothing stands there."""
        found = point(self.document, pointer) if pointer else MISSING
        if isinstance(found, bool) or not isinstance(found, (str, int)):
            return ""
        return str(found)


def judge(operation: Operation, status: int, headers: Mapping[str, str], body: bytes, *, reads: bool) -> Verdict:
    """What this answer to `operation` means. `reads`: the operation changes nothing at the provider."""
    after = _after(headers)
    if body.lstrip()[:1] == b"<" and status != 429:
        return Verdict(_undeclared(status, reads), after=after, declared=False)
    document = _parse(body)
    for outcome, answers in (
        (Outcome.OK, operation.ok),
        (Outcome.REFUSED, operation.refused),
        (Outcome.LATER, operation.later),
        (Outcome.UNKNOWN, operation.unknown),
    ):
        for answer in answers:
            if _matches(answer, status, document, body) and (outcome is not Outcome.OK or _readable(document, body)):
                return Verdict(outcome, answer, document, after)
    return Verdict(_undeclared(status, reads), after=after, declared=False)


def point(document: object, pointer: str) -> object:
    """The value at a JSON pointer (RFC 6901), or MISSING."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, Mapping) and key in document:
            document = document[key]
        elif isinstance(document, list) and re.fullmatch(r"0|[1-9]\d{0,6}", key) and int(key) < len(document):
            document = document[int(key)]
        else:
            return MISSING
    return document


def moment(found: object) -> float:
    """A provider's expiry as Unix seconds: a number of seconds, a date, or an ISO time; 0.0 = none or not readable."""
    if isinstance(found, bool):
        return 0.0
    if isinstance(found, (int, float)):
        return float(found) if abs(found) < LATEST else 0.0  # neither infinite nor too long for a float
    if not isinstance(found, str):
        return 0.0
    try:
        time = datetime.fromisoformat(found)
    except ValueError:
        return 0.0
    return (time if time.tzinfo else datetime.fromisoformat(time.isoformat() + "+00:00")).timestamp()


def _undeclared(status: int, reads: bool) -> Outcome:
    return Outcome.LATER if status == 429 or (status >= 500 and reads) else Outcome.UNKNOWN


def _readable(document: object, body: bytes) -> bool:
    """Whether a success has the form of one: JSON, or nothing at all."""
    return document is not MISSING or not body.strip()


def _matches(answer: Answer, status: int, document: object, body: bytes) -> bool:
    return status in answer.status and all(_holds(condition, document, body) for condition in answer.where)


def _holds(condition: Condition, document: object, body: bytes) -> bool:
    if condition.contains:
        return condition.contains.encode() in body
    found = point(document, condition.at)
    if condition.present is not None:
        return (found is not MISSING and found is not None) == condition.present
    if condition.matches:
        return isinstance(found, str) and re.search(condition.matches, found) is not None
    wanted: Sequence[object] = condition.one_of or (condition.equals,)
    return any(type(found) is type(item) and found == item for item in wanted)  # JSON true is not 1


def _parse(body: bytes) -> object:
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return MISSING
    return document


def _after(headers: Mapping[str, str]) -> float:
    """Seconds of Retry-After: a number, or a date measured against the answer's own Date; at most a day."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return min(float(text), MAX_AFTER)
    try:
        wait = (parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (TypeError, ValueError, IndexError):
        return 0.0
    return max(0.0, min(wait, MAX_AFTER))
