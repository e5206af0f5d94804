"""Typed reading of one TOML table. The first fault ends it: a ConfigError that names file, table and key.

Which keys are known is what the reading code asked for, so the two cannot disagree; `done()` refuses the rest.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from clawsecrets.config.lines import line_of
from clawsecrets.errors import ConfigError
from clawsecrets.model.policy import parse_duration

LONGEST = 200
"""Characters of a name that a message shows."""
_WORDS: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where tables come from: the file's name for messages, and what `~/` means in it."""

    file: str
    home: Path
    text: str = ""
    """The file's text, to find lines in; empty: messages name none."""


def nearest(word: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?` for the closest known word, or nothing."""
    close = difflib.get_close_matches(word, sorted(known), 1, 0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


class Table:
    """One table of the file; `place` is its dotted name, empty for the top level."""

    def __init__(self, data: Mapping[str, object], source: Source, place: str = "",
                 path: Sequence[str] = ()) -> None:
        self.data, self.source, self.place, self.path_ = data, source, place, tuple(path)
        self.asked: set[str] = set()

    def fail(self, fault: str, hint: str = "") -> NoReturn:
        """Raise a ConfigError about this table."""
        where = f"[{shown(self.place)}]: " if self.place else ""
        raise ConfigError(f"{self.source.file}: {where}{fault}", hint)

    def line(self, key: str) -> int:
        """The line on which a key of this table stands, else its header's; 0 = not known."""
        return line_of(self.source.text, self.path_, key)

    def fail_at(self, key: str, fault: str, hint: str = "") -> NoReturn:
        """Raise a ConfigError about a key, with its line; `fault` need not name the key."""
        line = self.line(key)
        where = f"{self.source.file}: line {line}" if line else self.source.file
        place = f"[{shown(self.place)}]: " if self.place else ""
        named = f"{key}: " if key and not fault.startswith((key, f"key {key!r} ", f"table {key!r} ")) else ""
        raise ConfigError(f"{where}: {place}{named}{fault}", hint)

    def done(self) -> None:
        """Refuse every key that nobody asked for."""
        for key in self.data:
            if key not in self.asked:
                what = "table" if isinstance(self.data[key], dict) else "key"
                self.fail_at(key, f"{what} {key!r} is not known{nearest(key, self.asked)}",
                             f"allowed: {listed(self.asked)}")

    def has(self, key: str) -> bool:
        """Whether the key stands there. Counts as asking."""
        self.asked.add(key)
        return key in self.data

    def _get(self, key: str, kind: type, default: object) -> object:
        if not self.has(key):
            return default
        value = self.data[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.fail(f"{key} must be {_WORDS[kind]}, not {_named(value)}")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A string; an empty one is refused, for it is never meant."""
        value = str(self._get(key, str, default))
        if self.has(key) and (not value or "\0" in value):
            self.fail(f"{key} must not be empty or hold a NUL", f"leave {key} out to take its default")
        return value

    def needed(self, key: str) -> str:
        """A string that must be there."""
        if not self.has(key):
            self.fail(f"{key} is missing")
        return self.text(key)

    def choice(self, key: str, among: Collection[str], default: str = "") -> str:
        """One of these words; needed when there is no default."""
        value = self.text(key, default) if default else self.needed(key)
        if value not in among:
            self.fail(f"{key} = {value!r} is not known{nearest(value, among)}", f"allowed: {listed(among)}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        return bool(self._get(key, bool, default))

    def seconds(self, key: str, default: float, least: float = 0.0) -> float:
        """A duration like "90s" or "7d", of at least `least` seconds."""
        text = self.text(key)
        if not text:
            return default
        try:
            value = parse_duration(text)
        except ValueError as error:
            self.fail(f"{key}: {error}")
        if value < least:
            self.fail(f"{key} = {text!r} is too short: at least {least:g} s")
        return value

    def whole(self, key: str, default: int, least: int = 0) -> int:
        """A whole number of at least `least`."""
        value = self._get(key, int, default)
        assert isinstance(value, int)
        if self.has(key) and value < least:
            self.fail(f"{key} = {value} is too small: at least {least}")
        return value

    def path(self, key: str) -> Path | None:
        """An absolute path; `~/` is the home folder. None when it is not there."""
        text = self.text(key)
        return self._as_path(key, text) if text else None

    def needed_path(self, key: str) -> Path:
        """A path that must be there."""
        return self._as_path(key, self.needed(key))

    def paths(self, key: str) -> tuple[Path, ...]:
        """A list of paths."""
        return tuple(self._as_path(key, text) for text in self.texts(key))

    def _as_path(self, key: str, text: str) -> Path:
        if text.startswith("~/"):
            text = str(self.source.home / text[2:])
        if not os.path.isabs(text):
            self.fail(f"{key} = {text!r} must be an absolute path", "begin it with / (or with ~/ for your home folder)")
        return Path(os.path.normpath(text))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, none of them empty; () when it is not there."""
        items = self._get(key, list, [])
        assert isinstance(items, list)
        for item in items:
            if not isinstance(item, str) or not item or "\0" in item:
                self.fail(f"{key} must be a list of text, none of it empty")
        return tuple(items)

    def mapping(self, key: str) -> Mapping[str, str]:
        """A table of strings; {} when it is not there."""
        table = self._get(key, dict, {})
        assert isinstance(table, dict)
        for name, value in table.items():
            if not isinstance(value, str):
                self.fail(f"{key}.{name} must be text, not {_named(value)}")
        return dict(table)

    def mapping_of_all(self) -> Mapping[str, str]:
        """This whole table, of names that the user chose, as strings."""
        for key in self.data:
            self.needed(key)
        return {key: self.text(key) for key in self.data}

    def mode(self, key: str, default: int) -> int:
        """File permissions, "0640" or 0o640. Nothing for others, no write for the group, no execute."""
        if not self.has(key):
            return default
        value = self.data[key]
        if isinstance(value, str) and value and set(value) <= set("01234567"):
            value = int(value, 8)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(f'{key} must be permissions like "0600"')
        if value & ~0o640 or not value & 0o400:
            self.fail(
                f"{key} = {value:04o} is too open or not readable: from 0400 to 0640",
                "let owner or group name the user that reads it",
            )
        return value

    def table(self, key: str) -> Table:
        """The sub-table; an empty one when it is not there."""
        data = self._get(key, dict, {})
        assert isinstance(data, dict)
        return Table(data, self.source, f"{self.place}.{key}" if self.place else key, (*self.path_, key))

    def tables(self, key: str) -> Mapping[str, Table]:
        """Sub-tables by a name that the user chose."""
        outer = self.table(key)
        return {name: outer.table(name) for name in outer.data}


def shown(place: str) -> str:
    """A name from the file, on one line whatever stands in it, and not without end."""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in place)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def listed(words: Collection[str]) -> str:
    """In alphabetical order, with commas."""
    return ", ".join(sorted(words))


def _named(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return _WORDS.get(type(value), f"a {type(value).__name__}")
