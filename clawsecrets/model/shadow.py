"""A place that still holds a value that was replaced. Pure; of these only `Sought` holds a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clawsecrets.model.value import SecretValue


@dataclass(frozen=True, slots=True)
class Sought:
    """A value that should stand nowhere any more, and the secret that it was."""

    name: str
    value: SecretValue


@dataclass(frozen=True, slots=True)
class Shadow:
    """A place that holds such a value still. Holds none itself."""

    name: str
    """The secret."""
    where: str
    """For people: a file with a line, a field or a row; a process."""
    live: bool
    """Whether a process reads it, now or when it starts. Else it is only kept there: a backup, a log."""
    form: str
    """`plain`, or how it is encoded there."""
    mend: str
    """The command, or what else a person does about it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found, and what could not be looked at (a line each)."""

    shadows: Sequence[Shadow] = ()
    unseen: Sequence[str] = ()
