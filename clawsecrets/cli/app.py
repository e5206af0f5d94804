"""The typer application: every command group registered, nothing else."""

from __future__ import annotations

import typer

from clawsecrets import __version__
from clawsecrets.cli import auditing, importing, providing, quickstart, rotating, secrets, storing
from clawsecrets.cli.session import JsonOption, Session, command
from clawsecrets.cli.output import emit

app = typer.Typer(
    name="clawsecrets",
    help="Keeps, rotates and delivers the secrets of a self-hosted OpenClaw: mint, test, deliver, prove in use, and "
         "only then revoke.",
    epilog="Exit codes: 0 done · 1 work left · 2 usage · 3 store · 4 refused · 5 stuck · 6 incomplete",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version(session: Session, as_json: JsonOption = False) -> None:
    """Print the version."""
    if as_json:
        emit({"version": __version__})
    else:
        print(f"clawsecrets {__version__}")


def resolve() -> None:
    """OpenClaw's SecretRef resolver: `clawsecrets resolve --bundle FILE` (handled before this application starts)."""


for _part in (quickstart, storing, importing, secrets, rotating, auditing, providing):
    _part.register(app)
command(app, "version")(version)
app.command("resolve")(resolve)
