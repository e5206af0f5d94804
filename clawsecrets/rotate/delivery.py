"""Bringing values to targets: what each target is to hold now, computed from the records at the moment of writing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from clawsecrets.errors import NotFound, Refused, StoreError
from clawsecrets.model.record import Ack, Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret
from clawsecrets.ports import Entry, Injector, Reply, Store, WrittenWhole
from clawsecrets.rotate.elsewhere import Voice, owner
from clawsecrets.rotate.gear import Gear, Outfit

TURNS = 8
"""Deliveries to one target before it is said that others keep changing it."""


AboutTo = Callable[[str, Sequence[Entry]], bool]
"""Says in the store that a target is about to be written; whether there was something to be said."""


def _say_nothing(target: str, entries: Sequence[Entry]) -> bool:
    """Nobody else is waiting for what this target holds."""
    return False


@dataclass(frozen=True)
class Delivered:
    """The answer of one delivery with the acknowledgements to record."""

    reply: Reply
    acks: tuple[Ack, ...] = ()


def entries_for(store: Store, gear: Gear | None, target: str, ahead: Record | None = None,
                injector: Injector | None = None) -> Sequence[Entry]:
    """What `target` is to hold: every bound secret's served version. `ahead` replaces the stored record of its name.

    Read at the moment of writing, so that two rotations that share a target cannot undo each other's delivery.
    Without `gear` (a dry run's look) a value that is only staged counts as not there yet. A secret whose record cannot
    be read stays in the target as it is (`injector`); StoreDamaged where that cannot be.
    """
    return _entries(store, injector, _wanted(store, gear, target, ahead))


@dataclass(frozen=True)
class _Wanted:
    """What a target is to hold, without the values: who only asks whether that changed need not read those."""

    served: tuple[tuple[Record, int], ...]
    """Each bound secret with its served version, by name."""
    broken: Mapping[str, StoreError]
    """Secrets whose record cannot be read."""

    @property
    def told(self) -> tuple[tuple[str, int], ...]:
        """What tells one state from another."""
        return tuple((record.secret.name, number) for record, number in self.served) \
            + tuple((name, -1) for name in sorted(self.broken))


def _wanted(store: Store, gear: Gear | None, target: str, ahead: Record | None) -> _Wanted:
    found: list[tuple[Record, int]] = []
    broken: dict[str, StoreError] = {}
    records = {record.secret.name: record for record in store.bound(target, broken=broken.__setitem__)}
    if ahead is not None:
        records[ahead.secret.name] = ahead
    for _, record in sorted(records.items()):
        if target not in record.secret.injectors or record.secret.deleted_at or _is_admin(gear, record.secret):
            continue
        staged = gear is not None and record.rotating and target in gear.outfit(record.secret).staged
        version = record.serving(staged=staged)
        if version is not None and not version.erased_at:
            found.append((record, version.number))
    return _Wanted(tuple(found), broken)


def _entries(store: Store, injector: Injector | None, wanted: _Wanted) -> Sequence[Entry]:
    found, broken = wanted.served, wanted.broken
    values = store.values([(record.secret.name, number) for record, number in found])
    entries = [Entry(record.secret.name, number, value, record.secret.env)
               for (record, number), value in zip(found, values, strict=True)]
    return sorted([*entries, *_as_they_are(injector, broken)], key=lambda entry: entry.name)


def _as_they_are(injector: Injector | None, broken: Mapping[str, StoreError]) -> Sequence[Entry]:
    """What a target that is written whole holds of those whose records cannot be read: a delivery must not take them
    out. StoreDamaged where it cannot be given again."""
    if not broken or injector is None:
        return ()
    try:
        return injector.kept(sorted(broken)) if isinstance(injector, WrittenWhole) else ()
    except Refused:
        pass
    raise next(iter(broken.values()))


def _is_admin(gear: Gear | None, secret: Secret) -> bool:
    return secret.kind is Kind.ADMIN if gear is None else gear.is_admin(secret)


def deliver(store: Store, gear: Gear, record: Record, outfit: Outfit, now: float,
            only: frozenset[str] | None = None, actor: str = "") -> Delivered:
    """Write the record's targets of this host (`only` those named). The first answer that is not OK ends it."""
    acks: list[Ack] = []
    voice = Voice(store, now, actor)
    for target, injector in outfit.injectors.items():
        if only is not None and target not in only:
            continue
        told = voice.about_to if owner(outfit, target) else _say_nothing
        reply = deliver_one(store, gear, record, target, injector, told)
        if reply.outcome is not Outcome.OK:
            return Delivered(reply, tuple(acks))
        version = record.serving(staged=target in outfit.staged)
        acks.append(Ack(target, version.number if version else 0, now, ""))
    return Delivered(Reply(Outcome.OK, f"{len(acks)} target(s)"), tuple(acks))


def deliver_one(store: Store, gear: Gear, record: Record | None, target: str, injector: Injector,
                about_to: AboutTo = _say_nothing) -> Reply:
    """Write until what was written is still what is wanted: whoever writes last has looked after its write, so that
    two processes that deliver different secrets to one target cannot leave an older value of the other in it.

    `record` replaces the stored one of its name. `about_to` is told before each write what will be written.
    """
    told: tuple[tuple[str, int], ...] = ()
    why = "others keep changing it"
    for _ in range(TURNS):
        wanted = _wanted(store, gear, target, record)
        if told and wanted.told == told:
            return Reply(Outcome.OK)
        try:
            entries = _entries(store, injector, wanted)
        except NotFound as error:
            told, why = (), error.message  # erased between the look at its record and at its value: look again
            continue
        if about_to(target, entries):
            told, why = (), "others keep changing it"
            continue  # that took a while, and from now on the others wait for us: what is wanted is read again
        reply = injector.deliver(entries)
        if reply.outcome is not Outcome.OK:
            return Reply(reply.outcome, f"{target}: {reply.detail}", after=reply.after, person=reply.person)
        told = wanted.told
        if not told:
            return reply
    return Reply(Outcome.UNKNOWN, f"{target}: {why}")
