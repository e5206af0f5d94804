"""[notify]: what is read, and what is refused, with its line and without an address."""

from __future__ import annotations

import pytest

from clawsecrets.config import find_paths, parse
from clawsecrets.config.notify import NotifyConfig
from clawsecrets.errors import ConfigError
from clawsecrets.model.channel import Channel
from clawsecrets.model.notice import Severity, Topic

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)


def read(text: str) -> NotifyConfig:
    return parse(text, "c.toml", PATHS).notify


def test_nothing_said_is_the_log_alone() -> None:
    assert read("") == NotifyConfig(30.0, {})


def test_what_is_said_for_all_holds_where_a_channel_says_nothing() -> None:
    config = read("""
[schedule]
zone = "Europe/Berlin"
[notify]
timeout = "10s"
least = "warning"
digest = "2h"
quiet = ["22:00-07:00"]
[notify.channels.a]
secret = "notify/a"
[notify.channels.b]
secret = "b"
least = "info"
topics = ["stuck", "drift"]
digest = "0"
quiet = []
urgent = "critical"
""")
    first, second = config.channels.values()
    assert config.timeout == 10.0
    assert (first.secret, first.least, first.digest) == ("notify/a", Severity.WARNING, 7200.0)
    assert first.topics == frozenset(Topic) and first.quiet[0].zone.name == "Europe/Berlin"
    assert second == Channel("b", "b", Severity.INFO, frozenset({Topic.STUCK, Topic.DRIFT}), 0.0, Severity.CRITICAL)
    assert config.names_address("b") and not config.names_address("a")


@pytest.mark.parametrize(("text", "words"), [
    ('[notify.channels.a]\n', "line 1: [notify.channels.a]: secret: is missing"),
    ('[notify.channels.a]\nsecret = "json://h/canary-token"\n', "line 2: [notify.channels.a]: secret: is not a"),
    ('[notify.channels.a]\nurl = "json://h/canary-token"\nsecret = "a"\n', "key 'url' is not known"),
    ('[notify.channels."A b"]\nsecret = "a"\n', "is not a channel's name"),
    ('[notify]\nleast = "loud"\n', "least = 'loud' is not known"),
    ('[notify]\ntopics = ["stuk"]\n', "line 2: [notify]: topics: 'stuk' is not known; did you mean 'stuck'?"),
    ('[notify]\ntopics = ["test"]\n', "line 2: [notify]: topics: 'test' is not known"),
    ('[notify]\ntopics = []\n', "line 2: [notify]: topics: names none"),
    ('[notify]\ntimeout = "2m"\n', "line 2: [notify]: timeout: is too long: at most 60 s"),
    ('[notify]\ntimeout = "0"\n', "timeout = '0' is too short"),
    ('[notify]\ndigest = "8d"\n', "line 2: [notify]: digest: is too long: at most 7d"),
    ('[notify]\nquiet = ["always"]\n', "line 2: [notify]: quiet: 'always' is not a window"),
    ('[notify]\nquiet = ["22:00-07:00 Mars/Base"]\n', "line 2: [notify]: quiet: there is no time zone 'Mars/Base'"),
    ('[notify]\nquiet = ["00:00-12:00", "11:00-24:00"]\n', "line 2: [notify]: quiet: it would never be anything but"),
    ('[notify]\nchannels = 3\n', "channels must be a table"),
    ('[notify]\nmore = 1\n', "key 'more' is not known"),
])
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(text)
    assert words in refusal.value.message and "canary" not in f"{refusal.value.message}{refusal.value.hint}"
