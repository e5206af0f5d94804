"""inject, and taking values out of the targets that a secret leaves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Annotated

import typer

from clawsecrets.cli.answers import DONE, INCOMPLETE, REFUSED, WORK_LEFT
from clawsecrets.cli.output import clean, emit, say
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.config.shape import EnvFileTarget
from clawsecrets.errors import ClawError, NotFound, UsageError
from clawsecrets.model.hosts import own_name
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret, Version

NOTHING = 2
"""A secret was named that is delivered nowhere."""


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "inject")(inject)


def withdraw(session: Session, secret: Secret, targets: Collection[str]) -> bool:
    """Take a secret's value out of these targets, and say of each whether it is out. True when it is out of all.

    Nothing reloads: a process that has read the value keeps it until it starts again.
    """
    out = [_take_out(session, secret, target) for target in targets]
    return all(out)


def _take_out(session: Session, secret: Secret, target: str) -> bool:
    try:
        found = session.shop.outfit(replace(secret, injectors=(target,), consumers=())).injectors
    except ClawError as error:
        return _still_in(secret, target, error.message)
    if target not in found:
        return _still_in(secret, target, "it belongs to another host")
    others = [record.secret for record in session.store.records() if target in record.secret.injectors]
    by_variable = isinstance(session.config.injectors[own_name(target)], EnvFileTarget)
    if by_variable and secret.env and any(other.env == secret.env and other.name != secret.name for other in others):
        return _still_in(secret, target, f"another secret goes by {secret.env} there")
    reply = found[target].remove({secret.name: secret.env})
    if reply.outcome is not Outcome.OK:
        return _still_in(secret, target, reply.detail or reply.outcome.value)
    say(f"{secret.name}: taken out of {target}")
    return True


def _still_in(secret: Secret, target: str, why: str) -> bool:
    say(f"{secret.name}: NOT taken out of {target}: {why}; the value may still be there: take it out by hand")
    return False


def to_use(session: Session, name: str) -> tuple[Secret, Version]:
    """A secret and its current version, for a process. UsageError for an admin credential; NotFound."""
    record = session.load(name)
    if session.shop.is_admin(record.secret):
        raise UsageError(f"{name} is an admin credential: no process is given it",
                         "give it a credential that it may use; the admin credential stays in the store")
    if record.reconcile:
        raise UsageError("the store was restored and waits for your confirmation", "clawsecrets restore --confirm")
    if record.secret.deleted_at:
        raise NotFound(f"{name} is deleted", f"clawsecrets undelete {name} brings it back")
    if record.current is None:
        raise NotFound(f"{name} has no value", f"clawsecrets set {name}")
    return record.secret, record.current


def inject(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="All, when none is named.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Write the current values to their targets again (after a restore, or a new target). Rotates nothing.

    Exit codes: 0 written, 1 not now, 2 nothing to write for one that was named, 3 another process is rotating it, 4 a
    target cannot carry the value, 6 a target could not be written.
    """
    told: list[dict[str, object]] = []
    records = [session.load(name) for name in session.known(names)] if names else \
        list(session.store.records(broken=session.unreadable))
    other = next((record.elsewhere for record in records if record.elsewhere), "")
    if other:
        raise UsageError(f"these are kept in another store: {other}", "work with that one (--store)")
    if any(record.reconcile for record in records):
        raise UsageError("the store was restored and waits for your confirmation", "clawsecrets restore --confirm")
    worst = session.unreadable.code
    for record in records:
        name = record.secret.name
        if not record.secret.injectors or record.secret.kind is Kind.ADMIN or record.current is None:
            if names:
                say(f"{name}: nothing to deliver: {_why_nothing(session, record)}")
                worst = max(worst, NOTHING)
            continue
        code, detail = _deliver(session, name)
        worst = max(worst, code)
        told.append({"secret": name, "delivered": code == DONE, "detail": detail})
        if not as_json:
            print(f"{name}: {'delivered' if code == DONE else clean(detail)}")
    if as_json:
        emit({"injected": told})
    return worst


def _why_nothing(session: Session, record: Record) -> str:
    if record.current is None:
        return "it has no value"
    if session.shop.is_admin(record.secret):
        return "an admin credential goes nowhere"
    return f"it has no target: clawsecrets configure {record.secret.name} --inject TARGET"


def _deliver(session: Session, name: str) -> tuple[int, str]:
    """Under the secret's lease, with the intent in the audit log before anything is written."""
    try:
        reply = session.engine().deliver(name).reply
    except ClawError as error:
        return error.exit_code, error.message
    codes = {Outcome.OK: DONE, Outcome.REFUSED: REFUSED, Outcome.LATER: WORK_LEFT}
    return codes.get(reply.outcome, INCOMPLETE), reply.detail
