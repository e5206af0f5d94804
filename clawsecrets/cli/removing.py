"""delete, undelete, purge."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from clawsecrets.cli.delivering import withdraw
from clawsecrets.cli.output import say
from clawsecrets.cli.session import NameArgument, Session, command, confirm
from clawsecrets.errors import UsageError
from clawsecrets.model.record import Record
from clawsecrets.ports import Change


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "delete")(delete)
    command(app, "undelete")(undelete)
    command(app, "purge")(purge)


def delete(session: Session, name: NameArgument) -> int:
    """Hide a secret and take its value out of its targets. Nothing is revoked.

    It stays in the store until `purge`; `undelete` brings it back. Exit code 1 where a target could not be cleared.
    """
    record = session.load(name)
    if record.rotating:
        raise UsageError(f"{name} is in the middle of a rotation", f"clawsecrets rotations abort {name}")
    _owes_nothing(record)
    gone = replace(record, secret=replace(record.secret, deleted_at=session.clock.now()))
    session.store.commit([Change(gone, session.event("secret.deleted", name))])
    say(f"{name}: deleted; `clawsecrets undelete {name}` brings it back, `purge` destroys it")
    return 0 if withdraw(session, record.secret, record.secret.injectors) else 1


def undelete(session: Session, name: NameArgument) -> None:
    """Bring a deleted secret back."""
    record = session.load(name)
    if not record.secret.deleted_at:
        raise UsageError(f"{name} is not deleted")
    back = replace(record, secret=replace(record.secret, deleted_at=0.0))
    session.store.commit([Change(back, session.event("secret.undeleted", name))])
    say(f"{name}: back" + (f"; clawsecrets inject {name} writes it to its targets again" if back.secret.injectors else
                           ""))


def purge(
    session: Session,
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Destroy a deleted secret for ever: its values, versions and history. The audit log keeps its events.

    Its targets are looked at once more; exit code 1 where one could not be cleared.
    """
    record = session.load(name)
    if not record.secret.deleted_at:
        raise UsageError(f"{name} is not deleted", f"clawsecrets delete {name}, then purge it")
    _owes_nothing(record)
    confirm(f"Destroy {name} for ever?", yes)
    session.store.purge(name, session.event("secret.purged", name))
    say(f"{name}: destroyed")
    return 0 if withdraw(session, record.secret, record.secret.injectors) else 1


def _owes_nothing(record: Record) -> None:
    if record.debts:
        raise UsageError(f"{record.secret.name} has credentials that are not proven dead",
                         "clawsecrets revocations lists them")
