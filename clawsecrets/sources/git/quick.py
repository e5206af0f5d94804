"""The second scan of a repository: next to nothing is new, and what is new is read object by object, without numpy and
without reading the packs' tables. Gives exactly what `GitSource` with the same `Clean` gives."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from clawsecrets.formats.pieces import PIECE, cut
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped
from clawsecrets.model.spot import Spot
from clawsecrets.sources.git import messages, refs
from clawsecrets.sources.git.clean import Clean, Index, PackFile, Present, proven, unset
from clawsecrets.sources.git.delta import Damaged
from clawsecrets.sources.git.folder import Folder
from clawsecrets.sources.git.layout import Layout, owned
from clawsecrets.sources.git.locate import Locator
from clawsecrets.sources.git.memory import Memory, Unsure, Ways
from clawsecrets.sources.git.objects import Objects
from clawsecrets.sources.git.steady import led_to, standing, steady

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes, Part
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

    def __init__(self, layout: Layout, todo: Todo, total: int, trust_owner: bool, whole: Callable[[], GitSource],
                 memory: Memory | None, spots: Callable[[], Mapping[bytes, Sequence[Spot]]],
                 there: Collection[str] = ()) -> None:
        """`whole`: the same repository for who needs all of it. `memory`: where findings came from before. `spots`: of
        blobs, where all their secrets stand. `there`: ids of objects that are there for certain."""
        self.layout, self._todo, self._total, self.whole = layout, todo, total, whole
        self._memory, self._next = memory, None if todo.fresh else memory
        self._find_spots = spots
        self._steady: Memory | None = None
        self._owned = owned(layout, trust_owner)
        objects = Objects(layout.stores, layout.width)
        self.refs = refs.read(layout, lambda names: [name in there or objects.there(bytes.fromhex(name))
                                                     for name in names])
        objects.close()
        self._full: GitSource | None = None
        self._recall: Sequence[Skipped] = ()

    def parts(self, workers: int) -> Sequence[Part]:
        """Few objects make few shares."""
        todo = self._given
        count = max(1, min(workers, len(todo) // SHARE))
        return [QuickPart(self, todo[number::count], number == 0) for number in range(count)]

    # --- saying again what was said before

    @property
    def _given(self) -> Sequence[bytes]:
        return self._todo.fresh if self.settled else self._todo.objects

    @property
    def settled(self) -> bool:
        """Whether only what is new is given: what was told of the rest holds still."""
        return self._steady is not None

    def settle(self, before: Mapping[str, Any]) -> bool:
        """Give only what is new, if every finding that a scan told of can still be reached from where it said.
        `before`: what `standing` gave then. KeyError, TypeError, ValueError or AttributeError for what it did not."""
        if self._memory is None or (self._memory.apart and (self._todo.fresh or standing(self.refs) != before)):
            return False
        objects = Objects(self.layout.stores, self.layout.width)
        try:
            ways = Ways(self._memory, objects, self.layout, self._todo.fresh, clean=True)
            self._steady = ways.grown() if steady(
                before, self.refs, ways.reached, self._todo.fresh) else None
        except Unsure:
            pass
        finally:
            objects.close()
        return self.settled

    def unsettle(self) -> None:
        """Give all again."""
        self._steady = None
        self.__dict__.pop("spots", None)

    @property
    def fresh(self) -> Sequence[bytes]:
        """The objects that were not there before."""
        return self._todo.fresh

    @property
    def dark(self) -> Collection[bytes]:
        """Those that were, and were not clean."""
        return set(self._todo.objects).difference(self._todo.fresh)

    def standing(self) -> Mapping[str, Any] | None:
        """Where its refs lead, for a later `settle`."""
        return standing(self.refs)

    @cached_property
    def spots(self) -> Mapping[bytes, Sequence[Spot]]:
        """Of blobs, where all their secrets stand. What is new has none that are known."""
        return {} if self.settled else self._find_spots()

    def work(self) -> Iterable[int]:
        """Next to none: it does not count."""
        return ()

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """As the whole reader says it."""
        try:
            return self._recalled(places)
        except Unsure:
            pass
        self._full = self._full or self.whole()
        self._full.database()
        return self._full.locate(places)

    def _recalled(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        if self._memory is None:
            raise Unsure
        objects = Objects(self.layout.stores, self.layout.width)
        try:
            ways = Ways(self._memory, objects, self.layout, self._todo.fresh)
            locator = Locator(self.layout, objects, self.refs, ways)
            found = locator.locate(places)
        finally:
            objects.close()
        self._recall = locator.skipped
        self._next = ways.memory(locator.order)
        return found

    def memory(self) -> Memory | None:
        """As the whole reader has it."""
        if self._steady is not None:
            return self._steady
        return self._next if self._full is None else self._full.memory()

    def coverage(self) -> Coverage:
        """What it is."""
        cached = max(0, self._total - len(self._given))
        found = Coverage((f"git {refs.shown(str(self.layout.top))}",), cached=cached, refs=len(self.refs.tips),
                         shallow=self.layout.shallow,
                         skipped=(*self.layout.skipped, *self._owned, *self.refs.skipped, *self._recall))
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
                [part] = source.whole().parts(1)
                part.counted = False
                yield from part.contents(notes)
                return
            if kind == "blob":
                yield from _blob(data, Place(Kind.GIT_BLOB, name.hex()), source.spots.get(name, ()))
            elif kind == "tree":
                yield from self._tree(name, data)
            else:
                self._refer(name, messages.linked(data, len(name)))
                text, line = messages.text(data, messages.begins(data))
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
          trust_owner: bool = False, spots: Callable[[], Mapping[bytes, Sequence[Spot]]] = dict) -> QuickSource | None:
    """A source for the few objects that are not known to be clean; None when there are too many, or when nothing can
    be said without reading all."""
    todo = _todo(layout, there, clean)
    if todo is None:
        return None
    total = sum(pack.total for pack in there.packs) + len(there.loose)
    return QuickSource(layout, todo, total, trust_owner, whole, clean.memory, spots, led_to(clean.report))


class Todo(NamedTuple):
    """What is to be looked at."""

    objects: Sequence[bytes]
    """All that is not clean, ascending."""
    fresh: Sequence[bytes]
    """Those of them that were not there before."""


def _todo(layout: Layout, there: Present, clean: Clean) -> Todo | None:
    known = {pack.checksum for pack in there.packs} & clean.packs.keys()
    late = [pack for pack in there.packs if pack.checksum not in known]
    loose = [name for name in there.loose if name not in clean.loose]
    dark = {checksum: unset(clean.packs[checksum][1], clean.packs[checksum][0].total) for checksum in known}
    if sum(pack.total for pack in late) + len(loose) + sum(map(len, dark.values())) > MOST:
        return None
    if not known and not clean.loose:
        return None
    try:
        indexes = {checksum: Index(clean.packs[checksum][0].path, layout.width) for checksum in known}
        new = [name for pack in late for name in _names(pack, layout.width)]
    except (OSError, ValueError):
        return None

    def bright(name: bytes) -> bool:
        if name in clean.loose:
            return True
        return any((place := index.place(name)) >= 0 and place not in dark[checksum]
                   for checksum, index in indexes.items())

    found = {indexes[checksum].name(place) for checksum, places in dark.items() for place in places}
    more = sorted({name for name in (*loose, *new) if not bright(name)})
    fresh = [name for name in more if name not in clean.known and
             all(index.place(name) < 0 for index in indexes.values())]
    for index in indexes.values():
        index.close()
    return Todo(sorted(found.union(more)), fresh)


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


def _blob(data: bytes, place: Place, spots: Sequence[Spot]) -> Iterator[Content]:
    if len(data) <= PIECE:
        yield Content(data, place, spots=spots)
        return
    for piece in cut(io.BytesIO(data).read):
        yield Content(piece.data, place, 0, 0, None, *piece[1:], None if piece.offset else lambda: io.BytesIO(data))
