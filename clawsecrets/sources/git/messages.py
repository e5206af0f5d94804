"""What of a commit or tag is text: identities, headers and message; each line keeps its number."""

from __future__ import annotations

import re
from binascii import unhexlify
from typing import NamedTuple

_LINKS = re.compile(rb"(?:tree|object) [0-9a-f]+\n(?:parent [0-9a-f]+\n)*")
_WHEN = re.compile(rb"^committer [^\n]* (-?[0-9]{1,18}) [+-][0-9]+$", re.MULTILINE)
_SIGNATURE = re.compile(
    rb"^(?:gpgsig|gpgsig-sha256) -----BEGIN [A-Z ]+-----\n(?: [A-Za-z0-9+/=:., \-()]{0,100}\n)*?"
    rb" -----END [A-Z ]+-----\n",
    re.MULTILINE,
)
"""A well-formed signature: base64 that nobody typed. What is not well-formed stays."""


def begins(data: bytes) -> int:
    """Where the text of a commit or tag begins, behind the ids that it begins with."""
    found = _LINKS.match(data)
    return found.end() if found else 0


def text(data: bytes, begin: int) -> tuple[bytes, int]:
    """The text of a commit or tag from where it `begins`, and how many lines stand before it. The lines of a signature
    are empty."""
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


class Commit(NamedTuple):
    """What a commit says of where it stands."""

    tree: bytes
    """Empty where it names none."""
    parents: bytes
    """One after another."""
    date: int
    """Unix seconds."""
    begins: int
    """Where its text begins."""


Head = tuple[bytes, bytes, bytes, int]
"""Of a commit: its id, tree, parents and date as above. (A plain tuple: there may be a million.)"""


def commit(head: re.Pattern[bytes], data: bytes, width: int) -> Commit:
    """That of one commit; `head`: of `commit_head`."""
    found = head.match(data)
    if found is None:
        links, date = linked(data, width), _WHEN.search(data)
        return Commit(links[0] if links else b"", b"".join(links[1:]), int(date[1]) if date else 0, begins(data))
    tree, parents, seconds = found.groups()
    return Commit(unhexlify(tree), unhexlify(b"".join(parents.split()[1::2])), int(seconds), found.end(2))
