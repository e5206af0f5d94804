"""[schedule] and [daemon]: what is read, and what is refused, with its line."""

from __future__ import annotations

import pytest

from clawsecrets.config import find_paths, parse
from clawsecrets.config.lines import line_of
from clawsecrets.config.shape import Config
from clawsecrets.errors import ConfigError
from clawsecrets.model.policy import DAY
from clawsecrets.model.schedule import Limit

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)


def read(text: str) -> Config:
    return parse(text, "c.toml", PATHS)


def test_all_of_it() -> None:
    schedule = read("""
[schedule]
zone = "Europe/Berlin"
windows = ["Sun 03:00-05:00", "Wed 02:00-03:00 UTC"]
blackouts = ["12-20..01-03"]
stagger = "5m"
[schedule.secrets.gw]
every = "0 4 1 * *"
windows = []
after = ["other"]
[schedule.secrets."a/b"]
every = "7d"
hard_age = "9d"
outside_window = true
[schedule.providers.acme]
at_most = 2
within = "1h"
""").schedule
    assert [window.zone.name for window in schedule.windows] == ["Europe/Berlin", "UTC"]
    assert schedule.blackouts[0].zone.name == "Europe/Berlin"
    assert schedule.secrets["gw"].cron == "0 4 1 * *" and schedule.secrets["gw"].windows == ()
    assert schedule.secrets["a/b"].interval == 7 * DAY and schedule.secrets["a/b"].windows is None
    assert schedule.providers["acme"].limit == Limit(2, 3600.0)


@pytest.mark.parametrize(("text", "words"), [
    ('[schedule]\nwindows = ["Sun 03:00-05:00 Europe/Berln"]', "c.toml: line 2: [schedule]: windows: there is no time "
     "zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
    ('[schedule]\n\nzone = "Mars/Base"', "c.toml: line 3: [schedule]: zone: there is no time zone 'Mars/Base'"),
    ('[schedule]\nwindows = ["Sun 03:00-03:00"]', "line 2: [schedule]: windows: 'Sun 03:00-03:00' can never open"),
    ('[schedule]\nblackouts = ["01-01..12-31"]', "line 2: [schedule]: blackouts: the yearly blackouts leave nothing"),
    ('[schedule]\nwindows = ["Sun 03:00-05:00"]\n[schedule.secrets.a]\nblackouts = ["01-01..12-31"]\nwindows = []',
     "line 5: [schedule.secrets.a]: windows: its windows can never open"),
    ('[schedule.secrets.a]\nafter = ["b"]\n[schedule.secrets.b]\nafter = ["c"]\n[schedule.secrets.c]\nafter = ["a"]',
     "line 2: [schedule.secrets.a]: after: a circle: a after b after c after a"),
    ('[schedule.secrets.a]\nafter = ["a"]', "line 2: [schedule.secrets.a]: after: a circle: a after a"),
    ('[schedule.secrets.a]\nevery = "1 2 3"', "line 2: [schedule.secrets.a]: every: '1 2 3' is not a cron expression"),
    ('[schedule.secrets.a]\nevery = "soon"', "line 2: [schedule.secrets.a]: every: 'soon' is not a duration"),
    ('[schedule.secrets.a]\nevery = "9d"\nhard_age = "8d"', "line 3: [schedule.secrets.a]: hard_age is shorter"),
    ('[schedule.secrets."A b"]\nevery = "9d"', "line 1: [schedule.secrets.A b]: 'A b' is not a secret's name"),
    ('schedule.secrets.a.every = "soon"', "line 1: [schedule.secrets.a]: every: 'soon'"),
    ('[schedule]\nsecrets = { a = { every = "soon" } }', "line 2: [schedule.secrets.a]: every: 'soon'"),
    ('[schedule.providers.acme]\nat_most = 2', "line 2: [schedule.providers.acme]: at_most and within go together"),
    ('[schedule]\nattempts = 0', "[schedule]: attempts = 0 is too small"),
    ('[schedule]\nwindow = []', "[schedule]: key 'window' is not known; did you mean 'windows'?"),
    ('[daemon]\nlisten = "localhost:1"', "line 2: [daemon]: listen: 'localhost' is not an IP address"),
    ('[daemon]\nlisten = "127.0.0.1:65536"', "line 2: [daemon]: listen: '127.0.0.1:65536' is not an address"),
    ('[daemon]\nlisten = "9779"', "line 2: [daemon]: listen: '9779' is not an address"),
    ('[daemon]\nnightly = "25:00"', "line 2: [daemon]: nightly: '25:00' is not a time of the day"),
    ('[daemon]\nlog = "xml"', "[daemon]: log = 'xml' is not known"),
    ('[daemon]\ntakeover = "1s"', "[daemon]: takeover = '1s' is too short"),
])
def test_what_is_refused_and_where(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert words in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(("listen", "found"), [
    ("nowhere", None), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::1]:9", ("::1", 9)),
    ("127.0.0.1:65535", ("127.0.0.1", 65535)),
])
def test_where_it_listens(listen: str, found: tuple[str, int] | None) -> None:
    assert read(f'[daemon]\nlisten = "{listen}"').daemon.listen == found


@pytest.mark.parametrize(("table", "key", "line"), [
    (["a", "b c"], "x", 3), (["a", "b c"], "y", 2), (["a", "b c"], "", 2), (["d"], "k", 6), (["e", "f"], "g", 8),
    (["zz"], "k", 0), (["e", "h"], "i", 9),
])
def test_lines(table: list[str], key: str, line: int) -> None:
    text = 'q = 1\n[a . "b c"] # here\n x = 2\n# y = 3\n[d]\nk = "v"\n[e]\nf.g = 1\nh = { i = 1 }\n'
    assert line_of(text, table, key) == line


@pytest.mark.parametrize("name", ['"a\\nb\\u001b[2J\\u202e"', f'"{"x" * 5000}"', '"\\u2028"'])
@pytest.mark.parametrize("table", ["schedule.secrets.", "notify.channels."])
def test_a_name_that_would_break_the_line_is_said_on_one(name: str, table: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f'[{table}{name}]\nsecret = "Not A Name"\n')
    assert caught.value.message.isprintable() and len(caught.value.message) < 6_000
