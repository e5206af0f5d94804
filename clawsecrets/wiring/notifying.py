"""Who is told of what the daemon notices: its log, and the channels of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clawsecrets.config import Config
from clawsecrets.errors import ClawError, NotFound
from clawsecrets.model.channel import Channel
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Clock, Reply, Store

if TYPE_CHECKING:
    from clawsecrets.notifiers.outbox import Outbox
    from clawsecrets.ports import Notifier

STALE = 600.0
"""Seconds after which an address is read again, so that the one that is kept is not an old one."""
CHECKING = 30.0
"""Seconds that reading an address may take at most, on a slow machine."""


def notifier(config: Config, store: Store, write: Callable[[Notice], None], clock: Clock) -> Notifier:
    """The notifier that the configuration asks for. `write` puts a notice into the log; `store` holds the addresses
    of channels, which are secrets."""
    if not config.notify.channels:
        from clawsecrets.notifiers.logged import LogNotifier

        return LogNotifier(lambda notice: write(without_values(store, notice)))
    from clawsecrets.notifiers.channels import Channels, Means
    from clawsecrets.notifiers.courier import AppriseCourier

    addresses = Addresses(store, clock, [channel.secret for channel in config.notify.channels.values()])
    means = Means(AppriseCourier(), clock, addresses.of, partial(without_values, store), addresses.keep,
                  config.notify.timeout)
    return Channels(tuple(config.notify.channels.values()), outbox(config), means, write)


def outbox(config: Config) -> Outbox:
    """What waits for the channels."""
    from clawsecrets.notifiers.outbox import Outbox

    anchor = config.store.anchor
    return Outbox(anchor.with_name(f"{anchor.stem}-notify.json"))


class Addresses:
    """The addresses of channels. What was read last is kept, in memory alone: that the store cannot be read (a cluster
    is sealed, a token was revoked) is itself something to tell."""

    def __init__(self, store: Store, clock: Clock, secrets: Iterable[str]) -> None:
        self._store = store
        self._clock = clock
        self._secrets = tuple(secrets)
        self._kept: dict[str, SecretValue] = {}
        self._read_at = -STALE
        self.keep()

    def keep(self) -> None:
        """Read them all where that is long ago; called often."""
        now = self._clock.now()
        if not 0.0 <= now - self._read_at < STALE:
            self._read_at = now
            for secret in self._secrets:
                self.of(secret)

    def of(self, secret: str) -> SecretValue | str:
        """The address that a secret holds: as it is now, else as it was read last; or why there is none."""
        try:
            found = _stored(self._store, secret)
        except ClawError as error:
            return self._kept.get(secret, error.message)
        if found is None:
            self._kept.pop(secret, None)
            return missing(secret)
        self._kept[secret] = found
        return found


def missing(secret: str) -> str:
    """What is said of an address that nobody has stored."""
    return f"{secret} is not in the store: clawsecrets notify add {secret}"


def address_of(store: Store, secret: str) -> SecretValue | str:
    """The address that a secret holds, or why there is none."""
    try:
        found = _stored(store, secret)
    except ClawError as error:
        return error.message
    return missing(secret) if found is None else found


def _stored(store: Store, secret: str) -> SecretValue | None:
    """The current value; None where nobody has stored one. ClawError where that cannot be read."""
    with suppress(NotFound):
        record = store.load(secret)
        if record.current is not None and not record.secret.deleted_at:
            return store.value(secret, record.current.number)
    return None


def try_channel(config: Config, store: Store, channel: Channel, now: float) -> Reply:
    """Send a test notice to one channel, past its filters, digest and outbox."""
    import socket

    from clawsecrets.notifiers.courier import AppriseCourier, Parcel
    from clawsecrets.notifiers.rendering import message

    address = address_of(store, channel.secret)
    if isinstance(address, str):
        return Reply(Outcome.REFUSED, address, person=True)
    notice = Notice(Topic.TEST, Severity.INFO, "test::", now, detail=f"this is channel {channel.name}")
    parcel = Parcel(address, message([notice], socket.gethostname()))
    return AppriseCourier().bring([parcel], config.notify.timeout)[0]


def check_address(address: SecretValue) -> Reply:
    """Whether Apprise can read an address; OK names its service. Nothing is sent."""
    from clawsecrets.notifiers.courier import AppriseCourier

    return AppriseCourier().check(address, CHECKING)


# --- never a value in a message --------------------------------------------------------------------------------------


def without_values(store: Store, notice: Notice) -> Notice:
    """The notice with every value of its secret taken out of its texts (of any secret, where it names none). Notices
    hold none; this is for the day on which a server's words, or a bug, put one there."""
    values = list(_values(store, notice.secret))
    if not values or not any((notice.detail, notice.steps, notice.command)):
        return notice
    from clawsecrets.scan.scrub import Scrubber

    text = Scrubber((value.reveal(), "…") for value in values).text
    return replace(notice, key=text(notice.key), detail=text(notice.detail), steps=tuple(map(text, notice.steps)),
                   command=text(notice.command))


def holds_value(store: Store, text: str) -> bool:
    """Whether a text that a person gave holds a value of any secret."""
    from clawsecrets.scan.scrub import Scrubber

    return Scrubber((value.reveal(), "") for value in _values(store, "")).text(text) != text


def _values(store: Store, name: str) -> Iterator[SecretValue]:
    with suppress(ClawError):
        # one that is damaged hides no other
        records = [store.load(name)] if name else list(store.records(broken=lambda name, fault: None))
        for record in records:
            for version in record.versions:
                if not version.erased_at:
                    with suppress(ClawError):
                        yield store.value(record.secret.name, version.number)
