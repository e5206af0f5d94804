"""Single values of a JSON5 file, replaced where they stand: comments, order and blanks stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clawsecrets.adopting import documents
from clawsecrets.errors import Refused

Path = tuple[str | int, ...]
_TOKEN = re.compile(r"""[\s\ufeff]+|//[^\n\r\u2028\u2029]*|/\*.*?\*/|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{}\[\]:,]"""
                    r"""|[^\s\ufeff{}\[\]:,"'/]+""", re.S)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|\r\n|.)", re.S)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r": "", "\r\n": ""}


@dataclass
class _Open:
    """An object or a list that is being read."""

    start: int
    key: str | int | None
    """The member or element that comes; None: an object's next key is awaited."""


def replaced(raw: bytes, changes: Mapping[Path, Any], parse: Callable[[bytes], Any]) -> bytes:
    """The file with other values (anything that JSON can say) at these paths. Refused when what comes out is not what
    went in with these changes: nothing of it is to be written then."""
    text = raw.decode("utf-8")
    spans = [(start, end, path) for path, start, end in _values(text) if path in changes]
    for start, end, path in sorted(spans, reverse=True):
        text = text[:start] + json.dumps(changes[path], ensure_ascii=False) + text[end:]
    made = text.encode("utf-8")
    wanted = parse(raw)
    for path, value in changes.items():
        documents.put(wanted, path, value)
    if parse(made) != wanted:
        raise Refused("a value could not be replaced where it stands", "write the file as plain JSON, then try again")
    return made


def _values(text: str) -> Iterator[tuple[Path, int, int]]:
    """Every value of the text, with where it begins and ends; what holds others comes after them."""
    open_: list[_Open] = []
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word[0] in " \t\r\n\ufeff" or word.isspace() or word.startswith(("//", "/*")):
            continue
        top = open_[-1] if open_ else None
        if word in "{[":
            open_.append(_Open(token.start(), None if word == "{" else 0))
        elif word in "}]" and top is not None:
            open_.pop()
            yield _path(open_), top.start, token.end()
        elif word == "," and top is not None:
            top.key = top.key + 1 if isinstance(top.key, int) else None
        elif word == ":":
            continue
        elif top is not None and top.key is None:
            top.key = _said(word)
        else:
            yield _path(open_), token.start(), token.end()


def _path(open_: list[_Open]) -> Path:
    return tuple(one.key for one in open_ if one.key is not None)


def _said(word: str) -> str:
    """A key, without its quotes and escapes."""
    inner = word[1:-1] if word[0] in "\"'" else word
    return _ESCAPE.sub(lambda found: _unescaped(found.group(1)), inner)


def _unescaped(what: str) -> str:
    if what[0] in "ux" and len(what) > 1:
        return chr(int(what[1:], 16))
    return _SIMPLE.get(what, what)
