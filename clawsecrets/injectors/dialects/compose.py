"""Docker Compose: `env_file:` and the project's `.env`.

Source: compose-spec/compose-go, dotenv/parser.go and template/template.go. `NAME=value` or `NAME: value`, `export`
allowed, a name alone inherits. Unquoted: to the end of the line or ` #`, blanks trimmed, `$` interpolates. Single
quotes: literal, only `\\'` is an escape. Double quotes: `\\n`, `\\r`, `\\"`, `\\\\` and others are escapes, then `$`
interpolates and `$$` is a dollar. Quoted values may span lines.

We write what old and new versions read alike: plain values bare, others in single quotes, and what these cannot hold
(quotes, backslashes, line breaks) in double quotes. `env_file` with `format: raw` is the dialect `docker`.
"""

from __future__ import annotations

import re

from clawsecrets.injectors.dialects.line import PLAIN, Line, require, statements

_SP = "[ \t\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""unicode.IsSpace without the line feed."""
_TRAILING = re.compile(rf"{_SP}+\Z")
_BLANK = re.compile(rf"{_SP}*\n|{_SP}*#[^\n]*\n?|{_SP}+\Z")
_KEY = re.compile(rf"(?P<lead>{_SP}*(?:export[ \t\f\r]+)?)(?P<key>[^=:\n]*)(?P<mark>[=:\n]|\Z)")
_GAP = re.compile("[ \t\v\f\r\x85\xa0]*")
_NAME = re.compile(r"[\w.\[\]-]+\Z")
_TAIL = re.compile(rf"{_SP}*(?:#[^\n]*)?(?:\n|\Z)")
_QUOTED = {
    "'": re.compile(r"'((?:[^'\\]|\\[\s\S])*+)'"),
    '"': re.compile(r'"((?:[^"\\]|\\[\s\S])*+)"'),
}
_ESCAPE = re.compile(r'\\([abfnrtv$"\\]|0\d{0,3})')
_MEANINGS = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "$": "$$", '"': '"', "\\": "\\"}
_VARIABLE = re.compile(r"\$(?:\$|[_A-Za-z{])")


def read(text: str) -> list[Line]:
    """The statements of a file."""
    return statements(text, _next)


def _next(text: str, at: int, number: int) -> Line:
    if at == 0 and text.startswith("\ufeff"):
        return Line("\ufeff", number)
    blank = _BLANK.match(text, at)
    if blank:
        return Line(blank.group(), number)
    key = _KEY.match(text, at)
    if key is None:  # cannot be: the pattern matches everywhere
        return Line(text[at:], number, fault="cannot be read")
    name = key["key"].rstrip()
    if not _NAME.match(name):
        end = text.find("\n", at) + 1 or len(text)
        return Line(text[at:end], number, fault="has no proper variable name, so that Compose refuses the file")
    if key["mark"] in ("\n", ""):
        return Line(key.group(), number, name, None, key["lead"], key["mark"])
    gap = _GAP.match(text, key.end())
    start = gap.end() if gap else key.end()
    if text[start : start + 1] in _QUOTED:
        return _quoted(text, at, start, Line("", number, name, None, key["lead"]))
    return _bare(text, at, start, Line("", number, name, None, key["lead"]))


def _quoted(text: str, at: int, start: int, so_far: Line) -> Line:
    mark = text[start]
    match = _QUOTED[mark].match(text, start)
    if match is None:
        fault = "has a quote that is never closed, so that Compose refuses the file"
        return Line(text[at:], so_far.number, fault=fault)
    body = re.sub(r"\\([\s\S])", lambda m: mark if m[1] == mark else m[0], match[1])
    tail = _TAIL.match(text, match.end())
    end = tail.end() if tail else match.end()
    value: str | None = body if mark == "'" else _expanded(_unescaped(body))
    return Line(text[at:end], so_far.number, so_far.name, value, so_far.lead, tail.group() if tail else "")


def _bare(text: str, at: int, start: int, so_far: Line) -> Line:
    end = text.find("\n", start) + 1 or len(text)
    value = text[start:end].removesuffix("\n").partition(" #")[0]
    value = _TRAILING.sub("", value)
    tail = text[start + len(value) : end]
    return Line(text[at:end], so_far.number, so_far.name, _expanded(value), so_far.lead, tail)


def _unescaped(body: str) -> str | None:
    """The escapes of double quotes undone; None where an octal one stands (its rules changed between versions)."""
    if any(m[1].startswith("0") for m in _ESCAPE.finditer(body)):
        return None
    return _ESCAPE.sub(lambda m: _MEANINGS[m[1]], body)


def _expanded(value: str | None) -> str | None:
    """`$$` made a dollar; None when a variable stands in it."""
    if value is None or any(m[0] != "$$" for m in _VARIABLE.finditer(value)):
        return None
    return value.replace("$$", "$")


def quote(name: str, value: str) -> str:
    """The value so that Compose reads exactly it."""
    require(name, value, "", "Compose")
    if PLAIN.match(value):
        return value
    if not re.search(r"['\\\r\n]", value):
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'
