"""The files of one layer as content: read once from its beginning to its end, in a stream, whatever is in it.

Of several workers that share a layer (a large one that is not compressed) each walks all headers and reads the members
whose data begins in chunks that it took a turn for; the first one also reads everything else, to check the layer's
digest.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from clawsecrets.formats import streams, tar
from clawsecrets.formats.bounds import Budget, Limits
from clawsecrets.formats.errors import Unreadable
from clawsecrets.formats.pieces import PIECE, cut
from clawsecrets.model.finding import Content, Kind, Place, Skipped
from clawsecrets.sources.image import gitobjects
from clawsecrets.sources.image.blobs import Readable, Window, inside
from clawsecrets.sources.image.reading import CHUNK, Limited, Tee, packed, passed

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes
    from clawsecrets.sources.image.catalog import Layer

WHOLE = 2 * PIECE
"""Bytes. Larger members come in pieces."""
TURN = 1 << 21
"""Bytes of a layer that are one worker's."""
HELD = 64 << 20
"""Bytes of an archive in a layer that is held in memory, where it can be read only once."""
LIMITS = Limits(output=1 << 38, members=1 << 40, ratio=1000, ratio_from=1 << 30)
"""A layer is read in a stream, so that its size costs time only; one that is nearly all zeros is a bomb."""
BEHIND = "(behind the end of the archive)"
_SHORT = 12
"""Characters. No credential is shorter: names, and targets of links, below it are not looked at."""
_FOLDERS = 200_000
"""Folders that are remembered; the names of others may be looked at again."""
_HEAD = 512
_NEEDS_SEEK = (b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c", b"SQLite format 3\0", b"PACK")
_TOLD = 64
"""Contents after which progress is told."""


class Counter:
    """Gives each number once, ascending, to whichever process asks. Those that were forked after it was made share one
    place in a file, which lseek(2) moves and tells at once."""

    def __init__(self) -> None:
        self._file = os.memfd_create("turns")
        weakref.finalize(self, os.close, self._file)

    def next(self) -> int:
        """From 0."""
        return os.lseek(self._file, 1, os.SEEK_CUR) - 1


class Turns:
    """One worker's turns: who is done earlier takes more."""

    def __init__(self, counter: Counter) -> None:
        self._counter, self._held = counter, -1

    def mine(self, turn: int) -> bool:
        """Whether it has that one. To be asked in ascending order, which is the same for all workers."""
        while self._held < turn:
            self._held = self._counter.next()
        return self._held == turn


@dataclass(frozen=True)
class Share:
    """Which members of a layer are read here."""

    number: int = 0
    count: int = 1
    turns: Turns | None = None
    first: int = 0
    """The turn of the layer's first chunk."""

    def of(self, size: int) -> int:
        """Its part of so many bytes: those of all workers add up to them."""
        return size * (self.number + 1) // self.count - size * self.number // self.count

    def mine(self, offset: int) -> bool:
        """Whether the member whose data begins there. To be asked in ascending order."""
        return self.turns is None or self.turns.mine(self.first + offset // TURN)


@dataclass
class Reading:
    """One layer, as one worker reads it."""

    layer: Layer
    notes: Notes
    open: Callable[[], Readable]
    """Its bytes as they are stored, from the beginning. OSError."""
    again: bool = True
    """Whether `open` can be called more than once."""
    share: Share = Share()
    unpack: bool = False
    """Whether the digest of what is compressed is asked for."""
    size: int = 0
    """Its bytes as they are stored, where `Source.work` tells of them."""
    stored: str = ""
    """What its bytes as they are stored hash to: once all was read, by the first worker."""
    plain: str = ""
    """The same of its bytes when they are unpacked."""
    packed: str = ""
    """Its compression."""
    archive: bool = False
    """Whether it is a tar archive."""
    whole: bool = True
    """Whether everything in it was given, and it is what its digest says."""
    _objects: int = 0
    _bytes: int = 0
    _at: Callable[[], int] = int
    """Where in its bytes as they are stored it is read."""
    _done: int = 0
    """Of `size`, and this worker's share of it: what was told."""

    def contents(self) -> Iterator[Content]:
        """Every file of its share, every name, link and remark. Faults are told, and leave `whole` False."""
        yield from self._guarded(self._read)
        self._tell(self.size)

    def hashed(self) -> None:
        """Read it and give nothing: it was seen before. What it hashes to is checked."""
        for _ in self._guarded(self._hash):
            pass
        self._tell(self.size)

    def _guarded(self, read: Callable[[Readable], Iterator[Content]]) -> Iterator[Content]:
        try:
            file = self.open()
        except OSError as error:
            self._fault("", _why(error))
            return
        self._at = file.tell if isinstance(file, Window) else int
        try:
            yield from read(file)
        except Unreadable as error:
            self._fault("", error.reason)
        except OSError as error:
            self._fault("", _why(error))
        finally:
            file.close()

    def _hash(self, file: Readable) -> Iterator[Content]:
        tee = Tee(file, self._algorithm())
        tee.drain()
        self.stored = tee.digest
        self._check()
        return iter(())

    def _read(self, file: Readable) -> Iterator[Content]:
        head = passed(file, _HEAD)
        first = self.share.number == 0
        stored = plain = Tee(file, self._algorithm() if first else "", head)
        if self.layer.encrypted:
            self._fault("", "it is encrypted")
        self.packed = packed(head)
        try:
            if self.packed:
                unpacked = streams.decompressed(stored, self.packed, Budget(LIMITS))
                head = passed(unpacked, _HEAD)
                wanted = self.unpack or (self.layer.diff_id and not self.layer.digest)
                plain = Tee(unpacked, "sha256" if wanted else "", head)
            seekable = isinstance(file, Window) and not self.packed and not first
            yield from self._inner(plain, head, file if seekable else None)  # type: ignore[arg-type]
            if first:
                plain.drain()
        except Unreadable as error:
            self._fault("", error.reason)
        if first:
            stored.drain()
            self.stored, self.plain = stored.digest, plain.digest
            self._check()

    def _inner(self, plain: Tee, head: bytes, window: Window | None) -> Iterator[Content]:
        """What is in it: files, if it is a tar archive."""
        if not head:
            return
        if tar.valid(head) or not head.strip(b"\0"):
            self.archive = True
            yield from self._members(plain, window)
            return
        if self.layer.claimed and not self.layer.encrypted:
            self._fault("", "it is no archive of files, or its compression is not known")
        if self.share.number == 0:
            self._objects += 1
            place = Place(Kind.IMAGE_ANNOTATION, self.layer.key, self.layer.name)
            yield from self._pieces(plain.read, place, 0, -1)

    def _members(self, plain: Tee, window: Window | None) -> Iterator[Content]:
        names, mine = _Names(self), self.share.mine
        seek = None if window is None else (lambda step: window.seek(step, 1))
        for member in tar.walk(plain.read, seek):
            path = name if (name := member.name)[:1] not in "./" else inside(name)
            if member.type is tar.FOLDER:
                names.remember(path.rstrip("/"))
            if not mine(member.offset):
                continue
            parent, _, base = path.rstrip("/").rpartition("/")
            if parent != names.folder:
                yield from names.moved(parent)
            names.here.append(base)
            self._objects += 1
            if member.size:
                yield from self._data(member, path)
            if member.linkname or member.notes:
                yield from self._around(member, path)
            if not self._objects % _TOLD:
                self._tell()
        yield from names.moved("")

    def _data(self, member: tar.Member, path: str) -> Iterator[Content]:
        if not 0 < (size := member.size) <= WHOLE:
            yield from self._large(member, path)
            return
        data = member.read(size)
        self._bytes += size
        if data[:1] in b"xP" and (data[:4] == b"PACK" or gitobjects.is_loose(path, data)):
            yield from self._git(path, data)
        else:
            yield Content(data, Place(Kind.IMAGE_LAYER, self.layer.key, path))

    def _around(self, member: tar.Member, path: str) -> Iterator[Content]:
        if len(member.linkname) >= _SHORT:
            yield Content(os.fsencode(member.linkname), self._place(path))
        if member.notes:
            yield Content(member.notes, self._place(path + "!/(pax)"))

    def _large(self, member: tar.Member, path: str) -> Iterator[Content]:
        """A member in pieces; an archive is opened again, or held in memory when it can be read only once."""
        head = member.read(min(_HEAD, member.size) if member.size > 0 else _HEAD)
        place, size = self._place(path or BEHIND), member.size
        if head.startswith(_NEEDS_SEEK) and not (self.again and not self.packed):
            if 0 < size <= HELD:
                yield from self._large_held(_held(head, member), path)
                return
            if head.startswith(b"PACK") or not self.again:
                self._fault(path, f"what is packed in it cannot be read from a stream beyond {HELD >> 20} MiB: "
                                  "give the image as an uncompressed file")
        elif head.startswith(b"PACK") and size > 0:
            with self._opened(member.offset, size)() as file:
                yield from self._git_pack(path, lambda at, n: _read_at(file, at, n), size)
            return
        yield from self._pieces(member.read, place, member.offset, size, head)

    def _large_held(self, held: bytes, path: str) -> Iterator[Content]:
        if held.startswith(b"PACK"):
            yield from self._git(path, held)
            return
        for number, piece in enumerate(cut(BytesIO(held).read)):
            self._bytes += len(piece.data) - piece.overlap
            yield Content(piece.data, self._place(path), offset=piece.offset, line=piece.line, column=piece.column,
                          overlap=piece.overlap, whole=None if number else lambda: BytesIO(held))

    def _pieces(self, read: Callable[[int], bytes], place: Place, offset: int, size: int, head: bytes = b"") \
            -> Iterator[Content]:
        """What `read` gives after `head`, in pieces. `offset` and `size`: where it stands in the unpacked layer."""
        left = [head] if head else []

        def reader(wanted: int) -> bytes:
            if left:
                first = left.pop()
                return first + read(wanted - len(first))
            return read(wanted)

        for number, piece in enumerate(cut(reader)):
            self._bytes += len(piece.data) - piece.overlap
            alone = not number and len(piece.data) < PIECE
            whole = self._opened(offset, size) if self.again and not number and not alone else None
            yield Content(piece.data, place, offset=piece.offset, line=piece.line, column=piece.column,
                          overlap=piece.overlap, whole=whole)
            if not alone:
                self._tell()

    def _opened(self, offset: int, size: int) -> Callable[[], BinaryIO]:
        """Opens a part of the layer again: with any order where the file allows it, else from its beginning."""
        def opened() -> BinaryIO:
            file = self.open()
            if isinstance(file, Window) and not self.packed:
                return file.part(offset, size if size >= 0 else file.size - offset).buffered()
            inner = streams.decompressed(file, self.packed, Budget(LIMITS)) if self.packed else file
            return Limited.buffered(inner, file, offset, size)

        return opened

    def _git(self, path: str, data: bytes) -> Iterator[Content]:
        """A loose object or a pack, unpacked; what cannot be, as it is."""
        if data[:4] == b"PACK":
            yield from self._git_pack(path, lambda at, size: data[at:at + size], len(data))
            return
        try:
            found = gitobjects.loose(data)
        except Unreadable as error:
            self._fault(path, error.reason)
            yield Content(data, self._place(path))
            return
        yield Content(found.data, self._place(f"{path}!/{found.kind}"))

    def _git_pack(self, path: str, read_at: gitobjects.ReadAt, size: int) -> Iterator[Content]:
        try:
            for found in gitobjects.pack(read_at):
                self._bytes += len(found.data)
                yield Content(found.data, self._place(f"{path}!/{found.kind} {found.id}"))
        except Unreadable as error:
            self._fault(path, error.reason)
            for start in range(0, size, PIECE):
                data = read_at(start, PIECE)
                yield Content(data, self._place(path), offset=start)

    def _place(self, path: str) -> Place:
        return Place(Kind.IMAGE_LAYER, self.layer.key, path)

    def _algorithm(self) -> str:
        algorithm = (self.layer.digest or self.layer.diff_id).partition(":")[0]
        return algorithm if algorithm in ("sha384", "sha512") else "sha256"

    def _check(self) -> None:
        wanted = self.layer.digest
        found = self.stored
        if not wanted and self.layer.diff_id:
            wanted, found = self.layer.diff_id, self.plain or self.stored
        if wanted and found != wanted:
            self._fault("", "its content is not what its digest says")

    def _fault(self, path: str, reason: str) -> None:
        self.whole = False
        shown = self.layer.key if self.layer.key == self.layer.name else f"{self.layer.name} ({self.layer.key})"
        self.notes.skipped(Skipped(f"{shown}: {path}" if path else f"layer {shown}", reason))

    def _tell(self, reached: int = -1) -> None:
        """What was given, and how far the layer was read: the workers of one walk through it side by side."""
        at = min(self.size, self._at() if reached < 0 else reached)
        work = max(0, self.share.of(self.size) * at // max(1, self.size) - self._done)
        if self._objects or self._bytes or work:
            self.notes.looked(self._objects, self._bytes, work)
            self._objects = self._bytes = 0
            self._done += work


class _Names:
    """Names of files as the text of their folder, one a line; left out when all of them are short."""

    def __init__(self, reading: Reading) -> None:
        self._layer = reading.layer
        self.folder, self.here = "", list[str]()
        self._named = {""}

    def remember(self, folder: str) -> None:
        """The folder is a member itself."""
        if len(self._named) < _FOLDERS:
            self._named.add(folder)

    def moved(self, folder: str) -> Iterator[Content]:
        """The next name stands in another folder: the names of this one, and of new ones that are no members."""
        yield from self._given(self.folder, self.here)
        self.folder, self.here = folder, []
        while folder not in self._named:
            self.remember(folder)
            folder, _, name = folder.rpartition("/")
            yield from self._given(folder, [name])

    def _given(self, folder: str, names: list[str]) -> Iterator[Content]:
        if names and max(map(len, names)) >= _SHORT:
            place = Place(Kind.IMAGE_LAYER, self._layer.key, folder + "/" if folder else "./")
            yield Content(os.fsencode("\n".join(names)), place)


def _held(head: bytes, member: tar.Member) -> bytes:
    """All of a member, without a second copy of it on the way."""
    buffer = BytesIO()
    buffer.write(head)
    while data := member.read(CHUNK):
        buffer.write(data)
    return buffer.getvalue()


def _read_at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _why(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error) or "it could not be read"
