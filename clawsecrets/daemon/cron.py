"""Cron expressions, read by APScheduler's trigger."""

from __future__ import annotations

import datetime
import re
import zoneinfo

from apscheduler.triggers.cron import CronTrigger

from clawsecrets.model.schedule import NextAfter

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERS = re.compile(r"(\d)(?:-(\d)(?:/(\d+))?)?")


def next_after(expression: str, zone: str) -> NextAfter:
    """Gives the first time after a Unix time; five fields (0 and 7 are Sunday, as cron has it). ValueError when it is
    no cron expression, or no time ever fits it."""
    trigger = CronTrigger.from_crontab(_weekdays(expression), timezone=zoneinfo.ZoneInfo(zone))

    def after(at: float) -> float | None:
        # a second later: `get_next_fire_time` gives times from its argument on
        found = trigger.get_next_fire_time(None, datetime.datetime.fromtimestamp(at + 1.0, trigger.timezone))
        return found.timestamp() if found is not None else None

    if after(0.0) is None:
        raise ValueError(f"{expression!r}: no time ever fits it")
    return after


def _weekdays(expression: str) -> str:
    """Numbers of weekdays as names, one by one: APScheduler counts from Monday, cron from Sunday."""
    *fields, days = expression.split()
    return " ".join([*fields, ",".join(_names(part) for part in days.split(","))])


def _names(part: str) -> str:
    match = _NUMBERS.fullmatch(part)
    if match is None:
        return part
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last > 7 or last < first or not step:
        raise ValueError(f"{part!r} is no weekday: 0 to 7, where 0 and 7 are Sunday")
    return ",".join(_DAYS[day] for day in range(first, last + 1, step))
