"""What stands on OpenClaw's disk surface -> the plan. Which secret a value is was decided by the importers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from clawsecrets.adopting.plan import Left, Move, Way

PREFIX = "CLAW_"
"""Before the name of a variable that no program but the configuration reads: it must not be one that OpenClaw takes for
something else (GITHUB_TOKEN in its own environment makes it a GitHub client)."""


class Stands(Enum):
    """Where a value stands."""

    CONFIG = 1
    ENV_FILE = 2
    ENV_TABLE = 3
    """`env.vars` of the configuration."""
    PROFILE = 4
    INCLUDED = 5
    """A file of the configuration that OpenClaw does not write."""
    COMPOSE = 6
    UNIT = 7


@dataclass(frozen=True, slots=True)
class Place:
    """One value that was recognised, at one place."""

    name: str
    stands: Stands
    file: str
    where: str
    path: tuple[str | int, ...] = ()
    dotted: str = ""
    variable: str = ""
    pattern: tuple[str, ...] = ()
    """OpenClaw's pattern of the field; empty: none that is known to hold a credential."""
    text_only: bool = True
    admin: bool = False
    """It can be bound to no target."""
    line: int = 0
    """Of a Compose file or a unit."""


def moves(places: Sequence[Place], live: Collection[str], mapped: Mapping[str, str]) -> tuple[list[Move], list[Left]]:
    """How each comes to OpenClaw. `live`: the fields (as OpenClaw writes them) that its registry lists now; `mapped`:
    secret -> a variable for it."""
    own = {place.name: place.variable for place in reversed(places)
           if place.variable and place.stands is not Stands.UNIT}
    taken = _taken(places, own)
    found: list[Move] = []
    left: list[Left] = []
    for place in places:
        variable = own.get(place.name, PREFIX + mapped.get(place.name, ""))
        move = Move(place.name, place.where, Way.SET, place.file, place.path, place.dotted, line=place.line)
        if place.admin and place.stands not in (Stands.ENV_FILE, Stands.ENV_TABLE):
            left.append(Left(place.where, "an admin credential: clawsecrets gives it to no process"))
        elif place.stands is Stands.PROFILE:
            found.append(replace(move, way=Way.PROFILE))
        elif place.stands is Stands.COMPOSE:
            mine = variable if taken.get(variable) == place.name else PREFIX + mapped.get(place.name, "")
            found.append(replace(move, way=Way.COMPOSE, variable=mine))
        elif place.stands is Stands.UNIT:
            found.append(replace(move, way=Way.HAND, variable=own.get(place.name, place.variable)))
        elif place.stands in (Stands.ENV_FILE, Stands.ENV_TABLE):
            found.append(replace(move, way=Way.SUPPLIED, variable="" if place.admin else place.variable))
        elif place.text_only:
            found.append(replace(move, way=Way.VARIABLE, variable=variable))
        elif place.stands is Stands.INCLUDED:
            found.append(replace(move, way=Way.WRITTEN))
        elif place.dotted in live:
            found.append(replace(move, way=Way.REF, target=target(place.pattern)))
        else:
            found.append(move)
    return _needless(found), left


def _taken(places: Sequence[Place], own: Mapping[str, str]) -> dict[str, str]:
    """Variable -> the one secret that is given by that name."""
    found: dict[str, str] = {}
    for place in places:
        if variable := own.get(place.name, ""):
            found.setdefault(variable, place.name)
    return found


def _needless(moves: list[Move]) -> list[Move]:
    """A unit needs no variable for what OpenClaw gets by a SecretRef."""
    referred = {move.name for move in moves if move.way in (Way.REF, Way.SET, Way.PROFILE, Way.WRITTEN)}
    given = {move.name for move in moves if move.variable and move.way is not Way.HAND}
    return [replace(move, variable="") if move.way is Way.HAND and move.name in referred and move.name not in given
            else move for move in moves]


def target(pattern: Sequence[str]) -> str:
    """OpenClaw's type of a field: mostly its pattern."""
    if tuple(pattern[:3]) == ("models", "providers", "*"):
        rest = pattern[3:-1] if pattern[-1] == "*" else pattern[3:]
        return ".".join(["models.providers", *rest])
    if tuple(pattern) == ("skills", "entries", "*", "apiKey"):
        return "skills.entries.apiKey"
    return ".".join(pattern)
