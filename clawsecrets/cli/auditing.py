"""audit-log show|verify, and doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from clawsecrets.cli.output import GREEN, RED, YELLOW, clean, emit, moment, say, width, wrapped
from clawsecrets.cli.session import JsonOption, Session, command, group
from clawsecrets.errors import StoreDamaged
from clawsecrets.model.audit import ChainedEvent

_SHADES = {"ok": GREEN, "warn": YELLOW, "fail": RED}


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    log = group(app, "audit-log", "The tamper-evident record of everything that happened.", show)
    command(log, "show")(show)
    command(log, "verify")(verify)
    command(app, "doctor")(doctor)


def show(
    session: Session,
    name: Annotated[str, typer.Option("--secret", metavar="NAME", help="Only of this secret.")] = "",
    since: Annotated[int, typer.Option(metavar="N", help="Only events after number N.")] = 0,
    last: Annotated[int, typer.Option(metavar="N", help="Only the last N; 0 is all.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show audit events, oldest first. They hold no values."""
    found = [item for item in session.store.events(since=since) if not name or item.event.secret == name]
    found = found[-last:] if last else found
    if as_json:
        emit({"events": [_json(item) for item in found]})
        return
    for item in found:
        event = item.event
        detail = " ".join(f"{key}={text}" for key, text in event.detail.items())
        what = f"{event.secret} v{event.version}" if event.secret else ""
        if width() is None:
            print(clean(f"{item.seq:>5}  {moment(event.at)}  {event.actor}  {event.action}  {what}  {detail}".rstrip()))
        else:
            wrapped(f"{item.seq:>5}  {moment(event.at)}  {event.action:<22}  ", what)
            wrapped("       ", f"by {event.actor}{': ' if detail else ''}{detail}")


def verify(session: Session, as_json: JsonOption = False) -> None:
    """Verify the chain: a changed, removed or truncated event is named. Exit code 3 when it is broken."""
    problem = session.store.verify_log()
    count = sum(1 for _ in session.store.events())
    if as_json:
        emit({"whole": not problem, "events": count, "problem": problem})
    elif not problem:
        print(f"whole: {count} events")
    if problem:
        raise StoreDamaged(f"the audit log is broken: {problem}", "keep a copy of the store, then compare a backup")


def doctor(session: Session, as_json: JsonOption = False) -> int:
    """Look at the whole set-up and say what is wrong and how to mend it. Exit code 1 when something is."""
    from clawsecrets.cli.examination import examine

    findings = list(examine(session))
    if as_json:
        emit({"findings": [{"level": f.level, "what": f.what, "mend": f.mend} for f in findings]})
    else:
        for finding in findings:
            wrapped(f"[{finding.level}]{' ' * (5 - len(finding.level))}", finding.what, _SHADES[finding.level])
            if finding.mend:
                wrapped("       ", finding.mend)
    bad = sum(1 for f in findings if f.level != "ok")
    say("nothing to mend" if not bad else f"{bad} thing(s) to look at")
    return 1 if bad else 0


def _json(item: ChainedEvent) -> dict[str, object]:
    event = item.event
    return {"seq": item.seq, "at": event.at, "actor": event.actor, "action": event.action, "secret": event.secret,
            "version": event.version, "rotation": event.rotation, "detail": dict(event.detail), "mac": item.mac.hex()}
