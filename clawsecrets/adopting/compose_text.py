"""The `environment:` of services in a Compose file, read and changed as text: everything else stays as it is.

Only what is written on one line is read, as `NAME: value` or `- NAME=value`, plain or in quotes. What is written
otherwise (a block text, an anchor, a value that holds `${…}`) is left to a person, who is told of it when it holds one
of the values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from clawsecrets.errors import Refused
from clawsecrets.model.value import SecretValue

_HEAD = re.compile(r"(?P<indent>[ ]*)(?:-[ ]+)?environment:[ \t]*(?:#.*)?\Z")
_MAP = re.compile(r"[ ]*(?P<quote>[\"']?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P=quote)[ ]*:[ \t]+(?P<value>\S.*)\Z")
_ITEM = re.compile(r"[ ]*-[ ]+(?P<quote>[\"']?)(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.+)\Z")
_COMMENT = re.compile(r"[ \t]+#.*\Z")
_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9_./+=-]{7,}")
"""What YAML takes for a text, without quotes."""
_REFERENCE = re.compile(r"\$(?!\$)")
WORDS = "clawsecrets run gives it"
"""What Compose says when the variable is not set."""


@dataclass(frozen=True)
class Entry:
    """One variable of a service."""

    name: str
    line: int
    value: SecretValue
    start: int
    """Of what is replaced, in the text."""
    end: int
    quote: str


def is_compose(path: str) -> bool:
    """Whether a file is called as one."""
    return PurePath(path).suffix in (".yml", ".yaml")


def entries(raw: bytes) -> list[Entry]:
    """The variables whose value stands there. A text that is not UTF-8 has none."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return []
    return list(_entries(text))


def _entries(text: str) -> Iterator[Entry]:
    inside, at = -1, 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        bare = line.rstrip("\r\n")
        told = bare.strip()
        depth = len(bare) - len(bare.lstrip(" "))
        if told and not told.startswith("#"):
            if inside >= 0 and (depth < inside or (depth == inside and not told.startswith("- "))):
                inside = -1
            if inside < 0:
                head = _HEAD.match(bare)
                inside = len(head.group("indent")) if head else -1
            elif found := _ITEM.match(bare) or _MAP.match(bare):
                entry = _entry(found, number, at)
                if entry is not None:
                    yield entry
        at += len(line)


def _entry(found: re.Match[str], line: int, at: int) -> Entry | None:
    """None: it is a reference, or is not written so that it can be read here."""
    start, text = at + found.start("value"), found.group("value")
    listed, quote = found.re is _ITEM, found.group("quote")
    if listed and quote:
        closed = re.match(r"(?P<value>[^\"'\\]*)" + quote + r"[ \t]*(?:#.*)?\Z", text)
        value = closed.group("value") if closed else ""
        end = start + len(value)
    elif not listed and text[0] in "\"'":
        quote = text[0]
        closed = re.match(r'("(?:[^"\\]|\\.)*"|' + r"'(?:[^']|'')*')[ \t]*(?:#.*)?\Z", text)
        value = _unquoted(closed.group(1)) if closed else ""
        end = start + (len(closed.group(1)) if closed else 0)
    else:
        quote = ""
        value = _COMMENT.sub("", text).rstrip()
        end = start + len(value)
        if not listed and value[:1] in "&*|>!%@`{[?-":
            value = ""
    if not value or _REFERENCE.search(value.replace("$$", "")):
        return None
    return Entry(found.group("name"), line, SecretValue(value.replace("$$", "$")), start, end, "" if listed else quote)


def _unquoted(word: str) -> str:
    if word[0] == "'":
        return word[1:-1].replace("''", "'")
    try:
        return str(json.loads(word))
    except ValueError:
        return ""


def interpolated(raw: bytes, variables: Mapping[int, str], values: Collection[SecretValue]) -> bytes:
    """The file with `${VARIABLE:?…}` for the entries on these lines, if they hold one of the values still."""
    text = raw.decode("utf-8")
    for entry in reversed(entries(raw)):
        if (variable := variables.get(entry.line)) and entry.value in values:
            text = f"{text[:entry.start]}{entry.quote}{placeholder(variable)}{entry.quote}{text[entry.end:]}"
    return text.encode("utf-8")


def placeholder(variable: str) -> str:
    """What stands in the file instead. Without the variable Compose refuses to start anything."""
    return f"${{{variable}:?{WORDS}}}"


def with_values(raw: bytes, values: Mapping[int, str]) -> bytes:
    """The file with other values for the entries on these lines, quoted as they are where that can be. Refused, with
    the variable, where one cannot be written."""
    text, found = raw.decode("utf-8"), entries(raw)
    for entry in reversed(found):
        if entry.line in values:
            text = f"{text[:entry.start]}{_word(entry, text, values[entry.line])}{text[entry.end:]}"
    made = text.encode("utf-8")
    wanted = [(entry.name, entry.line, SecretValue(values[entry.line]) if entry.line in values else entry.value)
              for entry in found]
    if [(entry.name, entry.line, entry.value) for entry in entries(made)] != wanted:
        names = ", ".join(entry.name for entry in found if entry.line in values)
        raise Refused(f"{names} cannot be written in this file's way", "put it there by hand, then run this again")
    return made


def _word(entry: Entry, text: str, value: str) -> str:
    """A value as it is to stand in an entry's place."""
    value = value.replace("$", "$$")
    if entry.quote == "'" and "\n" not in value:
        return "'" + value.replace("'", "''") + "'"
    listed = text[entry.start - 1] == "="
    if listed or (not entry.quote and _SAFE.fullmatch(value)):
        return value
    return json.dumps(value, ensure_ascii=False)


def put_back(raw: bytes, before: bytes, variables: Mapping[int, str], renewed: bytes) -> bytes:
    """For each such placeholder of these lines that is still there, what `renewed` has there: `before` with the values
    that are to be put back."""
    text, new = raw.decode("utf-8"), renewed.decode("utf-8")
    there = {entry.line: entry for entry in entries(renewed)}
    for entry in entries(before):
        if (variable := variables.get(entry.line)) and (one := there.get(entry.line)):
            written = f"{entry.quote}{placeholder(variable)}{entry.quote}"
            text = text.replace(written, new[one.start:one.end], 1)
    return text.encode("utf-8")
