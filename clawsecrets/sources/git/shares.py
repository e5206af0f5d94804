"""A pack's delta trees, of one type of object, cut into shares of about equal work, or into small ones of which whoever
is free takes the next."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawsecrets.sources.git.arrays import distinct
from clawsecrets.sources.git.loose import LARGE
from clawsecrets.sources.git.packs import OUTSIDE, Pack
from clawsecrets.sources.git.walk import LIMIT

Array = NDArray[Any]

_EACH, _WHOLE, _DELTA, _RESULT = 20_000, 15, 35, 0.2
"""Nanoseconds that an object takes, a byte of one that stands whole in the pack, a byte of a delta, and a byte of what
that makes: fitted to what 120 pieces of two histories took (r = 0.96)."""
PIECES = 32
"""Pieces of a share: what is alike stands together in a pack (large files, generated ones), and no estimate of the work
knows what is in it, so each share gets a little of everything; and where one delta tree is much of the work, less of
the rest."""
_SMALL = 10_000_000
"""Nanoseconds of work that are a piece of their own in a pool."""
_MOST = 8192
"""Pieces in a pool: their numbers have room in a pipe."""
_NUMBER = 2
"""Bytes of the number of a piece in a pool."""
TURNS = 16
"""Doublings that reach the root of the longest chain (see objects.py) with room."""


class Share(NamedTuple):
    """Objects of one type, whole delta trees."""

    members: Array
    """Positions; those of one root together."""
    roots: Array
    """The root of each."""


def roots(pack: Pack) -> Array:
    """The position of the object on which each is built in the end."""
    found = np.arange(pack.count, dtype=np.int32)
    deltas = pack.bases >= 0
    found[deltas] = pack.bases[deltas]
    for _ in range(TURNS):
        further = found[found]
        if (further == found).all():
            break
        found = further
    return found


def large(pack: Pack) -> Array:
    """Positions of objects that come in pieces, straight from the pack: no deltas, and nothing small is built on
    them."""
    whole = (pack.bases < 0) & (pack.bases != OUTSIDE) & (pack.kinds != 0) & (pack.sizes > LARGE)
    built_on = np.zeros(pack.count, bool)
    built_on[pack.bases[pack.bases >= 0]] = True
    return np.nonzero(whole & (~built_on | (pack.sizes > LIMIT)))[0]


def needed(pack: Pack, wanted: Array) -> Array:
    """Which objects must be made (a mask): those wanted, and what they are built on."""
    must = wanted.copy()
    front = np.nonzero(must)[0]
    while len(front):
        bases = pack.bases[front]
        bases = distinct(bases[bases >= 0])
        front = bases[~must[bases]]
        must[front] = True
    return must


class Pool:
    """Shares that are given once each, to whichever process asks first: its forks as well."""

    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares = shares
        self._next, into = os.pipe()
        with open(into, "wb") as file:
            file.write(b"".join([number.to_bytes(_NUMBER) for number in range(len(shares))]))

    def __iter__(self) -> Iterator[Share]:
        while number := os.read(self._next, _NUMBER):
            yield self._shares[int.from_bytes(number)]

    def __del__(self) -> None:
        os.close(self._next)


def pool(pack: Pack, root: Array, mask: Array, count: int) -> Pool:
    """The objects of `mask` for so many who take of them."""
    members, its_root, ranges = _pieces(pack, root, mask, min(count * PIECES, _MOST) if count > 1 else 1, _SMALL)
    return Pool([Share(members[begin:end], its_root[begin:end]) for _, begin, end in ranges])


def cut(pack: Pack, root: Array, mask: Array, count: int) -> list[Share]:
    """The objects of `mask` in `count` shares (some may be empty)."""
    members, its_root, ranges = _pieces(pack, root, mask, count * PIECES if count > 1 else 1)
    shares: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    loads = [(0.0, k) for k in range(count)]
    for its, begin, end in ranges:
        load, k = loads[0]
        heapq.heapreplace(loads, (load + its, k))
        shares[k].append((begin, end))
    return [Share(_put(members, sorted(given)), _put(its_root, sorted(given))) for given in shares]


def _pieces(pack: Pack, root: Array, mask: Array, pieces: int, least: int = 0
            ) -> tuple[Array, Array, list[tuple[float, int, int]]]:
    """The objects of `mask`, and the root of each; cut into at most so many pieces, of this much work at least: how
    much each is, where it begins and ends. The largest come first."""
    members = np.nonzero(mask)[0].astype(np.int32)
    its_root = root[members]
    order = np.argsort(its_root, kind="stable")
    members, its_root = members[order], its_root[order]
    delta, sizes = pack.bases[members] >= 0, pack.sizes[members].astype(np.int64)
    work = np.cumsum(_EACH + np.where(delta, _DELTA * sizes + _RESULT * pack.sizes[its_root], _WHOLE * sizes))
    total = float(work[-1]) if len(work) else 0.0
    begins = np.nonzero(np.diff(its_root, prepend=-1))[0]
    if least:
        pieces = max(1, min(pieces, int(total / least)))
    bounds = [0]
    for piece in range(1, pieces):
        at = int(np.searchsorted(work, total * piece / pieces))
        place = int(np.searchsorted(begins, at))
        bounds.append(int(begins[place]) if place < len(begins) else len(members))
    bounds.append(len(members))
    before = np.concatenate(([0.0], work))
    ranges = [(float(before[b] - before[a]), a, b) for a, b in pairwise(bounds) if a < b]
    ranges.sort(key=lambda one: -one[0] if one[0] * pieces > 2 * total else 0.0)  # the others stay as they lie
    return members, its_root, ranges


def _put(array: Array, ranges: Sequence[tuple[int, int]]) -> Array:
    return np.concatenate([array[a:b] for a, b in ranges]) if ranges else array[:0]
