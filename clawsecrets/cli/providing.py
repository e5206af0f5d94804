"""providers: list them, explain one, check a file. And what the program says of itself: version, resolve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clawsecrets import __version__
from clawsecrets.cli.asking import to_read
from clawsecrets.cli.helping import Command
from clawsecrets.cli.output import Column, emit, say, table, wrapped
from clawsecrets.cli.session import JsonOption, Session, command, group
from clawsecrets.errors import ConfigError
from clawsecrets.model.policy import format_duration
from clawsecrets.model.provider import OPERATIONS, Provider
from clawsecrets.wiring.hushing import quiet
from clawsecrets.wiring.reading import check_provider, explain_provider


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    providers = group(app, "providers", "What is known of each provider: how its keys look, are tested, made, "
                      "revoked.", list_providers)
    command(providers, "list")(list_providers)
    command(providers, "show")(show)
    command(providers, "check")(check)
    command(app, "version")(version)
    app.command("resolve", cls=Command)(resolve)


def list_providers(session: Session, as_json: JsonOption = False) -> None:
    """List the known providers."""
    known = session.shop.providers
    found = [known[code] for code in sorted(known)]
    if as_json:
        emit({"providers": [_json(provider) for provider in found]})
        return
    columns = [Column("CODE", 14), Column("NAME", 12), Column("KIND", 9), Column("STRATEGY"),
               Column("EVERY", right=True), Column("VARIABLES", 12)]
    table(columns, [[p.code, p.name, p.kind.value, p.strategy, format_duration(p.interval), ", ".join(p.env)]
                    for p in found])


def show(
    session: Session,
    code: Annotated[str, typer.Argument(metavar="CODE", help="A provider's code.")],
    as_json: JsonOption = False,
) -> None:
    """Explain one provider in plain words: what can be done by itself, and what needs you."""
    provider = session.provider(code)
    if as_json:
        emit({"provider": _json(provider)})
        return
    for line in map(to_read, explain_provider(provider)):
        wrapped(" " * (len(line) - len(line.lstrip())), line.lstrip())


def check(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A provider file (TOML).")],
    as_json: JsonOption = False,
) -> None:
    """Check a provider file; each fault names file, table and key."""
    faults = [quiet(fault, (str(file),), whole=False) for fault in check_provider(file)]
    if as_json:
        emit({"file": str(file), "faults": faults})
    else:
        for fault in faults:
            print(fault)
    if faults:
        raise ConfigError(f"{file}: {len(faults)} fault(s)", "CONTRIBUTING.md shows a whole file")
    say(f"{file}: fine")


def version(session: Session, as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        emit({"version": __version__})
    else:
        print(f"clawsecrets {__version__}")


def resolve(
    bundle: Annotated[Path, typer.Option(metavar="FILE", help="The sealed file that a rotation writes.")],
) -> None:
    """Answer OpenClaw's SecretRefs from a resolver bundle. OpenClaw starts it; the request comes on stdin."""
    raise AssertionError("entry.main answers this command before the application starts")  # here for --help only


def _json(provider: Provider) -> dict[str, object]:
    return {
        "code": provider.code, "name": provider.name, "kind": provider.kind.value, "strategy": provider.strategy,
        "fallback_strategy": provider.fallback_strategy, "interval": provider.interval, "env": list(provider.env),
        "env_older": list(provider.env_older), "host": provider.host, "docs": provider.docs, "admin": provider.admin,
        "note": provider.note, "manual_url": provider.manual.url, "manual_steps": list(provider.manual.steps),
        "operations": [name for name in OPERATIONS if provider.operation(name) is not None],
        "options": {name: option.about for name, option in provider.options.items()},
        "rules": [rule.id for rule in provider.detect],
    }
