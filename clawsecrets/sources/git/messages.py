"""What of a commit or tag is text: identities, headers and message; each line keeps its number."""

from __future__ import annotations

import re
from binascii import unhexlify

_LINKS = re.compile(rb"(?:tree|object) [0-9a-f]+\n(?:parent [0-9a-f]+\n)*")
_WHEN = re.compile(rb"^committer [^\n]* (-?[0-9]{1,18}) [+-][0-9]+$", re.MULTILINE)
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
    names = (line.partition(b" ")[2] for line in found[0].splitlines())
    return [unhexlify(name) for name in names if len(name) == 2 * width]


def commit_head(width: int) -> re.Pattern[bytes]:
    """How commits begin that git itself made, for `commit`."""
    name = rb"[0-9a-f]{%d}" % (2 * width)
    return re.compile(rb"tree (%b)\n((?:parent %b\n)*)author [^\n]*\n"
                      rb"committer [^\n]* (-?[0-9]{1,18}) [+-][0-9]+\n" % (name, name))


def commit(head: re.Pattern[bytes], data: bytes, width: int) -> tuple[bytes, bytes, int]:
    """Tree, parents (one after another) and date (Unix seconds) of a commit."""
    found = head.match(data)
    if found is None:
        links, date = linked(data, width), _WHEN.search(data)
        return links[0] if links else b"", b"".join(links[1:]), int(date[1]) if date else 0
    tree, parents, seconds = found.groups()
    return unhexlify(tree), unhexlify(b"".join(parents.split()[1::2])), int(seconds)
