"""What a rule's expression says of its matches: the public prefix of the secret, and how long a match can get."""

from __future__ import annotations

import re
from importlib import import_module

from clawsecrets.model.late import late

LONGEST = 4096
"""Bytes that a match is looked for around a candidate, for expressions without a bound of their own."""
_PART = late(
    r"""\\(?P<escaped>[^A-Za-z0-9])(?![{*+?]) | (?P<plain>[A-Za-z0-9_~:/@%&=,;!'"#-])(?![{*+?])
    | (?P<few>\[[A-Za-z0-9]{1,5}\])(?![{*+?]) | (?P<words>\(\?:[A-Za-z0-9_|-]+\))(?![{*+?])""", re.X,
)
"""A part of an expression that fixes what stands there: a character, one of a few, or one of a few words."""


def reach(expression: str) -> int:
    """Bytes that the longest match of the expression has, at most `LONGEST`."""
    width = import_module("re._parser").parse(expression).getwidth()[1]
    return int(min(width + 2, LONGEST))


_LEAD = re.compile(r"(?:\\b|\(\?:\^\|\[[^\]]*\]\))?\((?=[A-Za-z0-9]?\[)(?:[A-Za-z0-9]?\[[^\]]+\](?:\?|\{[0-9,]+\})?)+"
                   r"(?=(?:\\.|-)\[)")
"""A boundary, and a secret's first classes of characters, before a sign."""


def candidate(expression: str) -> str:
    """What Hyperscan is to look for in place of an expression: it ends wherever the expression does, and elsewhere too.

    An expression without two fixed characters side by side is the most expensive of all, since every byte of the data
    goes through its automaton. If it has a sign behind its first classes, it is looked for from there on.
    """
    lead = _LEAD.match(expression)
    if lead is None or "{" not in lead.group() or _fixed(_secret_part(expression)):
        return expression
    return "(" + expression[lead.end():]


def _fixed(pattern: str) -> bool:
    """Whether two fixed characters stand side by side; or it has alternatives, of which one may not."""
    at, before = 0, False
    while at < len(pattern):
        after = _next(pattern, at)
        part = pattern[at:after]
        if part[0] in "(|":
            return True
        plain = part[0] not in "[{}?+*),0123456789." or (part[0] == "\\" and not part[1:].isalnum())
        if plain and before and pattern[after: after + 1] not in ("?", "{"):
            return True
        before = plain
        at = pattern.index("}", at) + 1 if part[0] == "{" else after
    return False


def prefix_pattern(pattern: str) -> str:
    """An expression for the literal beginning of the secret (`gh[pou]_`); empty when it has none."""
    found = []
    for branch in _branches(_secret_part(pattern)):
        fixed, literal = "", 0
        while part := _PART.match(branch, len(fixed)):
            fixed += part.group()
            literal += bool(part["escaped"] or part["plain"])
        found.append(fixed if literal > 1 else "")
    return "|".join(sorted(filter(None, found), key=len, reverse=True))


def _secret_part(pattern: str) -> str:
    """The text of the capturing group, or the whole without one."""
    start = _capture(pattern)
    if start < 0:
        return re.sub(r"^(?:\\b|\(\?:\^\|[^()]*\))", "", pattern)
    depth, at = 1, start
    while at < len(pattern) and depth:
        at = _next(pattern, at)
        depth += {"(": 1, ")": -1}.get(pattern[at - 1: at], 0) if pattern[at - 2: at - 1] != "\\" else 0
    return pattern[start: at - 1]


def _capture(pattern: str) -> int:
    """Where the first capturing group begins (after its parenthesis), -1 without one."""
    at = 0
    while at < len(pattern):
        if pattern[at] == "(" and pattern[at + 1: at + 2] != "?":
            return at + 1
        at = _next(pattern, at)
    return -1


def _branches(pattern: str) -> list[str]:
    """The alternatives at the top level of an expression."""
    found, depth, begin, at = [], 0, 0, 0
    while at < len(pattern):
        char, after = pattern[at], _next(pattern, at)
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "|" and not depth:
            found.append(pattern[begin:at])
            begin = after
        at = after
    return [*found, pattern[begin:]]


def _next(pattern: str, at: int) -> int:
    """The position after the character, escape or class at `at`."""
    if pattern[at] == "\\":
        return at + 2
    if pattern[at] == "[":
        end = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.S).match(pattern, at)
        return end.end() if end else at + 1
    return at + 1
