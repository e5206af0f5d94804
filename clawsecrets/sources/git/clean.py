"""What of a repository an earlier scan found clean, and whether that can be believed now. Without numpy.

A pack's checksum stands in a file that anybody may have written. So a pack is the one of that scan only if it is the
very same file (place, size, times), or if its bytes and its index's hash to what was noted then. And objects count as
clean only where everything of that scan is still there: then what they refer to is there as well.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from clawsecrets.data import regular, regular_handle
from clawsecrets.sources.git.layout import Layout
from clawsecrets.sources.git.memory import Memory
from clawsecrets.sources.git.objects import Objects

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1 << 20


class PackFile(NamedTuple):
    """A pack as it stands on the disk."""

    path: Path
    """Its index."""
    checksum: bytes
    listing: bytes
    """The index's own checksum."""
    total: int
    stamp: bytes


class Present(NamedTuple):
    """The files of an object database."""

    packs: tuple[PackFile, ...]
    loose: tuple[bytes, ...]
    """Ids, ascending."""


class KnownPack(Protocol):
    """One pack of a repository, as the cache knows it (scan/cache.py)."""

    @property
    def checksum(self) -> bytes: ...
    @property
    def listing(self) -> bytes: ...
    @property
    def total(self) -> int: ...
    @property
    def stamp(self) -> bytes: ...
    @property
    def clean(self) -> bytes: ...


class Known(Protocol):
    """A repository, as the cache knows it."""

    @property
    def width(self) -> int: ...
    @property
    def packs(self) -> Sequence[KnownPack]: ...
    @property
    def loose(self) -> bytes: ...
    @property
    def clean(self) -> bytes: ...
    @property
    def memory(self) -> Mapping[str, Any] | None: ...
    @property
    def spots(self) -> Mapping[str, Any] | None: ...
    @property
    def report(self) -> Mapping[str, Any] | None: ...


class Index:
    """A pack's index, to look up ids. Only for one whose checksum is known to be right."""

    def __init__(self, path: Path, width: int) -> None:
        self._fd = regular_handle(path)
        head = os.pread(self._fd, 1032, 0)
        old = head[:4] != b"\xfftOc"
        fan = head[:1024] if old else head[8:]
        self._fan = [0, *(int.from_bytes(fan[4 * i:4 * i + 4], "big") for i in range(256))]
        self._begin, self._step = (1028, width + 4) if old else (1032, width)
        self._width, self.count = width, self._fan[256]

    def name(self, place: int) -> bytes:
        """The id there."""
        return os.pread(self._fd, self._width, self._begin + place * self._step)

    def names(self) -> bytes:
        """All ids, one after the other."""
        block = os.pread(self._fd, self.count * self._step, self._begin)
        if self._step == self._width:
            return block
        return b"".join(block[at:at + self._width] for at in range(0, len(block), self._step))

    def place(self, name: bytes) -> int:
        """Where an id stands; -1 when it is not there."""
        low, high = self._fan[name[0]], self._fan[name[0] + 1]
        while low < high:
            middle = (low + high) // 2
            found = self.name(middle)
            if found == name:
                return middle
            low, high = (middle + 1, high) if found < name else (low, middle)
        return -1

    def close(self) -> None:
        """Release the file."""
        os.close(self._fd)


def present(layout: Layout) -> Present | None:
    """What is there; None when something about the files is not as git leaves them."""
    packs: list[PackFile] = []
    loose: set[bytes] = set()
    try:
        for store in layout.stores:
            packs += _packs(store / "pack", layout.width)
            loose.update(_loose(str(store), layout.width))
    except (OSError, ValueError):
        return None
    return Present(tuple(packs), tuple(sorted(loose)))


def _packs(folder: Path, width: int) -> Iterator[PackFile]:
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    stems = [name[:-4] for name in names if name.endswith(".idx")]
    if stems != [name[:-5] for name in names if name.endswith(".pack")]:
        raise ValueError("a pack without index, or an index without pack")
    for stem in stems:
        path = folder / f"{stem}.idx"
        with regular(path) as file:
            head = file.read(1032)
            file.seek(-2 * width, os.SEEK_END)
            tail = file.read()
            stamp = _stamp(os.fstat(file.fileno()), os.stat(folder / f"{stem}.pack"))
        at = 1028 if head[:4] == b"\xfftOc" else 1020
        yield PackFile(path, tail[:width], tail[width:], int.from_bytes(head[at:at + 4], "big"), stamp)


def _stamp(*stats: os.stat_result) -> bytes:
    text = repr([(at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns) for at in stats])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _loose(store: str, width: int) -> Iterator[bytes]:
    rest = re.compile(rf"[0-9a-f]{{{2 * width - 2}}}")
    for folder in os.listdir(store):
        if re.fullmatch("[0-9a-f]{2}", folder):
            names = filter(rest.fullmatch, os.listdir(f"{store}/{folder}"))
            yield from (bytes.fromhex(folder + name) for name in names)


def proven(pack: PackFile, width: int) -> bool:
    """Whether a pack and its index are, byte for byte, what their checksums say."""
    algorithm = "sha1" if width == 20 else "sha256"
    try:
        return (_hashes(pack.path, algorithm, width) == pack.listing
                and _hashes(pack.path.with_suffix(".pack"), algorithm, width) == pack.checksum)
    except OSError:
        return False


def _hashes(path: Path, algorithm: str, width: int) -> bytes:
    """The checksum at the end of a file if it is right, else nothing."""
    state = hashlib.new(algorithm)
    with regular(path) as file:
        left = os.fstat(file.fileno()).st_size - width
        while left > 0 and (block := file.read(min(_BLOCK, left))):
            state.update(block)
            left -= len(block)
        return found if (found := file.read(width)) == state.digest() else b""


class Clean:
    """The objects of a repository that were clean before: a `database.Seen`, and what `quick` asks."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.packs: dict[bytes, tuple[PackFile, bytes]] = {}
        """Checksum -> file, and the bitmap of what is clean in it."""
        self.loose: set[bytes] = set()
        self.known: set[bytes] = set()
        """All loose objects that were looked at, clean or not."""
        self.memory: Memory | None = None
        """Where findings came from, where one scan has seen all of that."""
        self.spots: list[Mapping[str, Any]] = []
        """Where secrets stand in blobs, as the cache has it."""
        self.report: Mapping[str, Any] | None = None
        """What one scan has told of all of that."""

    def __bool__(self) -> bool:
        return bool(self.packs or self.loose)

    def pack(self, checksum: bytes) -> bool:
        """Whether every object of the pack is clean."""
        return checksum in self.packs and not unset(*_bits(self.packs[checksum]))

    def among(self, ids: NDArray[Any]) -> NDArray[Any]:
        """Which of these ids are clean."""
        import numpy as np

        from clawsecrets.sources.git.arrays import distinct

        found = [np.frombuffer(b"".join(sorted(self.loose)), f"S{self.width}")]
        for file, bits in self.packs.values():
            index = Index(file.path, self.width)
            names = np.frombuffer(index.names(), f"S{self.width}")
            index.close()
            found.append(names[np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[:len(names)] == 1])
        every = distinct(np.concatenate(found))
        if not len(every) or not len(ids):
            return np.zeros(len(ids), bool)
        at = np.minimum(np.searchsorted(every, ids), len(every) - 1)
        return np.asarray(every[at] == ids)


def _bits(known: tuple[PackFile, bytes]) -> tuple[bytes, int]:
    return known[1], known[0].total


def unset(bits: bytes, count: int) -> list[int]:
    """The places below `count` whose bit is not set."""
    return [place for match in re.finditer(rb"[^\xff]", bits) for place in range(8 * match.start(), 8 * match.end())
            if place < count and not bits[place >> 3] >> (place & 7) & 1] + list(range(8 * len(bits), count))


def believed(layout: Layout, there: Present, repositories: Iterable[Known]) -> Clean:
    """What of the cache holds for this repository."""
    clean = Clean(layout.width)
    packs = {pack.checksum: pack for pack in there.packs}
    loose = set(there.loose)
    objects = Objects(layout.stores, layout.width)
    proofs: dict[bytes, bool] = {}
    seen: list[Known] = []

    def same(known: KnownPack) -> bool:
        pack = packs[known.checksum]
        if (pack.listing, pack.total) != (known.listing, known.total):
            return False
        if pack.stamp == known.stamp:
            return True
        if known.checksum not in proofs:
            proofs[known.checksum] = proven(pack, layout.width)
        return proofs[known.checksum]

    with ExitStack() as stack:
        stack.callback(objects.close)
        for one in repositories:
            if one.width != layout.width or any(pack.checksum not in packs for pack in one.packs):
                continue
            names = [one.loose[at:at + one.width] for at in range(0, len(one.loose), one.width)]
            if all(name in loose or objects.there(name) for name in names) and all(map(same, one.packs)):
                clean.packs |= {pack.checksum: (packs[pack.checksum], pack.clean) for pack in one.packs}
                dark = set(unset(one.clean, len(names)))
                clean.loose.update(name for k, name in enumerate(names) if k not in dark)
                clean.known.update(names)
                seen.append(one)
                clean.spots += [one.spots] if one.spots else []
    if len(seen) == 1 and seen[0].memory is not None and not layout.shallow:
        clean.memory = _memory(seen[0].memory)
        clean.report = seen[0].report
    return clean


def _memory(plain: Mapping[str, Any]) -> Memory | None:
    try:
        return Memory.parsed(plain)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
