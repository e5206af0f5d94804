"""How far an adoption has come, and what undoes it: two secrets of the store that no target is ever bound to.

The plan is the value of one, the step that is to be done next is an option of it; what undoes it is the value of the
other. Everything is in the store before anything on disk changes, so that a process that was killed is gone on with.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from clawsecrets.adopting.plan import Plan, read, written
from clawsecrets.errors import NotFound, StaleRecord, StoreDamaged
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.own import PLAN, UNDO
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Store

LASTS = 7 * 86400.0
"""Seconds after which what undoes it is erased."""


class Step(StrEnum):
    """What is to be done next, in this order."""

    CAPTURE = "capture"
    BIND = "bind"
    APPLY = "apply"
    SET = "set"
    PROFILES = "profiles"
    PURGE = "purge"
    PROVE = "prove"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Undo:
    """What stood there before. Its repr shows nothing of it."""

    files: Mapping[str, tuple[int, SecretValue]]
    """Path -> mode and content."""
    cells: Sequence[tuple[str, str, str, str, SecretValue]]
    """Database, table, column, what it is masked as (empty: auth profiles), text."""
    values: Sequence[tuple[str, SecretValue]]
    """Secret and value, as they stood on disk."""


class Journal:
    """Of one store."""

    def __init__(self, store: Store, now: Callable[[], float], event: Callable[..., AuditEvent]) -> None:
        self.store, self.now, self.event = store, now, event

    @property
    def step(self) -> Step:
        """Of the last adoption; DONE where there was none."""
        record = recorded(self.store, PLAN)
        found = dict(record.secret.options).get("step", "") if record is not None else ""
        return Step(found) if found else Step.DONE

    def plan(self) -> Plan:
        """The last one. NotFound; StoreDamaged when what stands there is none."""
        value = self._value(PLAN)
        try:
            return read(value.reveal_text())
        except (ValueError, KeyError, TypeError):
            raise _damaged(PLAN, "what the last adoption moved") from None

    def begin(self, plan: Plan) -> None:
        """Write the plan down. What undoes an earlier adoption of the same folder is kept, and that of this one joins
        it: one undo puts back all. Otherwise it is erased."""
        earlier = self._earlier(plan.folder)
        if earlier is None:
            self._put(PLAN, SecretValue(written(plan)), step=Step.CAPTURE.value, after="", undone="", so_far="")
            self.forget()
            return
        stored = [move for move in earlier.moves if recorded(self.store, move.name)]
        moves = tuple(dict.fromkeys((*stored, *plan.moves)))
        self._put(PLAN, SecretValue(written(replace(plan, moves=moves))), step=Step.CAPTURE.value)

    def _earlier(self, folder: str) -> Plan | None:
        """The plan of an adoption of this folder that can be undone still."""
        undo = recorded(self.store, UNDO)
        if undo is None or undo.current is None or recorded(self.store, PLAN) is None or self.option("undone"):
            return None
        plan = self.plan()
        return plan if plan.folder == folder else None

    def joined(self, undo: Undo) -> Undo:
        """With what undoes the adoption before this one: what it found first counts."""
        record = recorded(self.store, UNDO)
        if record is None or record.current is None:
            return undo
        first = self.undo()
        cells = dict.fromkeys((cell[:4], cell[4].reveal()) for cell in (*first.cells, *undo.cells))
        values = list(first.values)
        values += [one for one in undo.values if one not in values]
        return Undo({**undo.files, **first.files}, [(*place, SecretValue(text)) for place, text in cells], values)

    def advance(self, step: Step, **options: str) -> None:
        """The step before is done."""
        record = self.store.load(PLAN)
        told = {**dict(record.secret.options), "step": step.value, **options}
        self._commit(replace(record, secret=replace(record.secret, options=tuple(sorted(told.items())))),
                     "adopt.step", step=step.value)

    def option(self, name: str) -> str:
        """What was noted with a step; empty: nothing."""
        record = recorded(self.store, PLAN)
        return dict(record.secret.options).get(name, "") if record is not None else ""

    # --- what undoes it -----------------------------------------------------------------------------------------------

    def keep(self, undo: Undo) -> None:
        """Seal it, and read it back. StoreDamaged when that gives something else."""
        def text(value: SecretValue) -> str:
            return base64.b64encode(value.reveal()).decode()

        document = {"files": {path: [mode, text(value)] for path, (mode, value) in undo.files.items()},
                    "cells": [[*cell[:4], text(cell[4])] for cell in undo.cells],
                    "values": [[name, text(value)] for name, value in undo.values]}
        value = SecretValue(zlib.compress(json.dumps(document).encode(), 6))
        self._put(UNDO, value)
        if self._value(UNDO) != value:
            raise StoreDamaged("the store gave back something else than was put into it", "clawsecrets doctor")

    def undo(self) -> Undo:
        """NotFound when there is none, or it was erased; StoreDamaged when what stands there is none."""
        sealed = self._value(UNDO)
        try:
            return _undo(json.loads(zlib.decompress(sealed.reveal())))
        except (zlib.error, ValueError, KeyError, TypeError, AttributeError):
            raise _damaged(UNDO, "what undoes the adoption") from None

    def forget(self) -> bool:
        """Erase what undoes it; whether there was any."""
        record = recorded(self.store, UNDO)
        if record is None or record.current is None:
            return False
        self._commit(_erased(record, self.now()), "adopt.undo-erased")
        return True

    def expire(self) -> bool:
        """Erase it when its time has come."""
        record = recorded(self.store, UNDO)
        current = record.current if record is not None else None
        return current is not None and current.created_at + LASTS <= self.now() and self.forget()

    # --- parts --------------------------------------------------------------------------------------------------------

    def _value(self, name: str) -> SecretValue:
        record = recorded(self.store, name)
        if record is None or record.current is None:
            raise NotFound("there is no adoption to go by" if name == PLAN else "what undoes the adoption is not there "
                           "any more: it is kept for 7 days", "clawsecrets adopt shows what could be done")
        return self.store.value(name, record.current.number)

    def _put(self, name: str, value: SecretValue, **options: str) -> None:
        now, record = self.now(), recorded(self.store, name)
        if record is None:
            record = Record(Secret(name, "generic", Kind.OTHER, now, policy=RotationPolicy(enabled=False)))
        told = tuple(sorted({**dict(record.secret.options), **options}.items()))
        record = _erased(replace(record, secret=replace(record.secret, options=told)), now)
        version = Version(record.last_number + 1, Stage.CURRENT, now, self.store.fingerprint(value), origin="set")
        self._commit(record.put_current(version), "adopt.noted", {version.number: value})

    def _commit(self, record: Record, action: str, values: Mapping[int, SecretValue] | None = None,
                **detail: str) -> None:
        event = self.event(action, record.secret.name, 0, **detail)
        try:
            self.store.commit([Change(record, event, values or {})])
        except StaleRecord:
            raise StaleRecord("another process is adopting this deployment", "wait for it to end") from None


def _undo(found: dict[str, Any]) -> Undo:
    """From what `keep` wrote."""

    def value(text: str) -> SecretValue:
        return SecretValue(base64.b64decode(text))

    return Undo({path: (mode, value(text)) for path, (mode, text) in found["files"].items()},
                [(*cell[:4], value(cell[4])) for cell in found["cells"]],
                [(name, value(text)) for name, text in found["values"]])


def _damaged(name: str, what: str) -> StoreDamaged:
    """Its value is not what an adoption put there: somebody rotated or replaced it."""
    return StoreDamaged(f"{what} cannot be read: the value of {name} is not the one that `adopt` put there",
                        f"clawsecrets delete {name}, then purge it: the next adoption begins anew; the secrets "
                        "themselves stay in the store (clawsecrets list)")


def recorded(store: Store, name: str) -> Record | None:
    """What the store has of a secret; None: it has none of that name."""
    try:
        return store.load(name)
    except NotFound:
        return None


def _erased(record: Record, now: float) -> Record:
    """Without the values of its versions."""
    for version in record.versions:
        record = record.change(version.number, lambda v: replace(v, stage=Stage.REVOKED, erased_at=now))
    return record
