"""[schedule] and [daemon]: when secrets are rotated by themselves, and how the daemon runs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from clawsecrets.config.tables import Table
from clawsecrets.config.zones import zone
from clawsecrets.model.civil import UTC, Zone
from clawsecrets.model.need import circle
from clawsecrets.model.policy import DAY, parse_duration
from clawsecrets.model.schedule import Limit
from clawsecrets.model.secret import valid_name
from clawsecrets.model.window import Blackout, Window, never_opens, parse_blackout, parse_window

LOG_FORMATS = ("text", "json")
SHORTEST = 1.0
"""Seconds. The least interval; a provider, or [schedule.providers], may say more."""
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+):(?P<port>\d{1,5})")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class SecretSchedule:
    """[schedule.secrets.NAME]: what goes before everything else for one secret. None = as everywhere."""

    interval: float | None = None
    cron: str = ""
    """Its cron expression instead, read by the daemon's scheduler."""
    windows: tuple[Window, ...] | None = None
    blackouts: tuple[Blackout, ...] = ()
    """Its own, besides everybody's."""
    jitter: float | None = None
    hard_age: float | None = None
    outside_window: bool = False
    after: tuple[str, ...] = ()
    line: int = 0
    """Where `every` stands in the file; 0 = not known."""


@dataclass(frozen=True, slots=True)
class ProviderSchedule:
    """[schedule.providers.CODE]."""

    limit: Limit | None = None
    shortest: float = 0.0
    """Seconds; the least interval that is accepted."""


@dataclass(frozen=True, slots=True)
class ScheduleConfig:
    """[schedule]. Durations in seconds."""

    zone: Zone = UTC
    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()
    jitter: float = 3600.0
    stagger: float = 60.0
    group_apart: float = DAY
    attempts: int = 8
    backoff: float = 3600.0
    backoff_most: float = DAY
    secrets: Mapping[str, SecretSchedule] = field(default_factory=dict)
    providers: Mapping[str, ProviderSchedule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """[daemon]. Durations in seconds."""

    tick: float = 60.0
    """It looks at least so often."""
    takeover: float = 30.0
    """How long a daemon may be silent before the one that stands by takes over."""
    stop: float = 90.0
    """How long the step that is under way may take after SIGTERM."""
    nightly: int | None = 3 * 3600 + 1800
    """Seconds after midnight of the schedule's zone; None = never."""
    log: str = "text"
    listen: tuple[str, int] | None = ("127.0.0.1", 9779)


def read_schedule(table: Table) -> ScheduleConfig:
    """[schedule]. ConfigError names file, line, table and key."""
    home = _zone(table, "zone", UTC)
    windows, blackouts = _windows(table, home), _blackouts(table, home)
    secrets = {name: _secret(name, inner, home) for name, inner in table.tables("secrets").items()}
    config = ScheduleConfig(
        home, windows, blackouts, table.seconds("jitter", 3600.0), table.seconds("stagger", 60.0),
        table.seconds("group_apart", DAY), table.whole("attempts", 8, least=1),
        table.seconds("backoff", 3600.0, least=1.0), table.seconds("backoff_most", DAY, least=1.0), secrets,
        {code: _provider(inner) for code, inner in table.tables("providers").items()},
    )
    table.done()
    if never_opens(windows, blackouts, 0.0):
        table.fail_at("blackouts", "the yearly blackouts leave nothing of the windows: they can never open",
                      "shorten the blackouts, or add a window")
    _check_secrets(table, config)
    return config


def _check_secrets(table: Table, config: ScheduleConfig) -> None:
    inner = table.tables("secrets")
    for name, own in config.secrets.items():
        windows = config.windows if own.windows is None else own.windows
        if never_opens(windows, (*config.blackouts, *own.blackouts), 0.0):
            inner[name].fail_at("windows", "its windows can never open: the yearly blackouts leave nothing of them",
                                "shorten the blackouts, or add a window")
    found = circle({name: own.after for name, own in config.secrets.items()})
    if found:
        inner[found[0]].fail_at("after", f"a circle: {' after '.join(found)}", "take one `after` of these away")


def _secret(name: str, table: Table, home: Zone) -> SecretSchedule:
    if not valid_name(name):
        table.fail_at("", f"{name!r} is not a secret's name", "clawsecrets list shows the names")
    interval, cron = _every(table)
    windows = _windows(table, home) if table.has("windows") else None
    after = table.texts("after")
    for other in after:
        if not valid_name(other):
            table.fail_at("after", f"{other!r} is not a secret's name", "clawsecrets list shows the names")
    config = SecretSchedule(
        interval, cron, windows, _blackouts(table, home),
        table.seconds("jitter", 0.0) if table.has("jitter") else None,
        table.seconds("hard_age", 0.0, least=1.0) if table.has("hard_age") else None,
        table.flag("outside_window"), after, table.line("every"),
    )
    if config.hard_age is not None and interval is not None and config.hard_age < interval:
        table.fail_at("hard_age", "hard_age is shorter than the interval", "it is the age at which it gets loud")
    table.done()
    return config


def _every(table: Table) -> tuple[float | None, str]:
    """An interval, or a cron expression (five fields)."""
    text = table.text("every")
    if not text:
        return None, ""
    if len(text.split()) > 1:
        if len(text.split()) != 5:
            table.fail_at("every", f"{text!r} is not a cron expression",
                          "five fields: minute, hour, day, month, weekday; or an interval like \"30d\"")
        return None, text
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        table.fail_at("every", str(error), "or a cron expression like \"0 4 1 * *\"")
    if seconds < SHORTEST:
        table.fail_at("every", f"{text!r} is too short: at least {SHORTEST:g} s")
    return seconds, ""


def _provider(table: Table) -> ProviderSchedule:
    count, within = table.whole("at_most", 0, least=1), table.seconds("within", 0.0, least=1.0)
    if bool(count) != bool(within):
        table.fail_at("at_most", "at_most and within go together", 'for example at_most = 2 and within = "1h"')
    config = ProviderSchedule(Limit(count, within) if count else None, table.seconds("shortest", 0.0))
    table.done()
    return config


def _zone(table: Table, key: str, default: Zone) -> Zone:
    name = table.text(key)
    if not name:
        return default
    try:
        return zone(name)
    except ValueError as error:
        fault = str(error)
    table.fail_at(key, fault, "names are like Europe/Berlin or UTC")


def _windows(table: Table, home: Zone) -> tuple[Window, ...]:
    found = []
    for text in table.texts("windows"):
        try:
            found.append(parse_window(text, lambda name: zone(name) if name else home))
        except ValueError as error:
            table.fail_at("windows", str(error), "windows are like \"Sun 03:00-05:00 Europe/Berlin\"")
    return tuple(found)


def _blackouts(table: Table, home: Zone) -> tuple[Blackout, ...]:
    found = []
    for text in table.texts("blackouts"):
        try:
            found.append(parse_blackout(text, home))
        except ValueError as error:
            table.fail_at("blackouts", str(error), "both dates are included; without a year it holds every year")
    return tuple(found)


# --- [daemon] ------------------------------------------------------------------------------------------------------


def read_daemon(table: Table) -> DaemonConfig:
    """[daemon]. ConfigError names file, line, table and key."""
    config = DaemonConfig(
        table.seconds("tick", 60.0, least=0.2), table.seconds("takeover", 30.0, least=2.0),
        table.seconds("stop", 90.0, least=1.0), _nightly(table), table.choice("log", LOG_FORMATS, "text"),
        _listen(table),
    )
    table.done()
    return config


def _nightly(table: Table) -> int | None:
    text = table.text("nightly", "03:30")
    match = _CLOCK.fullmatch(text)
    if text == "never":
        return None
    if match is None:
        table.fail_at("nightly", f"{text!r} is not a time of the day", 'write for example "03:30", or "never"')
    return int(match[1]) * 3600 + int(match[2]) * 60


def _listen(table: Table) -> tuple[str, int] | None:
    text = table.text("listen", "127.0.0.1:9779")
    if text == "nowhere":
        return None
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        table.fail_at("listen", f"{text!r} is not an address", 'write for example "127.0.0.1:9779", or "nowhere"')
    host = match["host"].strip("[]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        table.fail_at("listen", f"{host!r} is not an IP address", "127.0.0.1 is this host alone, 0.0.0.0 everybody")
    return host, int(match["port"])
