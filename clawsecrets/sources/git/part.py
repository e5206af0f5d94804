"""One worker's share of a repository: contents out of packs, loose objects and the repository's own files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from clawsecrets.formats.pieces import cut
from clawsecrets.model.finding import Content, Kind, Place, Skipped
from clawsecrets.sources.git import loose, messages
from clawsecrets.sources.git.database import CLEAN, GIVE, Database, Held
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.edges import BESIDE, Edges
from clawsecrets.sources.git.loose import LARGE
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.pace import Pace
from clawsecrets.sources.git.packs import BLOB, COMMIT, TREE
from clawsecrets.sources.git.packstream import PackStream
from clawsecrets.sources.git.shares import Share
from clawsecrets.sources.git.trees import Trees
from clawsecrets.sources.git.walk import Walk

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes

CONTEXT = 256
"""Bytes around what a delta changed."""
_MOSTLY = 0.95
"""From this share on, all of a blob is looked at."""
_TOLD = 256
"""Contents after which the notes hear of them."""
_MISSING = 50
"""Missing objects that are told one by one."""
UNREAD = "unread"
"""First value of what a cache is told (by `Notes.extra`): then the id of an object that is not clean, since what it
refers to is missing, and how many times `Notes.skipped` was told."""


class Part:
    """What one worker reads, from its beginning to its end."""

    def __init__(self, base: Database, objects: Objects) -> None:
        self._base, self._objects = base, objects
        self._head = messages.commit_head(base.layout.width)
        self.tasks: list[tuple[int, int, Iterable[Share]]] = []
        """Number of a pack, type, shares."""
        self.large: list[tuple[int, int]] = []
        """Number of a pack, position."""
        self.loose: Sequence[str] = ()
        self.more: Callable[[Notes], Iterator[Content]] | None = None
        """Contents that are no objects."""
        self.check = True
        """Whether ids that trees and commits refer to are looked up."""
        self.edges: Edges | None = None
        """Where it is noted what stands in which tree; only with `check`."""
        self.counted = True
        """Whether `GitSource.work` has told of it."""

    def contents(self, notes: Notes) -> Iterator[Content]:
        """Everything in it, once: blobs, then commits and tags, then names out of trees."""
        trees = Trees(self._base.layout.width, self._base.known if self.check else None, self.edges)
        count = size = 0
        self._pace = pace = Pace(notes, self.counted)
        for content in self._all(notes, trees):
            count += 1
            size += len(content.data) - content.overlap
            if count == _TOLD:
                notes.looked(count, size, pace.moved(count))
                count = size = 0
            yield content
        notes.looked(count, size, pace.rest())
        self._objects.close()
        self._tell_missing(trees, notes)

    def _all(self, notes: Notes, trees: Trees) -> Iterator[Content]:
        if self.more is not None:
            yield from self.more(notes)
        yield from self._loose(notes, trees)
        for number, position in self.large:
            yield from self._streamed(number, position, notes)
        for number, kind, its in self.tasks:
            for share in its:
                yield from self._packed(number, kind, share, notes, trees)
        yield from self._names(trees)

    # --- packs

    def _packed(self, number: int, kind: int, share: Share, notes: Notes, trees: Trees) -> Iterator[Content]:
        held = self._base.packs[number]

        def broken(position: int, reason: str, lost: int) -> None:
            if kind != BLOB and self.edges is not None:
                self.edges.torn = True
            also = f"; {lost} objects are built on it" if lost else ""
            notes.skipped(Skipped(f"object {pack.name(position).hex()}", reason + also))

        pace, pack = self._pace, held.pack
        end = pace.end + pack.stored(share.members)
        context = self._base.layout.width + BESIDE if kind == TREE else CONTEXT
        walk = Walk(pack, share.members, share.roots, context, self._objects, broken,
                    lambda group: pace.begin(pack.stored(group), len(group)), compare=kind == TREE and bool(self.edges))
        try:
            if kind == BLOB:
                yield from self._blobs(held, number, walk)
            elif kind == TREE:
                yield from self._trees(held, number, walk, trees)
            else:
                yield from self._texts(held, walk, trees, kind == COMMIT)
        except OSError as error:
            notes.skipped(Skipped(pack.path.name, f"cannot be read: {error.strerror}"))
            if self.edges is not None:
                self.edges.torn = True
        pace.reach(end)

    def _blobs(self, held: Held, number: int, walk: Walk) -> Iterator[Content]:
        roles, names, width = held.roles.tobytes(), held.pack.names, held.pack.width
        first, kind, new = (number << 40) + 1, Kind.GIT_BLOB, tuple.__new__
        for position, place, data, fresh, covered, base in walk:
            if roles[position] != GIVE:
                continue
            place *= width
            where = new(Place, (kind, names[place:place + width].hex(), ""))
            size = len(data)
            if size > LARGE:
                yield from in_pieces(io.BytesIO(data), where, first + position)
            elif fresh is None or covered > _MOSTLY * size or roles[base] > CLEAN:
                yield new(Content, (data, where, first + position, 0, None, 0, 0, 0, 0, None, ()))
            else:
                yield new(Content, (data, where, first + position, first + base, fresh, 0, 0, 0, 0, None, ()))

    def _texts(self, held: Held, walk: Walk, trees: Trees, commits: bool) -> Iterator[Content]:
        roles, names, width = held.roles.tobytes(), held.pack.names, held.pack.width
        told = self._commit if commits else self._tag
        for position, place, data, _, _, _ in walk:
            if roles[position] == GIVE:
                yield told(names[place * width:(place + 1) * width], data, trees)

    def _commit(self, name: bytes, data: bytes, trees: Trees) -> Content:
        width = len(name)
        tree, parents, date, begin = messages.commit(self._head, data, width)
        if self.edges is not None:
            self.edges.commit(name, tree, parents, date)
        if self.check and tree:
            linked = b"" if self._base.layout.shallow else parents
            trees.refers(name, [tree, *[linked[at:at + width] for at in range(0, len(linked), width)]])
        return self._message(name, *messages.text(data, begin))

    def _tag(self, name: bytes, data: bytes, trees: Trees) -> Content:
        if self.check:
            trees.refers(name, messages.linked(data, len(name)))
        return self._message(name, *messages.text(data, messages.begins(data)))

    @staticmethod
    def _message(name: bytes, text: bytes, line: int) -> Content:
        return tuple.__new__(Content, (text, Place(Kind.GIT_MESSAGE, name.hex()), 0, 0, None, 0, line, 0, 0, None, ()))

    def _trees(self, held: Held, number: int, walk: Walk, trees: Trees) -> Iterator[Content]:
        roles, names, width = held.roles.tobytes(), held.pack.names, held.pack.width
        for position, place, data, fresh, _, base in walk:
            if roles[position] == GIVE:
                if fresh is not None and roles[base] > CLEAN:
                    fresh = None
                if trees.add(names[place * width:(place + 1) * width], data, fresh, walk.before):
                    yield from self._names(trees)
        yield from self._names(trees)

    def _names(self, trees: Trees) -> Iterator[Content]:
        for tree, name in trees.names():
            yield Content(name, Place(Kind.GIT_NAME, tree.hex(), name.decode("ascii")))

    def _streamed(self, number: int, position: int, notes: Notes) -> Iterator[Content]:
        held = self._base.packs[number]
        pack, name = held.pack, held.pack.name(position).hex()
        kind = Kind.GIT_BLOB if int(pack.kinds[position]) == BLOB else Kind.GIT_MESSAGE

        def opened() -> BinaryIO:
            return cast(BinaryIO, PackStream(pack, position))

        self._pace.begin(pack.stored(np.array([position])))
        try:
            with opened() as stream:
                yield from self._told(in_pieces(stream, Place(kind, name), 0, opened), int(pack.sizes[position]))
        except (OSError, Damaged) as error:
            notes.skipped(Skipped(f"object {name}", str(error)))

    def _told(self, pieces: Iterator[Content], whole: int) -> Iterator[Content]:
        """Pieces of so many bytes together, each of which is heard of: large ones are few, and take their time."""
        for piece in pieces:
            yield piece
            self._pace.within((piece.offset + len(piece.data)) / max(1, whole))

    # --- loose objects

    def _loose(self, notes: Notes, trees: Trees) -> Iterator[Content]:
        stores = self._base.layout.stores
        for name in self.loose:
            store = stores[self._base.loose[name]]
            try:
                kind, data, size = loose.sized(store, name)
                self._pace.reach(self._pace.end + size)
            except loose.Large:
                self._pace.begin(loose.stored(store, name))
                yield from self._large_loose(store / name[:2] / name[2:], name, notes)
                continue
            except (OSError, Damaged) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                notes.skipped(Skipped(f"object {name}", f"cannot be read: {reason}"))
                if self.edges is not None:
                    self.edges.torn = True
                self._pace.reach(self._pace.end + loose.stored(store, name))
                continue
            if kind == "blob":
                yield Content(data, Place(Kind.GIT_BLOB, name))
            elif kind != "tree":
                yield (self._commit if kind == "commit" else self._tag)(bytes.fromhex(name), data, trees)
            elif trees.add(bytes.fromhex(name), data, None):
                yield from self._names(trees)

    def _large_loose(self, path: os.PathLike[str], name: str, notes: Notes) -> Iterator[Content]:
        def opened() -> BinaryIO:
            return cast(BinaryIO, loose.Stream(path))

        try:
            stream = loose.Stream(path)
            try:
                kind = Kind.GIT_BLOB if stream.kind == "blob" else Kind.GIT_MESSAGE
                if stream.kind in ("tree", "commit") and self.edges is not None:
                    self.edges.torn = True  # what is so large is none for us
                yield from self._told(in_pieces(cast(BinaryIO, stream), Place(kind, name), 0, opened), stream.size)
                stream.check(name)
            finally:
                stream.close()
        except (OSError, Damaged) as error:
            notes.skipped(Skipped(f"object {name}", str(error)))

    def _tell_missing(self, trees: Trees, notes: Notes) -> None:
        missing = trees.finish()
        promised = self._base.promisor or self._base.layout.partial
        why = "promised by a remote, but not here (a partial clone)" if promised else "missing"
        for number, (name, by) in enumerate(missing.items()):
            told = number < _MISSING
            if told:
                notes.skipped(Skipped(f"object {name.hex()}", f"{why}; {by.hex()} refers to it"))
            # it is looked at again next time, and so told again
            notes.extra(UNREAD, by.hex(), int(told))  # noqa: S610 - no Django here
        if len(missing) > _MISSING:
            notes.skipped(Skipped(f"{len(missing) - _MISSING} more objects", why))
            notes.extra(UNREAD, "", 1)  # noqa: S610


def in_pieces(stream: BinaryIO, place: Place, number: int, opened: Callable[[], BinaryIO] | None = None
              ) -> Iterator[Content]:
    """The content of something large."""
    if opened is None:
        data = cast(io.BytesIO, stream).getvalue()

        def opened() -> BinaryIO:
            return io.BytesIO(data)

    for piece in cut(stream.read):
        yield Content(piece.data, place, number, 0, None, piece.offset, piece.line, piece.column, piece.overlap,
                      None if piece.offset else opened)
