"""The rule of each secret, put together from its record, the configuration and its provider; and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.config import Config, find_paths, parse
from clawsecrets.daemon.cron import next_after
from clawsecrets.daemon.timetable import Timetable
from clawsecrets.data import data_path
from clawsecrets.errors import ConfigError
from clawsecrets.model.policy import DAY, RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, Stage, Version
from clawsecrets.wiring import SystemClock, Workshop
from tests.fakes import MemoryStore

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)
BERLIN = "Europe/Berlin"


def record(name: str, provider: str = "groq", kind: Kind = Kind.API_KEY, interval: float | None = None) -> Record:
    secret = Secret(name, provider, kind, 0.0, policy=RotationPolicy(interval=interval))
    return Record(secret, (Version(1, Stage.CURRENT, 0.0),), last_number=1)


def made(text: str) -> Timetable:
    config: Config = parse(text, "c.toml", PATHS)
    store = MemoryStore(SystemClock())
    return Timetable(config, Workshop(config, PATHS, lambda: store, SystemClock()))


def test_the_file_goes_before_the_record_and_the_record_before_the_kind() -> None:
    table = made('[schedule.secrets.a]\nevery = "5d"\n[rotation.interval]\napi-key = "20d"')
    rules = table.rules([record("a", interval=9 * DAY), record("b", interval=9 * DAY), record("c")])
    assert {name: rule.policy.interval for name, rule in rules.items()} == {"a": 5 * DAY, "b": 9 * DAY, "c": 20 * DAY}
    assert rules["a"].hard_age == 7.5 * DAY and rules["a"].jitter == 3600.0


def test_what_is_never_due_is_never_too_old() -> None:
    never = record("a")
    never = replace(never, secret=replace(never.secret, policy=RotationPolicy(enabled=False)))
    assert made("").rules([never])["a"].hard_age is None


def test_jitter_is_a_small_share_of_a_short_interval() -> None:
    rules = made('[schedule.secrets.a]\nevery = "60s"').rules([record("a")])
    assert rules["a"].jitter == 3.0


def test_admin_credentials_come_first_and_the_gateway_last() -> None:
    rules = made("").rules([record("x", "openrouter"), record("openclaw-gateway-token", "openclaw-gateway",
                                                              Kind.GATEWAY_TOKEN)])
    assert rules["x"].after == ("openrouter-management-key",) and not rules["x"].last
    assert rules["openclaw-gateway-token"].last and rules["openclaw-gateway-token"].after == ()


def test_whether_a_person_is_needed_follows_the_admin_credential() -> None:
    table = made("")
    assert table.rules([record("x", "openrouter")])["x"].assisted
    assert table.rules([record("g", "groq")])["g"].assisted


def test_a_changed_record_has_a_changed_rule() -> None:
    table, before = made(""), record("a")
    assert table.rules([before])["a"].policy.interval == 90 * DAY
    after = replace(before, secret=replace(before.secret, policy=RotationPolicy(interval=1 * DAY)))
    assert table.rules([after])["a"].policy.interval == DAY


@pytest.mark.parametrize(("text", "words"), [
    ('[schedule.secrets.a]\nevery = "0 4 31 2 *"', "c.toml: line 2: [schedule.secrets.a]: every: '0 4 31 2 *': no time "
     "ever fits it"),
    ('[schedule.secrets.a]\nevery = "0 99 1 * *"', "c.toml: line 2: [schedule.secrets.a]: every: "),
])
def test_a_cron_expression_that_cannot_be_kept(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(text)
    assert words in caught.value.message


@pytest.mark.parametrize(("every", "fits"), [("60d", True), ("59d", False), ("0 4 1 */3 *", True),
                                             ("0 4 1 * *", False)])
def test_more_often_than_the_provider_bears(every: str, fits: bool) -> None:
    table = made(f'[schedule.providers.groq]\nshortest = "60d"\n[schedule.secrets.a]\nevery = "{every}"')
    if fits:
        table.check([record("a")])
        return
    with pytest.raises(ConfigError) as caught:
        table.check([record("a")])
    assert "c.toml: line 4: [schedule.secrets.a]: every" in caught.value.message
    assert "more often than groq bears: at least 60d" in caught.value.message


def test_more_often_than_a_provider_file_says(tmp_path: Path) -> None:
    text = (data_path("providers") / "groq.toml").read_text().replace('"groq', '"slow')
    (tmp_path / "slow.toml").write_text(f'shortest = "30d"\n{text}')
    table = made(f'providers_dirs = ["{tmp_path}"]\n[schedule.secrets.a]\nevery = "20d"')
    with pytest.raises(ConfigError) as caught:
        table.check([record("a", "slow")])
    assert "line 3: [schedule.secrets.a]: every 20d is more often than slow bears: at least 30d (its provider file)" \
        in caught.value.message
    eased = made(f'providers_dirs = ["{tmp_path}"]\n[schedule.providers.slow]\nshortest = "10d"\n'
                 '[schedule.secrets.a]\nevery = "20d"')
    eased.check([record("a", "slow")])


def test_a_circle_with_an_admin_credential() -> None:
    table = made('[schedule.secrets.openrouter-management-key]\nafter = ["x"]')
    every = [record("x", "openrouter"), record("openrouter-management-key", "openrouter-management", Kind.ADMIN)]
    with pytest.raises(ConfigError) as caught:
        table.check(every)
    assert "a circle: " in caught.value.message and "x after openrouter-management-key" in caught.value.message


@pytest.mark.parametrize(("expression", "first"), [
    ("0 4 1 * *", "2026-04-01T04:00+02:00"),
    ("30 3 * * 0", "2026-03-29T03:30+02:00"),
    ("30 3 * * 7", "2026-03-29T03:30+02:00"),
    ("0 3 * * 1-5", "2026-03-27T03:00+01:00"),
    ("0 3 * * sat", "2026-03-28T03:00+01:00"),
    ("0 3 * * 0-2", "2026-03-29T03:00+02:00"),
])
def test_cron_counts_weekdays_as_cron_does(expression: str, first: str) -> None:
    import datetime as dt

    after = dt.datetime.fromisoformat("2026-03-27T00:00+00:00").timestamp()
    assert next_after(expression, BERLIN)(after) == dt.datetime.fromisoformat(first).timestamp()


@pytest.mark.parametrize("expression", ["x", "0 3 * * 8", "0 3 * * 5-2", "61 3 * * *", "0 0 30 2 *"])
def test_what_is_no_cron_expression(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        next_after(expression, BERLIN)


def test_names_that_are_nowhere_are_said() -> None:
    """Not refused: the secret may be still to come. But a slip of the pen leaves a window unkept."""
    table = made('[schedule.secrets.grok-key]\nevery = "5d"\n[schedule.secrets.groq-key]\nafter = ["other"]\n'
                 '[schedule.providers.grok]\nshortest = "1d"\n[schedule.providers.groq]\nshortest = "1d"')
    assert table.strays([record("groq-key"), record("a")]) == [
        "[schedule.secrets.grok-key]: there is no secret grok-key; did you mean 'groq-key'?",
        "[schedule.secrets.groq-key] after: there is no secret other",
        "[schedule.providers.grok]: there is no such provider; did you mean 'groq'?"]
    assert made("").strays([]) == []
