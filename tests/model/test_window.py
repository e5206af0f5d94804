"""Windows and blackouts against zoneinfo's own idea of the wall clock, clock changes among them."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.config.zones import zone
from clawsecrets.model.civil import DAY, UTC, date_of, day_number, instants, wall, weekday
from clawsecrets.model.window import Openings, Window, never_opens, parse_blackout, parse_window

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "UTC",
         "America/Sao_Paulo", "Pacific/Apia")
TIMES = st.floats(0, 2_200_000_000)


def at(text: str, name: str, fold: int = 0) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name), fold=fold).timestamp()


def window(text: str) -> Window:
    return parse_window(text, lambda name: zone(name) if name else UTC)


def first(text: str, after: float) -> tuple[float, float]:
    span = Openings((window(text),)).first(after)
    assert span is not None
    return span.opens, span.closes


@given(st.integers(-800_000, 2_900_000))
def test_days_and_dates(number: int) -> None:
    year, month, day = date_of(number)
    assert day_number(year, month, day) == number
    if 1 <= year <= 9999:
        known = dt.date(year, month, day)
        assert (known - dt.date(1970, 1, 1)).days == number and known.weekday() == weekday(number)


@given(TIMES, st.sampled_from(ZONES))
def test_the_wall_shows_what_zoneinfo_shows(moment: float, name: str) -> None:
    known = dt.datetime.fromtimestamp(int(moment), ZoneInfo(name))
    assert wall(int(moment), zone(name)) == (known.year, known.month, known.day, known.hour, known.minute)


@given(TIMES, st.sampled_from(ZONES), st.integers(0, DAY - 1))
def test_instants_show_that_wall_time_or_are_the_jump(moment: float, name: str, second: int) -> None:
    day = int(moment // DAY)
    here = zone(name)
    early, late = instants(day, second, here)
    shown = [float(time + here.offset(time)) for time in (early, late)]
    if shown != [day * DAY + second] * 2:  # a gap: just before the wall shows less, from then on more
        assert early == late
        assert early - 1 + here.offset(early - 1) < day * DAY + second < early + here.offset(early)


def test_a_window_on_an_ordinary_sunday() -> None:
    opens, closes = first("Sun 03:00-05:00 Europe/Berlin", at("2026-06-03T00:00", "Europe/Berlin"))
    assert (opens, closes) == (at("2026-06-07T03:00", "Europe/Berlin"), at("2026-06-07T05:00", "Europe/Berlin"))


def test_a_window_over_a_gap_is_shorter_by_the_wall_clock() -> None:
    opens, closes = first("Sun 01:00-04:00 Europe/Berlin", at("2026-03-28T00:00", "Europe/Berlin"))
    assert opens == at("2026-03-29T01:00", "Europe/Berlin") and closes - opens == 2 * 3600


def test_a_window_that_a_gap_swallows_opens_at_the_jump_for_its_length() -> None:
    opens, closes = first("Sun 02:00-03:00 Europe/Berlin", at("2026-03-28T00:00", "Europe/Berlin"))
    assert opens == at("2026-03-29T03:00", "Europe/Berlin") and closes - opens == 3600


def test_a_window_in_an_overlap_is_open_both_times() -> None:
    opens, closes = first("Sun 02:00-03:00 Europe/Berlin", at("2026-10-24T00:00", "Europe/Berlin"))
    assert opens == at("2026-10-25T02:00", "Europe/Berlin", fold=0)
    assert closes == at("2026-10-25T03:00", "Europe/Berlin") and closes - opens == 2 * 3600


@pytest.mark.parametrize(("text", "length"), [
    ("Mon-Fri 22:00-06:00", 8 * 3600), ("Fri-Mon 00:00-01:30 Asia/Kathmandu", 5400), ("02:00-24:00", 22 * 3600),
    ("sat,SUN 23:59-00:00 UTC", 60),
])
def test_lengths(text: str, length: int) -> None:
    opens, closes = first(text, at("2026-06-03T12:00", "UTC"))
    assert closes - opens == length


@given(TIMES, st.sampled_from(ZONES), st.sets(st.integers(0, 6), min_size=1), st.integers(0, 1439),
       st.integers(1, 1440))
def test_a_window_is_open_when_the_wall_clock_is_in_it(moment: float, name: str, days: set[int], start: int,
                                                       end: int) -> None:
    if start == end:
        return
    here = Window(frozenset(days), start * 60, end * 60, zone(name))
    span = Openings((here,)).first(moment)
    assert span is not None and span.closes > moment
    shown = wall(moment, here.zone)
    minute, day = shown[3] * 60 + shown[4], weekday(day_number(*shown[:3]))
    if start < end:
        inside = day in days and start <= minute < end
    else:
        inside = (day in days and minute >= start) or ((day - 1) % 7 in days and minute < end)
    if inside:
        assert span.holds(moment)


def test_blackouts_cut_windows_and_include_both_days() -> None:
    berlin = zone("Europe/Berlin")
    cut = Openings((window("daily 22:00-02:00 Europe/Berlin"),), (parse_blackout("2026-12-24..2026-12-25", berlin),))
    found = list(itertools.islice(cut.spans(at("2026-12-23T12:00", "Europe/Berlin")), 2))
    assert [(span.opens, span.closes) for span in found] == [
        (at("2026-12-23T22:00", "Europe/Berlin"), at("2026-12-24T00:00", "Europe/Berlin")),
        (at("2026-12-26T00:00", "Europe/Berlin"), at("2026-12-26T02:00", "Europe/Berlin")),
    ]


def test_a_yearly_blackout_reaches_into_the_next_year_every_year() -> None:
    always = Openings((), (parse_blackout("12-20..01-03", UTC),))
    for year in (2026, 2030):
        span = always.first(at(f"{year}-12-25T00:00", "UTC"))
        assert span is not None and span.opens == at(f"{year + 1}-01-04T00:00", "UTC")
        assert span.closes == at(f"{year + 1}-12-20T00:00", "UTC")


@pytest.mark.parametrize(("windows", "blackouts", "never"), [
    (["Sun 03:00-05:00"], [], False),
    (["Sun 03:00-05:00"], ["01-01..12-31"], True),
    ([], ["01-01..12-31"], True),
    ([], ["01-01..06-30", "07-01..12-31"], True),
    ([], ["01-01..06-30", "07-02..12-31"], False),
    (["Sun 03:00-05:00"], ["2020-01-01..2200-01-01"], False),
])
def test_what_never_opens(windows: list[str], blackouts: list[str], never: bool) -> None:
    assert never_opens([window(text) for text in windows], [parse_blackout(t, UTC) for t in blackouts], 0.0) is never


@pytest.mark.parametrize("text", ["", "Sun", "Sun 3-5", "Sun 03:00-03:00", "Son 03:00-05:00", "Sun 03:60-05:00",
                                  "Sun 24:00-05:00", "Sun 03:00-25:00", "Sun 03:00-05:00 Europe/Berln"])
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a window|no day|can never open|not a time|time zone|begins at"):
        window(text)


@pytest.mark.parametrize("text", ["", "2026", "02-30", "2025-02-29", "2026-13-01", "2027-01-03..2026-12-20",
                                  "12-20..2027-01-03"])
def test_what_is_no_blackout(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a date|there is no|before it begins|both"):
        parse_blackout(text, UTC)
