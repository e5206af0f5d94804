"""render: a template with values in it, onto standard output or into a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from clawsecrets.cli.delivering import to_use
from clawsecrets.cli.output import destination, require_stdout, say
from clawsecrets.cli.session import Session, command
from clawsecrets.errors import ClawError, UsageError


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "render")(render)


def render(
    session: Session,
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="A Jinja template.")],
    output: Annotated[str, typer.Option(metavar="FILE", help="Into this file (0600, replaced at once) instead of "
                                        "standard output (-).")] = "",
    reveal: Annotated[bool, typer.Option("--reveal", help="Print it on a terminal.")] = False,
) -> None:
    """Fill a template with values: `{{ secret("name") }}` stands for one.

    A name that is not there is an error, with its line, and nothing is written. `| tojson` and `| urlencode` quote a
    value for the place where it stands.
    """
    from clawsecrets.injectors import template as templates
    from clawsecrets.injectors.rendering import render as rendered

    output = destination(output)
    if not output:
        require_stdout()
    if not output and not reveal and sys.stdout.isatty():
        raise UsageError("this is a terminal, and the values would be on it", "use --output FILE, a pipe, or --reveal")
    if output and _same(template, output):
        raise UsageError(f"{output} is the template itself, which would be lost", "give another file to --output")
    text = templates.read_template(Path(template))
    read: dict[str, int] = {}

    def lookup(name: str) -> str:
        found, read[name] = _value(session, name)
        return found

    fault: ClawError | None = None
    try:
        made = rendered(text, lookup)
    except ClawError as error:
        fault = type(error)(f"{template}: {error.message}", error.hint)
    if fault is not None:
        raise fault
    for name, version in read.items():
        session.store.log(session.event("value.read", name, version, by="render"))
    if output:
        templates.write_rendered(Path(os.path.abspath(output)), made)
        say(f"{output}: written, with {len(read)} secret(s)")
    else:
        sys.stdout.buffer.write(made.encode())


def _same(template: str, output: str) -> bool:
    try:
        return os.path.samefile(template, output)
    except OSError:
        return False  # one of them is not there: then it is not the other


def _value(session: Session, name: str) -> tuple[str, int]:
    """The current value of a secret, as text, and its version."""
    from clawsecrets.injectors.answers import text_of

    _, current = to_use(session, name)
    return text_of(name, session.store.value(name, current.number)), current.number
