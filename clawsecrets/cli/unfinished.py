"""rotations, revocations: what is unfinished, and what must still die."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from clawsecrets.cli.answers import DONE, STUCK, WORK_LEFT, answer_json, answer_of, tell, tell_tried, tried_json
from clawsecrets.cli.hosting import behind_json
from clawsecrets.cli.output import Column, emit, moment, say, table, wrapped
from clawsecrets.cli.session import JsonOption, NameArgument, Session, command, group
from clawsecrets.cli.shapes import rotation_json
from clawsecrets.errors import UsageError
from clawsecrets.model.hosts import behind
from clawsecrets.model.rotation import State
from clawsecrets.rotate.ledger import IN_USE, HeldBack, Tried, held_back
from clawsecrets.rotate.order import Result


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    rotations = group(app, "rotations", "Unfinished rotations: list them, go on with one, or back out.",
                      list_rotations)
    command(rotations, "list")(list_rotations)
    command(rotations, "show")(show_rotation)
    command(rotations, "resume")(resume)
    command(rotations, "abort")(abort)
    revocations = group(app, "revocations", "Credentials that must die and are not proven dead yet.",
                        list_revocations)
    command(revocations, "list")(list_revocations)
    command(revocations, "retry")(retry)
    command(revocations, "resolve")(resolve_revocation)


# --- rotations ------------------------------------------------------------------------------------------------------


def list_rotations(session: Session, as_json: JsonOption = False) -> int:
    """List the unfinished rotations. Exit code 1 when there are any, 5 when one is stuck."""
    found = [record for record in session.store.records(broken=session.unreadable) if record.rotating]
    if as_json:
        emit({"rotations": [rotation_json(record) for record in found]})
    else:
        columns = [Column("SECRET"), Column("STATE"), Column("SINCE"), Column("WAITS FOR"),
                   Column("WHY", 10)]
        rows = [[r.secret, r.state.value, moment(r.entered_at), r.waits_for.value or "-", r.note]
                for r in (record.rotation for record in found) if r is not None]
        if rows:
            table(columns, rows)
        else:
            say("no unfinished rotation")
    stuck = any(record.rotation is not None and record.rotation.state is State.STUCK for record in found)
    return STUCK if stuck else WORK_LEFT if found else session.unreadable.code


def show_rotation(session: Session, name: NameArgument, as_json: JsonOption = False) -> int:
    """Say where one secret's unfinished or last rotation stands, and which hosts it waits for. Exit codes as of
    `rotations`."""
    record = session.load(name)
    rotation, late = record.rotation, behind(record, session.shop.owner) if record.rotating else ()
    if as_json:
        emit({"rotation": rotation_json(record), "hosts": [behind_json(item) for item in late]})
    elif rotation is None:
        say(f"{name} was never rotated")
    else:
        for key, value in (rotation_json(record) or {}).items():
            if value not in ("", None, 0.0, []):
                wrapped(f"{key:<12} ", moment(float(str(value))) if key.endswith("_at") or key == "until"
                        else ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for item in late:
            wrapped(f"{'behind':<12} ", f"host {item.host}: {item.words} with version {item.version}")
    return STUCK if rotation is not None and rotation.state is State.STUCK else WORK_LEFT if record.rotating else DONE


def resume(
    session: Session,
    name: NameArgument,
    done: Annotated[bool, typer.Option("--done", help="You vouch that what it waits for has been done.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Go on with an unfinished or stuck rotation."""
    session.load(name)
    result = session.engine().resume(name, vouched=done)
    return _answer(session, name, result, as_json)


def abort(session: Session, name: NameArgument, as_json: JsonOption = False) -> int:
    """Back out: the old value is put back everywhere and proven before the new one is revoked."""
    session.load(name)
    result = session.engine().abort(name)
    code = _answer(session, name, result, as_json)
    rotation = result.record.rotation
    return DONE if rotation is not None and rotation.state is State.ABORTED else code


def _answer(session: Session, name: str, result: Result, as_json: bool) -> int:
    answer = answer_of(name, result, session.steps.troubles)
    if as_json:
        emit({"rotations": [answer_json(answer)], "tried": [], "left": [], "unreadable": []})
    else:
        tell(session, answer)
    return answer.code


# --- revocations ----------------------------------------------------------------------------------------------------


def list_revocations(session: Session, as_json: JsonOption = False) -> int:
    """List credentials that must die and are not proven dead. Exit code 1 when there are any."""
    owed = list(session.ledger().owed(session.unreadable))
    if as_json:
        emit({"revocations": [{"secret": n, "version": e.version, "handle": e.handle, "reason": e.reason,
                               "since": e.since, "tries": e.tries, "next_at": e.next_at, "note": e.note,
                               "needs_person": e.needs_person} for n, e in owed]})
    elif owed:
        columns = [Column("SECRET"), Column("VERSION", right=True), Column("REASON"), Column("SINCE"),
                   Column("TRIES", right=True), Column("NEXT"), Column("WHY", 10)]
        table(columns, [[n, str(e.version), e.reason, moment(e.since), str(e.tries), moment(e.next_at), e.note]
                        for n, e in owed])
    else:
        say("nothing is owed")
    return WORK_LEFT if owed else session.unreadable.code


def retry(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="All, when none is named.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Try the pending revocations now. Exit code 1 while one of them is owed: what was not tried is said, with the
    command that brings it on."""
    ledger = session.ledger()
    chosen = session.known(names) if names else sorted({name for name, _ in ledger.owed()})
    tried = [item for name in chosen for item in ledger.work(name, force=True)]
    owed = [(record, entry) for record in map(session.load, chosen) for entry in record.debts]
    left = [(record.secret.name, entry.version, held) for record, entry in owed
            if (held := held_back(record, entry)) is not None]
    if as_json:
        emit({"tried": [tried_json(item) for item in tried],
              "left": [{"secret": name, "version": version, "reason": held.why, "command": held.command}
                       for name, version, held in left]})
    else:
        _tell_tries(tried, left)
    return WORK_LEFT if owed or not all(item.dead for item in tried) else DONE


def _tell_tries(tried: Sequence[Tried], left: Sequence[tuple[str, int, HeldBack]]) -> None:
    for item in tried:
        tell_tried(item)
        if not item.dead and not item.entry.watch and item.reply.detail != IN_USE:
            which = f"{item.entry.version}" if item.entry.version else f"0 --handle {shlex.quote(item.entry.handle)}"
            say(f"  when you have seen that it is dead: clawsecrets revocations resolve {item.secret} {which}")
    for name, version, held in left:
        say(f"{name} version {version}: not tried: {held.why}")
        say(f"  it goes on with: {held.command}")
    if not tried and not left:
        say("nothing is owed")


def resolve_revocation(
    session: Session,
    name: NameArgument,
    version: Annotated[int, typer.Argument(help="The version, 0 for an orphan.")],
    handle: Annotated[str, typer.Option(help="The orphan's handle.")] = "",
) -> None:
    """Close an entry on your word: you have seen that the credential is dead."""
    session.load(name)
    if not session.ledger().vouch(name, version, handle):
        raise UsageError(f"{name} owes no such revocation", "clawsecrets revocations lists them")
    say(f"{name} version {version}: closed on your word")
