"""When a secret is due. Decided from state and a given `now`, never from memory of a schedule."""

from __future__ import annotations

import re
from dataclasses import dataclass

HOUR = 3600.0
DAY = 86400.0
LONGEST = 36500 * DAY
"""A hundred years: nothing here is kept, awaited or repeated for longer."""

EXPIRY_SHARE = 3.0
MOST_MARGIN = 7 * DAY
"""What `margin` goes by: with a week, a window that opens weekly comes before the end."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}
_TOO_LONG = "the duration is too long: write at most a hundred years (36500d)"
_DURATION = re.compile(r"(\d+)(s|m|h|d|w)")


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """How often and how carefully. Seconds; None = not said here, take the default of the kind."""

    interval: float | None = None
    """Age at which the secret is due."""
    grace: float | None = None
    """How long the replaced version stays alive after the consumers were proven (0 = revoke at once)."""
    enabled: bool = True
    """False: never due by age (it can still be rotated by hand)."""

    def over(self, default: RotationPolicy) -> RotationPolicy:
        """This policy with what it leaves open taken from `default`."""
        return RotationPolicy(
            interval=default.interval if self.interval is None else self.interval,
            grace=default.grace if self.grace is None else self.grace,
            enabled=self.enabled and default.enabled,
        )


def due_at(policy: RotationPolicy, rotated_at: float, expires_at: float = 0.0) -> float | None:
    """The Unix time at which a secret whose CURRENT was made at `rotated_at` is due; None = never by itself.

    `expires_at`: when the provider will end that one; it is due well before, whatever its interval.
    """
    if not policy.enabled:
        return None
    by_age = [] if policy.interval is None else [rotated_at + policy.interval]
    by_expiry = [expires_at - margin(rotated_at, expires_at)] if expires_at else []
    return min([*by_age, *by_expiry], default=None)


def margin(made_at: float, expires_at: float) -> float:
    """Seconds before its end at which a credential is due: a third of its life, a week at most. Of a token that lives
    twelve hours four are left then for what fails, is down or waits for a person."""
    return max(0.0, min((expires_at - made_at) / EXPIRY_SHARE, MOST_MARGIN))


def parse_duration(text: str) -> float:
    """`90d`, `12h`, `1d12h`, `30s`, or `0` as seconds; a hundred years at most. `ValueError` says what is accepted."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f"{text!r} is not a duration: write for example 90d, 12h, 30m or 1d12h")
    # by its length first: int() refuses to read thousands of digits
    if any(len(n.lstrip("0")) > 10 for n, _ in parts):
        raise ValueError(_TOO_LONG)
    seconds = sum(int(n.lstrip("0") or "0") * _UNITS[u] for n, u in parts)
    if seconds > LONGEST:
        raise ValueError(_TOO_LONG)
    return seconds


def format_duration(seconds: float) -> str:
    """The coarsest exact-enough word for a duration: 90d, 5h, 12m, 3s; negative ones get a minus."""
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    for unit, size in (("d", DAY), ("h", 3600.0), ("m", 60.0)):
        if left >= size:
            return f"{sign}{int(left // size)}{unit}"
    return f"{sign}{int(left)}s"
