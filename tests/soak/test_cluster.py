"""Two hundred rotations by two hosts, each on a machine of its own, while a cluster of three is killed, paused and
partitioned under them, and they are killed and cut off themselves. The figures go to bench/results/cluster.json.

    CLUSTER_SOAK_ROTATIONS=40 CLUSTER_SOAK_PATIENCE=4 python -m bench.soak cluster      a short one, with less patience

What happens comes in turns, each turn in another order; a role (leader, follower) is looked for when its time comes.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import figures
from tests.certificates import Authority
from tests.fake_provider import FakeProvider
from tests.real.network import Network
from tests.real.openbao import Cluster, Node
from tests.real.team import Host, Team

pytestmark = [pytest.mark.real("openbao", "namespaces"), pytest.mark.soak]

ROTATIONS = int(os.environ.get("CLUSTER_SOAK_ROTATIONS", "200"))
KEYS, EVERY = 10, 8
"""How many, and every how many seconds."""
PATIENCE = int(os.environ.get("CLUSTER_SOAK_PATIENCE", "10"))
"""Seconds for which a host asks a cluster again that does not answer, twice as many for writes. With few, commands fail
in the middle; with many, they sit it out."""
NODES = ("node0", "node1", "node2")
HOSTS = ("host-a", "host-b")
HOLD, REST = (3.0, 15.0), (2.0, 8.0)
"""Seconds that a fault lasts, and between two of them. Takeover is after 5, an election takes about 2."""
LOSES = 0.4
"""How often, with each fault, an answer of the provider is lost."""
KINDS = (
    "the leader killed", "a follower killed", "the leader paused", "a follower paused",
    "the leader cut off", "a follower cut off", "the leader apart from its followers",
    "the leading host killed", "the other host killed", "the leading host cut off", "the other host cut off",
    "the leading host without the cluster", "the leader killed, the leading host killed",
)


class Trouble:
    """What is done to the cluster and to the hosts."""

    def __init__(self, team: Team, net: Network, rng: random.Random) -> None:
        self.team, self.net, self.rng = team, net, rng
        self.done: Counter[str] = Counter()
        self.zombies = 0
        """Paused leaders that still believed that they led when they went on, and had to be started anew."""

    def one(self, kind: str) -> None:
        """One fault, held for a while, and healed. At times the provider loses an answer, too."""
        who, _, what = kind.partition(", ")
        if self.rng.random() < LOSES:
            self.team.fake.fault(self.rng.choice(("create", "revoke", "list")), "reset",
                                 when=self.rng.choice(("before", "after")))
            self.done["an answer of the provider lost"] += 1
        with self._begun(who):
            if what:
                with self._begun(what):
                    self._hold()
            self._hold()
        self.done[kind] += 1
        self.team.cluster.wait_writable()

    def _hold(self) -> None:
        time.sleep(self.rng.uniform(*HOLD))

    @contextmanager
    def _begun(self, what: str) -> Iterator[None]:
        heal = self._host(what) if "host" in what else self._node(what)
        try:
            yield
        finally:
            heal()

    def _node(self, what: str) -> Callable[[], None]:
        cluster = self.team.cluster
        leader = cluster.leader()
        node = leader if "leader" in what else self.rng.choice([one for one in cluster.nodes if one is not leader])
        others = [one.name for one in cluster.nodes if one is not node]
        if what.endswith("killed"):
            node.kill()
            return node.start
        if what.endswith("paused"):
            node.stop()
            return lambda: self._woken(node)
        if what.endswith("cut off"):
            self.net.cut(node.name)
        else:
            self.net.apart(node.name, others)
        return lambda: self.net.join(node.name)

    def _woken(self, node: Node) -> None:
        """It goes on, for a while as it is; one that cannot find back is started anew, as its operator would."""
        node.resume()
        self._hold()
        if node.health() == 200 and self.team.cluster.leader() is not node:
            self.zombies += 1
            node.kill()
            node.start()

    def _host(self, what: str) -> Callable[[], None]:
        leads, other = sorted(self.team.hosts, key=lambda host: not host.leads)
        host = leads if "leading" in what else other
        if what.endswith("killed"):
            host.kill()
            return host.start
        if what.endswith("cut off"):
            self.net.cut(host.name)
        else:
            self.net.apart(host.name, NODES)
        return lambda: self._joined(host)

    def _joined(self, host: Host) -> None:
        self.net.join(host.name)
        assert host.runs, f"the daemon of {host.name} ended:\n{host.log.read_text()[-3000:]}"


@contextmanager
def deployed(folder: Path) -> Iterator[tuple[Team, Network]]:
    """The cluster, the provider and both hosts, each in a network namespace of its own but for the provider."""
    authority = Authority(folder)
    with Network(*NODES, *HOSTS) as net:
        certificate = authority.issue("provider", folder, hosts=(net.gateway,))
        with Cluster(3, [net.address(name) for name in NODES], [net.prefix(name) for name in NODES]) as cluster, \
                FakeProvider(host=net.gateway, certificate=certificate) as fake, \
                Team(cluster, fake, authority.file, KEYS, EVERY, net, PATIENCE) as team:
            yield team, net


def test_two_hundred_rotations(tmp_path: Path, random_seed: int) -> None:
    print(f"seed {random_seed}, {ROTATIONS} rotations")
    rng, machine = random.Random(random_seed), figures.machine()
    with deployed(tmp_path) as (team, net):
        trouble, began = Trouble(team, net, rng), time.monotonic()
        team.go()
        team.until_rotated(2)
        kinds: list[str] = []
        while team.rotated() < ROTATIONS or kinds:
            if not kinds:
                kinds = rng.sample(KINDS, len(KINDS))
            kind = kinds.pop()
            print(f"{time.monotonic() - began:6.0f} s, {team.rotated():4} rotations: {kind}", flush=True)
            trouble.one(kind)
            time.sleep(rng.uniform(*REST))
        team.fake.clear()
        team.settle()
        found = {"seed": random_seed, "patience_s": PATIENCE, "seconds": round(time.monotonic() - began),
                 "faults": dict(trouble.done), "paused_leaders_started_anew": trouble.zombies, **team.judge()}
    print(json.dumps(found, indent=1))
    figures.write("cluster", machine, found)
    assert found["done"] >= ROTATIONS and found["uses_of_keys"]["accepted"] > ROTATIONS, found
