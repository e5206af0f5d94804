"""The second scan of a repository: next to nothing is new, and what is new is read object by object, without numpy and
without reading the packs' tables. Gives exactly what `GitSource` with the same `Clean` gives."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from clawsecrets.formats.pieces import PIECE, cut
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped
from clawsecrets.sources.git import messages, refs
from clawsecrets.sources.git.clean import Clean, Index, PackFile, Present, proven, unset
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.folder import Folder
from clawsecrets.sources.git.layout import Layout, owned
from clawsecrets.sources.git.objects import Objects

if TYPE_CHECKING:
    from clawsecrets.ports import Notes, Part
    from clawsecrets.sources.git.source import GitSource

MOST = 4000
"""Objects that are read one by one."""
LARGEST = 64 << 20
"""Bytes of a pack that is new and is read so."""
UNREAD = "unread"
"""As part.py has it (which imports numpy)."""
SHARE = 50
"""Objects for which a worker is started."""
HELD = 32 << 20
"""Bytes of objects that are kept, since others are built on them."""
_NAME = re.compile(rb"[\x21-\x7e]{16,}")
_GITLINK = b"160000"


class QuickSource:
    """A repository of which all but a few objects were clean before."""

    def __init__(self, layout: Layout, todo: Sequence[bytes], cached: int, trust_owner: bool,
                 whole: Callable[[], GitSource]) -> None:
        """`todo`: the objects to look at. `whole`: the same repository for who needs all of it."""
        self.layout, self._todo, self._cached, self.whole = layout, todo, cached, whole
        self._owned = owned(layout, trust_owner)
        objects = Objects(layout.stores, layout.width)
        self.refs = refs.read(layout, lambda names: [objects.there(bytes.fromhex(name)) for name in names])
        objects.close()
        self._full: GitSource | None = None

    def parts(self, workers: int) -> Sequence[Part]:
        """Few objects make few shares."""
        count = max(1, min(workers, len(self._todo) // SHARE))
        return [QuickPart(self, self._todo[number::count], number == 0) for number in range(count)]

    def size(self) -> int:
        """Not known."""
        return 0

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """As the whole reader says it."""
        self._full = self._full or self.whole()
        self._full.database()
        return self._full.locate(places)

    def coverage(self) -> Coverage:
        """What it is."""
        found = Coverage((f"git {refs.shown(str(self.layout.top))}",), cached=self._cached, refs=len(self.refs.tips),
                         shallow=self.layout.shallow,
                         skipped=(*self.layout.skipped, *self._owned, *self.refs.skipped))
        if self._full is None:
            return found
        more = [skipped for skipped in self._full.coverage().skipped if skipped not in found.skipped]
        return found.plus(Coverage(skipped=tuple(more)))


class QuickPart:
    """Some of the objects; the first part has the repository's own files as well."""

    def __init__(self, source: QuickSource, todo: Sequence[bytes], first: bool) -> None:
        self._source, self._todo, self._first = source, todo, first
        self._objects = Objects(source.layout.stores, source.layout.width, HELD)
        self._seen: set[bytes] = set()
        self._missing: dict[bytes, bytes] = {}

    def contents(self, notes: Notes) -> Iterator[Content]:
        """Each once."""
        count = size = 0
        for content in self._all(notes):
            count, size = count + 1, size + len(content.data) - content.overlap
            yield content
        notes.looked(count, size)
        self._objects.close()

    def _all(self, notes: Notes) -> Iterator[Content]:
        source = self._source
        if self._first:
            yield from Folder(source.layout, sorted(source.refs.tips)).contents(notes)
        for name in self._todo:
            try:
                kind, data = self._objects.read(name.hex())
            except (Damaged, OSError):
                # whatever is the matter, the whole reader knows how to tell it
                yield from source.whole().parts(1)[0].contents(notes)
                return
            if kind == "blob":
                yield from _blob(data, Place(Kind.GIT_BLOB, name.hex()))
            elif kind == "tree":
                yield from self._tree(name, data)
            else:
                self._refer(name, messages.linked(data, len(name)))
                text, line = messages.text(data)
                yield Content(text, Place(Kind.GIT_MESSAGE, name.hex()), line=line)
        layout = source.layout
        promised = layout.partial or any(next(store.glob("pack/*.promisor"), None) for store in layout.stores)
        why = "promised by a remote, but not here (a partial clone)" if promised else "missing"
        for name, by in self._missing.items():
            notes.skipped(Skipped(f"object {name.hex()}", f"{why}; {by.hex()} refers to it"))
            notes.extra(UNREAD, by.hex(), 1)  # noqa: S610 - no Django here

    def _tree(self, tree: bytes, data: bytes) -> Iterator[Content]:
        at, width, links = 0, self._source.layout.width, []
        while at < len(data):
            space = data.find(b" ", at, at + 8)
            nul = data.find(b"\0", space)
            if space < 0 or nul < 0 or nul + 1 + width > len(data):
                break
            if data[at:space] != _GITLINK:
                links.append(data[nul + 1:nul + 1 + width])
            for run in _NAME.findall(data, space + 1, nul):
                if run not in self._seen:
                    self._seen.add(run)
                    yield Content(run, Place(Kind.GIT_NAME, tree.hex(), run.decode("ascii")))
            at = nul + 1 + width
        self._refer(tree, links)

    def _refer(self, by: bytes, names: Sequence[bytes]) -> None:
        for name in names:
            if name not in self._missing and not self._objects.there(name):
                self._missing[name] = by


def quick(layout: Layout, there: Present, clean: Clean, whole: Callable[[], GitSource],
          trust_owner: bool = False) -> QuickSource | None:
    """A source for the few objects that are not known to be clean; None when there are too many, or when nothing can
    be said without reading all."""
    todo = _todo(layout, there, clean)
    if todo is None:
        return None
    total = sum(pack.count for pack in there.packs) + len(there.loose)
    return QuickSource(layout, todo, max(0, total - len(todo)), trust_owner, whole)


def _todo(layout: Layout, there: Present, clean: Clean) -> list[bytes] | None:
    known = {pack.checksum for pack in there.packs} & clean.packs.keys()
    fresh = [pack for pack in there.packs if pack.checksum not in known]
    loose = [name for name in there.loose if name not in clean.loose]
    dark = {checksum: unset(clean.packs[checksum][1], clean.packs[checksum][0].count) for checksum in known}
    if sum(pack.count for pack in fresh) + len(loose) + sum(map(len, dark.values())) > MOST:
        return None
    if not known and not clean.loose:
        return None
    try:
        indexes = {checksum: Index(clean.packs[checksum][0].path, layout.width) for checksum in known}
        new = [name for pack in fresh for name in _names(pack, layout.width)]
    except (OSError, ValueError):
        return None

    def bright(name: bytes) -> bool:
        if name in clean.loose:
            return True
        return any((place := index.place(name)) >= 0 and place not in dark[checksum]
                   for checksum, index in indexes.items())

    found = {indexes[checksum].name(place) for checksum, places in dark.items() for place in places}
    found.update(name for name in (*loose, *new) if not bright(name))
    for index in indexes.values():
        index.close()
    return sorted(found)


def _names(pack: PackFile, width: int) -> list[bytes]:
    """The ids of a small pack. ValueError when it is not small, or not what its checksums say."""
    if pack.path.with_suffix(".pack").stat().st_size > LARGEST or not proven(pack, width):
        raise ValueError("not read here")
    index = Index(pack.path, width)
    try:
        names = index.names()
        return [names[at:at + width] for at in range(0, len(names), width)]
    finally:
        index.close()


def _blob(data: bytes, place: Place) -> Iterator[Content]:
    if len(data) <= PIECE:
        yield Content(data, place)
        return
    for piece in cut(io.BytesIO(data).read):
        yield Content(piece.data, place, 0, 0, None, *piece[1:], None if piece.offset else lambda: io.BytesIO(data))
