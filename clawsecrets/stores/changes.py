"""What a Change may do to a stored record, decided before anything is written. Pure; every store goes by it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from clawsecrets.errors import StaleRecord, StoreError, UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Stage, Version, valid_name
from clawsecrets.ports import Change

MAX_VALUE_BYTES = 1 << 20
"""The longest value: 1 MiB."""

_FINISHED = frozenset({Stage.REVOKED, Stage.RETIRED})


@dataclass(frozen=True, slots=True)
class Plan:
    """What one commit writes: `record` with its new revision, and what happens to values."""

    record: Record
    new: tuple[int, ...]
    """Versions whose value comes with the change."""
    erase: tuple[int, ...]
    """Versions whose stored value is destroyed."""
    bury: tuple[Version, ...]
    """Versions that leave the record for the history."""


def plan(change: Change, stored: Record | None, held: Collection[int]) -> Plan:
    """The plan for one change. `stored` is the newest record, `held` the numbers whose value is stored.

    UsageError for a bad name or an oversized value, StaleRecord when it builds on another revision, StoreError when
    it would lose a live version, give a number twice, or leave a version without its value.
    """
    record = change.record
    _check_base(record, stored)
    live = {v.number for v in record.versions if not v.erased_at}
    _check_numbers(change, stored)
    _check_values(change, live, held)
    owed = {entry.version for entry in record.revocations}
    bury = tuple(v for v in record.versions if v.erased_at and v.stage in _FINISHED and v.number not in owed)
    gone = {v.number for v in bury}
    kept = tuple(v for v in record.versions if v.number not in gone)
    return Plan(
        record=replace(record, versions=kept, revision=record.revision + 1),
        new=tuple(sorted(change.values)),
        erase=tuple(sorted(set(held) - live)),
        bury=bury,
    )


def require_name(name: str) -> None:
    """UsageError when it is not a secret's name."""
    if not valid_name(name):
        raise UsageError(f"{name!r} is not a secret name", "use a-z, 0-9 and . _ / -, starting with a letter or digit")


def _check_base(record: Record, stored: Record | None) -> None:
    name = record.secret.name
    require_name(name)
    newest = 0 if stored is None else stored.revision
    if record.revision != newest:
        raise StaleRecord(f"{name} was changed by somebody else (revision {newest}, this builds on {record.revision})",
                          "nothing was written: run the command again")


def _check_numbers(change: Change, stored: Record | None) -> None:
    record, name = change.record, change.record.secret.name
    numbers = [v.number for v in record.versions]
    known = set() if stored is None else {v.number for v in stored.versions}
    last = 0 if stored is None else stored.last_number
    if len(set(numbers)) != len(numbers):
        raise StoreError(f"{name}: a version number appears twice in one record")
    if any(number <= last and number not in known for number in numbers):
        raise StoreError(f"{name}: a version number that was used before cannot be used again")
    if record.last_number < max([last, *numbers]):
        raise StoreError(f"{name}: the last version number cannot go back")


def _check_values(change: Change, live: set[int], held: Collection[int]) -> None:
    name, versions = change.record.secret.name, {v.number for v in change.record.versions}
    for number, value in change.values.items():
        if number not in live or number in held:
            raise StoreError(f"{name}: version {number} cannot be given a value: it has one, or is not there")
        if len(value) > MAX_VALUE_BYTES:
            raise UsageError(f"{name}: the value is longer than {MAX_VALUE_BYTES} bytes")
    for number in sorted(live - set(held) - change.values.keys()):
        raise StoreError(f"{name}: version {number} would stand there without its value")
    for number in sorted(set(held) - versions):
        raise StoreError(f"{name}: version {number} still has a value and would be lost")
