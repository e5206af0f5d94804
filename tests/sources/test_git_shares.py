"""A pack's delta trees in shares of about equal work."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clawsecrets.sources.git import shares
from clawsecrets.sources.git.shares import Share, cut, pool, roots


def pack(trees: list[tuple[int, int, int]]) -> Any:
    """A pack of delta trees: each the size of its root, how many deltas are built on it, and their size."""
    bases, sizes = [], []
    for whole, count, size in trees:
        first = len(bases)
        bases += [-1] + [first] * count
        sizes += [whole] + [size] * count
    return SimpleNamespace(count=len(bases), bases=np.array(bases, np.int32), sizes=np.array(sizes, np.int64))


def work(given: Any, share: Share) -> float:
    delta, sizes = given.bases[share.members] >= 0, given.sizes[share.members]
    made = given.sizes[share.roots]
    return float((shares._EACH + np.where(delta, shares._DELTA * sizes + shares._RESULT * made, shares._WHOLE * sizes)
                  ).sum())


@pytest.mark.parametrize("trees", [
    [(1000, 3, 100)] * 4000,
    [(1000, 0, 0)] * 2000 + [(500_000, 0, 0)] * 200,
    [(1000, 3, 100)] * 2000 + [(700_000, 1500, 400)] + [(1000, 3, 100)] * 2000,
    [(900_000, 300, 2000)] * 3 + [(2000, 1, 100)] * 3000,
], ids=["alike", "large last", "one long chain", "few large"])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_are_about_equal(trees: list[tuple[int, int, int]], count: int) -> None:
    given = pack(trees)
    root = roots(given)
    found = cut(given, root, np.ones(given.count, bool), count)
    assert len(found) == count
    assert sorted(np.concatenate([share.members for share in found]).tolist()) == list(range(given.count))
    for share in found:
        assert (share.roots == root[share.members]).all()
        order = np.nonzero(np.diff(share.roots, prepend=-1))[0]
        assert len(order) == len(np.unique(share.roots)), "those of one root stand together"
    loads = [work(given, share) for share in found]
    tree = max(work(given, Share(np.nonzero(root == one)[0], root[root == one])) for one in np.unique(root)[
        np.argsort(np.bincount(root, minlength=given.count)[np.unique(root)])[-5:]])
    assert max(loads) <= max(1.1 * sum(loads) / count, 1.02 * tree)


def test_nothing_makes_empty_shares() -> None:
    given = pack([(10, 0, 0)] * 3)
    found = cut(given, roots(given), np.zeros(3, bool), 2)
    assert [len(share.members) for share in found] == [0, 0]
    assert sum(len(share.members) for share in cut(given, roots(given), np.ones(3, bool), 8)) == 3


def test_a_pool_gives_each_share_once_to_whichever_process_asks() -> None:
    given = pack([(1000, 3, 100)] * 2000)
    shared = pool(given, roots(given), np.ones(given.count, bool), 3)
    pipes = []
    for _ in range(3):
        out, into = os.pipe()
        if os.fork() == 0:
            code = 1
            try:
                with open(into, "wb") as file:
                    for share in shared:
                        file.write(share.members.astype(np.int64).tobytes())
                code = 0
            finally:
                os._exit(code)
        os.close(into)
        pipes.append(out)
    found = []
    for out in pipes:
        with open(out, "rb") as file:
            found += np.frombuffer(file.read(), np.int64).tolist()
    assert all(os.waitstatus_to_exitcode(os.wait()[1]) == 0 for _ in pipes)
    assert sorted(found) == list(range(given.count))
    assert list(shared) == []


@pytest.mark.parametrize("count", [1, 2, 100_000])
def test_a_pool_is_cut_as_far_as_it_pays(count: int) -> None:
    """Whole delta trees; no more pieces than a pipe holds, and none that is hardly any work."""
    given = pack([(1000, 3, 100)] * 40_000)
    root, every = roots(given), np.ones(given.count, bool)
    whole = work(given, Share(np.arange(given.count), root))
    found = list(pool(given, root, every, count))
    assert len(found) == {1: 1, 2: 2 * shares.PIECES}.get(count, int(whole / shares._SMALL)) <= shares._MOST
    assert sorted(np.concatenate([share.members for share in found]).tolist()) == list(range(given.count))
    assert sum(len(np.unique(share.roots)) for share in found) == len(np.unique(root))
    few = pack([(1000, 3, 100)] * 3)
    assert len(list(pool(few, roots(few), np.ones(few.count, bool), count))) == 1
