"""`docker run --env-file`: values are raw; quotes, `$`, `#` and trailing blanks are part of the value.

Source: docker/cli, pkg/kvfile/kvfile.go (and Go's bufio.ScanLines): one statement a line; a byte order mark and
leading blanks are dropped; `#` starts a comment only at the start; a name alone inherits from the caller; a blank in a
name, bytes that are not UTF-8, or a line of 64 KiB make docker refuse the whole file.
"""

from __future__ import annotations

import re

from clawsecrets.errors import Refused
from clawsecrets.injectors.dialects.line import NOT_TEXT, Line, require, statements

LONGEST_LINE = 65_534
"""Bytes without the line ending (bufio.MaxScanTokenSize, less a CR LF)."""
_LINE = re.compile(r"(?P<body>[^\n]*?)(?P<end>\r?\n|\r?\Z)")
_LEAD = re.compile("[ \t\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*")
"""unicode.IsSpace without the line feed."""


def read(text: str) -> list[Line]:
    """The statements of a file."""
    return statements(text, _next)


def _next(text: str, at: int, number: int) -> Line:
    match = _LINE.match(text, at)
    if match is None:  # cannot be: the pattern matches everywhere
        return Line(text[at:], number, fault="cannot be read")
    whole, body, end = match.group(), match["body"], match["end"]
    if NOT_TEXT.search(whole):
        return Line(whole, number, fault="is not UTF-8 text, so that docker refuses the file")
    mark = "\ufeff" if at == 0 and body.startswith("\ufeff") else ""
    blank = _LEAD.match(body, len(mark))
    lead = mark + (blank.group() if blank else "")
    rest = body[len(lead):]
    if not rest or rest.startswith("#"):
        return Line(whole, number)
    return _assignment(whole, number, lead, rest, end)


def _assignment(whole: str, number: int, lead: str, rest: str, end: str) -> Line:
    name, equals, value = rest.partition("=")
    if not name or re.search(r"[ \t]", name):
        what = "has no variable name" if not name else "has a blank in the variable's name (docker knows no `export`)"
        return Line(whole, number, fault=f"{what}, so that docker refuses the file")
    return Line(whole, number, name, value if equals else None, lead, end)


def quote(name: str, value: str) -> str:
    """The value itself. Refused when it has a line break or is too long."""
    require(name, value, "[\r\n]", "docker run --env-file")
    if len(f"{name}={value}".encode()) > LONGEST_LINE:
        raise Refused(f"{name}: the value is too long for docker run --env-file (a line takes {LONGEST_LINE} bytes)")
    return value
