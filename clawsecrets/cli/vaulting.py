"""vault policy, vault adopt."""

from __future__ import annotations

from typing import Annotated

import typer

from clawsecrets.cli.output import emit, say
from clawsecrets.cli.session import JsonOption, Session, command, group
from clawsecrets.errors import NotFound, UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.wiring import vault

RoleOption = Annotated[str, typer.Option("--role", metavar="ROLE", help="consumer, reader, rotator or admin.")]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    vaults = group(app, "vault", "What a store in Vault or OpenBao needs there, and takes from there.", policy)
    command(vaults, "policy")(policy)
    command(vaults, "adopt")(adopt)


def policy(session: Session, role: RoleOption = "rotator", as_json: JsonOption = False) -> None:
    """Print the exact policy that a role needs for the configured store. Nothing is asked of the server.

    consumer: programs that read current values by themselves. reader: people who look. rotator: the daemon, and people
    who set and rotate. admin: whoever makes the store.
    """
    if role not in vault.roles():
        raise UsageError("--role: there is no such role", f"choose one of {', '.join(vault.roles())}")
    text, rules = vault.policy(session.config, role)
    if as_json:
        emit({"role": role, "policy": text, "paths": {path: list(can) for path, can in rules.items()}})
    else:
        print(text, end="")


def adopt(
    session: Session,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be taken; changes nothing.")] = False,
) -> int:
    """Manage the secrets of [store.paths] from now on, with the values that stand there. The paths stay as they are.

    A secret that the store has already is left alone. Exit code 1 when there was no value at one of the places.
    """
    missing = 0
    for name, place, value in vault.outside(session.config, session.store):
        if _known(session, name):
            say(f"{name}: known already")
        elif value is None:
            missing += 1
            say(f"{name}: there is no text at {place}")
        elif dry_run:
            say(f"{name}: would be taken from {place}")
        else:
            _take(session, name, place, value)
    return 1 if missing else 0


def _known(session: Session, name: str) -> bool:
    try:
        session.store.load(name)
    except NotFound:
        return False
    return True


def _take(session: Session, name: str, place: str, value: SecretValue) -> None:
    now = session.clock.now()
    secret = vault.recognised(name, place, value, session.shop.providers.values(), now)
    handle = session.shop.provider(secret.provider).handle_of(value.reveal_text())
    version = Version(1, Stage.CURRENT, now, session.store.fingerprint(value), handle=handle, origin="import")
    event = session.event("secret.import", name, 1, where=place)
    session.store.commit([Change(Record(secret).put_current(version), event, {1: value})])
    say(f"{name}: taken from {place} ({secret.provider})")
