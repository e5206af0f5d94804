"""The servers that other tests need: they start, fail over, and come back."""

from __future__ import annotations

import pytest

from tests.real.openbao import Cluster, Dev
from tests.waiting import until

pytestmark = pytest.mark.real("openbao")


def test_a_dev_server_can_be_sealed_and_opened_again() -> None:
    with Dev() as bao:
        bao.api("POST", "secret/data/a", {"data": {"x": "1"}})
        bao.seal()
        assert bao.request("GET", "secret/data/a").status_code == 503
        bao.unseal()
        assert bao.api("GET", "secret/data/a")["data"]["data"] == {"x": "1"}


def test_a_cluster_outlives_its_leader_killed_or_paused() -> None:
    with Cluster(3) as cluster:
        for number in range(2):
            leader = cluster.leader()
            leader.kill() if number == 0 else leader.stop()
            others = [node for node in cluster.nodes if node is not leader]
            until(lambda others=others: any(node.leads_since() for node in others), "another leader")
            cluster.wait_writable()
            assert cluster.leader() in others
            leader.kill()
            leader.start()
            # it stands by, or leads again: on a busy machine an election comes when it likes
            until(lambda leader=leader: leader.health() in (200, 429), "the old leader takes part again")
            cluster.wait_writable()
