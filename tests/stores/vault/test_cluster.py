"""A real cluster of three with Raft and TLS, whose leader is killed and paused while two hosts write through it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from clawsecrets.errors import StaleRecord
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.stores.vault import store as vault
from clawsecrets.stores.vault.store import VaultStore
from clawsecrets.stores.vault.transport import Connection, Patience
from tests.contract.store import NOW, put
from tests.real import openbao
from tests.waiting import LONG

pytestmark = [pytest.mark.real("openbao"), pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[openbao.Cluster]:
    with openbao.Cluster(3) as running:
        yield running


def handle(cluster: openbao.Cluster, prefix: str, first: int, *, make: bool = False) -> VaultStore:
    """A host that asks that node first."""
    urls = [node.url for node in cluster.nodes]
    connection = Connection([*urls[first:], *urls[:first]], lambda: SecretValue(cluster.token),
                            ca_file=str(cluster.ca_file))
    begin = vault.create if make else vault.open_store
    return begin(connection, "secret", prefix, patience=Patience(LONG, LONG))


class Host:
    """Commits and logs until it is told to stop, and counts what it was told is done."""

    def __init__(self, store: VaultStore, name: str) -> None:
        self.store, self.name = store, name
        self.stop, self.errors = threading.Event(), []
        self.values: list[str] = []
        self.logged = 0
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self.stop.is_set():
                self.store.log(AuditEvent(NOW, self.name, "logged", detail={"number": str(self.logged)}))
                self.logged += 1
                self._commit()
        except BaseException as error:
            self.errors.append(error)
            raise

    def _commit(self) -> None:
        while True:
            record = self.store.load("shared")
            number = record.last_number + 1
            value = f"{self.name}-{number}"
            changed = record.put_current(Version(number, Stage.CURRENT, NOW))
            noted = AuditEvent(NOW, self.name, "added", "shared", number)
            try:
                self.store.commit([Change(changed, noted, {number: SecretValue(value)})])
            except StaleRecord:
                continue
            self.values.append(f"{number} {value}")
            return


def steady(hosts: list[Host], more: int = 3) -> None:
    """Until each has written some more."""
    goals, end = [len(host.values) + more for host in hosts], time.monotonic() + LONG
    while any(len(host.values) < goal for host, goal in zip(hosts, goals, strict=True)):
        assert not any(host.errors for host in hosts), [host.errors for host in hosts]
        assert time.monotonic() < end, "it does not go on"
        time.sleep(0.05)


def test_no_value_and_no_event_is_lost_or_doubled_while_leaders_fall(cluster: openbao.Cluster) -> None:
    prefix = "falling"
    put(handle(cluster, prefix, 0, make=True), "shared", "first")
    hosts = [Host(handle(cluster, prefix, number), f"host{number}") for number in (1, 2)]
    for host in hosts:
        host.thread.start()
    for how in ("kill", "stop", "kill"):
        steady(hosts)
        leader = cluster.leader()
        getattr(leader, how)()
        steady(hosts)
        leader.resume() if how == "stop" else leader.start()
        cluster.wait_writable()
    for host in hosts:
        host.stop.set()
    for host in hosts:
        host.thread.join(LONG)
        assert host.errors == [] and not host.thread.is_alive()

    store = handle(cluster, prefix, 0)
    told = sorted(entry for host in hosts for entry in host.values)
    record = store.load("shared")
    held = sorted(f"{version.number} {store.value('shared', version.number).reveal_text()}"
                  for version in record.versions if version.number > 1)
    assert held == told and record.last_number == len(told) + 1
    events = [item.event for item in store.events()]
    assert sorted(e.version for e in events if e.action == "added") == list(range(2, len(told) + 2))
    for host in hosts:
        logged = [e.detail["number"] for e in events if (e.actor, e.action) == (host.name, "logged")]
        assert logged == [str(number) for number in range(host.logged)]
    assert store.verify_log() == "" and store.check() == []


def test_what_one_host_wrote_another_builds_on_through_any_node(cluster: openbao.Cluster) -> None:
    """Nodes that stand by answer reads, a little late: nobody decides on that, and nobody is told of damage."""
    prefix = "lagging"
    stores = [handle(cluster, prefix, number, make=not number) for number in range(3)]
    put(stores[0], "a", "value-1")
    for number in range(2, 32):
        store = stores[number % 3]
        while True:
            record = store.load("a")
            changed = record.put_current(Version(number, Stage.CURRENT, NOW))
            try:
                if record.last_number == number - 1:
                    store.commit([Change(changed, AuditEvent(NOW, "x", "set", "a", number),
                                         {number: SecretValue(f"value-{number}")})])
                    break
            except StaleRecord:
                continue
        assert store.load("a").last_number == number, "it does not see what it wrote itself"
        assert store.value("a", number) == SecretValue(f"value-{number}")
    assert all(store.verify_log() == "" for store in stores)
    assert stores[1].check() == []
