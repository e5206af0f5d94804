"""One file of OpenClaw's, or of the host's: which of the values it holds, named as exactly as a person needs."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clawsecrets.data import read_regular
from clawsecrets.errors import ClawError
from clawsecrets.formats.bounds import Budget, Limits
from clawsecrets.formats.errors import Damaged, TooLarge
from clawsecrets.formats.sqlite import rows
from clawsecrets.formats.sqlite_wal import laid_over
from clawsecrets.model.secret import SecretValue
from clawsecrets.shadows.places import LIVE, LIVE_TABLES, Role
from clawsecrets.shadows.search import Seeking

SMALL = 16 << 20
"""Bytes of a configuration or environment file."""
LARGE = 512 << 20
"""Bytes of a database that is read row by row."""
_VARIABLE = re.compile(rb"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text of a configuration file."""

    path: str
    value: SecretValue
    text_only: bool
    """OpenClaw takes no SecretRef there."""


PROVIDER = "secrets.providers.clawsecrets."
"""Before the settings of our SecretRef provider, in a configuration."""

Leaves = Callable[[bytes, str], Iterable[Leaf]]
"""The texts of an openclaw.json. ClawError when it is none."""


@dataclass(frozen=True, slots=True)
class Held:
    """One value, seen in one place."""

    number: int
    where: str
    live: bool
    form: str
    field: str = ""
    """The path in the configuration, where a SecretRef may stand."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files. `unseen` is told what could not be looked at."""

    seeking: Seeking
    leaves: Leaves
    unseen: Callable[[str], None]

    def file(self, path: str, role: Role) -> Iterator[Held]:
        """What the file holds, each value once for each place that a person would mend by itself."""
        try:
            match role:
                case Role.CONFIG | Role.INCLUDED:
                    yield from self._config(path, whole=role is Role.CONFIG)
                case Role.ENV:
                    yield from self.lines(path, live=True)
                case Role.DATABASE:
                    yield from self._database(path)
                case Role.LOG:
                    return  # read with its database
                case _:
                    yield from self.raw(path, live=role in LIVE)
        except OSError as error:
            self.unseen(f"{path}: {error.strerror or 'cannot be read'}")

    def raw(self, path: str, *, live: bool) -> Iterator[Held]:
        """Each value that is anywhere in the file, once. OSError."""
        told: set[int] = set()
        with open(path, "rb") as file:
            for hit in self.seeking.inside(file):
                if hit.number not in told:
                    told.add(hit.number)
                    yield Held(hit.number, path, live, hit.form)

    def lines(self, path: str, *, live: bool) -> Iterator[Held]:
        """Each value with its line, and the variable that begins there. OSError."""
        data = read_regular(Path(path), SMALL)
        told: set[tuple[int, int]] = set()
        for hit in self.seeking.within(data):
            line = data.count(b"\n", 0, hit.start) + 1
            if (hit.number, line) in told:
                continue
            told.add((hit.number, line))
            named = _VARIABLE.match(data, data.rfind(b"\n", 0, hit.start) + 1)
            variable = f" ({named.group(1).decode('ascii')})" if named else ""
            yield Held(hit.number, f"{path}:{line}{variable}", live, hit.form)

    def _config(self, path: str, *, whole: bool) -> Iterator[Held]:
        raw = read_regular(Path(path), SMALL)
        told: set[int] = set()
        try:
            leaves = list(self.leaves(raw, path))
        except ClawError:
            leaves = []  # it is told as it stands there
        for leaf in leaves:
            for number in dict.fromkeys(hit.number for hit in self.seeking.within(leaf.value.reveal())):
                told.add(number)
                yield Held(number, f"{path}: {leaf.path}", live=True, form="plain",
                           field=leaf.path if whole and not leaf.text_only and provided(leaves) else "")
        for held in self.raw(path, live=True):  # in a comment, or in a key
            if held.number not in told:
                yield held

    def _database(self, path: str) -> Iterator[Held]:
        raw, log = whole(path), whole(f"{path}-wal", optional=True)
        told: set[tuple[int, str]] = set()
        try:
            now = laid_over(raw, log)
            budget = Budget(Limits(output=4 * LARGE))
            for table, cells in rows(io.BytesIO(now), len(now), budget, max(len(now), 1 << 20)):
                for _, cell in cells:
                    for hit in self.seeking.within(cell):
                        if (hit.number, table) not in told:
                            told.add((hit.number, table))
                            yield Held(hit.number, f"{path}: table {table}", table in LIVE_TABLES, hit.form)
        except (Damaged, TooLarge) as error:
            self.unseen(f"{path}: {error}")
        found = {number for number, _ in told}
        for data, words in ((raw, "pages"), (log, "write-ahead log")):
            for number, form in {hit.number: hit.form for hit in self.seeking.within(data)}.items():
                if number not in found:
                    found.add(number)
                    yield Held(number, f"{path}: {words} that no row uses any more", False, form)


def provided(leaves: Iterable[Leaf]) -> bool:
    """Whether a SecretRef of ours would be answered there: the configuration has our provider."""
    return any(leaf.path.startswith(PROVIDER) for leaf in leaves)


def whole(path: str, *, optional: bool = False) -> bytes:
    """A database's file. OSError."""
    try:
        return read_regular(Path(path), LARGE)
    except FileNotFoundError:
        if optional:
            return b""
        raise
