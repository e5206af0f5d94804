"""A record: everything the store keeps of one secret but its values, and how it may change. Pure.

A record is what a store commits atomically. Its labels and ledger change by `mark` (what entering a rotation state
means) and by the few functions below, so that every store agrees on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from clawsecrets.errors import UsageError
from clawsecrets.model.rotation import FAILED, Outcome, Rotation, State
from clawsecrets.model.secret import Secret, Stage, Version
from clawsecrets.model.strategies import MARKS, SERVES, Mark

RETRY_AFTER = (60.0, 300.0, 1800.0, 7200.0, 21600.0, 43200.0, 86400.0)
"""Seconds between tries of an owed revocation: 1 m, 5 m, 30 m, 2 h, 6 h, 12 h, 24 h (rotation.md invariant 3)."""
WATCHED = 3600.0
"""Seconds that a label is watched after nothing was found under it: a lost creation may happen late."""
BACK_OFF = (3600.0, 86400.0)
"""Seconds before a rotation that was given up is begun again by itself: the first time, and at most."""
WATCH = "watch"
IN_USE = frozenset({Stage.CURRENT, Stage.PENDING, Stage.PREVIOUS})


@dataclass(frozen=True, slots=True)
class Revocation:
    """An entry of the pending-revocation ledger: a credential that must die. Never overwritten, only closed."""

    version: int
    """0 = an orphan that a crash left at the provider, known by its handle only."""
    handle: str
    since: float
    reason: str
    """replaced, backed-out, orphan, compromised; watch: nothing is owed, but something may still appear"""
    tries: int = 0
    next_at: float = 0.0
    note: str = ""
    label: str = ""
    """watch, orphan: the label at the provider."""
    rotation: str = ""
    """The id of the rotation that left it."""

    @property
    def watch(self) -> bool:
        """Whether it is no debt: a label under which a lost creation may still appear."""
        return self.reason == WATCH

    def after_try(self, now: float, note: str) -> Revocation:
        """The entry after one more failed try, with the time of the next."""
        wait = RETRY_AFTER[min(self.tries, len(RETRY_AFTER) - 1)]
        return replace(self, tries=self.tries + 1, next_at=now + wait, note=note)

    @property
    def needs_person(self) -> bool:
        """Whether the schedule of tries has run out."""
        return not self.watch and self.tries >= len(RETRY_AFTER)


@dataclass(frozen=True, slots=True)
class Ack:
    """A host's word that a target holds (injector) or uses (consumer) a version."""

    target: str
    """`name` or `name@host`"""
    version: int
    """0 = its host is about to write it, or was when it was last heard of: what the target holds is not known."""
    at: float
    proof: str
    """What shows it; empty = delivered, not proven."""
    outcome: Outcome = Outcome.OK
    """OK: so it is. Else the host has tried and says in `note` why not."""
    note: str = ""
    person: bool = False
    """A consumer that has no means to show what it uses: only a person's word can stand in for it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One secret with its live versions, its rotation and its debts.

    `versions` holds those that still have a value or a label, oldest first; older ones are in the store's history.
    `revision` is the store's: a commit must build on the newest one.
    """

    secret: Secret
    versions: tuple[Version, ...] = ()
    rotation: Rotation | None = None
    """The unfinished one, or else the last."""
    revocations: tuple[Revocation, ...] = ()
    acks: tuple[Ack, ...] = ()
    last_number: int = 0
    revision: int = 0
    reconcile: bool = False
    """After a restore: nothing is delivered or rotated until a person confirms."""
    elsewhere: str = ""
    """The URL of the store that keeps this secret instead: it was copied from there, or moved there. Comes with
    `reconcile`: of two stores with one secret only one acts."""

    def staged(self, stage: Stage) -> Version | None:
        """The version with that label, if any (RETIRED and REVOKED: the newest)."""
        return next((v for v in reversed(self.versions) if v.stage is stage), None)

    @property
    def current(self) -> Version | None:
        """What readers get."""
        return self.staged(Stage.CURRENT)

    @property
    def refresh_token(self) -> Version | None:
        """The refresh token that the next value is made with (strategy refresh)."""
        return self.staged(Stage.REFRESH)

    def version(self, number: int) -> Version | None:
        """The live version with that number."""
        return next((v for v in self.versions if v.number == number), None)

    @property
    def debts(self) -> tuple[Revocation, ...]:
        """The ledger's entries that must die; without the watches."""
        return tuple(entry for entry in self.revocations if not entry.watch)

    @property
    def rotating(self) -> bool:
        """Whether a rotation is unfinished (parked and stuck ones are)."""
        return self.rotation is not None and not self.rotation.final

    def serving(self, *, staged: bool) -> Version | None:
        """The version that a target is to hold now; `staged`: it is one that the validating consumer reads."""
        if staged and self.rotation is not None:
            stage = SERVES.get(self.rotation.strategy, {}).get(self.rotation.state)
            if stage is not None:
                return self.staged(stage) or self.current
        return self.current

    def ack(self, *acks: Ack) -> Record:
        """With the newest acknowledgements (one per target)."""
        told = {ack.target for ack in acks}
        return replace(self, acks=(*(a for a in self.acks if a.target not in told), *acks))

    def acked(self, target: str) -> Ack | None:
        """The newest word about a target."""
        return next((ack for ack in self.acks if ack.target == target), None)

    def change(self, number: int, edit: Callable[[Version], Version]) -> Record:
        """With one version edited; unknown numbers change nothing."""
        return replace(self, versions=tuple(edit(v) if v.number == number else v for v in self.versions))

    def owe(self, entry: Revocation) -> Record:
        """With an entry in the ledger, unless that credential already stands there."""
        if any(_same(entry, known) for known in self.revocations):
            return self
        return replace(self, revocations=(*self.revocations, entry))

    def settle_debt(self, entry: Revocation, now: float, *, seen: bool = True) -> Record:
        """Without that ledger entry; its version becomes REVOKED. `seen`: its refusal was (else a person's word, or
        the provider has no test)."""
        left = tuple(known for known in self.revocations if not _same(entry, known))
        return replace(self, revocations=left)._bury(entry.version, now, seen=seen)

    def add_version(self, version: Version) -> Record:
        """With a new version; its number must be `last_number + 1`."""
        if version.number != self.last_number + 1:
            raise ValueError(f"version {version.number} does not follow {self.last_number}")
        return replace(self, versions=(*self.versions, version), last_number=version.number)

    def put_current(self, version: Version) -> Record:
        """With a first or hand-set CURRENT; the former CURRENT is RETIRED (`set` does not revoke it).

        UsageError while a rotation is unfinished: it would promote, fall back and revoke past the hand-set one.
        """
        if self.rotating:
            raise UsageError(f"{self.secret.name} is being rotated: no other value can be set now",
                             f"clawsecrets rotations resume {self.secret.name}, or abort it")
        moved = tuple(replace(v, stage=Stage.RETIRED) if v.stage is Stage.CURRENT else v for v in self.versions)
        return replace(self, versions=moved).add_version(version)

    def put_refresh_token(self, version: Version, now: float) -> Record:
        """With a new refresh token in the place of the former, whose value is erased: it was spent for this one, or
        a person replaced it."""
        return self.drop_refresh_token(now).add_version(version)

    def drop_refresh_token(self, now: float) -> Record:
        """Without its refresh token, which may be spent; the value is erased."""
        former = self.refresh_token
        return self if former is None else self._bury(former.number, now)

    def seen_dead(self, number: int, now: float) -> Record:
        """With a version that the provider (or the consumer that validates it) was just seen refusing."""
        return self.change(number, lambda v: replace(v, dead_at=now))

    def _bury(self, number: int, now: float, *, seen: bool = False) -> Record:
        found = self.version(number)
        if found is not None and found.stage is Stage.CURRENT:
            raise ValueError(f"version {number} is current: its value is not erased")
        dead = now if seen else 0.0
        return self.change(number, lambda v: replace(v, stage=Stage.REVOKED, dead_at=v.dead_at or dead, erased_at=now))


def _same(one: Revocation, other: Revocation) -> bool:
    if one.version or other.version:
        return one.version == other.version
    if one.watch or other.watch:
        return one.watch and other.watch and one.label == other.label
    return one.handle == other.handle


def in_use(record: Record, target: Revocation | Version) -> bool:
    """Whether a version other than the one being killed is PENDING, CURRENT or PREVIOUS and has the same value, or
    the same id at the provider: then a revocation of `target` could kill that one."""
    return same_value_in_use(record, target) or any(
        version.handle and version.handle in _handles(record, target) for version in _others(record, target))


def same_value_in_use(record: Record, target: Revocation | Version) -> bool:
    """Whether another version that is PENDING, CURRENT or PREVIOUS has the very value of `target`."""
    killed = _killed(record, target)
    mark = killed.fingerprint if killed is not None else ""
    return bool(mark) and any(version.fingerprint == mark for version in _others(record, target))


def _killed(record: Record, target: Revocation | Version) -> Version | None:
    return target if isinstance(target, Version) else record.version(target.version)


def _others(record: Record, target: Revocation | Version) -> Iterable[Version]:
    number = target.number if isinstance(target, Version) else target.version
    return (version for version in record.versions if version.number != number and version.stage in IN_USE)


def _handles(record: Record, target: Revocation | Version) -> frozenset[str]:
    killed = _killed(record, target)
    told = "" if isinstance(target, Version) else target.handle
    return frozenset(handle for handle in (told, killed.handle if killed else "") if handle)


def retry_at(record: Record, backoff: tuple[float, float] = BACK_OFF) -> float:
    """When a secret whose last rotation was given up is to be rotated again by itself; 0.0 = at any time. `backoff`:
    seconds to wait the first time (then twice as long each time), and at most."""
    rotation = record.rotation
    if rotation is None or rotation.state not in FAILED:
        return 0.0
    first, most = backoff
    return rotation.finished_at + min(most, first * 2.0 ** min(max(0, rotation.failures - 1), 10))


def enter(record: Record, rotation: Rotation, now: float, minted: Version | None = None,
          refresh: Version | None = None) -> Record:
    """The record when its rotation has just entered `rotation.state`: rotation, labels and ledger in one.

    `minted` is the new version (stage PENDING) where the step that ended created one, `refresh` the refresh token
    (stage REFRESH) that came with it.
    """
    if minted is not None:
        record = _drop(record, rotation, now).add_version(minted)
        rotation = replace(rotation, new_version=minted.number)
    if refresh is not None:
        record = record.put_refresh_token(refresh, now)
    mark = MARKS.get(rotation.state)
    if mark is not None:
        record, rotation = _ENTER[mark](record, rotation, now)
    return replace(record, rotation=rotation)


def _swap(versions: Iterable[Version], stages: dict[Stage, Stage]) -> tuple[Version, ...]:
    return tuple(replace(v, stage=stages.get(v.stage, v.stage)) for v in versions)


def _keep(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    return record, rotation  # the version itself came as `minted`, or stands there since an earlier round


def _drop(record: Record, rotation: Rotation, now: float) -> Record:
    pending = record.staged(Stage.PENDING)
    return record if pending is None else record._bury(pending.number, now)


def _dropped(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    return _drop(record, rotation, now), replace(rotation, new_version=0)


def _promote(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    new, current = record.version(rotation.new_version), record.current
    if new is None or new.stage is not Stage.PENDING:  # entered again, out of STUCK: it is done already
        return record, rotation
    stages = {Stage.PREVIOUS: Stage.RETIRED, Stage.CURRENT: Stage.PREVIOUS, Stage.PENDING: Stage.CURRENT}
    if current is not None and current.number not in (rotation.old_version, new.number):
        # Cut-over: published by this rotation before, refused by the provider since. The old one stays PREVIOUS.
        record = record.change(current.number, lambda v: replace(v, stage=Stage.RETIRED))._bury(current.number, now)
        stages = {Stage.PENDING: Stage.CURRENT}
    return replace(record, versions=_swap(record.versions, stages)), rotation


def _demote(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    new = record.version(rotation.new_version)
    if new is None or new.stage is not Stage.CURRENT:
        return record, rotation
    stages = {Stage.CURRENT: Stage.PENDING, Stage.PREVIOUS: Stage.CURRENT}
    kept = tuple(entry for entry in record.revocations if entry.version != rotation.old_version or not entry.version)
    return replace(record, versions=_swap(record.versions, stages), revocations=kept), rotation


def _owe(record: Record, rotation: Rotation, now: float, number: int, reason: str) -> tuple[Record, Rotation]:
    version = record.version(number)
    if version is None or version.stage is Stage.REVOKED:
        return record, rotation
    return record.owe(Revocation(number, version.handle, now, reason, next_at=now, rotation=rotation.id)), rotation


def _owe_old(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    return _owe(record, rotation, now, rotation.old_version, "compromised" if rotation.compromised else "replaced")


def _owe_new(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    return _owe(record, rotation, now, rotation.new_version, "backed-out")


def _bury(record: Record, number: int, now: float) -> Record:
    left = tuple(entry for entry in record.revocations if entry.version != number or number == 0)
    return replace(record, revocations=left)._bury(number, now)


def left_by(entry: Revocation, rotation: Rotation) -> bool:
    """Whether that rotation left it. Entries from before they named it name one of its versions."""
    if entry.rotation:
        return entry.rotation == rotation.id
    return entry.version != 0 and entry.version in (rotation.old_version, rotation.new_version)


def owing(record: Record, rotation: Rotation) -> bool:
    """Whether the ledger holds a debt that this rotation left."""
    return any(left_by(entry, rotation) for entry in record.debts)


def owe_late(record: Record, entry: Revocation) -> Record:
    """With a debt that shows up after its rotation may have ended: then that has ended owing."""
    record, rotation = record.owe(entry), record.rotation
    owed = {State.DONE: State.DONE_OWED, State.ABORTED: State.ABORTED_OWED}
    if rotation is None or rotation.state not in owed or not owing(record, rotation):
        return record
    return replace(record, rotation=replace(rotation, state=owed[rotation.state]))


def _bury_old(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    record = _bury(record, rotation.old_version, now)
    return record, replace(rotation, state=State.DONE_OWED if owing(record, rotation) else rotation.state)


def _bury_new(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    record = _bury(record, rotation.new_version, now)
    return record, replace(rotation, state=State.ABORTED_OWED if owing(record, rotation) else rotation.state)


def _retire(record: Record, number: int) -> Record:
    return record.change(number, lambda v: replace(v, stage=Stage.RETIRED))


def _retire_old(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    return _retire(record, rotation.old_version), rotation


def _retire_new(record: Record, rotation: Rotation, now: float) -> tuple[Record, Rotation]:
    return _retire(record, rotation.new_version), rotation


_ENTER: dict[Mark, Callable[[Record, Rotation, float], tuple[Record, Rotation]]] = {
    Mark.KEEP: _keep,
    Mark.DROP: _dropped,
    Mark.PROMOTE: _promote,
    Mark.DEMOTE: _demote,
    Mark.OWE_OLD: _owe_old,
    Mark.OWE_NEW: _owe_new,
    Mark.BURY_OLD: _bury_old,
    Mark.BURY_NEW: _bury_new,
    Mark.RETIRE_OLD: _retire_old,
    Mark.RETIRE_NEW: _retire_new,
}
