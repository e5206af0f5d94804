"""How the matches of an expression begin, when that is one of a few words in any case: looking for words costs next to
nothing, and an expression in any case is slow to look for."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

MOST = 64
"""Words; an expression with more is looked for as it is."""
_SHORTEST = 3


def words(expression: str) -> re.Pattern[bytes] | None:
    """What finds a word that a match begins with, in lower case; None for an expression that begins otherwise."""
    if not expression.startswith("(?i:"):
        return None
    found = _first(list(import_module("re._parser").parse(expression)))
    if not found or len(found) > MOST or any(len(word) < _SHORTEST for word in found):
        return None
    return re.compile(b"|".join(map(re.escape, sorted(found, key=lambda word: (-len(word), word)))))


def _first(parts: list[Any]) -> set[bytes]:
    """Words of which every match of the parts begins with one; empty when there are none."""
    word = b""
    for at, (kind, value) in enumerate(parts):
        name = str(kind)
        if name == "LITERAL" and value < 128:
            word += bytes((value,)).lower()
        elif name in ("SUBPATTERN", "BRANCH"):
            rest = parts[at + 1:]
            branches = [list(value[3]) + rest] if name == "SUBPATTERN" else [list(one) + rest for one in value[1]]
            further = [_first(branch) for branch in branches]
            if all(further):
                return {word + more for some in further for more in some}
            break
        elif word or name != "AT":
            break
    return {word} if word else set()
