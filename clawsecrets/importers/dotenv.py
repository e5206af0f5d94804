"""Reads `.env` files.

    NAME=value            up to the end of the line; ` #` begins a comment; no escapes
    NAME='value'          as it stands, over several lines if need be; no escapes
    NAME="value"          over several lines if need be; \\n \\r \\t \\" \\\\ \\$ are escapes, any other backslash stays
    export NAME=value     the same; blanks around `=` are allowed
    # comment             also behind a quoted value

UTF-8 with or without a byte order mark; LF or CRLF. The last assignment of a name wins, as it does for those who
read the file, and the others are reported. Nothing is expanded: outside single quotes a value that holds `${NAME}`,
or is `$NAME`, is a reference.
Errors name file and line and never show what stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from clawsecrets.errors import ConfigError
from clawsecrets.importers.item import Item, Reading, Skipped
from clawsecrets.model.secret import SecretValue

_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_BARE = re.compile(r"[ \t]*(?:export[ \t]+)?[A-Z_][A-Z0-9_]*[ \t]*(?:#[^\n]*)?(?=\n|\Z)")
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|\Z)")
_PLAIN = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_ESCAPE = re.compile(r"\\([nrt\"\\$])")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
_REFERENCE = re.compile(r"(?<![\\$])\$\{[A-Za-z_][^}]*\}|\A\$[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `NAME=value`. `refers`: it holds `${OTHER}`, which nobody has expanded."""

    name: str
    line: int
    value: SecretValue
    refers: bool = False


def parse(raw: bytes, file: str) -> Reading:
    """What the file assigns. ConfigError with the line where it is malformed, not UTF-8, or holds a NUL."""
    found: dict[str, Assignment] = {}
    earlier: dict[str, list[int]] = {}
    bare: list[int] = []
    for entry in _assignments(_text(raw, file), file):
        if isinstance(entry, int):
            bare.append(entry)
            continue
        if entry.name in found:
            earlier.setdefault(entry.name, []).append(found.pop(entry.name).line)
        found[entry.name] = entry
    references = [Skipped(f"{file}:{line}", "", "a name without a value") for line in bare]
    references += [
        Skipped(f"{file}:{one.line}", one.name, "refers to another variable") for one in found.values() if one.refers
    ]
    notes = [
        f"{file}: {name} stands on lines {', '.join(map(str, lines))} and {found[name].line}; the last one counts"
        for name, lines in earlier.items()
    ]
    items = [
        Item(one.name, f"{file}:{one.line}", one.value, env=one.name) for one in found.values() if not one.refers
    ]
    return Reading(file, tuple(items), tuple(references), tuple(notes))


def _text(raw: bytes, file: str) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f"{file}: is UTF-16", "save it as UTF-8")
    bad = raw.find(b"\0")
    if bad < 0:
        try:
            return raw.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            bad = error.start
    # raised here, outside of `except`: a UnicodeDecodeError holds the whole content
    line = raw.count(b"\n", 0, bad) + 1
    raise ConfigError(f"{file}: line {line}: is not UTF-8 text", "is it a text file? save it as UTF-8")


def _assignments(text: str, file: str) -> Iterator[Assignment | int]:
    """Assignments in order; the line number of a bare name."""
    at, line = 0, 1
    while at < len(text):
        start, head = at, _HEAD.match(text, at)
        if head:
            at, value, refers = _value(text, head.end(), file, line)
            yield Assignment(head.group(1), line, SecretValue(value), refers)
        elif blank := _BLANK.match(text, at):
            at = blank.end()
        elif bare := _BARE.match(text, at):
            at = bare.end()
            yield line
        else:
            _refuse(file, line, "is not NAME=value, a comment or blank")
        at += 1  # the newline
        line += text.count("\n", start, at)


def _value(text: str, at: int, file: str, line: int) -> tuple[int, str, bool]:
    """Where the value ends (at a newline or the end of the text), what it is, and whether it is a reference."""
    quote = text[at : at + 1]
    if quote not in ("'", '"'):
        plain = _PLAIN.match(text, at)
        assert plain is not None
        value = _COMMENT.sub("", plain.group(), count=1).strip(" \t\r")
        return plain.end(), value, bool(_REFERENCE.search(value))
    quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, at)
    if quoted is None:
        _refuse(file, line, f"a quote ({quote}) is opened and never closed")
    rest = _BLANK.match(text, quoted.end())
    if rest is None:
        _refuse(file, line, "something follows the closing quote")
    inner = quoted.group(1)
    if quote == "'":
        return rest.end(), inner, False
    value = _ESCAPE.sub(lambda match: _ESCAPES[match.group(1)], inner)
    return rest.end(), value, bool(_REFERENCE.search(inner))


def _refuse(file: str, line: int, fault: str) -> NoReturn:
    raise ConfigError(f"{file}: line {line}: {fault}", "mend that line; its content is not shown, it may be a secret")
