"""What a person is told without having asked: one frozen notice for each thing that happened or still stands. Pure.

A notice holds names, times and one line of words, never a value. `key` says what it is about: a notice with the same
key is the same thing still standing, and is told again only after `again` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Topic(StrEnum):
    """What a notice is about."""

    DUE = "due"
    """It is due now and will be rotated in its window."""
    ROTATED = "rotated"
    """A rotation ended with a new current value (`detail` says with what caveats)."""
    FAILED = "failed"
    """A rotation was given up; the old value is still in use. It is tried again by itself."""
    STUCK = "stuck"
    """It goes on only with a person: a rotation that stands, or too many in a row that failed."""
    WAITING = "waiting"
    """A rotation waits for a person: for the new value, or for their word."""
    REVOCATION = "revocation-pending"
    """A credential that must die lives still, or is not proven dead."""
    UNPROVEN = "consumer-not-proven"
    """Delivered, but no consumer has shown that it uses the new value; the old one is kept."""
    LEAK = "leak-found"
    """A value was found where it must not be."""
    REMINDER = "reminder"
    """Assisted: a person will have to make a new value (`days_left`; negative: overdue by so many days)."""
    HARD_AGE = "hard-age"
    """Older than its hard limit, and still not rotated: `detail` says why."""
    DRIFT = "drift"
    """The nightly look found something that is not as it was left."""
    DAEMON = "daemon"
    """About the daemon itself: a refused configuration, a takeover, work that cannot be done."""
    TEST = "test"
    """Sent on request, to see that it arrives."""


class Severity(IntEnum):
    """How loud. Sorted with the quietest first."""

    INFO = 0
    WARNING = 1
    ERROR = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell. Times are Unix seconds, 0.0 = none; texts are single lines without any value."""

    topic: Topic
    severity: Severity
    key: str
    """What it is about, the same for as long as the same thing stands: `topic:secret:…`."""
    at: float
    """When it happened, or began to stand."""
    secret: str = ""
    """Empty: about no single secret."""
    provider: str = ""
    kind: str = ""
    version: int = 0
    detail: str = ""
    due_at: float = 0.0
    days_left: int | None = None
    """REMINDER: days until it is due, a begun one counted whole; 0 or less: overdue by so many whole days."""
    rotation: str = ""
    """The id under which audit log and log lines tell of it."""
    steps: tuple[str, ...] = ()
    """What a person does, in order; the link stands in them."""
    command: str = ""
    """The command that brings it on, ready to be typed."""
    again: float = 0.0
    """Seconds after which it is told again if it still stands; 0 = once."""
    over: bool = False
    """What was told before is over. As severe as that was, so that those hear of it who heard of that."""


REMIND_DAYS = (14, 7, 3, 1)
"""Days before an assisted rotation is due at which a person is reminded; then every day that it is overdue."""
