"""To a cluster and back: everything arrives, by value and by history, also when it was killed on the way."""

from __future__ import annotations

import random
from pathlib import Path

from clawsecrets.stores.comparing import compare, names_of
from clawsecrets.stores.moving import MOVED, SAME
from tests.stores.test_moving import copy, killed, made, quiet, stocked
from tests.stores.vault.conftest import Dev


def test_there_and_back(dev: Dev, prefix: str, tmp_path: Path) -> None:
    source, target = made(tmp_path / "a"), dev.create(prefix)
    stocked(source, 4)
    assert copy(source, target).complete and compare(source, target, quiet) == []
    assert set(copy(source, target).done.values()) == {SAME}
    assert set(copy(source, target, retire=True).done.values()) == {MOVED}
    assert not target.check() and not target.verify_log()
    assert set(copy(target, source, retire=True, back=True).done.values()) == {MOVED}
    assert compare(source, target, quiet) == []
    assert not any(source.load(name).elsewhere for name in names_of(source))


def test_killed_on_the_way(dev: Dev, prefix: str, tmp_path: Path) -> None:
    source, target = made(tmp_path / "a"), dev.create(prefix)
    stocked(source, 6)
    dice = random.Random(5)
    for _ in range(6):
        killed(source, target, dice.randrange(1, 40), retire=True)
    assert copy(source, dev.open(prefix), retire=True).complete
    assert compare(source, target, quiet) == [] and names_of(source) == names_of(target)
    assert not target.check() and not target.verify_log()
