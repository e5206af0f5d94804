"""After a restore an unfinished rotation is settled as after a crash: it went on, nobody knows how far."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.model.rotation import Rotation, State, Wait
from clawsecrets.stores.backup import backup, restore
from clawsecrets.stores.keys import KeyFile
from tests.contract.store import change, event, put
from tests.stores.conftest import Place


@pytest.mark.parametrize(("state", "armed"), [(State.PROVEN, True), (State.STUCK, False), (State.DONE, False)])
def test_a_parked_rotation_is_armed_by_a_restore(place: Place, tmp_path: Path, state: State, armed: bool) -> None:
    store = place.open()
    put(store, "a", "value-1")
    stuck_in = State.DELIVERED if state is State.STUCK else None
    parked = Rotation("r", "a", "overlap", state, 1.0, 2.0, old_version=1, armed=False, until=99.0,
                      waits_for=Wait.TIME, stuck_in=stuck_in)
    store.commit([change(replace(store.load("a"), rotation=parked))])
    copy = tmp_path / "copy.backup"
    backup(store, copy)
    store.close()
    there = restore(copy, tmp_path / "there" / "store.db", tmp_path / "state" / "mark", place.code,
                    [KeyFile(tmp_path / "there.key")], event("store.restored"))
    record = there.load("a")
    there.close()
    assert record.reconcile and record.rotation is not None
    assert record.rotation.armed is armed and record.rotation.state is state
    assert (record.rotation.until == 0.0) is armed
