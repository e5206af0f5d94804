"""scan: registered with typer from the table in scan_words, for help and for what its own parser does not take."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from clawsecrets.cli import helping, scan_words
from clawsecrets.cli.scan_words import CONFIDENCES, FORMATS, HERE, KINDS, Option, Words
from clawsecrets.errors import UsageError

_EXITS = ("Exit codes: 0 clean, and all was looked at · 1 findings · 2 usage · 3 the store of --known · "
          "6 something could not be looked at · 70 a bug · 130 Ctrl-C")
_ABOUT = "Finds leaked credentials: in git history, images, files, on this host."


def register(app: typer.Typer) -> None:
    """Add `scan` and its kinds."""
    made = typer.Typer(help=_ABOUT, cls=helping.Group, epilog=_EXITS)
    bare = _command("")
    bare.__signature__ = _signature("", context=True)
    bare.__annotations__ = {p.name: p.annotation for p in bare.__signature__.parameters.values()}
    made.callback(invoke_without_command=True, help=f"{_ABOUT}\n\nWithout a word after it: {HERE[0].lower()}{HERE[1:]}",
                  epilog=_EXITS)(bare)
    for kind, about in KINDS.items():
        made.command(kind, cls=helping.Command, help=about, epilog=_EXITS)(_command(kind))
    app.add_typer(made, name="scan")


def _command(kind: str) -> Any:
    def run(*, context: typer.Context | None = None, **given: Any) -> int | None:
        if context is not None and context.invoked_subcommand is not None:
            if any(given.values()):
                raise UsageError(f"options of scan {context.invoked_subcommand} stand after its name",
                                 f"clawsecrets scan {context.invoked_subcommand} --help lists them")
            return None
        from clawsecrets.cli.scan_run import scan

        what = tuple(given.pop("what", None) or ())
        options = {name.replace("_", "-"): tuple(value) if isinstance(value, list) else value
                   for name, value in given.items() if value}
        _check(kind, what, options)
        return scan(Words(kind, what, options))

    signature = _signature(kind, context=False)
    run.__signature__ = signature  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return run


def _signature(kind: str, *, context: bool) -> inspect.Signature:
    """What typer reads."""
    found = [_parameter("context", typer.Context, inspect.Parameter.empty)] if context else []
    least, most = scan_words.TAKES[kind]
    if most:
        metavar = {"git": "PATH|URL", "image": "IMAGE", "path": "PATH"}[kind]
        settings: Any = typer.Argument(metavar=metavar, help="What to scan." if least else
                                       "What to scan; the folder here by default.")
        found.append(_parameter("what", Annotated[list[str], settings],
                                inspect.Parameter.empty if least else None))
    return inspect.Signature(found + [_option(option) for option in scan_words.options_of(kind)])


def _option(option: Option) -> inspect.Parameter:
    names = [f"--{option.name}", *([option.short] if option.short else [])]
    kind: Any = (list[str] if option.many else str) if option.metavar else bool
    settings = typer.Option(*names, help=option.help, metavar=option.metavar or None)
    default: Any = False if not option.metavar else None if option.many else ""
    return _parameter(option.name.replace("-", "_"), Annotated[kind, settings], default)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _check(kind: str, what: tuple[str, ...], options: dict[str, Any]) -> None:
    for name, among in (("format", FORMATS), ("confidence", CONFIDENCES)):
        if options.get(name) and options[name] not in among:
            raise UsageError(f"--{name}: it does not take that", f"one of: {', '.join(among)}")
    if len(what) > scan_words.TAKES[kind][1]:
        raise UsageError(f"scan {kind} takes one place", "scan several one after the other")
