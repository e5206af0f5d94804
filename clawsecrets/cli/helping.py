"""Help without noise: nothing stands behind a flag, which takes nothing (typer would print `<bool>`), and no type of
Python behind an argument whose name says what it is (`PATH|URL <list[str]>`)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

from clawsecrets.errors import UsageError

PLACES = frozenset({"FILE", "PATH", "STATE_FOLDER", "TEMPLATE", "URL"})
"""What parameters are called that name a place."""
_LISTS: Mapping[Any, Callable[[str], Any]] = {list[str]: str, list[Path]: Path}


def text_of(function: Callable[..., Any]) -> str:
    """A function's docstring as paragraphs of one line each: the terminal wraps them, not the source."""
    return "\n\n".join(" ".join(part.split()) for part in (inspect.getdoc(function) or "").split("\n\n"))


class Command(TyperCommand):
    """A command whose flags show no type."""

    def get_params(self, ctx: Any) -> Any:
        """Arguments and options, `--help` too."""
        return _quiet(super().get_params(ctx))


class Group(TyperGroup):
    """A group whose flags show no type."""

    def get_params(self, ctx: Any) -> Any:
        """Options, `--help` and those of completion too."""
        return _quiet(super().get_params(ctx))


def _quiet(parameters: Any) -> Any:
    for parameter in parameters:
        typers = getattr(parameter, "get_runtime_param", None)
        if typers is not None and not isinstance(typers, partial):  # click asks for the parameters again and again
            parameter.get_runtime_param = partial(_Plain, parameter, typers)
        if getattr(parameter, "is_bool_flag", False):
            parameter.metavar = ""
        if parameter.param_type_name == "option" and parameter.multiple and not parameter.metavar:
            parameter.metavar = "NAME"
        if parameter.param_type_name == "argument" and parameter.metavar:
            parameter.display_type_rich = _untyped
    return parameters


@dataclass(frozen=True, slots=True)
class _Plain:
    """What typer turns a parameter's words into, without pydantic where there is nothing to turn: text, what was not
    given, and a number that is the default. Typer imports it for each parameter, which took a third of the time that a
    command needs to start."""

    parameter: Any
    typers: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as the command takes it. BadParameter, by typer; UsageError."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        if param.metavar in PLACES and "" in (value if many else [value]):
            self._require_default(param, ctx)
        asked = self.parameter.type_descriptor.annotation
        if not many and asked in (str, int) and type(value) is asked:
            return value
        # of a file, typer would look whether it can be read, and not say why it cannot: who reads it does
        if not many and asked is Path and type(value) is str:
            return Path(value)
        if many and asked in _LISTS and isinstance(value, (list, tuple)) and all(isinstance(x, str) for x in value):
            return [*map(_LISTS[asked], value)]
        return self.typers().coerce(value, param=param, ctx=ctx)

    @staticmethod
    def _require_default(param: Any, ctx: Any) -> None:
        """An empty place that was typed is a variable of a shell that is not set, and means no default. UsageError."""
        source = ctx.get_parameter_source(param.name)
        if source is not None and source.name == "COMMANDLINE":
            name = "/".join(param.opts) if param.param_type_name == "option" else param.metavar
            raise UsageError(f"{name}: it is empty",
                             "name the place, or leave it out: a variable of the shell may be unset")


def _untyped(ctx: object) -> None:
    """No type to show."""
