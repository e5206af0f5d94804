"""shadows: where values that were replaced still stand, looked at now."""

from __future__ import annotations

from typing import Annotated

import typer

from clawsecrets.cli.output import clean, emit, say
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.rotate.shadowing import LookAgain
from clawsecrets.wiring.shadows import host_shadows
from clawsecrets.wiring.shop import holder, lease_for


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "shadows")(shadows)


def shadows(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only of these secrets.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Look for places on this host that hold a value which was replaced, and say what mends each.

    Looked through: OpenClaw's configuration, its backups, .env and databases; systemd units; what a login reads;
    running processes. `status` and `show` then say what is found now. Exit code 1 when a process still reads one,
    6 when a place could not be looked at.
    """
    chosen = session.known(names) if names else session.store.names()
    again = LookAgain(session.store, session.clock, session.actor, holder(), lease_for(session.config))
    found = again.look(host_shadows(session.config, session.shop.answers), set(chosen))
    live = [shadow for shadow in found.shadows if shadow.live]
    if as_json:
        emit({"shadows": [{"secret": s.name, "where": s.where, "live": s.live, "form": s.form, "mend": s.mend}
                          for s in found.shadows], "unseen": list(found.unseen)})
    for shadow in () if as_json else found.shadows:
        form = "" if shadow.form == "plain" else f" ({shadow.form})"
        print(clean(f"{shadow.name}: {'still in' if shadow.live else 'kept in'} {shadow.where}{form}"))
        print(clean(f"  {shadow.mend}"))
    for line in found.unseen:
        say(f"not looked at: {line}")
    say(f"{len(live)} place(s) that are read, {len(found.shadows) - len(live)} that are only kept")
    return 1 if live else 6 if found.unseen else 0
