"""When rotations may happen: weekly windows in a zone, and blackout dates. Pure.

    Sun 03:00-05:00 Europe/Berlin     Mon-Fri 22:00-06:00     Sat,Sun 00:00-24:00 UTC     02:00-04:00
    2026-12-20..2027-01-03     12-20..01-03 (every year)     2026-11-27

1. The wall clock decides. Where clocks are put back inside a window, it is open for an hour longer; where they are put
   forward, for an hour less.
2. A window that a gap swallows whole opens at the jump, for its usual length: no week goes by without it.
3. A blackout is whole days of its zone, first and last included. It cuts windows.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from clawsecrets.model.civil import DAY, Zone, date_of, day_at, day_number, days_in, instants, weekday

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HORIZON = 1500.0 * DAY
"""Seconds ahead in which an opening is looked for: four years, so that a 29 February is among them."""
LONG = 8.0 * DAY
"""Seconds. Windows that leave no gap between them would make one opening without end: it is told in pieces."""
_WINDOW = re.compile(r"(?:(\S+)\s+)?(\d\d?):(\d\d)-(\d\d?):(\d\d)(?:\s+(\S+))?")
_DATE = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)")
ZoneOf = Callable[[str], Zone]
"""A zone by its name, the empty one for the default; ValueError."""


@dataclass(frozen=True, slots=True)
class Span:
    """From `opens` up to, and without, `closes`; Unix times, may be infinite."""

    opens: float
    closes: float

    def holds(self, at: float) -> bool:
        """Whether `at` is in it."""
        return self.opens <= at < self.closes


ALWAYS = Span(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Window:
    """A weekly window. Seconds of the wall clock; `end` up to `start` is on the next day."""

    days: frozenset[int]
    """0 = Monday; the days on which it opens."""
    start: int
    end: int
    zone: Zone
    text: str = ""
    """As it was written."""

    @property
    def length(self) -> int:
        """Seconds on a day without a clock change."""
        return self.end - self.start if self.end > self.start else self.end + DAY - self.start

    def spans(self, after: float, until: float) -> Iterator[Span]:
        """Those that close after that time and open before `until`, in order."""
        day, last = day_at(after, self.zone) - 1, day_at(until, self.zone)
        while day <= last:
            if weekday(day) in self.days:
                span = _span_of(self, day)
                if span.closes > after:
                    yield span
            day += 1


@lru_cache(maxsize=1024)
def _span_of(window: Window, day: int) -> Span:
    opens, _ = instants(day, window.start, window.zone)
    _, closes = instants(day + (window.end <= window.start), window.end % DAY, window.zone) if window.end != DAY \
        else instants(day + 1, 0, window.zone)
    return Span(opens, closes if closes > opens else opens + window.length)


@dataclass(frozen=True, slots=True)
class Blackout:
    """Days on which nothing is begun. `year` 0: every year; then `last` before `first` reaches into the next."""

    first: tuple[int, int, int]
    last: tuple[int, int, int]
    zone: Zone

    def spans(self, after: float, until: float) -> Iterator[Span]:
        """Those that end after that time and begin before `until`, in order."""
        if self.first[0]:
            every = [self._span(self.first, self.last)]
        else:
            years = range(date_of(day_at(after, self.zone))[0] - 1, date_of(day_at(until, self.zone))[0] + 1)
            wraps = self.last < self.first
            every = [self._span((year, *self.first[1:]), (year + wraps, *self.last[1:])) for year in years]
        yield from (span for span in every if span.closes > after and span.opens < until)

    def _span(self, first: tuple[int, int, int], last: tuple[int, int, int]) -> Span:
        return Span(instants(day_number(*_real(first)), 0, self.zone)[0],
                    instants(day_number(*_real(last)) + 1, 0, self.zone)[0])


def _real(date: tuple[int, int, int]) -> tuple[int, int, int]:
    """29 February is 28 February in most years."""
    year, month, day = date
    return year, month, min(day, days_in(year, month))


@dataclass(frozen=True, slots=True)
class Openings:
    """When something may be begun: in any of `windows` (none: always), and in no blackout."""

    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()

    def first(self, after: float) -> Span | None:
        """The first opening that closes after that time (it may be open already); None when there is none within
        HORIZON."""
        return _first(self, after) if self.windows or self.blackouts else ALWAYS

    def spans(self, after: float) -> Iterator[Span]:
        """The openings that close after that time, in order, as far as HORIZON."""
        until = after + HORIZON
        shut = _joined(heapq.merge(*(blackout.spans(after, until) for blackout in self.blackouts), key=_opens))
        if self.windows:
            open_: Iterable[Span] = heapq.merge(*(window.spans(after, until) for window in self.windows), key=_opens)
        else:
            open_ = [ALWAYS]
        for span in _without(_joined(open_), shut):
            if after < span.closes and span.opens < until:
                yield span

    def without_windows(self) -> Openings:
        """The blackouts alone."""
        return Openings((), self.blackouts)


@lru_cache(maxsize=2048)
def _first(openings: Openings, after: float) -> Span | None:
    return next(openings.spans(after), None)


def _opens(span: Span) -> float:
    return span.opens


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Overlapping and touching ones as one, up to LONG. The spans come in order of their opening."""
    held: Span | None = None
    for span in spans:
        if held is None:
            held = span
        elif span.opens <= held.closes and held.closes - held.opens < LONG:
            held = Span(held.opens, max(held.closes, span.closes))
        else:
            yield held
            held = span
    if held is not None:
        yield held


def _without(spans: Iterable[Span], shut: Iterator[Span]) -> Iterator[Span]:
    """The spans less what is shut; both in order."""
    closed = next(shut, None)
    for span in spans:
        opens = span.opens
        while closed is not None and closed.closes <= opens:
            closed = next(shut, None)
        while closed is not None and closed.opens < span.closes:
            if closed.opens > opens:
                yield Span(opens, closed.opens)
            opens = max(opens, closed.closes)
            if closed.closes >= span.closes:
                break
            closed = next(shut, None)
        if opens < span.closes:
            yield Span(opens, span.closes)


# --- reading ---------------------------------------------------------------------------------------------------------


def parse_window(text: str, zone_of: ZoneOf) -> Window:
    """`[DAYS] HH:MM-HH:MM [ZONE]`. `ValueError` says what is wrong or how it is written."""
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a window: write for example \"Sun 03:00-05:00 Europe/Berlin\"")
    days, *clock, zone = match.groups()
    start, end = _second(clock[0], clock[1], text), _second(clock[2], clock[3], text)
    if start in (DAY, end):
        raise ValueError(f"{text!r} can never open: it begins where it ends" if start == end else
                         f"{text!r}: a window begins at 23:59 at the latest")
    return Window(_days(days or "daily", text), start, end, zone_of(zone or ""), text)


def _second(hour: str, minute: str, text: str) -> int:
    second = int(hour) * 3600 + int(minute) * 60
    if int(minute) > 59 or second > DAY:
        raise ValueError(f"{text!r}: {hour}:{minute} is not a time of the day (00:00 to 24:00)")
    return second


def _days(words: str, text: str) -> frozenset[int]:
    if words.lower() == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for word in words.lower().split(","):
        first, dash, last = word.partition("-")
        ends = [first, last] if dash else [first]
        if any(end not in DAYS for end in ends):
            raise ValueError(f"{text!r}: {word!r} is no day: Mon, Tue, Wed, Thu, Fri, Sat, Sun, Mon-Fri, daily")
        begin, length = DAYS.index(first), (DAYS.index(ends[-1]) - DAYS.index(first)) % 7
        found.update((begin + step) % 7 for step in range(length + 1))
    return frozenset(found)


def parse_blackout(text: str, zone: Zone) -> Blackout:
    """`DATE` or `DATE..DATE`, a date being `2026-12-24` or, every year, `12-24`. `ValueError` says what is wrong."""
    first, _, last = text.strip().partition("..")
    begin, end = _date(first, text), _date(last or first, text)
    if bool(begin[0]) != bool(end[0]):
        raise ValueError(f"{text!r}: write both dates with the year, or both without")
    if begin[0] and end < begin:
        raise ValueError(f"{text!r}: it ends before it begins")
    return Blackout(begin, end, zone)


def _date(text: str, whole: str) -> tuple[int, int, int]:
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{whole!r} is not a date or a range: write 2026-12-20..2027-01-03, or 12-20..01-03")
    year, month, day = int(match[1] or 0), int(match[2]), int(match[3])
    if not 1 <= month <= 12 or not 1 <= day <= days_in(year or 2000, month):
        raise ValueError(f"{whole!r}: there is no {text.strip()}")
    return year, month, day


def never_opens(windows: Sequence[Window], blackouts: Sequence[Blackout], start: float) -> bool:
    """Whether nothing could ever be begun: the yearly blackouts leave nothing of the windows. The others pass."""
    yearly = tuple(blackout for blackout in blackouts if not blackout.first[0])
    return Openings(tuple(windows), yearly).first(start) is None
