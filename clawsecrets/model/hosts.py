"""Which host a target belongs to, and what the hosts of one store have said. Pure.

A host is known by its targets and by its word in the records; there is no list of hosts beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from clawsecrets.model.record import Ack, Record
from clawsecrets.model.rotation import Outcome

SILENT = 900.0
"""Seconds that a rotation waits for another host before somebody is told."""
AWAITED = "waiting for host "
"""How the note of a rotation begins that waits for other hosts."""
Owner = Callable[[str], str]
"""A target's host."""


def host_of(target: str) -> str:
    """The host that a target's own name says (`name@host`); empty when it says none."""
    return target.partition("@")[2]


def own_name(target: str) -> str:
    """The name by which the configuration has a target, without the host that may stand behind it."""
    return target.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Behind:
    """A target that does not hold, or is not proven to use, what its secret serves now."""

    secret: str
    host: str
    target: str
    version: int
    """What it is to hold."""
    ack: Ack | None
    """The last word about it."""

    @property
    def words(self) -> str:
        """The target, with what its host says."""
        if self.ack is not None and self.ack.note:
            return f"{self.target} ({self.ack.note})"
        holds = self.ack is not None and self.ack.version == self.version
        return f"{self.target} (not proven)" if holds else self.target


def behind(record: Record, owner: Owner = host_of) -> tuple[Behind, ...]:
    """The record's targets of named hosts that are not where they should be. A consumer that can show nothing is not
    behind."""
    secret, current = record.secret, record.current
    if current is None or secret.deleted_at:
        return ()
    found = []
    for target in (*secret.injectors, *secret.consumers):
        ack, host = record.acked(target), owner(target)
        shown = ack is not None and (target in secret.injectors or bool(ack.proof) or ack.person)
        said = ack is not None and ack.version == current.number and (ack.outcome is Outcome.OK or ack.person)
        if host and not (shown and said):
            found.append(Behind(secret.name, host, target, current.number, ack))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Host:
    """One host as the records know it."""

    name: str
    targets: tuple[str, ...]
    secrets: int
    last_word: float
    """When it last said something of a target; Unix time by its own clock, 0.0 = never."""
    behind: tuple[Behind, ...]


def hosts(records: Iterable[Record], owner: Owner = host_of) -> list[Host]:
    """All named hosts, by name."""
    found: dict[str, Host] = {}
    for record in records:
        late = behind(record, owner)
        mine = {target: owner(target) for target in (*record.secret.injectors, *record.secret.consumers)}
        for name in sorted({host for host in mine.values() if host}):
            host = found.get(name, Host(name, (), 0, 0.0, ()))
            targets = [target for target, of in mine.items() if of == name]
            spoken = [ack.at for target in targets if (ack := record.acked(target)) is not None]
            found[name] = Host(name, tuple(dict.fromkeys((*host.targets, *targets))), host.secrets + 1,
                               max([host.last_word, *spoken]),
                               (*host.behind, *(item for item in late if item.host == name)))
    return [found[name] for name in sorted(found)]


def without_host(record: Record, host: str) -> Record:
    """The record without the targets of a host that is gone for good, and without its word."""
    secret = record.secret
    kept = replace(secret, injectors=tuple(t for t in secret.injectors if host_of(t) != host),
                   consumers=tuple(t for t in secret.consumers if host_of(t) != host))
    return replace(record, secret=kept, acks=tuple(ack for ack in record.acks if host_of(ack.target) != host))


def on_host(record: Record, host: str, known: Callable[[str], bool]) -> Record:
    """The record with `@host` on every target that names no host and is `known` there, its word moved along."""
    def named(target: str) -> str:
        return f"{target}@{host}" if "@" not in target and known(target) else target

    secret = record.secret
    kept = replace(secret, injectors=tuple(dict.fromkeys(map(named, secret.injectors))),
                   consumers=tuple(dict.fromkeys(map(named, secret.consumers))))
    return replace(record, secret=kept, acks=tuple(replace(ack, target=named(ack.target)) for ack in record.acks))
