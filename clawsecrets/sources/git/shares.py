"""A pack's delta trees, of one type of object, cut into shares of about equal work."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clawsecrets.sources.git.loose import LARGE
from clawsecrets.sources.git.packs import OUTSIDE, Pack
from clawsecrets.sources.git.walk import LIMIT

Array = NDArray[Any]

_EACH, _INFLATED, _RESULT = 3000, 15, 1
"""Nanoseconds that an object takes, a byte of it as it stands in the pack, and a byte of its content."""
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
        bases = np.unique(bases[bases >= 0])
        front = bases[~must[bases]]
        must[front] = True
    return must


def cut(pack: Pack, root: Array, mask: Array, count: int) -> list[Share]:
    """The objects of `mask` in `count` shares (some may be empty)."""
    members = np.nonzero(mask)[0].astype(np.int32)
    its_root = root[members]
    order = np.argsort(its_root, kind="stable")
    members, its_root = members[order], its_root[order]
    work = np.cumsum(_EACH + _INFLATED * pack.sizes[members] + _RESULT * pack.sizes[its_root])
    total = int(work[-1]) if len(work) else 0
    begins = np.nonzero(np.diff(its_root, prepend=-1))[0]
    bounds = [0]
    for share in range(1, count):
        at = int(np.searchsorted(work, total * share // count))
        place = int(np.searchsorted(begins, at))
        bounds.append(int(begins[place]) if place < len(begins) else len(members))
    bounds.append(len(members))
    return [Share(members[a:b], its_root[a:b]) for a, b in pairwise(bounds)]
