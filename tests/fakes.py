"""Fakes in memory: a store that holds the port's promises, and a clock that does not wait."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from clawsecrets.errors import Fenced, NotFound, StaleRecord, StoreBusy, StoreError
from clawsecrets.model.audit import AuditEvent, ChainedEvent, genesis, link, verify
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.ports import Broken, Change, Clock, Lease, Progress, Store

KEY = b"k" * 32


class FakeClock:
    """Sleeping moves the time."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Quiet:
    """Progress that shows nothing."""

    def step(self, secret: str, state: str, step: str) -> None:
        """Nothing."""

    def result(self, secret: str, step: str, outcome: str, detail: str) -> None:
        """Nothing."""

    def waits(self, secret: str, why: str, until: float) -> None:
        """Nothing."""


@dataclass
class _Held:
    holder: str
    epoch: int
    until: float


class MemoryStore:
    """A Store in memory. `hook` is called with "commit" before and "committed" after each commit (crash tests)."""

    def __init__(self, clock: Clock, hook: Callable[[str], None] = lambda point: None) -> None:
        self._clock = clock
        self.hook = hook
        self._records: dict[str, Record] = {}
        self._values: dict[tuple[str, int], SecretValue] = {}
        self._leases: dict[str, _Held] = {}
        self._events: list[ChainedEvent] = []
        self._head = genesis(KEY)
        self.dead: set[str] = set()
        """Holders whose process is gone."""
        self.broken: dict[str, StoreError] = {}
        """Names whose record cannot be read."""

    def names(self, *, deleted: bool = False, broken: Broken | None = None) -> Sequence[str]:
        return sorted(n for n, r in self._records.items() if bool(r.secret.deleted_at) is deleted)

    def load(self, name: str) -> Record:
        if name in self.broken:
            raise self.broken[name]
        if name not in self._records:
            raise NotFound(f"no secret {name}")
        return self._records[name]

    def records(self, *, broken: Broken | None = None) -> Iterator[Record]:
        for name, fault in self.broken.items():
            if broken is None:
                raise fault
            broken(name, fault)
        return iter([self._records[n] for n in self.names() if n not in self.broken])

    def bound(self, target: str, *, broken: Broken | None = None) -> Iterator[Record]:
        return (record for record in self.records(broken=broken) if target in record.secret.injectors)

    def history(self, name: str) -> Sequence[Version]:
        return self.load(name).versions

    def value(self, name: str, number: int) -> SecretValue:
        found = self._values.get((name, number))
        if found is None:
            raise NotFound(f"{name} version {number} has no value")
        return found

    def values(self, wanted: Sequence[tuple[str, int]]) -> Sequence[SecretValue]:
        return [self.value(name, number) for name, number in wanted]

    def commit(self, changes: Sequence[Change], lease: Lease | None = None,
               lead: Lease | None = None) -> Sequence[Record]:
        self.hook("commit")
        for given in (lease, lead):
            held = self._leases.get(given.name) if given is not None else None
            if given is not None and (held is None or (held.holder, held.epoch) != (given.holder, given.epoch)):
                raise Fenced(f"the lease on {given.name} was taken over")
        for change in changes:
            name = change.record.secret.name
            known = self._records.get(name)
            if (known.revision if known else 0) != change.record.revision:
                raise StaleRecord(f"{name} was changed")
        done = [self._apply(change) for change in changes]
        self.hook("committed")
        return done

    def _apply(self, change: Change) -> Record:
        record = replace(change.record, revision=change.record.revision + 1)
        name = record.secret.name
        for number, value in change.values.items():
            self._values[name, number] = value
        for version in record.versions:
            if version.erased_at:
                self._values.pop((name, version.number), None)
            elif (name, version.number) not in self._values:
                raise AssertionError(f"version {version.number} of {name} was committed without a value")
        self._records[name] = record
        self._append(change.event)
        return record

    def purge(self, name: str, event: AuditEvent) -> None:
        del self._records[name]
        self._values = {key: value for key, value in self._values.items() if key[0] != name}
        self._append(event)

    def acquire(self, name: str, holder: str, ttl: float) -> Lease:
        held = self._leases.get(name)
        now = self._clock.now()
        if held and held.holder and held.holder != holder and held.holder not in self.dead and held.until > now:
            raise StoreBusy(f"{name} is being rotated by {held.holder}")
        epoch = (held.epoch if held else 0) + 1
        self._leases[name] = _Held(holder, epoch, now + ttl)
        return Lease(name, holder, epoch, ttl)

    def renew(self, lease: Lease) -> None:
        held = self._leases.get(lease.name)
        if held is None or held.holder != lease.holder or held.epoch != lease.epoch:
            raise Fenced(f"the lease on {lease.name} was taken over")
        held.until = self._clock.now() + lease.ttl

    def release(self, lease: Lease) -> None:
        held = self._leases.get(lease.name)
        if held and held.holder == lease.holder and held.epoch == lease.epoch and lease.holder not in self.dead:
            held.holder, held.until = "", 0.0

    def fingerprint(self, value: SecretValue) -> str:
        return hashlib.sha256(KEY + value.reveal()).hexdigest()[:16]

    def log(self, event: AuditEvent) -> None:
        self._append(event)

    def events(self, *, since: int = 0) -> Iterable[ChainedEvent]:
        return self._events[since:]

    def verify_log(self) -> str:
        return verify(KEY, self._events, self._head, len(self._events))

    def check(self) -> Sequence[str]:
        return []

    def close(self) -> None:
        """Nothing to release."""

    def _append(self, event: AuditEvent) -> None:
        seq = len(self._events) + 1
        self._head = link(KEY, self._head, seq, event)
        self._events.append(ChainedEvent(seq, event, self._head))


def _conforms(store: MemoryStore, clock: FakeClock, quiet: Quiet) -> tuple[Store, Clock, Progress]:
    return store, clock, quiet
