"""inject, and taking values out of the targets that a secret leaves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Annotated

import typer

from clawsecrets.cli.answers import DONE, REFUSED
from clawsecrets.cli.output import emit, say
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.errors import ClawError, UsageError
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret
from clawsecrets.ports import Change
from clawsecrets.rotate.delivery import deliver


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
    if secret.env and any(other.env == secret.env and other.name != secret.name for other in others):
        return _still_in(secret, target, f"another secret goes by {secret.env} there")
    reply = found[target].remove({secret.name: secret.env})
    if reply.outcome is not Outcome.OK:
        return _still_in(secret, target, reply.detail or reply.outcome.value)
    say(f"{secret.name}: taken out of {target}")
    return True


def _still_in(secret: Secret, target: str, why: str) -> bool:
    say(f"{secret.name}: NOT taken out of {target}: {why}; the value may still be there: take it out by hand")
    return False


def inject(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="All, when none is named.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Write the current values to their targets again (after a restore, or a new target). Rotates nothing."""
    worst, told = DONE, []
    records = [session.load(name) for name in session.known(names)] if names else list(session.store.records())
    for record in records:
        if record.reconcile:
            raise UsageError("the store was restored and waits for your confirmation", "clawsecrets restore --confirm")
        if not record.secret.injectors or record.secret.kind is Kind.ADMIN or record.current is None:
            continue
        outfit = session.shop.outfit(record.secret)
        done = deliver(session.store, session.shop, record, outfit, session.clock.now())
        acked = record.ack(*done.acks)
        session.store.commit([Change(acked, session.event("secret.delivered", record.secret.name,
                                                          record.current.number, outcome=done.reply.outcome.value))])
        ok = done.reply.outcome.value == "ok"
        worst = worst if ok else REFUSED
        told.append({"secret": record.secret.name, "delivered": ok, "detail": done.reply.detail})
        if not as_json:
            print(f"{record.secret.name}: {'delivered' if ok else done.reply.detail}")
    if as_json:
        emit({"injected": told})
    return worst
