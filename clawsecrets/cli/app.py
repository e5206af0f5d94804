"""The typer application. Only the part that a command line names is imported: `get` pays for nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module

import typer

from clawsecrets.cli.entry import COMPLETION
from clawsecrets.cli.helping import Group

PARTS: dict[str, tuple[str, ...]] = {
    "quickstart": ("quickstart",),
    "storing": ("init", "new-key", "rekey", "backup", "restore"),
    "vaulting": ("vault",),
    "stores": ("store",),
    "importing": ("import",),
    "adopting": ("adopt",),
    "secrets": ("set", "get", "list", "show", "history", "configure"),
    "removing": ("delete", "undelete", "purge"),
    "overview": ("status",),
    "planning": ("plan",),
    "rotating": ("rotate",),
    "shadowing": ("shadows",),
    "keeping": ("daemon", "pause", "resume"),
    "notifying": ("notify",),
    "delivering": ("inject",),
    "hosting": ("sync", "hosts"),
    "running": ("run",),
    "templating": ("render",),
    "scanning": ("scan",),
    "baselining": ("baseline",),
    "ruling": ("rules",),
    "fingerprinting": ("fingerprints",),
    "unfinished": ("rotations", "revocations"),
    "auditing": ("audit-log", "doctor"),
    "providing": ("providers", "version", "resolve"),
}
"""Module of this package -> the commands that it registers, in the order of `--help`."""


def build(argv: Sequence[str]) -> typer.Typer:
    """The application with the part that `argv` needs; all of it for help, completion and unknown words."""
    app = typer.Typer(
        name="clawsecrets",
        cls=Group,
        help="Keeps, rotates and delivers the secrets of a self-hosted OpenClaw.\n\n"
             "A rotation mints a new credential, tests it, delivers it, proves that it is in use, and only then "
             "revokes the old one.",
        epilog="Exit codes: 0 done · 1 findings, or work left · 2 usage · 3 store · 4 refused · 5 stuck · "
               "6 incomplete · 70 a bug · 130 Ctrl-C",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root() -> None:
        pass  # typer would make a single registered command the application itself

    for name in _needed(argv):
        import_module(f"clawsecrets.cli.{name}").register(app)
    return app


def _needed(argv: Sequence[str]) -> list[str]:
    word = argv[0] if argv else ""
    found = [part for part, commands in PARTS.items() if word in commands]
    return list(PARTS) if not found or COMPLETION in os.environ else found
