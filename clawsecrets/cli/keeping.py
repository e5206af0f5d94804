"""daemon, pause, resume."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from clawsecrets.cli.output import moment, say
from clawsecrets.cli.session import NameArgument, Session, command
from clawsecrets.cli.wording import require_no_value
from clawsecrets.errors import StaleRecord, UsageError, WorkLeft
from clawsecrets.model.policy import parse_duration
from clawsecrets.model.secret import Secret
from clawsecrets.ports import Change
from clawsecrets.store_ports import KeepsLogin

Edit = Callable[[Secret], Secret]
TURNS = 5
"""Commits tried while others edit the same record."""
LONGEST_REASON = 200
"""Characters."""


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "daemon")(daemon)
    command(app, "pause")(pause)
    command(app, "resume")(resume)


def daemon(
    session: Session,
    check: Annotated[bool, typer.Option("--check", help="Only ask the one that runs here whether it is well (its "
                                        "/healthz); exit code 1 when not.")] = False,
) -> int:
    """Keep the rotation table, in the foreground: rotate what is due in its window, work off what is owed, tell people.

    SIGTERM ends it after the step that is under way, SIGHUP reads the configuration again. Of several on one store one
    keeps the table; all of them deliver to the targets of their own hosts and acknowledge that. Exit codes: 0 stopped,
    1 stopped within a step, 2 configuration, 3 store.
    """
    # what comes before the daemon hears it: the configuration is about to be read anyway, and it must not end it
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from clawsecrets.daemon.process import Daemon, Given
    from clawsecrets.daemon.web import healthy

    if check:
        trouble = healthy(session.config.daemon.listen)
        if trouble:
            raise WorkLeft(trouble, "look at its log; [daemon] listen says where it is asked")
        return 0
    given = Given(session.paths, session.store, session.read_config, session.actor,
                  keep_login=session.store.keep_login if isinstance(session.store, KeepsLogin) else _nothing)
    return Daemon(session.config, given).run()


def _nothing() -> str:
    return ""


def pause(
    session: Session,
    name: NameArgument,
    reason: Annotated[str, typer.Option(help="Why, for those who see it: one line, never a value.")],
    lasts: Annotated[str, typer.Option("--for", metavar="DURATION", help="End it by itself after 7d, 12h…")] = "",
) -> None:
    """No more rotation of this secret by itself, until `resume`. An unfinished one goes on; by name it is rotated."""
    if not reason.strip() or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise UsageError("--reason: one line of text is needed", "say why, for those who will wonder")
    require_no_value(session.store, "--reason", reason)
    now = session.clock.now()
    until = now + _seconds(lasts) if lasts else 0.0
    _edit(session, name, "secret.paused", reason,
          lambda it: replace(it, paused_at=now, paused_until=until, pause_reason=reason))
    say(f"{name}: paused" + (f" until {moment(until)}" if until else f"; clawsecrets resume {name} ends it"))


def resume(session: Session, name: NameArgument) -> None:
    """End a pause. What became due meanwhile is rotated once, in its window."""
    if not session.load(name).secret.paused_at:
        raise UsageError(f"{name} is not paused", f"for an unfinished rotation: clawsecrets rotations resume {name}")
    _edit(session, name, "secret.resumed", "",
          lambda it: replace(it, paused_at=0.0, paused_until=0.0, pause_reason=""))
    say(f"{name}: no longer paused")


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        pass
    raise UsageError("--for: that is not a duration", "write for example 7d or 12h")


def _edit(session: Session, name: str, action: str, reason: str, edit: Edit) -> None:
    """Change the secret on the newest record: the daemon may be at work on it."""
    for _ in range(TURNS):
        record = session.load(name)
        event = session.event(action, name, 0, reason=reason) if reason else session.event(action, name)
        try:
            session.store.commit([Change(replace(record, secret=edit(record.secret)), event)])
            return
        except StaleRecord as error:
            stale = error
    raise StaleRecord(stale.message, "run the command again")
