"""Help without noise: a flag takes nothing, so nothing stands behind it (typer would print `<bool>`)."""

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
    return parameters
