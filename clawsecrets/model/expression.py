"""The whole expression of a detection rule: its pattern, or, with `near`, a name, what may stand between, and a value.

Pure, and here because the importers and the scan read rules alike. Every part is bounded, so that the expression runs
in linear time in Hyperscan and cannot backtrack far in Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BETWEEN = r"""(?:[^\r\n]{0,32}\r?\n(?:\r?\n)?)??[^\r\n]{0,48}?"""
"""From the name to the value: the rest of the key, and a separator; the end of one line at most, and an empty one
(nested JSON5, YAML, a paragraph). One optional line and one gap, rather than two alternatives, halves the time that
Hyperscan takes to compile it."""
APART = b"\n\n\n\n"
"""Between texts that are looked at together: no name in one names a value in the other (two newlines may stand between
a name and its value, and a third directly before the value)."""
_SHORT = 4
"""A word of so many letters must not follow another letter: `xai` is no part of `maxair`."""
_BEFORE = r"""(?:["'`\s=:(,>|/@]|\\[nrt])"""
"""What stands directly before a value."""
_AFTER = r"""(?:[^A-Za-z0-9_\-./+=]|[.=,]?(?:\s|["'`]|$))"""
"""What stands directly after it: the value must not go on."""


def expression(pattern: str, near: Sequence[str] = ()) -> str:
    """The expression to search for; group 1 (or the whole match, without a group) is the secret.

    `near` words are compared without case, and with `-`, `_`, `.` or nothing where they have a space. The pattern of
    such a rule is the value alone, in a group or not, without what surrounds it.
    """
    if not near:
        return pattern
    words = "|".join(_word(word) for word in near)
    value = pattern if re.compile(pattern).groups else f"({pattern})"
    return f"(?i:{words}){_BETWEEN}{_BEFORE}{value}{_AFTER}"


def _word(word: str) -> str:
    spelled = r"[-_. ]?".join(re.escape(part) for part in word.split())
    return rf"(?:^|[^A-Za-z]){spelled}" if len(word) <= _SHORT else spelled
