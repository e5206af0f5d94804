"""import: what a deployment holds today, into the store. Files are read, never changed; values are never shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clawsecrets.cli.output import Column, emit, say, table
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.errors import NotFound, StoreMissing, UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, Stage, Version
from clawsecrets.ports import Change, Store
from clawsecrets.wiring.reading import read_deployment

if TYPE_CHECKING:
    from clawsecrets.importers import Candidate, Placement, Reading

NEW, SAME, DIFFERS = "new", "same value", "another value"


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "import")(import_)


def import_(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help=".env files and openclaw.json; - is standard "
                                                             "input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported; needs no store.")] = False,
    replace_values: Annotated[bool, typer.Option("--replace", help="Take the file's value where they differ.")]
    = False,
    inject: Annotated[list[str] | None, typer.Option(help="Bind what is imported to this injector.")] = None,
    consume: Annotated[list[str] | None, typer.Option(help="Bind what is imported to this consumer.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Bring the tokens of .env files and openclaw.json into the store, each with its provider and rotation interval.

    A secret that the store has already is left alone when its value is the same, and reported when it differs.
    Exit code 1 when something was left out that differs.
    """
    readings, placement = read_deployment(files, session.shop.providers.values())
    store = _store(session, dry_run)
    states = {c.name: state_of(store, c) for c in placement.candidates}
    if as_json:
        emit(_json(readings, placement, states, dry_run))
    else:
        _tell(readings, placement, states)
    taken = (NEW, DIFFERS) if replace_values else (NEW,)
    wanted = [c for c in placement.candidates if states[c.name] in taken]
    left = [c.name for c in placement.candidates if states[c.name] == DIFFERS and not replace_values]
    if dry_run:
        say(f"dry run: {len(wanted)} would be imported, nothing was changed")
        return 0
    assert store is not None
    changes = [change_of(session, store, candidate, inject or [], consume or []) for candidate in wanted]
    store.commit(changes)
    say(f"{len(changes)} imported, {len(placement.candidates) - len(changes)} known already")
    for name in left:
        say(f"{name}: the store has another value; --replace takes the file's")
    return 1 if left else 0


def _store(session: Session, dry_run: bool) -> Store | None:
    try:
        return session.store
    except StoreMissing:
        if not dry_run:
            raise
        return None


def state_of(store: Store | None, candidate: Candidate) -> str:
    """Whether the store has it, and with this value. UsageError for one that is deleted."""
    if store is None:
        return NEW
    try:
        record = store.load(candidate.name)
    except NotFound:
        return NEW
    if record.secret.deleted_at:
        raise UsageError(f"{candidate.name} is deleted", f"clawsecrets undelete {candidate.name}, or purge it")
    if record.current is None:
        return NEW
    return SAME if record.current.fingerprint == store.fingerprint(candidate.value) else DIFFERS


def change_of(session: Session, store: Store, candidate: Candidate, inject: list[str], consume: list[str]) -> Change:
    """The change that imports it."""
    now = session.clock.now()
    try:
        record = store.load(candidate.name)
    except NotFound:
        bound = candidate.kind is not Kind.ADMIN
        record = Record(Secret(
            candidate.name, candidate.provider, candidate.kind, now, env=candidate.env,
            injectors=tuple(map(session.shop.bound, inject)) if bound else (),
            consumers=tuple(map(session.shop.bound, consume)) if bound else (),
        ))
        session.shop.check(record.secret)
    if record.elsewhere:
        raise UsageError(f"{candidate.name} is kept in another store: {record.elsewhere}", "import into that one")
    if record.rotating:
        raise UsageError(f"{candidate.name} is in the middle of a rotation", "let it end, then import again")
    provider = session.shop.provider(record.secret.provider)
    version = Version(record.last_number + 1, Stage.CURRENT, now, store.fingerprint(candidate.value),
                      handle=provider.handle_of(candidate.value.reveal_text()), origin="import")
    event = session.event("secret.import", candidate.name, version.number, where=candidate.where)
    return Change(record.put_current(version), event, {version.number: candidate.value})


def _tell(readings: Sequence[Reading], placement: Placement, states: dict[str, str]) -> None:
    if placement.candidates:
        columns = [Column("SECRET"), Column("PROVIDER", 10), Column("KIND", 10),
                   Column("FROM", 10), Column("STATE")]
        table(columns, [[c.name, c.provider, c.kind.value, c.where, states[c.name]] for c in placement.candidates])
    for skipped in placement.unplaced:
        say(f"not placed: {skipped.where} {skipped.what}: {skipped.reason}")
    for reading in readings:
        for skipped in reading.references:
            say(f"a reference: {skipped.where}: {skipped.reason}")
        for note in reading.notes:
            say(f"note: {note}")
    for conflict in placement.conflicts:
        say(f"conflict: {conflict}")
    for note in placement.notes:
        say(f"note: {note}")


def _json(readings: Sequence[Reading], placement: Placement, states: dict[str, str],
          dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "secrets": [{"name": c.name, "provider": c.provider, "kind": c.kind.value, "env": c.env, "how": c.how,
                     "places": [{"where": p.where, "env": p.env} for p in c.places], "state": states[c.name]}
                    for c in placement.candidates],
        "unplaced": [{"where": s.where, "what": s.what, "reason": s.reason} for s in placement.unplaced],
        "references": [{"where": s.where, "reason": s.reason} for r in readings for s in r.references],
        "conflicts": [str(conflict) for conflict in placement.conflicts],
        "notes": [*(n for r in readings for n in r.notes), *placement.notes],
    }
