"""The calendar on the wall of some zone, from Unix times and back. Pure: what a zone's clocks show is passed in.

Days are counted from 1970-01-01 of the zone's own calendar (the proleptic Gregorian one); seconds are those of the
wall clock since its midnight. Where clocks are put forward a wall time may not exist (a gap); where they are put back
it comes twice (an overlap).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

DAY = 86400
_ERA = 146097
"""Days in 400 years."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone. `offset` gives the seconds that its clocks are ahead of UTC at a Unix time; equal names, equal
    zones."""

    name: str
    offset: Callable[[float], float] = field(compare=False)


UTC = Zone("UTC", lambda at: 0.0)


def day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms": days_from_civil)."""
    year -= month <= 2
    of_era = year % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year // 400 * _ERA + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def date_of(number: int) -> tuple[int, int, int]:
    """Year, month and day of a day number (civil_from_days)."""
    era, of_era = divmod(number + 719468, _ERA)
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // (_ERA - 1)) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return era * 400 + year + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1


def weekday(number: int) -> int:
    """0 = Monday."""
    return (number + 3) % 7


def days_in(year: int, month: int) -> int:
    """Days of a month."""
    after = (year + 1, 1) if month == 12 else (year, month + 1)
    return day_number(*after, 1) - day_number(year, month, 1)


def day_at(at: float, zone: Zone) -> int:
    """The day that the zone's calendar shows at a Unix time."""
    return int((at + zone.offset(at)) // DAY)


def wall(at: float, zone: Zone) -> tuple[int, int, int, int, int]:
    """Year, month, day, hour and minute that the zone's clocks show."""
    number, second = divmod(int(at + zone.offset(at)), DAY)
    return (*date_of(number), second // 3600, second % 3600 // 60)


def instants(number: int, second: int, zone: Zone) -> tuple[float, float]:
    """The first and the last Unix time at which the wall shows that second of that day (the same one, but in an
    overlap). In a gap: both the instant at which the clocks are put forward."""
    shown = float(number * DAY + second)
    before, after = zone.offset(shown - DAY), zone.offset(shown + DAY)
    found = sorted(shown - off for off in {before, after} if zone.offset(shown - off) == off)
    if found:
        return found[0], found[-1]
    low, high = shown - 2 * DAY, shown + 2 * DAY
    while high - low > 0.5:
        middle = (low + high) / 2
        if zone.offset(middle) == before:
            low = middle
        else:
            high = middle
    jump = float(round(high))
    return jump, jump
