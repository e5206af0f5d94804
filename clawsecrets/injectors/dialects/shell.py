"""A file that a POSIX shell reads with `. FILE` (IEEE Std 1003.1, Shell Command Language, 2.2 Quoting).

We rewrite files of assignments: `NAME=word`, `export NAME=word`, also `NAME=word; export NAME`, with comments and other
simple commands between them. A file that is a program (conditions, loops, functions, here-documents) is refused, for
what it sets depends on more than its text. Values are written in single quotes, which carry everything but NUL.
"""

from __future__ import annotations

import re

from clawsecrets.injectors.dialects.line import PLAIN, Line, require, statements

_STATEMENT = re.compile(
    r"""(?:'[^']*+'|"(?:[^"\\]|\\[\s\S])*+"|\\[\s\S]|\\\Z|(?<![^\s;&|()])#[^\n]*|[^'"\\\n#]+|\#)*+"""
)
_WORD = r"""(?:'[^']*+'|"(?:[^"\\]|\\[\s\S])*+"|\\[\s\S]|[^\s'"\\;&|<>()`]|\r)*+"""
_ASSIGNMENT = re.compile(
    rf"(?P<lead>[ \t]*(?:export[ \t]+)?)(?P<name>[A-Za-z_]\w*)=(?P<word>{_WORD})"
    r"(?P<tail>(?:[ \t]*;[ \t]*export[ \t]+(?P=name))?(?:[ \t]*;)?(?:[ \t]+#[^\n]*)?[ \t]*\n?)\Z",
    re.ASCII,
)
_PIECE = re.compile(r"""'([^']*+)'|"((?:[^"\\]|\\[\s\S])*+)"|\\([\s\S])|([^'"\\]+)""")
_QUOTED = re.compile(r"""'[^']*+'|"(?:[^"\\]|\\[\s\S])*+"|\\[\s\S]|(?<![^\s;&|()])#[^\n]*""")
_PROGRAM = re.compile(
    r"\s*(?:(?:if|then|else|elif|fi|for|while|until|do|done|case|esac|function)\b|[{}()])|\s*[\w-]+\s*\(\s*\)|[^\n]*<<"
)
_SETS = re.compile(r"(?<![\w$])([A-Za-z_]\w*)\+?=", re.ASCII)
_UNSETS = re.compile(r"\s*(?:unset|read)\s")


def read(text: str) -> list[Line]:
    """The statements of a file."""
    if text.startswith("\ufeff"):
        return [Line(text, 1, fault="begins with a byte order mark, which a shell takes for part of a command")]
    return statements(text, _next)


def _next(text: str, at: int, number: int) -> Line:
    match = _STATEMENT.match(text, at)
    end = match.end() if match else at
    if text[end : end + 1] not in ("\n", ""):
        return Line(text[at:], number, fault="has a quote that is never closed")
    whole = text[at : end + 1]
    found = _ASSIGNMENT.match(whole)
    if found:
        return Line(whole, number, found["name"], _value(found["word"]), found["lead"], found["tail"])
    bare = _QUOTED.sub("''", whole)
    if _PROGRAM.match(bare) or bare.count("(") != bare.count(")") or bare.count("`") % 2:
        return Line(whole, number, fault="makes this file a program; only files of assignments are rewritten")
    names = set(_SETS.findall(bare))
    if _UNSETS.match(bare):
        names |= set(bare.split()[1:])
    return Line(whole, number, mentions=frozenset(names))


def _value(word: str) -> str | None:
    """What the shell makes of a word; None when it expands something."""
    value = ""
    for single, double, escaped, bare in _PIECE.findall(word):
        if re.search(r"[$~]", bare) or re.search(r"(?<!\\)(?:\\\\)*[$`]", double):
            return None
        value += single + re.sub(r'\\(["\\$`\n])', lambda m: m[1].strip("\n"), double) + escaped.strip("\n") + bare
    return value


def quote(name: str, value: str) -> str:
    """The value in single quotes, or bare when it is plain."""
    require(name, value, "", "a shell")
    if PLAIN.match(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"
