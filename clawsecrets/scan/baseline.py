"""The baseline: values that somebody looked at and decided to live with, for a while.

    # clawsecrets baseline 2 salt=0123456789abcdef0123456789abcdef
    FINGERPRINT <TAB> RULE <TAB> 2027-02-19 <TAB> WHO <TAB> "reason"

UTF-8, one entry a line, sorted by fingerprint, so that two people's additions merge without conflict. The fingerprint
(scan/fingerprint.py) is of the value alone: the entry holds wherever the value stands. The salt is in the header so
that everybody's scan computes the same. The date is the last day (UTC) on which the entry counts; the reason is a JSON
string. Everything that is not exactly so is a ConfigError that names the line: a baseline that is half understood would
hide what nobody decided to hide. An expired entry hides nothing.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from clawsecrets.errors import ConfigError
from clawsecrets.scan.fingerprint import STANDARD_SALT

VERSION = 2
LIMIT = 16 << 20
"""Bytes of a baseline; a larger one is none."""
_HEAD = re.compile(r"# clawsecrets baseline (\d{1,9}) salt=([0-9a-f]{32})\Z")
_FINGERPRINT = re.compile(r"[0-9a-f]{32}\Z")
_RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that is lived with."""

    fingerprint: str
    rule: str
    """The rule that found it, for people; the entry holds under every rule."""
    expires: datetime.date
    who: str
    reason: str

    def expired(self, today: datetime.date) -> bool:
        """Whether it counts no more."""
        return today > self.expires


@dataclass(frozen=True)
class Baseline:
    """All entries, by fingerprint."""

    salt: bytes = STANDARD_SALT
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def get(self, fingerprint: str) -> Entry | None:
        """The entry of a value, expired or not."""
        return self.entries.get(fingerprint)

    def plus(self, entries: Iterable[Entry]) -> Baseline:
        """With these, which replace those of the same fingerprint."""
        return replace(self, entries={**self.entries, **{entry.fingerprint: entry for entry in entries}})

    def without(self, gone: Collection[str]) -> Baseline:
        """Without these fingerprints."""
        return replace(self, entries={key: entry for key, entry in self.entries.items() if key not in gone})

    def render(self) -> bytes:
        """The file's content."""
        lines = [f"# clawsecrets baseline {VERSION} salt={self.salt.hex()}"]
        for key in sorted(self.entries):
            entry = self.entries[key]
            lines.append("\t".join((key, entry.rule, entry.expires.isoformat(), entry.who,
                                    json.dumps(entry.reason, ensure_ascii=not entry.reason.isprintable()))))
        return ("\n".join(lines) + "\n").encode()

    @classmethod
    def new(cls) -> Baseline:
        """An empty one with a salt of its own."""
        return cls(os.urandom(16))

    @classmethod
    def parse(cls, data: bytes, name: str) -> Baseline:
        """The baseline of a file's content; `name` is told in errors. ConfigError names the line."""
        if len(data) > LIMIT:
            raise ConfigError(f"{name}: larger than {LIMIT >> 20} MiB", "this is no baseline")
        text = data.decode("utf-8", "replace")
        if "�" in text:
            raise _fault(name, text[:text.index("�")].count("\n") + 1, "it is not UTF-8")
        lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
        for number, line in enumerate(lines, 1):
            if line.startswith(_MARKERS):
                raise _fault(name, number, "a merge conflict was left in it",
                             "keep the lines of both sides (one header, the salt of the branch that stays), and "
                             "remove the markers")
        salt = _header(lines[0], name)
        entries: dict[str, Entry] = {}
        for number, line in enumerate(lines[1:], 2):
            entry = _entry(line, name, number)
            if entry.fingerprint in entries:
                raise _fault(name, number, "this fingerprint stands in it twice", "keep one of the two lines")
            entries[entry.fingerprint] = entry
        return cls(salt, entries)


def valid_fingerprint(text: str) -> bool:
    """Whether it has the form of a fingerprint."""
    return bool(_FINGERPRINT.match(text))


def valid_rule(text: str) -> bool:
    """Whether it has the form of a rule's id."""
    return bool(_RULE.match(text))


def _header(line: str, name: str) -> bytes:
    found = _HEAD.match(line)
    if found is None:
        raise _fault(name, 1, "this is not the header of a baseline")
    if int(found[1]) != VERSION:
        raise _fault(name, 1, f"it is of format {int(found[1])}, and only {VERSION} is known here",
                     "a newer clawsecrets made it: update this one" if int(found[1]) > VERSION else
                     "its fingerprints are of another kind: move it away, and add what `clawsecrets scan` finds")
    return bytes.fromhex(found[2])


def _entry(line: str, name: str, number: int) -> Entry:
    fields = line.split("\t")
    if len(fields) != _FIELDS:
        raise _fault(name, number, f"an entry has {_FIELDS} fields with tabs between, this has {len(fields)}")
    fingerprint, rule, date, who, quoted = fields
    if not valid_fingerprint(fingerprint):
        raise _fault(name, number, "it does not begin with a fingerprint (32 hex digits)")
    if not _RULE.match(rule):
        raise _fault(name, number, "the second field is not the id of a rule")
    expires = _date(date)
    if expires is None:
        raise _fault(name, number, "the third field is not a date such as 2027-01-31")
    if not who or not who.isprintable():
        raise _fault(name, number, "the fourth field does not say who decided")
    reason = _reason(quoted)
    if not reason:
        raise _fault(name, number, "the fifth field is not a reason in double quotes (a JSON string)")
    return Entry(fingerprint, rule, expires, who, reason)


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text) if _DATE.match(text) else None
    except ValueError:
        return None


def _reason(quoted: str) -> str:
    if not quoted.startswith('"'):
        return ""  # no list or object either: a deep one would exhaust the parser
    try:
        return str(json.loads(quoted)).strip()
    except ValueError:
        return ""


def _fault(name: str, line: int, what: str, hint: str = "mend that line, or take it out") -> ConfigError:
    return ConfigError(f"{name}, line {line}: {what}", hint)
