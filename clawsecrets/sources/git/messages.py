"""What of a commit or tag is text: identities, headers and message; each line keeps its number."""

from __future__ import annotations

import re

_LINKS = re.compile(rb"(?:tree|object) [0-9a-f]+\n(?:parent [0-9a-f]+\n)*")
_SIGNATURE = re.compile(
    rb"^(?:gpgsig|gpgsig-sha256) -----BEGIN [A-Z ]+-----\n(?: [A-Za-z0-9+/=:., \-()]{0,100}\n)*?"
    rb" -----END [A-Z ]+-----\n",
    re.MULTILINE,
)
"""A well-formed signature: base64 that nobody typed. What is not well-formed stays."""


def text(data: bytes) -> tuple[bytes, int]:
    """The text of a commit or tag without the ids that it begins with, and how many lines these were. The lines of a
    signature are empty."""
    found = _LINKS.match(data)
    begin = found.end() if found else 0
    rest = data[begin:]
    if b"\ngpgsig" in rest:
        rest = _SIGNATURE.sub(lambda one: b"\n" * one[0].count(b"\n"), rest)
    return rest, data.count(b"\n", 0, begin)


def linked(data: bytes, width: int) -> list[bytes]:
    """The ids of the tree and the parents of a commit, or of what a tag names."""
    found = _LINKS.match(data)
    if found is None:
        return []
    return [bytes.fromhex(line[-2 * width:].decode()) for line in found[0].splitlines() if len(line) > 2 * width]
