"""`scan --fingerprints`: finds the store's values by an index that holds none (docs/fingerprint-index-format.md).

Of each value the index has a keyed hash, its length, its class of characters, and up to 12 bits of its beginning. Text
is looked at where a class of characters goes on for long enough; there each byte becomes one of two letters (a table
under the index's own key), Hyperscan finds where such a beginning stands, and only there is a hash computed. What
remains to be guessed of a value is never less than 80 bits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hyperscan

from clawsecrets.data import read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.model.finding import Known, Rule
from clawsecrets.scan.charsets import CLASSES, class_of
from clawsecrets.scan.fingerprint import STRONG, bits
from clawsecrets.scan.known import Value, bare, longest_line
from clawsecrets.scan.sought import Found, rule_for

FORMAT, VERSION = "clawsecrets fingerprint index", 1
KEY, HASH = 32, 16
LARGEST = 64 << 20
BEGINNING = 12
"""Bits of the beginning at most."""
LONGEST, SHORTEST = 65536, 8
"""Bytes of a value."""
_STEP = 1 << 20
"""Bytes of a run that are looked at together."""
_OUT = b"-"


class Row(NamedTuple):
    """One value."""

    known: Known
    provider: str
    length: int
    charset: str
    beginning: str
    """Letters of its first bytes."""
    hash: str
    """32 hex digits."""


class LeftOut(NamedTuple):
    """A value that does not go into the index, and why."""

    known: Known
    reason: str


def build(values: Iterable[Value], key: bytes = b"") -> tuple[list[Row], list[LeftOut], bytes]:
    """Rows, what is left out, and the key: a new random one. Equal values make one row, the live one's."""
    key = key or os.urandom(KEY)
    rows: dict[str, Row] = {}
    out: list[LeftOut] = []
    for value in sorted(values, key=lambda one: (not one.known.live, one.known.name, -one.known.version)):
        text = bare(value.secret.reveal())
        text = longest_line(text) if b"\n" in text else text
        strong = bits(text)
        if strong < STRONG:
            out.append(LeftOut(value.known, f"it may be guessed: fewer than {STRONG:.0f} bits are estimated"))
        elif len(text) > LONGEST:
            out.append(LeftOut(value.known, f"it is longer than {LONGEST} bytes"))
        else:
            letters = text[:min(BEGINNING, int(strong - STRONG))].translate(_letters(key, "any")).decode()
            row = Row(value.known, value.provider, len(text), class_of(text), letters, _hash(key, text).hex())
            rows.setdefault(row.hash, row)
    return sorted(rows.values(), key=lambda row: (row.known.name, row.known.version)), out, key


def _hash(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, key=key, digest_size=HASH, person=b"claw value").digest()


def _letters(key: bytes, charset: str) -> bytes:
    """Each byte as `a` or `b`, by a bit of the key; `-` for what is not of the class."""
    chance = hashlib.blake2b(b"letters", key=key, digest_size=32, person=b"claw letters").digest()
    members = CLASSES[charset]
    return bytes((b"ab"[chance[byte >> 3] >> (byte & 7) & 1] if byte in members else _OUT[0]) for byte in range(256))


# --- the file ---------------------------------------------------------------------------------------------------------


def write(rows: Sequence[Row], key: bytes) -> str:
    """The index as text."""
    table = {
        "format": FORMAT, "version": VERSION, "key": base64.b64encode(key).decode(),
        "values": [{"name": row.known.name, "version": row.known.version, "stage": row.known.stage,
                    "live": row.known.live, "provider": row.provider, "length": row.length, "class": row.charset,
                    "beginning": row.beginning, "hash": row.hash} for row in rows],
    }
    table["check"] = _check(key, table)
    return json.dumps(table, indent=1) + "\n"


def _check(key: bytes, table: Mapping[str, Any]) -> str:
    """Of everything in the file: tells damage, not forgery (who has the file has the key)."""
    text = json.dumps([table[name] for name in ("format", "version", "key", "values")], sort_keys=True)
    return hashlib.blake2b(text.encode(), key=key, digest_size=HASH, person=b"claw index").hexdigest()


def read(path: Path) -> tuple[list[Row], bytes]:
    """The rows of an index file, and its key. ConfigError; nothing of the file is repeated."""
    try:
        text = read_regular(path, LARGEST)
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    else:
        try:
            return _parsed(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
            fault = "is no index of fingerprints of this version, or it is damaged"
    raise ConfigError(f"{path}: {fault}", "`clawsecrets fingerprints export` writes one")


def _parsed(table: Mapping[str, Any]) -> tuple[list[Row], bytes]:
    if table["format"] != FORMAT or table["version"] != VERSION:
        raise ValueError("another format")
    key = base64.b64decode(table["key"], validate=True)
    if len(key) != KEY or not hmac.compare_digest(str(table["check"]), _check(key, table)):
        raise ValueError("damaged")
    return [_row(one) for one in table["values"]], key


def _row(one: Mapping[str, Any]) -> Row:
    row = Row(Known(_text(one["name"]), _number(one["version"]), _text(one["stage"]), one["live"] is True),
              _text(one["provider"]), _number(one["length"]), _text(one["class"]), _text(one["beginning"]),
              _text(one["hash"]))
    if row.charset not in CLASSES or not SHORTEST <= row.length <= LONGEST or len(bytes.fromhex(row.hash)) != HASH:
        raise ValueError("damaged")
    if len(row.beginning) > min(BEGINNING, row.length) or row.beginning.strip("ab"):
        raise ValueError("damaged")
    return row


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("damaged")
    return value


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("damaged")
    return value


# --- finding ----------------------------------------------------------------------------------------------------------


class _Class:
    """The values of one class of characters."""

    def __init__(self, rows: Sequence[Row], key: bytes, charset: str) -> None:
        members = CLASSES[charset]
        self._marks = bytes(0x78 if byte in members else 0 for byte in range(256))
        self._run = b"x" * min(row.length for row in rows)
        self._letters = _letters(key, charset)
        lengths: dict[str, set[int]] = {}
        for row in rows:
            lengths.setdefault(row.beginning, set()).add(row.length)
        self._lengths = [sorted(found) for found in lengths.values()]
        self._database = hyperscan.Database()
        wanted = [letters or "[ab]" for letters in lengths]
        self._back = [len(letters) or 1 for letters in lengths]
        self._database.compile(expressions=[text.encode() for text in wanted], ids=list(range(len(wanted))),
                               elements=len(wanted), flags=0)
        self._scratch = hyperscan.Scratch(self._database)
        self._events: list[tuple[int, int]] = []

    def _note(self, index: int, start: int, end: int, flags: int, context: object) -> None:
        self._events.append((index, end))

    def places(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where one may stand: from offset to offset."""
        marks = data.translate(self._marks)
        at = marks.find(self._run)
        while at >= 0:
            end = marks.find(b"\0", at)
            end = len(data) if end < 0 else end
            for low in range(at, end, _STEP):
                yield from self._in_run(data, low, min(end, low + _STEP), end)
            at = marks.find(self._run, end)

    def _in_run(self, data: bytes, low: int, high: int, end: int) -> Iterator[tuple[int, int]]:
        """Those that begin between `low` and `high` of a run that ends at `end`."""
        self._events.clear()
        self._database.scan(data[low:min(end, high + BEGINNING - 1)].translate(self._letters), self._note,
                            scratch=self._scratch)
        for index, stop in self._events:
            start = low + stop - self._back[index]
            if start < high:
                for length in self._lengths[index]:
                    if start + length <= end:
                        yield start, start + length


class IndexValues:
    """Finds the values of an index (a sought.Finder). One for each process."""

    def __init__(self, rows: Sequence[Row], key: bytes) -> None:
        self._key = key
        self._rows = {bytes.fromhex(row.hash): row for row in rows}
        made = [rule_for(provider) for provider in sorted({row.provider for row in rows})]
        self._rules = {rule.id: rule for rule in made}
        self.reach = max((row.length for row in rows), default=0)
        names = sorted({row.charset for row in rows})
        self._classes = [_Class([row for row in rows if row.charset == name], key, name) for name in names]

    @classmethod
    def of(cls, path: Path, say: Callable[[str], None] = lambda message: None) -> IndexValues:
        """Those of a file. ConfigError."""
        rows, key = read(path)
        if path.stat().st_mode & 0o077:
            say(f"{path}: others on this machine can read the index; it is confidential (chmod 600)")
        return cls(rows, key)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules of what it finds."""
        return self._rules

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, data: bytes, *, plain: bool = False) -> list[Found]:
        """Every place of a value. Encoded forms are decoded by the inspector."""
        found: list[Found] = []
        rows, key, blake2b = self._rows, self._key, hashlib.blake2b
        for one in self._classes:
            for start, end in one.places(data):
                value = data[start:end]
                row = rows.get(blake2b(value, key=key, digest_size=HASH, person=b"claw value").digest())
                if row is not None and row.length == end - start:
                    found.append(Found(start, end, self._rules[rule_for(row.provider).id], row.known, value))
        return sorted(found, key=lambda one: one.start)
