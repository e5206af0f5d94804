"""What the readers hand on: values with their places, and what they did not take with the reason. No policy."""

from __future__ import annotations

from dataclasses import dataclass

from clawsecrets.model.secret import SecretValue


@dataclass(frozen=True, slots=True)
class Item:
    """One value that was read. Its repr does not show the value."""

    key: str
    """What it is called where it stands: a variable, or a config path."""
    where: str
    """For people: `file:line`, or `file: config.path`."""
    value: SecretValue
    env: str = ""
    """The variable that it was read from; empty in openclaw.json."""
    known_as: tuple[str, ...] = ()
    """Variables that can stand in a config field's place, best first."""
    name: str = ""
    """A name for it, made from the config path; empty for variables."""
    suffix: str = ""
    """The account or agent that it belongs to."""
    kind: str = ""
    """What OpenClaw says the field is for; empty when it is no field known to hold a credential."""
    provider: str = ""
    """Code of the provider file that is made for the field."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not imported, and why. Holds no value."""

    where: str
    what: str
    """Its name."""
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One file."""

    file: str
    items: tuple[Item, ...] = ()
    references: tuple[Skipped, ...] = ()
    """SecretRefs, `${VAR}` and file pointers, whose value stands elsewhere; and what is no text."""
    notes: tuple[str, ...] = ()
    """What else a person should know: duplicates, includes."""
