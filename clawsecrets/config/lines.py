"""On which line of a TOML file a key stands: for messages only, the parser does not tell. 0 = not found."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

_HEADER = re.compile(r"\s*\[(?!\[)(?P<name>.+?)\]\s*(?:#.*)?$")
_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)\s*=")


def line_of(text: str, table: Sequence[str], key: str = "") -> int:
    """The line of `key` in that table (or of its header, without a key or where the key is not found). A table that is
    written inline, or as dotted keys, is found by the nearest thing that stands on a line."""
    here: list[str] = []
    best, depth = 0, -1
    wanted = [*table, key] if key else list(table)
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            here = _parts(header["name"]) or here
            found = here
        else:
            match = _KEY.match(line)
            if match is None:
                continue
            found = [*here, *_parts(match["key"])]
        if found == wanted[: len(found)] and len(found) > depth:
            best, depth = number, len(found)
    return best


def _parts(dotted: str) -> list[str]:
    """The names of a dotted key; empty where it is none."""
    try:
        node: object = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return []
    found: list[str] = []
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        found.append(name)
    return found
