"""Reads typed values out of a TOML table and gathers every fault, each with file, table, key and what was meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar, cast

T = TypeVar("T")
_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


class Reader:
    """One table. Keys that nobody asked for are faults when `done()` is called; a fault never stops the reading."""

    def __init__(self, table: Mapping[str, object], faults: list[str], place: str = "") -> None:
        self.table, self.faults, self.place = table, faults, place
        self._asked: set[str] = set()

    def fault(self, text: str) -> None:
        """Note a fault of this table."""
        self.faults.append(f"{self.place + ': ' if self.place else ''}{text}")

    def _get(self, key: str, kind: type[T], default: T, need: bool) -> T:
        self._asked.add(key)
        if key not in self.table:
            if need:
                self.fault(f"key {key!r} is missing")
            return default
        value = self.table[key]
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            self.fault(f"key {key!r} must be {_WORDS[kind]}")
            return default
        return value

    def text(self, key: str, default: str = "", *, need: bool = False, among: Collection[str] = ()) -> str:
        """A string; with `among`, one of these."""
        value = self._get(key, str, default, need)
        if among and value and value not in among:
            self.fault(f"key {key!r}: {value!r} is not one of {', '.join(sorted(among))}{_meant(value, among)}")
            return default
        return value

    def number(self, key: str, default: int) -> int:
        """A whole number."""
        return self._get(key, int, default, False)

    def real(self, key: str, default: float) -> float:
        """A number; a whole one is fine."""
        if isinstance(self.table.get(key), int):
            number = self.number(key, 0)
            if abs(number) < 1 << 53:
                return float(number)
            self.fault(f"key {key!r} is too large")
            return default
        return self._get(key, float, default, False)

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        return self._get(key, bool, default, False)

    def texts(self, key: str, *, need: bool = False) -> tuple[str, ...]:
        """A list of strings."""
        return cast("tuple[str, ...]", self._items(key, str, need))

    def numbers(self, key: str, *, need: bool = False) -> tuple[int, ...]:
        """A list of whole numbers."""
        return cast("tuple[int, ...]", self._items(key, int, need))

    def _items(self, key: str, kind: type, need: bool) -> tuple[object, ...]:
        items: list[object] = self._get(key, list, [], need)
        if any(not isinstance(item, kind) or isinstance(item, bool) for item in items):
            self.fault(f"key {key!r} must be a list of {_WORDS[kind]}")
            return ()
        return tuple(items)

    def mapping(self, key: str) -> Mapping[str, str]:
        """A table of strings."""
        table: dict[str, object] = self._get(key, dict, {}, False)
        if any(not isinstance(item, str) for item in table.values()):
            self.fault(f"key {key!r} must be a table of text")
            return {}
        return cast("dict[str, str]", table)

    def anything(self, key: str) -> object:
        """Whatever stands there, None if nothing."""
        self._asked.add(key)
        return self.table.get(key)

    def has(self, key: str) -> bool:
        """Whether the key stands there at all."""
        return key in self.table

    def child(self, key: str, *, need: bool = False) -> Reader | None:
        """A reader of the sub-table, if it is there."""
        table: dict[str, object] | None = self._get(key, dict, {}, need) if need or key in self.table else None
        self._asked.add(key)
        return None if table is None else Reader(table, self.faults, self._below(key))

    def children(self, key: str) -> list[Reader]:
        """Readers of a list of tables; a single table counts as a list of one."""
        self._asked.add(key)
        found = self.table.get(key, [])
        items = found if isinstance(found, list) else [found]
        if any(not isinstance(item, dict) for item in items):
            self.fault(f"key {key!r} must be a table, or a list of tables")
            return []
        return [Reader(cast("dict[str, object]", item), self.faults, self._below(key)) for item in items]

    def _below(self, key: str) -> str:
        return f"[{self.place.strip('[]') + '.' if self.place else ''}{key}]"

    def done(self) -> None:
        """Every key that was not asked for is a fault."""
        for key in self.table:
            if key not in self._asked:
                self.fault(f"key {key!r} is not known{_meant(key, self._asked)}")

    def check(self, key: str, read: Callable[[str], T], default: T) -> T:
        """A string that `read` turns into something; its ValueError becomes a fault."""
        text = self._get(key, str, "", False)
        if not text:
            return default
        try:
            return read(text)
        except ValueError as error:
            self.fault(f"key {key!r}: {error}")
            return default


def _meant(word: str, known: Collection[str]) -> str:
    import difflib  # only a fault needs it

    near = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
