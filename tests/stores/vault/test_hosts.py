"""Two hosts on a cluster: forwards, with one absent, and a back-out that goes round both."""

from __future__ import annotations

from clawsecrets.model.hosts import behind
from clawsecrets.model.rotation import State
from tests.sim.hosts import Hosts
from tests.stores.vault.conftest import Dev


def test_both_hosts_have_it_before_the_old_one_dies(dev: Dev, prefix: str) -> None:
    it = Hosts(names=("k1", "k2"), store=dev.create(prefix))
    old = it.current("k1")
    it.rotate("a", "k1")
    assert it.rotation("k1").state is State.PUBLISHED and "host b (file@b)" in it.rotation("k1").note
    assert old in it.live_values
    it.sync("b")
    it.clock.sleep(31.0)
    it.rotate("a", "k1")
    assert it.rotation("k1").state is State.DONE and not behind(it.store.load("k1"))
    it.check_end()


def test_back_out_goes_round_both(dev: Dev, prefix: str) -> None:
    it = Hosts(store=dev.create(prefix))
    old = it.current("k1")
    it.rotate("a", "k1")
    it.sync("b")
    it.abort("a", "k1")
    assert it.rotation("k1").state is State.DEMOTED and "host b" in it.rotation("k1").note
    it.heal()
    assert it.rotation("k1").state is State.ABORTED and it.current("k1") == old
    it.check_end()
