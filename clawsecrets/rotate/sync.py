"""This host's part of what others rotate: bring its targets to what the records say now, and say so in the store.

1. Before a target is written, the record says that what it holds is not known (an acknowledgement of version 0). A host
   that is killed or cut off in between is therefore waited for, forwards and on the way back, until it says more.
2. What is written is read from the records right before, and looked at again after. Versions that were missed are not
   delivered late: only what is served now.
3. No secret's lease is taken, for its holder may be waiting for us; acknowledgements build on the newest record. One
   process of a host does this at a time, under a lease of the host's own.
4. A consumer is reloaded once for a version, and asked for its proof until it gives it.
5. Where the consumer that validates a value (self-issued) is here, this host carries the rotation out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from clawsecrets.errors import ClawError, Fenced, NotFound, StaleRecord, StoreBusy
from clawsecrets.model.record import Ack, Record
from clawsecrets.model.rotation import Outcome, State, Wait
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Broken, Clock, Entry, Handover, Lease, Reply, Store
from clawsecrets.rotate.delivery import TURNS, deliver_one
from clawsecrets.rotate.elsewhere import DELIVERING, Voice
from clawsecrets.rotate.engine import Engine
from clawsecrets.rotate.gear import Gear, Outfit
from clawsecrets.rotate.order import Order

PREFIX = "clawsecrets.sync/"
"""Leases of this name belong to the process that delivers for a host; the host's name follows."""


@dataclass(frozen=True)
class Synced:
    """What one look did for one secret. `reply`: OK, everything of this host is as it is to be."""

    secret: str
    version: int
    reply: Reply
    acks: tuple[Ack, ...] = ()
    """What this host has said in it."""


def _anytime() -> bool:
    return True


@dataclass(frozen=True)
class Sync:
    """Delivers and acknowledges for one host. `owner`: a target's host. `ttl`: seconds that its lease lasts."""

    store: Store
    gear: Gear
    engine: Engine
    clock: Clock
    host: str
    owner: Callable[[str], str]
    actor: str
    holder: str
    ttl: float = 90.0

    def run(self, may_act: Callable[[], bool] = _anytime, broken: Broken | None = None) -> Sequence[Synced]:
        """Everything that this host is behind with; what was there to be done. StoreBusy while another process of this
        host is at it. `broken` as for the store's records."""
        work = [record.secret.name for record in self.store.records(broken=broken) if self._concerned(record)]
        if not work:
            return ()
        lease = self.store.acquire(PREFIX + _word(self.host), self.holder, self.ttl)
        try:
            done: list[Synced] = []
            for name in work:
                if not may_act():
                    break
                done += self._try(name, lease)
            return done
        finally:
            self.store.release(lease)

    def _concerned(self, record: Record) -> bool:
        mine = self._mine(record)
        if not mine or record.reconcile or self.gear.is_admin(record.secret):
            return False
        return record.rotating or any(not self._settled(record, target) for target in mine)

    def _mine(self, record: Record) -> list[str]:
        secret = record.secret
        return [target for target in (*secret.injectors, *secret.consumers) if self.owner(target) == self.host]

    def _settled(self, record: Record, target: str) -> bool:
        ack, current = record.acked(target), record.current
        if current is None:
            return True
        if ack is None or ack.version != current.number:
            return False
        return ack.person or (ack.outcome is Outcome.OK and (target in record.secret.injectors or bool(ack.proof)))

    @property
    def _voice(self) -> Voice:
        return Voice(self.store, self.clock.now(), self.actor)

    # --- one secret --------------------------------------------------------------------------------------------------

    def _try(self, name: str, lease: Lease) -> Iterable[Synced]:
        try:
            found = self._one(name, lease)
        except Fenced:
            raise
        except (NotFound, StaleRecord, StoreBusy):  # deleted or erased meanwhile, or others are at it: looked at again
            return ()
        except ClawError as error:
            reply = Reply(Outcome.LATER, error.message)
            return [Synced(name, 0, reply, self._trouble(name, reply))]
        return () if found is None else [found]

    def _trouble(self, name: str, reply: Reply) -> tuple[Ack, ...]:
        """This host cannot even look: whoever waits for it is to read why."""
        record = self.store.load(name)
        acks = tuple(Ack(target, 0, self.clock.now(), "", reply.outcome, reply.detail) for target in self._mine(record)
                     if not self._settled(record, target))
        self._voice.say(name, acks, DELIVERING, reply.detail)
        return acks

    def _one(self, name: str, lease: Lease) -> Synced | None:
        record = self.store.load(name)
        rotation = record.rotation
        outfit = self.gear.outfit(record.secret, rotation.strategy if record.rotating and rotation else "")
        if record.rotating and outfit.tests_elsewhere and any(c.validates for c in outfit.consumers.values()):
            return self._carry_out(record)
        for _ in range(TURNS):
            current = record.current
            if current is None or record.secret.deleted_at:
                return None
            done = self._serve(record, current, outfit, lease)
            record = self.store.load(name)
            if record.current is not None and record.current.number == current.number:
                self._voice.say(name, done.acks, note=done.reply.detail)
                return done
        return Synced(name, 0, Reply(Outcome.LATER, "others keep changing it"))

    def _carry_out(self, record: Record) -> Synced | None:
        rotation = record.rotation
        assert rotation is not None
        now = self.clock.now()
        early = rotation.until > now >= rotation.entered_at  # else who parked it had another clock than ours
        if rotation.state is State.STUCK or rotation.waits_for is Wait.PERSON or early:
            return None
        result = self.engine.rotate(record.secret.name, Order(begin=False)).record
        ended = result.rotation is None or result.rotation.final
        note = result.rotation.note if result.rotation is not None else ""
        number = result.current.number if result.current is not None else 0
        return Synced(record.secret.name, number, Reply(Outcome.OK if ended else Outcome.LATER, note))

    def _serve(self, record: Record, current: Version, outfit: Outfit, lease: Lease) -> Synced:
        """Bring this host's targets of one secret to its current version. Says nothing of it in the store yet, but that
        it is about to."""
        name, value = record.secret.name, self.store.value(record.secret.name, current.number)
        mine = set(self._mine(record))
        entry = Entry(name, current.number, value, record.secret.env)
        injectors = {target: it for target, it in outfit.injectors.items() if target in mine}
        consumers = {target: it for target, it in outfit.consumers.items() if target in mine}
        stale = [target for target, it in injectors.items()
                 if not self._settled(record, target) or it.holds(entry) is False]
        afresh = [target for target in consumers if stale or _reloaded(record, target) != current.number]
        self._voice.say(name, [Ack(target, 0, self.clock.now(), "") for target in (*stale, *afresh)], DELIVERING)
        acks: list[Ack] = []

        def about_to(target: str, entries: Sequence[Entry]) -> bool:
            said = self._voice.about_to(target, entries)
            self.store.renew(lease)  # one that slept while another process of this host took over writes nothing
            return said

        for target in stale:
            reply = deliver_one(self.store, self.gear, None, target, injectors[target], about_to)
            if reply.outcome is Outcome.OK and injectors[target].holds(entry) is False:
                reply = Reply(Outcome.LATER, f"something else writes it: {target}")
            acks.append(self._ack(target, current.number if reply.outcome in _TOLD else 0, reply))
        bad = next((ack for ack in acks if ack.outcome is not Outcome.OK), None)
        if bad is not None:
            return Synced(name, current.number, Reply(bad.outcome, bad.note), tuple(acks))
        handover = self._handover(record, value, current)
        for target, consumer in consumers.items():
            reply = consumer.reload(handover) if target in afresh else Reply(Outcome.OK)
            number = current.number if reply.outcome is Outcome.OK else 0
            acks.append(self._ack(target, number, consumer.prove(handover) if number else reply))
        worst = next((ack for ack in acks if ack.outcome is not Outcome.OK and not ack.person), None)
        reply = Reply(Outcome.OK) if worst is None else Reply(worst.outcome, f"{worst.target}: {worst.note}")
        return Synced(name, current.number, reply, tuple(acks))

    def _ack(self, target: str, version: int, reply: Reply) -> Ack:
        note = "" if reply.outcome is Outcome.OK else reply.detail or reply.outcome.value
        unshown = reply.outcome is Outcome.LATER and reply.person
        return Ack(target, version, self.clock.now(), reply.proof, reply.outcome, note, unshown)

    def _handover(self, record: Record, value: SecretValue, current: Version) -> Handover:
        secret, stages = record.secret, (Stage.PREVIOUS, Stage.PENDING, Stage.RETIRED)
        others = (version for stage in stages if (version := record.staged(stage)) is not None)
        former = next((version for version in others if not version.erased_at), None)
        old = self.store.value(secret.name, former.number) if former is not None else None
        return Handover(secret.name, secret.provider, secret.kind.value, value, current.number, old)


_TOLD = (Outcome.OK, Outcome.REFUSED)
"""Answers of an injector after which it is known what the target holds: the version, or (unwritten) what it held."""


def _reloaded(record: Record, target: str) -> int:
    ack = record.acked(target)
    return ack.version if ack is not None else 0


def _word(host: str) -> str:
    """The host's name as a part of a lease's name."""
    return re.sub(r"[^a-z0-9._-]+", "-", host.lower()).strip("-.")[:64] or "host"
