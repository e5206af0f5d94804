"""Copying all that one store has into another: versions, stages, history, unfinished rotations, ledger, values.

1. One secret is one commit in the target, under its lease in both stores: it is there as a whole or not at all. Killed
   and run again, a copy goes on with what is missing.
2. Of two stores with one secret only one acts. A copy is held in the target (`Record.elsewhere` names the source) until
   the source is retired: first the source's record is held, then the target's is let go; between the two neither acts.
3. What is in the target and is no held copy of that very secret is never written over. A held copy is brought up to the
   source: nothing was done with it.
4. What was written is read back and compared, with the values. The fingerprints of values are made anew, under the
   target's key; those of erased versions stay as they were.
5. The audit log stays with the source. The target's log says where its content came from, and how far that log went.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from clawsecrets.errors import NotFound, StaleRecord, StoreBusy, StoreDamaged, UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Version
from clawsecrets.ports import Change, Clock, Lease, Store
from clawsecrets.stores.comparing import Progress, Whole, differences, fits, names_of, whole

TTL = 120.0
"""Seconds that the lease of the secret being copied lasts."""
PAUSE = 2.0
TURNS = 5
COPIED, SAME, UPDATED, MOVED = "copied", "same", "updated", "moved"


@dataclass(frozen=True)
class End:
    """One end of a copy. `url`: how it is named in the other's records and log."""

    store: Store
    url: str


@dataclass
class Report:
    """What a copy did, by name. `refused`, `busy`: with the reason, in one line."""

    done: dict[str, str] = field(default_factory=dict)
    """What was done: `copied`, `updated`, `same`, and with a retired source `moved`."""
    refused: dict[str, str] = field(default_factory=dict)
    busy: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything of the source is in the target."""
        return not self.refused and not self.busy


class _Refused(Exception):
    """This secret cannot be copied as it is; the others can."""


@dataclass(frozen=True)
class Copy:
    """One run from `source` to `target`. `retire`: the target is to act from now on, and the source no more."""

    source: End
    target: End
    clock: Clock
    actor: str
    holder: str
    retire: bool = False
    dry_run: bool = False

    def run(self, progress: Progress) -> Report:
        """Copy everything. StoreDamaged when the source's audit log is not whole; errors of either store end it, and it
        can be run again."""
        fault = self.source.store.verify_log()
        if fault:
            raise StoreDamaged(f"the audit log of {self.source.url}: {fault}", "nothing was copied")
        report, names = Report(), names_of(self.source.store)
        if not self.dry_run:
            self._announce(len(names))
        for count, name in enumerate(names):
            progress(count, len(names), name)
            self._try(name, report)
        for name in tuple(report.busy):  # somebody was at work on it: once more
            del report.busy[name]
            self.clock.sleep(PAUSE)
            self._try(name, report)
        progress(len(names), len(names), "")
        if not self.dry_run:
            self._conclude(report)
        return report

    def _announce(self, secrets: int) -> None:
        count, head = 0, ""
        for item in self.source.store.events():
            count, head = item.seq, item.mac.hex()
        self._log(self.target.store, "store.copying", source=self.source.url, secrets=str(secrets), events=str(count),
                  head=head)

    def _conclude(self, report: Report) -> None:
        counted = {what: str(sum(1 for it in report.done.values() if it == what)) for what in set(report.done.values())}
        counted["left"] = str(len(report.refused) + len(report.busy))
        self._log(self.target.store, "store.copied", source=self.source.url, **counted)
        self._log(self.source.store, "store.copied-from", target=self.target.url, **counted)

    def _log(self, store: Store, action: str, **detail: str) -> None:
        store.log(AuditEvent(self.clock.now(), self.actor, action, detail=detail))

    # --- one secret --------------------------------------------------------------------------------------------------

    def _try(self, name: str, report: Report) -> None:
        try:
            with self._leases(name) as (mine, theirs):
                report.done[name] = self._one(name, mine, theirs)
        except StoreBusy as busy:
            report.busy[name] = busy.message
        except NotFound:
            return  # purged meanwhile
        except (_Refused, UsageError) as refused:
            report.refused[name] = refused.message if isinstance(refused, UsageError) else str(refused)

    @contextmanager
    def _leases(self, name: str) -> Iterator[tuple[Lease | None, Lease | None]]:
        """The right to work on it in both stores; a dry run takes neither."""
        if self.dry_run:
            yield None, None
            return
        mine = self.source.store.acquire(name, self.holder, TTL)
        try:
            theirs = self.target.store.acquire(name, self.holder, TTL)
            try:
                yield mine, theirs
            finally:
                self.target.store.release(theirs)
        finally:
            self.source.store.release(mine)

    def _one(self, name: str, mine: Lease | None, theirs: Lease | None) -> str:
        for _ in range(TURNS):
            with suppress(StaleRecord):  # changed by hand meanwhile: look again
                return self._look(name, mine, theirs)
        return self._look(name, mine, theirs)

    def _look(self, name: str, mine: Lease | None, theirs: Lease | None) -> str:
        source, target = whole(self.source.store, name), self._there(name)
        self._may_copy(source.record)
        done = self._decide(source, target)
        if self.dry_run:
            return MOVED if self.retire else done
        if done in (COPIED, UPDATED):
            self._write(source, target, theirs)
            target = self._verified(name, source)
        if not self.retire or target is None or not target.record.elsewhere:
            return done
        self._hand_over(source.record, target.record, mine, theirs)
        return MOVED

    def _there(self, name: str) -> Whole | None:
        try:
            return whole(self.target.store, name)
        except NotFound:
            return None

    def _may_copy(self, record: Record) -> None:
        if record.elsewhere and record.elsewhere != self.target.url:
            raise _Refused(f"it is kept in {record.elsewhere}")
        if record.reconcile and not record.elsewhere:
            raise _Refused("it was restored and waits for your confirmation: clawsecrets restore --confirm")

    def _decide(self, source: Whole, target: Whole | None) -> str:
        """What is to be done with it, or _Refused."""
        if target is None:
            return COPIED
        found = [*differences(source, target), *fits(self.target.store, target)]
        if not found:
            if not (target.record.elsewhere or source.record.elsewhere):
                raise _Refused("it is in both stores, and both act: which is to keep it?")
            return SAME if target.record.elsewhere else MOVED
        if source.record.elsewhere:
            if target.record.elsewhere:
                raise _Refused(f"it was moved, and the copy differs: {found[0]}")
            return MOVED  # before, and gone on there
        if target.record.elsewhere != self.source.url or not _earlier(target, source):
            raise _Refused(f"another one is there ({found[0]}), and is not written over")
        return UPDATED

    def _write(self, source: Whole, target: Whole | None, lease: Lease | None) -> None:
        known = set() if target is None else {v.number for v in target.history}
        buried = known - (set() if target is None else {v.number for v in target.record.versions})
        versions = tuple(self._of_target(version, source) for version in source.history if version.number not in buried)
        values = {number: value for number, value in source.values.items() if number not in known}
        record = replace(source.record, versions=versions, reconcile=True, elsewhere=self.source.url,
                         revision=0 if target is None else target.record.revision)
        current = record.current
        event = AuditEvent(self.clock.now(), self.actor, "secret.copied", record.secret.name,
                           current.number if current is not None else 0, "", {"source": self.source.url})
        self.target.store.commit([Change(record, event, values)], lease)

    def _of_target(self, version: Version, source: Whole) -> Version:
        """The version with the fingerprint that the target gives to its value."""
        value = source.values.get(version.number)
        if value is None or not version.fingerprint:
            return version
        return replace(version, fingerprint=self.target.store.fingerprint(value))

    def _verified(self, name: str, source: Whole) -> Whole:
        """What stands in the target now. StoreDamaged when that is not what was written."""
        target = whole(self.target.store, name)
        wrong = [*differences(source, target), *fits(self.target.store, target)]
        if wrong:
            raise StoreDamaged(f"{name} was written to {self.target.url} and reads back otherwise: {wrong[0]}",
                               "look at that store: clawsecrets store check")
        return target

    def _hand_over(self, source: Record, target: Record, mine: Lease | None, theirs: Lease | None) -> None:
        """First the source stands still, then the target may act: killed in between, the next run goes on here."""
        if not source.elsewhere:
            held = replace(source, reconcile=True, elsewhere=self.target.url)
            self.source.store.commit([self._change(held, "secret.retired", target=self.target.url)], mine)
        free = replace(target, reconcile=False, elsewhere="")
        self.target.store.commit([self._change(free, "secret.taken-over", source=self.source.url)], theirs)

    def _change(self, record: Record, action: str, **detail: str) -> Change:
        current = record.current
        return Change(record, AuditEvent(self.clock.now(), self.actor, action, record.secret.name,
                                         current.number if current is not None else 0, "", detail))


def _earlier(copy: Whole, source: Whole) -> bool:
    """Whether the copy can be brought up to the source without losing anything: it is of the same secret, and whatever
    it has the source has or had."""
    mine = {version.number for version in source.history}
    same = copy.record.secret.created_at == source.record.secret.created_at
    return same and copy.record.last_number <= source.record.last_number \
        and all(version.number in mine for version in copy.history) \
        and all(source.values.get(number, value) == value for number, value in copy.values.items())


