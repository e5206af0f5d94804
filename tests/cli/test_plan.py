"""`plan` for people: the timeline and the list at a known moment, and a calendar file that a calendar can read."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from icalendar import Calendar

from clawsecrets.cli.ics import LENGTH, calendar
from clawsecrets.cli.planning import _show
from clawsecrets.config.zones import zone
from clawsecrets.model.forecast import Planned
from clawsecrets.model.need import Act, Need

DAY = 86400.0
NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC).timestamp()
FOUND = [
    Planned("openclaw-gateway-token", NOW + 6.6 * DAY, NOW + 5 * DAY, "by its age", False, False),
    Planned("anthropic-api-key", NOW + 40 * DAY, NOW + 40 * DAY, "by its cron times", True, False),
    Planned("openclaw-gateway-token", NOW + 41 * DAY, NOW + 36 * DAY, "missed its window", False, True),
]
SHOWN = """\
                          Dec                            Jan
openclaw-gateway-token  ······●··································●··················
anthropic-api-key       ········································○···················

WHEN                   IN  SECRET                  HOW        WHY
2026-12-06 Sun 03:24   6d  openclaw-gateway-token  by itself  by its age
2027-01-08 Fri 13:00  40d  anthropic-api-key       by you     by its cron times
2027-01-09 Sat 13:00  41d  openclaw-gateway-token  by itself  missed its window
"""


def test_the_timeline_and_the_list(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    _show(FOUND, [Need("x-key", Act.HELD, "stuck: it refused")], NOW, 60, zone("Europe/Berlin"))
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == SHOWN.splitlines()[0]
    assert sorted(lines[1:3]) == sorted(SHOWN.splitlines()[1:3])
    assert lines[3:] == SHOWN.splitlines()[3:]
    assert told.err == "times in Europe/Berlin; ● by itself, ○ by you\nx-key: held: stuck: it refused\n"


def test_nothing_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    _show([], [], NOW, 7, zone("UTC"))
    assert capsys.readouterr().err == "nothing will be rotated by itself in 7 day(s)\n"


def test_a_calendar_reads_it() -> None:
    odd = Planned("a/b,c;d", NOW + DAY, NOW, "é" * 90, True, False)
    text = calendar([*FOUND, odd], NOW)
    assert all(len(line.encode()) <= LENGTH for line in text.split("\r\n")) and "\n" not in text.replace("\r\n", "")
    events = list(Calendar.from_ical(text).walk("VEVENT"))
    assert [event.decoded("dtstart").timestamp() for event in events] == [item.at for item in [*FOUND, odd]]
    assert str(events[0]["summary"]) == "openclaw-gateway-token: rotates by itself"
    assert str(events[1]["description"]).endswith("\nGive it with: clawsecrets rotate anthropic-api-key")
    assert str(events[3]["summary"]) == "a/b,c;d: new value needed from you"
    assert "é" * 90 in str(events[3]["description"])
    assert len({str(event["uid"]) for event in events}) == 4


def test_an_event_keeps_its_id_when_it_is_exported_again() -> None:
    def ids(now: float) -> list[str]:
        return [str(event["uid"]) for event in Calendar.from_ical(calendar(FOUND, now)).walk("VEVENT")]

    assert ids(NOW) == ids(NOW + DAY)


def test_a_text_cannot_begin_a_line_of_its_own() -> None:
    odd = replace(FOUND[0], why="two of its group x\r\nSUMMARY:forged\r\x1b[31m")
    [event] = Calendar.from_ical(calendar([odd], NOW)).walk("VEVENT")
    assert str(event["summary"]) == "openclaw-gateway-token: rotates by itself"
    assert "\r" not in calendar([odd], NOW).replace("\r\n", "") and "\x1b" not in calendar([odd], NOW)
