"""plan: what will be rotated when, and why; as a timeline, as JSON, as a calendar file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from clawsecrets.cli.ics import calendar
from clawsecrets.cli.output import DIM, GREEN, RED, YELLOW, Column, colour, emit, say, table, width
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.errors import UsageError
from clawsecrets.model.civil import DAY, Zone, date_of, day_at, wall, weekday
from clawsecrets.model.forecast import Planned, forecast
from clawsecrets.model.need import Act, Need
from clawsecrets.model.policy import format_duration

LONGEST = 3660
"""Days."""
BAR = 60
"""Cells of the timeline at most."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_COLUMNS = (Column("WHEN"), Column("IN", right=True), Column("SECRET"), Column("HOW"), Column("WHY", 10, drop=1))


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "plan")(plan)


def plan(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these.")] = None,
    days: Annotated[int, typer.Option(help="How far ahead.")] = 120,
    as_ics: Annotated[bool, typer.Option("--ics", help="A calendar file (RFC 5545) on standard output.")] = False,
    as_json: JsonOption = False,
) -> int:
    """What will be rotated when, and why, if every rotation goes well. Changes nothing.

    By the same rules as the daemon: intervals, windows, blackouts, groups, order, limits. Exit code 1 when a secret
    is held and needs you first.
    """
    if not 1 <= days <= LONGEST:
        raise UsageError("--days: from 1 to 3660")
    if as_ics and as_json:
        raise UsageError("--json and --ics: choose one")
    wanted = set(session.known(names)) if names else None
    records, now = list(session.store.records(broken=session.unreadable)), session.clock.now()
    session.timetable.check(records)
    rules, zone = session.timetable.rules(records), session.config.schedule.zone
    found, needs = forecast(records, rules, session.timetable.pace, now, now + days * DAY)
    found = [item for item in found if wanted is None or item.secret in wanted]
    held = [need for need in needs if need.act is Act.HELD and (wanted is None or need.secret in wanted)]
    if as_ics:
        print(calendar(found, now), end="")
    elif as_json:
        emit({"now": now, "until": now + days * DAY, "zone": zone.name, "planned": [_planned_json(p) for p in found],
              "held": [{"secret": need.secret, "why": need.why, "due_at": need.due} for need in held]})
    else:
        _show(found, held, now, days, zone)
    return 1 if held else session.unreadable.code


def _show(found: Sequence[Planned], held: Sequence[Need], now: float, days: int, zone: Zone) -> None:
    if found:
        _timeline(found, now, days, zone)
        rows = [[_moment(item.at, zone), format_duration(max(0.0, item.at - now)), item.secret,
                 "by you" if item.assisted else "by itself", item.why] for item in found]
        shades = [YELLOW if item.assisted else RED if item.outside else GREEN for item in found]
        table(_COLUMNS, rows, shades)
        say(f"times in {zone.name}; ● by itself, ○ by you")
    else:
        say(f"nothing will be rotated by itself in {days} day(s)")
    for need in held:
        say(f"{need.secret}: held: {need.why}")


def _timeline(found: Sequence[Planned], now: float, days: int, zone: Zone) -> None:
    """One row a secret, one cell so many days; a dot for each rotation."""
    names = sorted({item.secret for item in found})
    widest = max(len(name) for name in names)
    room = width()
    cells = BAR if room is None else max(10, min(BAR, room - widest - 2))
    step = max(1, math.ceil(days / cells))
    count = math.ceil(days / step)
    print(" " * (widest + 2) + colour(_months(now, step, count, zone), DIM))
    for name in names:
        row = ["·"] * count
        for item in found:
            place = int((item.at - now) / DAY / step)
            if item.secret == name and place < count:
                row[place] = "○" if item.assisted else "●"
        print(f"{name:<{widest}}  {''.join(row)}")
    print()


def _months(now: float, step: int, count: int, zone: Zone) -> str:
    """Above the cells: where months begin. What is left of this one is unnamed where the next needs the room."""
    months = [date_of(day_at(now + place * step * DAY, zone))[1] for place in range(count)]
    begins = [place for place in range(count) if place == 0 or months[place] != months[place - 1]]
    if len(begins) > 1 and begins[1] < len(_MONTHS[0]) + 1:
        del begins[0]
    line = ""
    for place in begins:
        if len(line) <= place:
            line = line.ljust(place) + _MONTHS[months[place] - 1] + " "
    return line.rstrip()


def _moment(at: float, zone: Zone) -> str:
    year, month, day, hour, minute = wall(at, zone)
    return f"{year}-{month:02}-{day:02} {_DAYS[weekday(day_at(at, zone))]} {hour:02}:{minute:02}"


def _planned_json(item: Planned) -> Mapping[str, object]:
    return {"secret": item.secret, "at": item.at, "due_at": item.due, "why": item.why, "assisted": item.assisted,
            "outside_window": item.outside}
