"""A file as it was before an adoption, with the values that are current now; or as it is, with what was moved out.

All of it as text, the value alone. Refused, with file and secret, where a value cannot be found or written there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clawsecrets.adopting import compose_text, documents, units
from clawsecrets.adopting.clearing import Folder
from clawsecrets.adopting.inplace import replaced
from clawsecrets.adopting.newer import Newer
from clawsecrets.adopting.plan import PROVIDER, Move, Plan, Way
from clawsecrets.errors import Refused
from clawsecrets.model.value import SecretValue


@dataclass(frozen=True)
class Readers:
    """Who reads what stands there."""

    parse: Callable[[bytes, str], Any]
    """A configuration as plain data. ConfigError."""
    variables: Callable[[bytes], Mapping[str, str]]
    """What a text of a `.env` assigns. ConfigError."""
    folder: Callable[[Sequence[SecretValue]], Folder]
    """Looks for these values."""


@dataclass(frozen=True)
class Renewing:
    """Of one plan."""

    plan: Plan
    newer: Newer
    readers: Readers

    def renewed(self, path: str, before: bytes, moves: Sequence[Move]) -> bytes | None:
        """The file as it was, with the current values. None: a later adoption moved what it had not then."""
        fields = [move for move in moves if move.path]
        lines = {(move.line, move.dotted): move for move in moves if move.line}
        made: bytes | None = before
        if fields:
            made = self._fields_renewed(path, before, fields)
        elif lines:
            made = self._lines_renewed(path, before, lines)
        elif moves:
            made, missing = self._variables_renewed(path, before, moves)
            made = None if missing else made
        return made

    def _fields_renewed(self, path: str, before: bytes, fields: Sequence[Move]) -> bytes | None:
        was, changes = self.readers.parse(before, path), {}
        for move in fields:
            stood = documents.at(was, move.path)
            if not isinstance(stood, str):
                return None
            if (value := self.newer.value(move.name, stood, move.where)) != stood:
                changes[move.path] = value
        return self._replaced(path, before, changes) if changes else before

    def _replaced(self, path: str, raw: bytes, changes: Mapping[tuple[str | int, ...], Any]) -> bytes:
        with _named(path):
            return replaced(raw, changes, lambda made: self.readers.parse(made, path))

    def _lines_renewed(self, path: str, before: bytes, lines: Mapping[tuple[int, str], Move]) -> bytes | None:
        """Of a Compose file or a unit."""
        entries = compose_text.entries(before) if compose_text.is_compose(path) else units.assigned(before)
        met, changes, made = set(), {}, before
        for entry in entries:
            if (move := lines.get((entry.line, entry.name))) is None:
                continue
            met.add((entry.line, entry.name))
            value = self.newer.value(move.name, entry.value.reveal_text(), move.where)
            if SecretValue(value) == entry.value:
                continue
            changes[entry.line] = value
            if isinstance(entry, units.Assigned):
                with _named(path):
                    made = units.with_value(made, entry, value)
        if met != set(lines):
            return None
        if not compose_text.is_compose(path):
            return made
        with _named(path):
            return compose_text.with_values(before, changes)

    def _variables_renewed(self, path: str, raw: bytes, moves: Sequence[Move], *,
                           former: bool = False) -> tuple[bytes, list[Move]]:
        """A `.env` with the current values of the variables that were moved, and those of them that it has not.
        `former`: it was changed since, and only former values are replaced in it."""
        known = {move.dotted: move for move in moves}
        concerns = self.newer.is_former if former else self.newer.is_of
        met: set[str] = set()

        def wanted(variable: str, stood: str) -> str | None:
            move = known.get(variable)
            if move is None or not concerns(move.name, stood):
                return None
            met.add(variable)
            return self.newer.value(move.name, stood, move.where)

        with _named(path):
            made = documents.with_values(raw, wanted, self.readers.variables)
        there = self.readers.variables(made)
        for move in moves if not former else ():
            if move.dotted in there and move.dotted not in met:
                self.newer.value(move.name, there[move.dotted], move.where)
        return made, [move for move in moves if move.dotted not in there]

    def parts(self, path: str, before: bytes, held: bytes, moves: Sequence[Move]) -> bytes:
        """The file as it is (`held`), with what was moved out of it, where what the adoption put there stands still,
        and without former values in these places."""
        fields = [move for move in moves if move.path]
        if path == self.plan.config or fields:
            return self._fields_back(path, before, held, fields)
        if path in self.plan.compose_lines:
            return self._lines_back(path, before, held, moves)
        return self._variables_back(path, before, held, moves)

    def _fields_back(self, path: str, before: bytes, held: bytes, fields: Sequence[Move]) -> bytes:
        was, document = self.readers.parse(before, path), self.readers.parse(held, path)
        changes: dict[tuple[str | int, ...], Any] = {}
        for move in fields:
            there, stood = documents.at(document, move.path), documents.at(was, move.path)
            if _is_ours(move, there):
                changes[move.path] = self.newer.value(move.name, stood if isinstance(stood, str) else None, move.where)
            elif self.newer.is_former(move.name, there):
                changes[move.path] = self.newer.value(move.name, there, move.where)
            else:
                self.newer.met(move.name, stood, there)
        if path != self.plan.config or all(documents.at(document, one) is not None for one in changes):
            return self._replaced(path, held, changes) if changes else held
        for at, value in changes.items():
            documents.make_parents(document, at)
            documents.put(document, at, value)
        return dumped(document)

    def _lines_back(self, path: str, before: bytes, held: bytes, moves: Sequence[Move]) -> bytes:
        """Of a Compose file."""
        lines = self.plan.compose_lines[path]
        text = held.decode("utf-8", "replace")
        needed = {(move.line, move.dotted): move for move in moves if compose_text.placeholder(move.variable) in text}
        renewed = self._lines_renewed(path, before, needed)
        if renewed is None:
            raise Refused(f"{path}: what was moved out of it cannot be found in what it was",
                          "put the values there by hand (clawsecrets get NAME --raw), then run this again")
        made = compose_text.put_back(held, before, {line: lines[line] for line, _ in needed}, renewed)
        later = {}
        for entry in compose_text.entries(made):
            for move in moves:
                if move.dotted == entry.name and self.newer.is_former(move.name, entry.value.reveal_text()):
                    later[entry.line] = self.newer.value(move.name, entry.value.reveal_text(), move.where)
        with _named(path):
            return compose_text.with_values(made, later)

    def _variables_back(self, path: str, before: bytes, held: bytes, moves: Sequence[Move]) -> bytes:
        made, missing = self._variables_renewed(path, held, moves, former=True)
        was, there = self.readers.variables(before), self.readers.variables(made)
        for move in moves:
            self.newer.met(move.name, was.get(move.dotted), there.get(move.dotted))
        renewed, new = self._variables_renewed(path, before, missing)
        made = documents.with_variables(made, renewed, {move.dotted for move in missing})
        for move in new:
            with _named(path):
                line = documents.assignment(move.dotted, self.newer.value(move.name, None, move.where),
                                            self.readers.variables)
            made = documents.with_variables(made, line, {move.dotted})
        return made


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Puts the file in front of a refusal."""
    try:
        yield
    except Refused as error:
        if path in error.message:
            raise
        raise Refused(f"{path}: {error.message}", error.hint) from None


def _is_ours(move: Move, there: Any) -> bool:
    """Whether a field holds what the adoption put there."""
    if move.way is Way.SUPPLIED:
        return there is None
    return there == "${" + move.variable + "}" if move.way is Way.VARIABLE else documents.refers(there, PROVIDER,
                                                                                                 move.name)


def dumped(document: Any) -> bytes:
    """A configuration that is written as a whole."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
