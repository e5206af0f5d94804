"""Whether what a scan said of where its findings can be reached from still holds, although refs have moved: each must
lead to the same of the commits that brought them. Without numpy, and without reading a commit that was there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from clawsecrets.sources.git.refs import Refs

MOST = 4000
"""Refs, and entries of reflogs, of which is remembered where they led."""


def standing(refs: Refs) -> dict[str, Any] | None:
    """Where each leads, as JSON can hold it; None where there are too many. Names are hashed: a value may stand in
    one."""
    if len(refs.tips) + sum(map(len, refs.logged.values())) > MOST:
        return None
    return {"tips": {_hashed(name): target for name, target in refs.tips.items()},
            "logs": {_hashed(name): sorted(ids) for name, ids in refs.logged.items()}}


def led_to(report: Mapping[str, Any] | None) -> Collection[str]:
    """The ids of all objects to which refs led, by what a cache has kept; they were there."""
    try:
        return set(report["refs"]["tips"].values()) if report else ()
    except (KeyError, TypeError, AttributeError):
        return ()


def _hashed(name: str) -> str:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def steady(before: Mapping[str, Any], now: Refs, reached: Mapping[bytes, int], fresh: Collection[bytes] = ()) -> bool:
    """Whether every name that led anywhere still does, there are no others, and each leads to the same as `before`.
    `reached` tells, of commits, which of those that are of interest they reach. A name that leads to something of
    which that is not known must not have moved. `fresh`: objects that were not there; a reflog may have named one
    of them all the same. KeyError, TypeError, ValueError or AttributeError for what `standing` did not give."""
    after = standing(now)
    if after is None or after["tips"].keys() != before["tips"].keys() or after["logs"].keys() != before["logs"].keys():
        return False

    def ways(targets: Iterable[str]) -> set[int | None]:
        return {reached.get(bytes.fromhex(target)) for target in targets}

    new = {name.hex() for name in fresh}
    for name, target in after["tips"].items():
        was = before["tips"][name]
        if target != was and (ways([was]) != ways([target]) or None in ways([was])):
            return False
    for name, ids in after["logs"].items():
        late, gone = {*ids} - {*before["logs"][name]}, {*before["logs"][name]} - {*ids}
        if gone or not new.isdisjoint(before["logs"][name]) or not ways(late) <= ways(before["logs"][name]) - {None}:
            return False
    return True
