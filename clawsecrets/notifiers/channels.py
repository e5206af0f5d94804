"""Tells people by the channels of the configuration, besides the log.

1. What is told is first put into the outbox of every channel that takes it: from then on it is not lost, and the
   answer is OK. A channel takes it at once, or in its digest, or when it works again: each by itself.
2. `tell` is called at every round, with nothing new as well: that is when digests end and failed channels are tried.
3. All channels of a round are tried at once and for a bounded time; none holds back another.
4. A channel that keeps failing is told of in the log and by the others.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawsecrets.model.channel import Channel
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.policy import DAY, format_duration
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.notifiers.courier import Courier, Parcel
from clawsecrets.notifiers.outbox import Outbox, Waiting
from clawsecrets.notifiers.rendering import message
from clawsecrets.ports import Clock, Reply

if TYPE_CHECKING:
    from clawsecrets.ports import Notifier

IN_ONE = 10
"""Notices in one message; further ones are in the next, a round later."""
ALARMING = 3
"""Failures in a row after which the others are told that a channel does not work."""


@dataclass(frozen=True)
class Means:
    """What the channels act with."""

    courier: Courier
    clock: Clock
    address: Callable[[str], SecretValue | str]
    """The address that a secret holds; a text says why there is none."""
    without_values: Callable[[Notice], Notice]
    """A notice with every value taken out that should ever have got into it."""
    keep: Callable[[], None] = lambda: None
    """Reads addresses ahead, for a time at which none can be read. Called often."""
    timeout: float = 30.0
    host: str = ""


class Channels:
    """The log (`write`, which may not raise) and the channels."""

    def __init__(self, channels: Sequence[Channel], outbox: Outbox, means: Means,
                 write: Callable[[Notice], None]) -> None:
        self._channels = tuple(channels)
        self._outbox = outbox
        self._means = means
        self._write = write
        self._seen: set[str] = set()
        """Keys in the log and in the lists already, of what is offered again because it could not be kept."""

    def describe(self) -> str:
        """One line for the start of the daemon."""
        return ", ".join(["log", *(channel.name for channel in self._channels)])

    def tell(self, notices: Sequence[Notice]) -> Reply:
        """OK: kept for every channel that takes it, and told where it is time. LATER: it could not be kept, and a
        channel has not taken it yet."""
        self._outbox.look()
        self._means.keep()
        fresh = [self._means.without_values(notice) for notice in notices if notice.key not in self._seen]
        for notice in fresh:
            self._write(notice)
        self._seen |= {notice.key for notice in notices}
        durable = self._keep(fresh)
        failed = self._send()
        if not durable and any(self._outbox.of(channel.name).notices for channel in self._channels):
            return Reply(Outcome.LATER, "what waits for a channel cannot be written into the state folder")
        self._seen.clear()
        return Reply(Outcome.OK, f"{len(fresh)} kept" + (f"; not now: {', '.join(failed)}" if failed else ""))

    def _keep(self, fresh: Sequence[Notice]) -> bool:
        now = self._means.clock.now()
        return self._outbox.put({
            channel.name: self._outbox.of(channel.name).with_more(filter(channel.takes, fresh), now)
            for channel in self._channels})

    def _send(self) -> list[str]:
        """Everything whose time has come; the names of the channels that failed."""
        now = self._means.clock.now()
        turns: list[tuple[Channel, list[Notice]]] = []
        replies: dict[str, Reply] = {}
        parcels: list[Parcel] = []
        for channel in self._channels:
            chosen = _chosen(channel, self._outbox.of(channel.name), now)
            if not chosen:
                continue
            turns.append((channel, chosen))
            address = self._means.address(channel.secret)
            if isinstance(address, str):
                replies[channel.name] = Reply(Outcome.LATER, address)
            else:
                left_out = self._outbox.of(channel.name).left_out
                parcels.append(Parcel(address, message(chosen, self._means.host or socket.gethostname(), left_out)))
        if not turns:
            return []
        tried = [channel.name for channel, _ in turns if channel.name not in replies]
        replies |= dict(zip(tried, self._means.courier.bring(parcels, self._means.timeout), strict=True))
        self._settle(turns, replies)
        return [channel.name for channel, _ in turns if replies[channel.name].outcome is not Outcome.OK]

    def _settle(self, turns: Iterable[tuple[Channel, list[Notice]]], replies: dict[str, Reply]) -> None:
        now = self._means.clock.now()
        lists = {channel.name: self._outbox.of(channel.name) for channel in self._channels}
        alarms: list[Notice] = []
        for channel, chosen in turns:
            reply = replies[channel.name]
            if reply.outcome is Outcome.OK:
                lists[channel.name] = lists[channel.name].taken(chosen)
                continue
            lists[channel.name] = after = lists[channel.name].failed(reply.detail, now)
            alarm = _alarm(channel, after, now)
            self._write(alarm)
            if after.tries == ALARMING or (after.tries > ALARMING and after.tries % 24 == 0):
                alarms.append(alarm)
        for channel in self._channels:
            if not lists[channel.name].tries:  # one that fails itself is told of itself by the others
                lists[channel.name] = lists[channel.name].with_more(filter(channel.takes, alarms), now)
        self._outbox.put(lists)


def _chosen(channel: Channel, waiting: Waiting, now: float) -> list[Notice]:
    """What goes into one message now, the most severe first; empty: nothing."""
    if not waiting.notices or waiting.rests(now) or channel.goes_at(waiting.notices, now) > now:
        return []
    ordered = sorted(waiting.notices, key=lambda entry: (-entry[0].severity, entry[1]))
    return [notice for notice, _ in ordered[:IN_ONE]]


def _alarm(channel: Channel, waiting: Waiting, now: float) -> Notice:
    since = format_duration(max(0.0, now - waiting.failing_since))
    detail = (f"channel {channel.name} cannot be told ({waiting.why}), for {since}; {len(waiting.notices)} notice(s) "
              "wait for it and it is tried again by itself")
    return Notice(Topic.DAEMON, Severity.ERROR, f"daemon::notify:{channel.name}", now, detail=detail,
                  command=f"clawsecrets notify test {channel.name}", again=DAY)


if TYPE_CHECKING:

    def _conforms(notifier: Channels) -> Notifier:
        return notifier
