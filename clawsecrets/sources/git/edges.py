"""Which tree has which entry: noted while all trees are read, so that nobody need read them again to tell which commit
brought an object (earliest.py); and what each commit says of where it stands, so that nobody need read those again
(graph.py).

A tree that is built on another is noted by what it has more and what it has less than that one, any other by all of its
entries. A note is one number: the place of the entry's id among all ids, that of the tree's, and whether it is less.
They go to a file without a name, as do the commits to another: there are millions.
"""

from __future__ import annotations

import marshal
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from clawsecrets.sources.git.delta import Ranges
from clawsecrets.sources.git.messages import Head

Array = NDArray[Any]

BESIDE = 8
"""Bytes on each side of a change, beyond those of an id: more than the mode behind it, or the NUL before it."""
APART = b"\xff" * 48
END = b"40000 "
"""Put behind the last entry of a tree, as if another followed."""
_APART = np.uint64(int.from_bytes(os.urandom(8)) | 1)
"""Holds the ids in different trees apart; by chance, so that nobody can make ids that fall together."""
_BLOCK = 4 << 20
_WHOLE = np.uint64(2**64 - 1)
"""The last note, when nothing is missing."""
_TOGETHER, _SIZE = 2048, 8
"""Commits that are written at once, behind so many bytes with the size of that."""
ID, LESS = 33, 1
"""In a note: by how many bits the entry's place is shifted, and the bit of what is less. Between them, the tree's."""


def window(data: bytes, first: int, last: int) -> bytes:
    """This range of a tree."""
    return data[first:last] if last < len(data) else data[first:] + END


def begins(windows: Sequence[bytes]) -> Array:
    """Where each begins when they are joined with `APART`, and where the last one ends."""
    steps = np.fromiter(map(len, windows), np.int64, len(windows)) + len(APART)
    return np.concatenate(([0], np.cumsum(steps)))


def ids(joined: bytes, starts: Array, width: int) -> tuple[Array, Array]:
    """The entries that stand whole in windows of trees that are `joined` with `APART` and begin at `starts`: the first
    8 bytes of each id as a number, and its window."""
    array = np.frombuffer(joined, np.uint8)
    nuls = np.flatnonzero(array[:len(array) - width - 8] == 0)
    mode = array[nuls + width + 1]
    # 100644 and the like (and 040000, as old programs wrote it), or 40000
    nuls = nuls[((mode & 0xFE == 0x30) & (array[nuls + width + 7] == 0x20))
                | ((mode == 0x34) & (array[nuls + width + 6] == 0x20))]
    if not len(nuls):
        return np.zeros(0, np.uint64), nuls
    eight = np.lib.stride_tricks.sliding_window_view(array, 8)[nuls + 1]
    numbers = np.ascontiguousarray(eight).view(">u8").reshape(-1).astype(np.uint64)
    return numbers, np.searchsorted(starts, nuls, "right") - 1


class Edges:
    """What one worker notes."""

    def __init__(self, places: Callable[[Array], tuple[Array, Array]], width: int) -> None:
        """`places`: of ids, by their first 8 bytes, the place, and whether it is there. OSError."""
        self.places, self._width = places, width
        self._context = width + BESIDE
        self._file, self._said = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 (closed with us)
        self._heads: list[Head] = []
        self.torn = False
        """Whether something could not be read, so that the notes are not all."""
        self._trees: list[bytes] = []
        self._fresh: list[int] = []
        """Of each tree: how many windows are looked at in it, ..."""
        self._counts: list[int] = []
        """... and how many are in `_old`."""
        self._old: list[bytes] = []
        """Windows of what each tree is built on."""
        self._whole: list[tuple[int, bytes]] = []
        """Trees of which all is noted, whatever is looked at."""

    def commit(self, name: bytes, tree: bytes, parents: bytes, date: int) -> None:
        """A commit (see messages.Commit)."""
        self._heads.append((name, tree, parents, date))
        if len(self._heads) >= _TOGETHER:
            self._say()

    def _say(self) -> None:
        data, self._heads = marshal.dumps(self._heads), []
        self._write(self._said, len(data).to_bytes(_SIZE) + data)

    def tree(self, name: bytes, data: bytes, fresh: Ranges | None, before: tuple[bytes, Ranges] | None) -> None:
        """A tree that is looked at in these ranges (None: all of it); what it is built on, and what differs there."""
        count = len(self._old)
        if fresh is not None and before is not None:
            (base, stale), context = before, self._context
            end, old = len(base), self._old
            for first, last in stale:
                if last < first:
                    # the windows do not match: all is compared, and what is looked at is taken away again
                    old[count:] = [base + END, *(window(data, first, last) for first, last in fresh)]
                    self._whole.append((len(self._trees), data + END))
                    break
                first, last = first - context if first > context else 0, last + context
                old.append(base[first:last] if last < end else base[first:] + END)
        self._trees.append(name)
        self._fresh.append(1 if fresh is None else len(fresh))
        self._counts.append(len(self._old) - count)

    def note(self, numbers: Array, windows: Array) -> Array:
        """All trees since the last call: the first 8 bytes of the ids that were found where they are looked at, and the
        window of each. Gives those of them that are not there, by their places in the arrays."""
        count = len(self._trees)
        found, trees = [numbers], [np.repeat(np.arange(count), self._fresh)[windows]]
        for owners, some in ((np.array([tree for tree, _ in self._whole]), [data for _, data in self._whole]),
                             (np.repeat(np.arange(count), self._counts), self._old)):
            if some:
                more, at = ids(APART.join(some) + APART, begins(some), self._width)
                found.append(more)
                trees.append(owners[at])
        every, tree = np.concatenate(found), np.concatenate(trees).astype(np.uint64)
        signs = np.ones(len(every), np.int8)
        if self._old:
            signs[len(every) - len(found[-1]):] = -1
        keys = every + tree * _APART  # the same only for the same tree and id
        order = np.argsort(keys)
        firsts = np.flatnonzero(_changes(keys[order]))
        sums = np.add.reduceat(signs[order], firsts, dtype=np.int64) if len(firsts) else signs
        left = sums != 0
        chosen, sums = order[firsts[left]], sums[left]
        again = np.argsort(every[chosen])  # in their order they are found much faster
        chosen, sums = chosen[again], sums[again]
        at, there = self.places(every[chosen])
        names = np.frombuffer(b"".join(self._trees), np.uint8).reshape(-1, self._width)[:, :8]
        owner, _ = self.places(np.ascontiguousarray(names).view(">u8").reshape(-1).astype(np.uint64))
        notes = (at << ID) | (owner[tree[chosen].astype(np.int64)] << LESS) | (sums < 0)
        self._write(self._file, np.repeat(notes[there], np.abs(sums[there])).astype(np.uint64).tobytes())
        self._trees, self._fresh, self._counts, self._old, self._whole = [], [], [], [], []
        absent: Array = chosen[~there]
        return np.asarray(absent[absent < len(numbers)])

    def _write(self, file: IO[bytes], data: bytes) -> None:
        try:
            file.write(data)
            file.flush()
        except OSError:
            self.torn = True

    def end(self) -> None:
        """All was read."""
        if self._trees:
            self.note(np.zeros(0, np.uint64), np.zeros(0, np.int64))
        self._say()
        if not self.torn:
            self._write(self._file, np.array([_WHOLE]).tobytes())

    def whole(self) -> bool:
        """Whether all was noted, by whichever process."""
        if self._file.seek(0, os.SEEK_END) < _WHOLE.nbytes:
            return False
        self._file.seek(-_WHOLE.nbytes, os.SEEK_END)
        return self._file.read() == _WHOLE.tobytes()

    def commits(self) -> Iterator[Head]:
        """The commits that were noted, by whichever process; only once, and only where all was noted."""
        with self._said as file:
            file.seek(0)
            while size := int.from_bytes(file.read(_SIZE)):
                yield from marshal.loads(file.read(size))  # noqa: S302  (plain values; only we write it)

    def notes(self) -> Iterator[Array]:
        """What was noted, by whichever process, some at a time; only once. Then `torn` tells whether that was not
        all."""
        self.torn = True
        with self._file as file:
            file.seek(0)
            while raw := file.read(_BLOCK):
                found = np.frombuffer(raw, np.uint64, len(raw) // 8)
                self.torn = not len(found) or bool(found[-1] != _WHOLE)
                yield found if self.torn else found[:-1]


def _changes(ordered: Array) -> Array:
    """Where something begins that is not what stands before it."""
    return np.concatenate((np.ones(min(1, len(ordered)), bool), ordered[1:] != ordered[:-1]))
