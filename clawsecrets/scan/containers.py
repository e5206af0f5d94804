"""Members of archives of every kind, by one way of walking them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from clawsecrets.formats import sevenzip, tar, ziparchive
from clawsecrets.formats.bounds import Budget
from clawsecrets.formats.streams import KINDS, decompressed

ARCHIVES = frozenset((*KINDS, "tar", "zip", "7z"))
STREAMED = frozenset((*KINDS, "tar"))
"""Those that can be read without going back."""
_ENDINGS = {
    "gz": {".gz": "", ".tgz": ".tar", ".svgz": ".svg"}, "bz2": {".bz2": "", ".tbz2": ".tar", ".tbz": ".tar"},
    "xz": {".xz": "", ".txz": ".tar"}, "lzma": {".lzma": "", ".tlz": ".tar"}, "zstd": {".zst": "", ".tzst": ".tar"},
}


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One member. `read(n)` gives its data, until `take` returns; what it raises is the reader's."""

    name: str
    read: Callable[[int], bytes]
    notes: bytes = b""
    """Text that belongs to it and is no part of its data: where a link leads, comments, extended attributes."""
    raw: bool = False
    """No member: bytes of the archive itself that belong to none."""
    single: bool = False
    """The content of a compressed file: when it is an archive, the two are one to people (`a.tar.gz`)."""
    more: bool = False
    """When it cannot be read, the next one still can."""


Take = Callable[[Item], None]


def walk(kind: str, file: BinaryIO | _Readable, name: str, budget: Budget, most: int, take: Take) -> None:
    """Give each member of an archive to `take`. `name`: of the archive; `most`: bytes of one member of a 7z archive.
    Only `STREAMED` kinds do without `seek`. Unreadable escapes: from the readers, and from `take`."""
    if kind == "tar":
        for member in tar.walk(file.read):
            budget.count()
            notes = member.linkname.encode("utf-8", "surrogateescape") + b"\n" + member.notes
            take(Item(member.name, member.read, notes.strip(b"\n"), member.type == tar.REST))
    elif kind in KINDS:
        budget.count()
        take(Item(_inner(name, kind), decompressed(file, kind, budget).read, single=True))
    elif kind == "zip":
        assert hasattr(file, "seek")
        for part in ziparchive.parts(file, budget):  # type: ignore[arg-type]
            if part.type == ziparchive.NOTES:
                take(Item(part.name, _once(b""), part.read(1 << 20), True))
            else:
                take(Item(part.name, part.read, raw=part.type == ziparchive.GAP, more=True))
    else:
        sevenzip.extract(file, budget, most, lambda name, data: take(Item(name, _once(data), more=True)))  # type: ignore[arg-type]


def _once(data: bytes) -> Callable[[int], bytes]:
    at = 0

    def read(size: int) -> bytes:
        nonlocal at
        part = data[at: at + size]
        at += len(part)
        return part

    return read


def _inner(name: str, kind: str) -> str:
    """What a single compressed file is called inside."""
    base = posixpath.basename(name)
    for ending, other in _ENDINGS[kind].items():
        if base.endswith(ending) and len(base) > len(ending):
            return base[:-len(ending)] + other
    return "content"
