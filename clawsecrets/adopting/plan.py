"""What an adoption is going to do, and how it is written down. Holds no value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

PROVIDER = "clawsecrets"
"""The name of our SecretRef provider in OpenClaw's configuration."""


class Way(StrEnum):
    """How a credential comes to OpenClaw afterwards."""

    REF = "secret reference, by plan"
    """`openclaw secrets apply`: its live registry knows the field."""
    SET = "secret reference, by config set"
    """The field takes a SecretRef, and no plan may name it."""
    VARIABLE = "${VARIABLE}"
    """The field takes text only: the gateway is given the variable."""
    SUPPLIED = "environment variable"
    """It was a variable of `.env`, and is one of the gateway's own environment now."""
    PROFILE = "secret reference, in the auth profile"
    WRITTEN = "secret reference, written into the file"
    """The field is one that OpenClaw does not write: of a file that its configuration includes."""
    COMPOSE = "${VARIABLE} in the Compose file"
    HAND = "by hand"
    """A systemd unit: what is to be changed, and the command that does it, is told."""


@dataclass(frozen=True, slots=True)
class Move:
    """One credential at one place."""

    name: str
    """The secret that it becomes."""
    where: str
    """For people."""
    way: Way
    file: str
    path: tuple[str | int, ...] = ()
    """In the configuration; of an auth profile: its id and `key` or `token`."""
    dotted: str = ""
    variable: str = ""
    target: str = ""
    """OpenClaw's type of the field, for its plan."""
    line: int = 0
    """Of a Compose file or a unit."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is not moved, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it."""

    folder: str
    config: str
    moves: tuple[Move, ...] = ()
    left: tuple[Left, ...] = ()
    kept: tuple[str, ...] = field(default=())
    """Files that OpenClaw is told to read a credential from: nothing in them is cleared."""
    included: tuple[str, ...] = ()
    """Files that the configuration includes."""
    rooted: bool = False
    """It is one laid over others as a whole, and OpenClaw writes none such."""

    @property
    def names(self) -> tuple[str, ...]:
        """The secrets, each once."""
        return tuple(dict.fromkeys(move.name for move in self.moves))

    @property
    def referred(self) -> tuple[str, ...]:
        """Those that SecretRefs name."""
        refs = (Way.REF, Way.SET, Way.PROFILE, Way.WRITTEN)
        return tuple(dict.fromkeys(move.name for move in self.moves if move.way in refs))

    @property
    def variables(self) -> dict[str, str]:
        """Secret -> the variable that the gateway is to be given it as."""
        return {move.name: move.variable for move in self.moves if move.variable}

    @property
    def gateway_variables(self) -> dict[str, str]:
        """The same without what only a Compose file takes."""
        return {move.name: move.variable for move in self.moves if move.variable and move.way is not Way.COMPOSE}

    def of(self, *ways: Way) -> Sequence[Move]:
        """The moves of these kinds."""
        return [move for move in self.moves if move.way in ways]

    @property
    def written(self) -> Sequence[Move]:
        """Those that are written here, not by OpenClaw, into files of the configuration."""
        return [move for move in self.moves if move.way is Way.WRITTEN or (
            move.way is Way.VARIABLE and (self.rooted or move.file != self.config))]

    def env_variables(self, file: str) -> set[str]:
        """The variables that are taken out of a `.env`."""
        return {move.dotted for move in self.of(Way.SUPPLIED) if move.file == file and not move.path}

    def profiles(self, database: str) -> dict[tuple[str, str], str]:
        """Auth profile and its field -> the secret, of one database."""
        return {(str(move.path[0]), str(move.path[1])): move.name for move in self.of(Way.PROFILE)
                if move.file == database}

    @property
    def compose_lines(self) -> dict[str, dict[int, str]]:
        """Compose file -> line -> the variable that is to stand there."""
        found: dict[str, dict[int, str]] = {}
        for move in self.of(Way.COMPOSE):
            found.setdefault(move.file, {})[move.line] = move.variable
        return found

    @property
    def outside(self) -> tuple[str, ...]:
        """Files that are looked at besides those of the state folder."""
        files = (*self.included, *(move.file for move in self.of(Way.COMPOSE, Way.SUPPLIED, Way.HAND)))
        return tuple(dict.fromkeys(file for file in files if not file.startswith(f"{self.folder}/")))


def written(plan: Plan) -> str:
    """As text."""
    return json.dumps(asdict(plan))


def read(text: str) -> Plan:
    """From text."""
    data = json.loads(text)
    moves = tuple(Move(**{**one, "way": Way(one["way"]), "path": tuple(one["path"])}) for one in data["moves"])
    return Plan(data["folder"], data["config"], moves, tuple(Left(**one) for one in data["left"]),
                tuple(data["kept"]), tuple(data.get("included", ())), bool(data.get("rooted", False)))
