"""systemd's `EnvironmentFile=`.

Source: systemd, src/basic/env-file.c (parse_env_file_internal) and env-util.c (env_value_is_valid), systemd.exec(5).
Comments begin with `#` or `;`; blanks around name and value go; quoted parts come first, then bare text; a backslash
takes the next character literally (a line break vanishes), in double quotes only before `"`, `\\`, `$` and a backtick;
no `$` expansion; no `export`. Bytes that are not UTF-8 make it drop the file, control characters but tab and line feed
make it drop the variable. Before version 254 a comment that ends in a backslash takes in the next line.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from clawsecrets.injectors.dialects.line import NOT_TEXT, PLAIN, Line, require, statements

_END = r"(?:\r\n|\n|\r|\Z)"
_BLANK = re.compile(rf"[ \t]*(?:\r\n|\n|\r)|[ \t]+\Z|[ \t]*[#;][^\r\n]*{_END}")
_KEY = re.compile(rf"(?P<lead>[ \t]*)(?P<key>[^ \t\r\n][^=\r\n]*)(?:(?P<equals>=)|{_END})")
_PARTS = re.compile(r"""(?:[ \t]+|'[^']*+'|"(?:[^"\\]|\\[\s\S])*+")*""")
_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\[\s\S])*+)\"""")
_BARE = re.compile(r"(?:[^\\\r\n]|\\[\s\S]|\\\Z)*")
_IN_DOUBLE = re.compile(r"\\([\s\S])")
_BARE_PIECE = re.compile(r"\\([\s\S]|\Z)|([^\\]+)")
_LINE_END = re.compile(_END)
_JOINS = re.compile(r"[ \t]*[#;][^\r\n]*\\(?:\r\n|\n|\r)\Z")


def read(text: str) -> list[Line]:
    """The statements of a file."""
    if text.startswith("\ufeff"):
        return [Line(text, 1, fault="begins with a byte order mark, which systemd takes for part of a name")]
    lines = statements(text, _next)
    for place, (before, line) in enumerate(pairwise(lines), 1):
        if _JOINS.match(before.text) and line.name:
            lines[place] = replace(line, mentions=frozenset({line.name}))
    return lines


def swallows(text: str) -> bool:
    """Whether a line added after this text would belong to its last comment (before version 254)."""
    lines = statements(text, _next)
    return bool(lines) and bool(_JOINS.match(lines[-1].text))


def _next(text: str, at: int, number: int) -> Line:
    blank = _BLANK.match(text, at)
    if blank:
        return Line(blank.group(), number)
    key = _KEY.match(text, at)
    if key is None:  # cannot be: what is not blank begins with a character that the pattern takes
        return Line(text[at:], number, fault="cannot be read")
    name = key["key"].rstrip(" \t")
    if not key["equals"]:
        return Line(key.group(), number)
    parts = _PARTS.match(text, key.end())
    start = parts.end() if parts else key.end()
    if text[start : start + 1] in ("'", '"'):
        return Line(text[at:], number, fault="has a quote that is never closed")
    bare = _BARE.match(text, start)
    stop = bare.end() if bare else start
    end = _LINE_END.match(text, stop)
    tail = end.group() if end else ""
    whole = text[at : stop + len(tail)]
    if NOT_TEXT.search(whole):
        return Line(whole, number, fault="is not UTF-8 text, so that systemd drops the file")
    if name.startswith("export"):
        return Line(whole, number, mentions=frozenset(name.split()[1:]))  # systemd does not know `export`
    value = _value(text[key.end() : start], text[start:stop])
    return Line(whole, number, name, value, key["lead"], tail)


def _value(parts: str, bare: str) -> str:
    quoted = [m[1] if m[1] is not None else _IN_DOUBLE.sub(_undo, m[2]) for m in _PART.finditer(parts)]
    return "".join(quoted) + _undo_bare(bare)


def _undo(escape: re.Match[str]) -> str:
    char = escape[1]
    if char in '"\\`$':
        return char
    return "" if char == "\n" else escape[0]


def _undo_bare(bare: str) -> str:
    pieces = [(m[2], True) if m[2] is not None else (m[1].strip("\r\n"), False) for m in _BARE_PIECE.finditer(bare)]
    if pieces and pieces[-1][1]:  # trailing blanks go, unless they are escaped
        pieces[-1] = (pieces[-1][0].rstrip(" \t"), True)
    return "".join(piece for piece, _ in pieces)


def quote(name: str, value: str) -> str:
    """The value so that systemd reads exactly it. Refused for control characters other than tab and line feed."""
    require(name, value, "[\x01-\x08\x0b-\x1f\x7f]", "a systemd environment")
    if PLAIN.match(value):
        return value
    return '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'
