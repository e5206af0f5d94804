"""Help without noise: nothing stands behind a flag, which takes nothing (typer would print `<bool>`), and no type of
Python behind an argument whose name says what it is (`PATH|URL <list[str]>`)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup


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
        if getattr(parameter, "is_bool_flag", False):
            parameter.metavar = ""
        if parameter.param_type_name == "option" and parameter.multiple and not parameter.metavar:
            parameter.metavar = "NAME"
        if parameter.param_type_name == "argument" and parameter.metavar:
            parameter.display_type_rich = _untyped
    return parameters


def _untyped(ctx: object) -> None:
    """No type to show."""
