"""What the server's answers mean. Its own words are looked at and never repeated: they could hold what was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MAX_WAIT = 10.0
"""Seconds: the longest wait that a server may ask for between two tries."""


class Said(Enum):
    """What an answer means for a request."""

    DONE = "done"
    ABSENT = "absent"
    """There is nothing at that path (of a version that was deleted, `data` has the metadata)."""
    CONFLICT = "conflict"
    """The check-and-set did not match: nothing was written."""
    NOT_YET = "not yet"
    """It did not happen, and may be sent again."""
    UNSURE = "unsure"
    """It may have happened."""
    DENIED = "denied"
    """The token has ended, or its policy does not allow it."""
    REFUSED = "refused"
    """It did not happen and will not; `why` says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request. Its data may hold values and is not in its repr."""

    said: Said
    why: str = ""
    """A few fixed words for people."""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The JSON body; empty when there was none."""
    after: float = 0.0
    """NOT_YET: seconds that the server asks to wait."""
    index: str = field(default="", repr=False)
    """The state of the cluster after a write (OpenBao 2.7, Vault Enterprise): opaque, given back with reads."""


_REFUSALS = (
    ("check-and-set parameter did not match", Said.CONFLICT, "another version is there"),
    ("check-and-set parameter required", Said.REFUSED, "the mount demands check-and-set"),
    ("from non-versioned to versioned", Said.NOT_YET, "the mount is being upgraded"),
    ("no handler for route", Said.REFUSED, "there is no secrets engine at that mount"),
    ("too large", Said.REFUSED, "it is too large for the cluster's storage"),
    ("exceeds max", Said.REFUSED, "it is too large for the cluster's storage"),
    ("sealed", Said.UNSURE, "it is sealed"),
    ("not initialized", Said.REFUSED, "it is not initialized"),
    ("standby", Said.NOT_YET, "it has no leader now"),
)
"""What is known by its words (lower case), whatever the status."""

_STATUS = {
    307: (Said.NOT_YET, "it sends to another node, which is not followed"),
    308: (Said.NOT_YET, "it sends to another node, which is not followed"),
    400: (Said.REFUSED, "it does not understand the request"),
    401: (Said.DENIED, "the token is not accepted"),
    403: (Said.DENIED, "permission denied"),
    404: (Said.ABSENT, "there is nothing there"),
    405: (Said.REFUSED, "there is no KV version 2 secrets engine at that mount"),
    412: (Said.NOT_YET, "that node is behind the others"),
    413: (Said.REFUSED, "it is too large for the cluster's storage"),
    429: (Said.NOT_YET, "it asks for patience (429)"),
    472: (Said.NOT_YET, "it has no leader now"),
    473: (Said.NOT_YET, "it has no leader now"),
}


def understood(status: int, headers: Mapping[str, str], content: bytes) -> Reply:
    """The meaning of an answer that came whole."""
    body = _body(content)
    index = headers.get("X-Vault-Index", "")
    if status in (200, 204):
        if content and body is None:
            return Reply(Said.UNSURE, "its answer is not JSON")
        return Reply(Said.DONE, data=body or {}, index=index)
    complaint = _complaint(body)
    for phrase, said, why in _REFUSALS:
        if phrase in complaint:
            return Reply(said, why, body or {}, _wait(headers))
    said, why = _STATUS.get(status, (Said.UNSURE, f"it answered {status}"))
    if status in (400, 404) and body is None:  # not the server's own: a balancer, TLS that is expected, something else
        return Reply(Said.REFUSED, "what answers there is no Vault or OpenBao, or wants https")
    return Reply(said, why, body or {}, _wait(headers))


def _body(content: bytes) -> Mapping[str, Any] | None:
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


def _complaint(body: Mapping[str, Any] | None) -> str:
    errors = (body or {}).get("errors")
    return " ".join(str(error) for error in errors).lower() if isinstance(errors, list) else ""


def _wait(headers: Mapping[str, str]) -> float:
    try:
        return min(max(float(headers.get("Retry-After", "0")), 0.0), MAX_WAIT)
    except ValueError:
        return 0.0
