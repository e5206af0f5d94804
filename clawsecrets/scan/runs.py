"""Where bytes may hold a run of encoded text: a look at words of eight bytes that leaves out nine tenths of a source.

Each run of base64 or hex that stands for text has, at every fourth place, a letter of a part of the alphabet (the
first of a group: `I-Z`, `a-f`; `2-7` for hex), and is long enough to fill two neighbouring words. So two words whose
fourth places agree, and that hold no blank or bracket, are what the automaton (a byte at a time, the slowest of all
that is asked) must be shown, with the words beside them. Exact: what the automaton sees in these parts is what it would
see in the whole. Vectorised, which makes it twice as fast in all. Imports numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD = 8
_FULL = int.from_bytes(b"\1" * WORD, "little")
_ODD, _EVEN = (np.frombuffer(one * 4, np.uint64)[0] for one in (b"\0\xff", b"\xff\0"))
_GAP = int.from_bytes(b"\n" * WORD, "little")
"""Put between parts that were apart, so that no run goes over."""


class Runs:
    """The parts of data in which a run may stand, joined. `wide`: of UTF-16 and UTF-32 instead."""

    def __init__(self, data: bytes, *, wide: bool = False) -> None:
        whole = data + b"\n" * (-len(data) % WORD)
        words = np.frombuffer(whole, np.uint64)
        kept = _around(_wide(words) if wide else _likely(np.frombuffer(whole, np.uint8)), len(words))
        shown = kept.copy()
        shown[1:] |= kept[:-1]
        self._at: NDArray[np.intp] = np.flatnonzero(shown)
        parts = words[self._at]
        parts[~kept[self._at]] = _GAP
        self.text = parts.tobytes()

    def place(self, end: int) -> int:
        """Where an end in `text` is in the data."""
        word, byte = divmod(end - 1, WORD)
        return int(self._at[word]) * WORD + byte + 1


class _Buffers:
    """Room for one look, kept: taking it anew from the system each time costs more than the look itself."""

    def __init__(self, size: int) -> None:
        self.shifted = np.empty(size, np.uint8)
        self.one, self.other = np.empty(size, np.bool_), np.empty(size, np.bool_)
        self.fourth, self.both = np.empty(size // WORD, np.uint32), np.empty(size // WORD, np.uint32)
        self.inner = np.empty(size // WORD, np.bool_)


_STEP = 256 << 10
"""Bytes of one look: with its buffers, it stays in the processor's caches, and calls cost little."""
_room = _Buffers(_STEP)


def _likely(data: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Words that, with the next one, may be inside of a run."""
    found = []
    for low in range(0, len(data), _STEP - WORD):  # the last word is the next look's first
        found.append(_look(data[low: low + _STEP]) + low // WORD)
    return np.concatenate(found)


def _look(data: NDArray[np.uint8]) -> NDArray[np.intp]:
    size, room = len(data), _room
    words = size // WORD
    shifted, one, other = room.shifted[:size], room.one[:size], room.other[:size]
    np.subtract(data, 0x49, out=shifted)
    np.less_equal(shifted, 0x1d, out=one)  # I to f, with the few signs between the cases
    np.subtract(data, 0x32, out=shifted)
    np.less_equal(shifted, 5, out=other)  # 2 to 7
    np.logical_or(one, other, out=one)
    np.subtract(data, 0x2b, out=shifted)
    np.less_equal(shifted, 0x4f, out=other)  # + to z: all of the alphabet, no blank, no bracket
    inner = np.equal(other.view(np.uint64), _FULL, out=room.inner[:words])
    halves = one.view(np.uint32)
    fourth = np.bitwise_and(halves[::2], halves[1::2], out=room.fourth[:words])
    both = np.bitwise_and(fourth[1:], fourth[:-1], out=room.both[:words - 1]) != 0
    both &= inner[1:]
    both &= inner[:-1]
    return np.flatnonzero(both)


def _wide(words: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Words whose every other byte is 0, as the next one's, and that are not all 0."""
    some = words != 0
    odd, even = (words & _ODD) == 0, (words & _EVEN) == 0
    odd &= some
    even &= some
    return np.flatnonzero((odd[1:] & odd[:-1]) | (even[1:] & even[:-1]))


def _around(first: NDArray[np.intp], size: int) -> NDArray[np.bool_]:
    """These words, the next ones, and one on each side: the run begins in the one and may end in the other."""
    kept = np.zeros(size + 3, np.bool_)
    for step in range(4):
        kept[first + step] = True
    return kept[1: size + 1]
