"""[notify]: who is told besides the log. Addresses are secrets: what stands here is the name of each in the store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from clawsecrets.config.tables import Table, listed, nearest
from clawsecrets.config.zones import zone
from clawsecrets.model.channel import Channel
from clawsecrets.model.civil import Zone
from clawsecrets.model.notice import Severity, Topic
from clawsecrets.model.policy import DAY
from clawsecrets.model.secret import valid_name
from clawsecrets.model.window import Openings, Window, parse_window

SEVERITIES = tuple(severity.name.lower() for severity in Severity)
TIMEOUT = 30.0
LONGEST_TIMEOUT = 60.0
"""Seconds. A round of the daemon waits for a message at most so long."""
LONGEST_DIGEST = 7 * DAY
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """[notify]. Durations in seconds."""

    timeout: float = TIMEOUT
    """How long one message may take on its way."""
    channels: Mapping[str, Channel] = field(default_factory=dict)

    def names_address(self, secret: str) -> bool:
        """Whether a secret of this name is the address of a channel."""
        return any(channel.secret == secret for channel in self.channels.values())


def read_notify(table: Table, home: Zone) -> NotifyConfig:
    """[notify]; `home` is the zone of quiet hours that name none. ConfigError names file, line, table and key."""
    timeout = table.seconds("timeout", TIMEOUT, least=1.0)
    if timeout > LONGEST_TIMEOUT:
        table.fail_at("timeout", f"is too long: at most {LONGEST_TIMEOUT:g} s", "the daemon waits for it")
    usual = Channel("", "", _severity(table, "least", Severity.INFO), _topics(table, frozenset(Topic)),
                    _digest(table, 0.0), _severity(table, "urgent", Severity.ERROR), _quiet(table, home, ()))
    channels = {name: _channel(name, inner, home, usual) for name, inner in table.tables("channels").items()}
    table.done()
    return NotifyConfig(timeout, channels)


def _channel(name: str, table: Table, home: Zone, usual: Channel) -> Channel:
    if not _NAME.match(name):
        table.fail_at("", "is not a channel's name", "use a-z 0-9 . _ - (64 at most), beginning with a letter or digit")
    secret = table.text("secret")
    if not secret:
        table.fail_at("secret", "is missing: the name of the secret in the store that holds the address",
                      f'secret = "notify-{name}", and clawsecrets notify add notify-{name} stores the address')
    if not valid_name(secret):  # not repeated: it may be the address itself
        table.fail_at("secret", "is not a secret's name",
                      "an address is a secret: store it with clawsecrets notify add NAME, and write the NAME here")
    channel = Channel(name, secret, _severity(table, "least", usual.least), _topics(table, usual.topics),
                      _digest(table, usual.digest), _severity(table, "urgent", usual.urgent),
                      _quiet(table, home, usual.quiet))
    table.done()
    return channel


def _severity(table: Table, key: str, default: Severity) -> Severity:
    return Severity[table.choice(key, SEVERITIES, default.name.lower()).upper()]


def _topics(table: Table, default: frozenset[Topic]) -> frozenset[Topic]:
    if not table.has("topics"):
        return default
    known = [topic.value for topic in Topic if topic is not Topic.TEST]
    found = table.texts("topics")
    for word in found:
        if word not in known:
            table.fail_at("topics", f"{word!r} is not known{nearest(word, known)}", f"allowed: {listed(known)}")
    if not found:
        table.fail_at("topics", "names none, so that nothing would be told", "leave it out for all of them")
    return frozenset(map(Topic, found))


def _digest(table: Table, default: float) -> float:
    seconds = table.seconds("digest", default)
    if seconds > LONGEST_DIGEST:
        table.fail_at("digest", "is too long: at most 7d", "what nobody is told for weeks is what a digest must not do")
    return seconds


def _quiet(table: Table, home: Zone, default: tuple[Window, ...]) -> tuple[Window, ...]:
    if not table.has("quiet"):
        return default
    try:
        found = tuple(parse_window(text, lambda name: zone(name) if name else home) for text in table.texts("quiet"))
    except ValueError as error:
        table.fail_at("quiet", str(error), "quiet hours are like \"22:00-07:00 Europe/Berlin\"")
    span = Openings(found).first(0.0) if found else None
    if span is not None and span.closes - span.opens >= 7 * DAY:
        table.fail_at("quiet", "it would never be anything but quiet", "leave some hours of the week")
    return found
