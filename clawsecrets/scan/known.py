"""`scan --known`: the store's own values, wherever and however they stand. In memory only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import hyperscan

from clawsecrets.model.finding import Known, Rule
from clawsecrets.model.forms import LEAST, forms
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Store
from clawsecrets.scan.fingerprint import STRONG, bits
from clawsecrets.scan.sought import Found, rule_for

_ANCHOR = 48
"""Bytes of a form that Hyperscan looks for: the rest is compared."""
_LIVE = frozenset((Stage.PENDING, Stage.CURRENT, Stage.PREVIOUS, Stage.REFRESH))


class Value(NamedTuple):
    """A value to look for."""

    known: Known
    provider: str
    secret: SecretValue


def live(version: Version) -> bool:
    """Whether it may still be accepted."""
    return version.stage in _LIVE or (version.stage is Stage.RETIRED and not version.dead_at)


def values(store: Store) -> Iterator[Value]:
    """Every value that the store still has. StoreError."""
    for record in store.records():
        for version in _kept(record):
            yield Value(Known(record.secret.name, version.number, version.stage.value, live(version)),
                        record.secret.provider, store.value(record.secret.name, version.number))


def _kept(record: Record) -> list[Version]:
    return [version for version in record.versions if not version.erased_at]


def bare(value: bytes) -> bytes:
    """Without the ends of lines that files put behind a value."""
    return value.rstrip(b"\r\n")


def longest_line(value: bytes) -> bytes:
    """What stands for a value of several lines when it was indented or cut: its longest line."""
    return max((line.strip() for line in value.split(b"\n")), key=len)


class _Form(NamedTuple):
    text: bytes
    value: int
    encoding: str
    part: bool
    """Only a part of the value."""


class KnownValues:
    """Finds values and their encoded forms (a sought.Finder). One for each process."""

    def __init__(self, wanted: Iterable[Value], say: Callable[[str], None]) -> None:
        """`say` hears which values cannot be looked for."""
        self._values: list[Value] = []
        self._bare: list[bytes] = []
        self._rules: dict[str, Rule] = {}
        self._forms: list[_Form] = []
        self._anchors: dict[bytes, list[int]] = {}
        for value in sorted(wanted, key=lambda one: (not one.known.live, one.known.name, -one.known.version)):
            self._add(value, say)
        self._lengths = [len(anchor) for anchor in self._anchors]
        self._owners = list(self._anchors.values())
        self.reach = max((len(form.text) for form in self._forms), default=0)
        self._events: list[tuple[int, int]] = []
        self._database = self._compiled() if self._anchors else None
        self._scratch = hyperscan.Scratch(self._database) if self._database is not None else None

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules of what it finds."""
        return self._rules

    def __len__(self) -> int:
        return len(self._values)

    def _add(self, value: Value, say: Callable[[str], None]) -> None:
        plain = bare(value.secret.reveal())
        if len(plain) < LEAST:
            say(f"{value.known.name} version {value.known.version} is shorter than {LEAST} bytes: it cannot be looked "
                "for")
            return
        if plain in self._bare:
            return  # the same value: the live one was first
        rule = rule_for(value.provider)
        self._rules.setdefault(rule.id, rule)
        number = len(self._values)
        self._values.append(value)
        self._bare.append(plain)
        for text, encoding in forms(plain).items():
            self._look_for(_Form(text, number, encoding, False))
        line = longest_line(plain)
        if b"\n" in plain and bits(line) >= STRONG:
            self._look_for(_Form(line, number, "plain", True))

    def _look_for(self, form: _Form) -> None:
        self._anchors.setdefault(form.text[:_ANCHOR], []).append(len(self._forms))
        self._forms.append(form)

    def _compiled(self) -> hyperscan.Database:
        database = hyperscan.Database()
        expressions = ["".join(f"\\x{byte:02x}" for byte in anchor).encode() for anchor in self._anchors]
        database.compile(expressions=expressions, ids=list(range(len(expressions))), elements=len(expressions),
                         flags=hyperscan.HS_FLAG_DOTALL)
        return database

    def _note(self, index: int, start: int, end: int, flags: int, context: object) -> None:
        self._events.append((index, end))

    def find(self, data: bytes, *, plain: bool = False) -> list[Found]:
        """Every place of a value, in order. Of what overlaps, the longest form."""
        if self._database is None:
            return []
        self._events.clear()
        self._database.scan(data, self._note, scratch=self._scratch)
        if not self._events:
            return []
        found: list[tuple[int, int, _Form]] = []
        for index, end in self._events:
            start = end - self._lengths[index]
            for number in self._owners[index]:
                form = self._forms[number]
                if (form.encoding == "plain" or not plain) and data.startswith(form.text, start):
                    found.append((start, start + len(form.text), form))
        return self._apart(found)

    def _apart(self, found: list[tuple[int, int, _Form]]) -> list[Found]:
        found.sort(key=lambda one: (one[2].part, one[0] - one[1], one[0]))
        taken: list[Found] = []
        for start, end, form in found:
            value = self._values[form.value]
            if not any(other.start < end and start < other.end for other in taken[-64:]):
                taken.append(Found(start, end, self._rules[rule_for(value.provider).id], value.known,
                                   self._bare[form.value], form.encoding))
        return sorted(taken, key=lambda one: one.start)
