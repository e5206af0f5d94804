"""When one secret is to be rotated by itself: due by its age or its cron times, moved into a window, spread by jitter.

Pure, and without memory: the same record and the same time always give the same answer, on every host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from clawsecrets.model.policy import DAY, RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.status import when_due
from clawsecrets.model.window import LONG, Openings, Span

NextAfter = Callable[[float], float | None]
"""The first time of a cron expression after a Unix time; None = there is none."""
SHORT_LIFE = 7 * DAY
"""Seconds: what the provider ends sooner cannot wait for windows."""
YIELDING = 7 * DAY
"""Seconds after it was due for which a secret lets those go first that come before it."""
JITTER_SHARE = 0.5
"""Jitter takes at most this share of an opening, so that time is left to rotate and to try again."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one secret is kept by the schedule. Seconds; complete: nothing is left open."""

    policy: RotationPolicy
    openings: Openings = field(default_factory=Openings)
    cron: NextAfter | None = field(default=None, compare=False)
    """Its cron times, instead of the interval."""
    jitter: float = 0.0
    """At most so much later, by its name."""
    hard_age: float | None = None
    """The age past which notices are loud; None = none."""
    outside: bool = False
    """Past `hard_age` it may be rotated outside of its windows (blackouts hold all the same)."""
    after: tuple[str, ...] = ()
    """Names that are rotated before it where they are due together."""
    last: bool = False
    """Rotated after all others that are due: the gateway, whose reload reads the others, too."""
    assisted: bool = False
    """A person makes the new value: they are reminded, and the rotation then waits for them."""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` rotations of one provider are begun within `period` seconds."""

    count: int
    period: float


@dataclass(frozen=True, slots=True)
class Pace:
    """What holds for all secrets together. Seconds."""

    stagger: float = 60.0
    """Between the beginnings of two rotations."""
    group_apart: float = DAY
    """Between two of one redundancy group, where no window tells them apart."""
    attempts: int = 8
    """Rotations in a row that may fail before it is stuck."""
    backoff: tuple[float, float] = (3600.0, DAY)
    """The first wait after a failure, and the longest."""
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """By provider."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a rotation fits in."""

    begins: float
    span: Span
    missed: bool
    """An opening has gone by without it, or a long time: it no longer lets others go first."""


def share(name: str) -> float:
    """A number in [0, 1) that depends on the name alone, evenly spread."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) / 2.0**64


def due(rule: Rule, record: Record) -> float | None:
    """The Unix time at which a record's current value is due; None = never by itself."""
    if rule.cron is None:
        return when_due(record, rule.policy)
    current, ends = record.current, when_due(record, RotationPolicy(enabled=rule.policy.enabled))
    at = _by_cron(rule, current.created_at) if current is not None else None
    return min([one for one in (at, ends) if one is not None], default=None)


def unhindered(rule: Rule, record: Record) -> Rule:
    """The rule of a value that the provider ends within days, or that came beside a refresh token: no window, blackout
    or jitter keeps it, since it would be dead before. Any other record's rule is as it was."""
    current = record.current
    if current is None:
        return rule
    short = 0.0 < current.expires_at - current.created_at < SHORT_LIFE
    if not short and (record.refresh_token is None or current.expires_at):
        return rule
    return replace(rule, openings=Openings(), jitter=0.0)


def _by_cron(rule: Rule, made: float) -> float | None:
    if rule.cron is None or not rule.policy.enabled:
        return None
    first = rule.cron(made)
    if first is None:
        return None
    second = rule.cron(first)
    # one that was made shortly before a cron time (by hand, or late in the window of the last) is kept until the next
    return second if second is not None and first - made < (second - first) / 2 else first


def slot(name: str, rule: Rule, since: float, ready: float, now: float, *, urgent: bool = False) -> Slot | None:
    """The first place at or after `ready` that is not over at `now`. `since`: when it was due, from which jitter and
    missed openings count. `urgent`: windows do not count. None: there is no opening in sight."""
    openings = rule.openings.without_windows() if urgent else rule.openings
    first, soonest = openings.first(since), max(ready, now)
    span = first if first is not None and first.closes > soonest else openings.first(soonest)
    if first is None or span is None:
        return None
    # in a window the place is the same every time, however late in it the last rotation ended: else it would move on
    # from week to week, and out of the window at last
    start = span.opens if span.closes - span.opens <= LONG else max(span.opens, since)
    begins = start + share(name) * min(rule.jitter, (span.closes - start) * JITTER_SHARE)
    return Slot(max(begins, ready), span, span != first or now - since > YIELDING)


def past_hard_age(record: Record, rule: Rule, now: float) -> bool:
    """Whether its current version is older than the hard limit."""
    current = record.current
    return rule.hard_age is not None and current is not None and now - current.created_at >= rule.hard_age
