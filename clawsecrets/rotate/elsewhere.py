"""What other hosts have said in the record: which of their targets hold a version, which of their consumers use it, and
whom a rotation waits for. Nothing is asked of them here: each says it by itself (sync.py), whenever it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clawsecrets.errors import StaleRecord
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.hosts import AWAITED, host_of
from clawsecrets.model.record import Ack, Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Secret
from clawsecrets.ports import Change, Entry, Reply, Store
from clawsecrets.rotate.gear import Outfit

DELIVERING, DELIVERED = "host.delivering", "host.delivered"
TURNS = 5
LOOK_AGAIN = 10.0
"""Seconds between two looks whether another host has said something."""


@dataclass(frozen=True)
class Heard:
    """What the hosts of some targets have said about one version."""

    absent: tuple[str, ...] = ()
    """Hosts with the targets that are waited for, in words."""
    refused: str = ""
    """The first target that cannot hold or does not use it, with its host's words."""
    unshown: tuple[str, ...] = ()
    """Consumers that cannot show what they use, with their hosts' words."""


def owner(outfit: Outfit, target: str) -> str:
    """The host that a target is named to be on; empty: none is named."""
    return outfit.hosts.get(target) or host_of(target)


def elsewhere(outfit: Outfit, secret: Secret) -> Mapping[str, str]:
    """The secret's targets that this host does not serve -> the host that does."""
    return {target: owner(outfit, target) or "another host"
            for target in (*secret.injectors, *secret.consumers)
            if target not in outfit.injectors and target not in outfit.consumers}


def heard(record: Record, version: int, targets: Collection[str], hosts: Mapping[str, str], *,
          proven: bool = False) -> Heard:
    """What was said of these targets; `proven`: that a consumer has shown it, or that it cannot show anything."""
    absent: dict[str, list[str]] = {}
    refused, unshown = "", []
    for target in targets:
        if target not in hosts:
            continue
        ack = record.acked(target)
        words = _words(target, ack)
        if ack is None or ack.version != version:
            absent.setdefault(hosts[target], []).append(words)
        elif ack.outcome is Outcome.REFUSED:
            refused = refused or words
        elif proven and ack.person:
            unshown.append(words)
        elif ack.outcome is not Outcome.OK or (proven and not ack.proof):
            absent.setdefault(hosts[target], []).append(words)
    return Heard(tuple(f"{host} ({', '.join(named)})" for host, named in absent.items()), refused, tuple(unshown))


def _words(target: str, ack: Ack | None) -> str:
    return f"{target}: {ack.note}" if ack is not None and ack.note else target


def waiting(found: Heard, what: str) -> Reply:
    """LATER, with everybody who is waited for."""
    return Reply(Outcome.LATER, f"{AWAITED}{' and host '.join(found.absent)} to {what}", after=LOOK_AGAIN)


def carriers(outfit: Outfit, secret: Secret) -> Sequence[str]:
    """The hosts of which one must carry its rotation out, because the consumer that validates the value is there; none:
    this host can. Only a self-issued value has such a consumer."""
    if not outfit.tests_elsewhere or any(consumer.validates for consumer in outfit.consumers.values()):
        return ()
    hosts = elsewhere(outfit, secret)
    return tuple(dict.fromkeys(hosts[target] for target in secret.consumers if target in hosts))


# --- this host's own word -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Voice:
    """Says in the records what becomes of this host's targets. No secret's lease is needed: it builds on the newest
    record, and touches nothing but acknowledgements."""

    store: Store
    now: float
    actor: str

    def about_to(self, target: str, entries: Iterable[Entry]) -> bool:
        """What a target of a named host holds is not known from now on, for every secret of which it is about to hold
        another version than was said: who writes one secret there writes the others' newest, too. Whether there was
        such a one."""
        return any([self.unsay(entry.name, (target,), entry.version) for entry in entries])

    def unsay(self, name: str, targets: Collection[str], version: int) -> bool:
        """The same for some targets of one secret that is about to be served in that version."""
        def acks(record: Record) -> tuple[Ack, ...]:
            known = {target: record.acked(target) for target in targets}
            return tuple(Ack(target, 0, self.now, "") for target, ack in known.items()
                         if ack is None or ack.version not in (0, version))

        return self._edit(name, DELIVERING, "", acks)

    def say(self, name: str, acks: Sequence[Ack], action: str = DELIVERED, note: str = "") -> None:
        """Make this host's word durable, where it is news."""
        self._edit(name, action, note, lambda record: tuple(ack for ack in acks if _news(record, ack)))

    def _edit(self, name: str, action: str, note: str, decide: Callable[[Record], tuple[Ack, ...]]) -> bool:
        """Whether there was something to be said. StaleRecord when others keep changing it."""
        for _ in range(TURNS):
            record = self.store.load(name)
            acks = decide(record)
            if not acks:
                return False
            try:
                self.store.commit([Change(record.ack(*acks), self._event(record, acks, action, note))])
                return True
            except StaleRecord as error:
                stale = error
        raise StaleRecord(stale.message, "run the command again")

    def _event(self, record: Record, acks: Sequence[Ack], action: str, note: str) -> AuditEvent:
        current, rotation = record.current, record.rotation
        detail = {"targets": ", ".join(ack.target for ack in acks)} | ({"note": note} if note else {})
        return AuditEvent(self.now, self.actor, action, record.secret.name, current.number if current else 0,
                          rotation.id if rotation is not None and record.rotating else "", detail)


def _news(record: Record, ack: Ack) -> bool:
    known = record.acked(ack.target)
    if known is None or bool(known.proof) is not bool(ack.proof):
        return True
    return replace(known, at=ack.at, proof=ack.proof) != ack
