"""status: the rotation table."""

from __future__ import annotations

from typing import Annotated

import typer

from clawsecrets.cli.output import DIM, GREEN, RED, YELLOW, Column, emit, moment, say, table
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.model.need import NEVER, Act, Need
from clawsecrets.model.policy import DAY, format_duration
from clawsecrets.model.status import Status, Urgency, status

_COLOURS = {Urgency.STUCK: RED, Urgency.OVERDUE: RED, Urgency.WAITING: YELLOW, Urgency.WORK: YELLOW,
            Urgency.FAILED: RED, Urgency.SOON: YELLOW, Urgency.FINE: GREEN, Urgency.IDLE: DIM}
_COLUMNS = (Column("SECRET"), Column("KIND", drop=2), Column("PROVIDER", 8, drop=2), Column("AGE", right=True),
            Column("EVERY", right=True), Column("DUE", right=True), Column("NEXT", drop=3), Column("STATE", 24),
            Column("WHY", 10, drop=1), Column("LAST PROOF", 10, drop=4))

AT_LEAST = "≥"
"""Before an age that is counted from an import."""


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "status")(show_status)


def show_status(
    session: Session,
    by_name: Annotated[bool, typer.Option("--by-name", help="Sort by name instead of urgency.")] = False,
    as_json: JsonOption = False,
) -> int:
    """The rotation table: every secret, its age, when it is due and rotated next, where it stands, and what was last
    proven. Exit code 3 where a record cannot be read (it is named; the others are told)."""
    now, records = session.clock.now(), list(session.store.records(broken=session.unreadable))
    found, rules = session.timetable.needs(records, now)
    needs = {need.secret: need for need in found}
    rows = [status(record, rules[record.secret.name].policy, now, needs[record.secret.name].due)
            for record in records]
    origins = {record.secret.name: record.current.origin if record.current else "" for record in records}
    rows.sort(key=lambda row: row.name if by_name else (row.urgency, row.due or 1e18, row.name))
    if as_json:
        emit({"now": now, "secrets": [_status_json(row, origins[row.name], needs[row.name]) for row in rows],
              "unreadable": session.unreadable.plain()})
        return session.unreadable.code
    if not rows:
        if not session.unreadable.found:
            say("no secrets yet: clawsecrets import FILE… brings them in")
        return session.unreadable.code
    cells = [_status_cells(row, now, origins[row.name], needs[row.name]) for row in rows]
    table(_COLUMNS, cells, [_COLOURS[row.urgency] for row in rows])
    if any(cell[3].startswith(AT_LEAST) for cell in cells):
        say(f"{AT_LEAST}: it was imported, and may be older")
    first = next((row for row in rows if row.urgency <= Urgency.WAITING and row.detail), None)
    if first is not None:
        say(f"{first.name}: {first.detail}")
    return session.unreadable.code


def _status_cells(row: Status, now: float, origin: str, need: Need) -> list[str]:
    proof = f"{row.proof} {format_duration(now - row.proof_at)} ago" if row.proof_at else row.proof
    return [
        row.name, row.kind, row.provider, _age(row, origin),
        "-" if row.interval is None else format_duration(row.interval),
        "-" if row.due is None else _due(row.due - now), _next(need, now), row.state,
        need.why if need.why != row.state else "", proof,
    ]


def _age(row: Status, origin: str) -> str:
    """How old an imported value really is nobody knows: at least as old as its import."""
    return "-" if row.age is None else (AT_LEAST if origin == "import" else "") + format_duration(row.age)


def _due(left: float) -> str:
    """Rounded to the nearest day where it is days: due in 30d, not in 29d, right after a rotation."""
    return format_duration(round(left / DAY) * DAY) if abs(left) >= DAY else format_duration(left)


def _next(need: Need, now: float) -> str:
    """When it is rotated next, as far as that can be said; UTC."""
    if need.act in (Act.BEGIN, Act.GO_ON):
        return "now"
    return moment(need.at) if need.act is Act.WAIT and now < need.at < NEVER else "-"


def _status_json(row: Status, origin: str, need: Need) -> dict[str, object]:
    return {
        "name": row.name, "kind": row.kind, "provider": row.provider, "version": row.version, "age": row.age,
        "origin": origin,
        "interval": row.interval, "due_at": row.due, "state": row.state, "detail": row.detail, "proof": row.proof,
        "proof_at": row.proof_at, "urgency": row.urgency.name.lower(), "next": need.act.value,
        "next_at": need.at if need.act is Act.WAIT and need.at < NEVER else None, "why": need.why,
    }
