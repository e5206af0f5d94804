"""A Swarm service whose replaced task still serves: nothing is proven until it has ended."""

from __future__ import annotations

from pathlib import Path

from clawsecrets.clients.docker_control import Control
from clawsecrets.clients.docker_services import ending
from clawsecrets.consumers.swarm import SwarmConsumer
from clawsecrets.injectors.swarm import SwarmSecret
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry, Handover
from tests import canary as canaries
from tests.crash.fake_docker import FakeDocker

OLD, NEW = (SecretValue(canaries.fresh()) for _ in range(2))


def test_a_task_that_was_replaced_is_waited_for(tmp_path: Path) -> None:
    with FakeDocker(tmp_path) as engine:
        engine.make_service("app")
        control = Control.of(engine.url)
        swarm = SwarmSecret("swarm", control, ["app"], sleep=lambda _: None)
        consumer = SwarmConsumer("c", control, "app", files=["/run/secrets/key"], sleep=lambda _: None)
        handover = Handover("key", "generic", "other", NEW, 2, OLD)
        for version, value in enumerate((OLD, NEW), 1):
            assert swarm.deliver([Entry("key", version, value, "KEY")]).outcome is Outcome.OK
        service = engine.services["app"]
        reply = consumer.prove(handover)
        assert service.leaving and reply.outcome is Outcome.LATER and not reply.person
        assert "have not ended" in reply.detail
        assert consumer.probe(handover).outcome is Outcome.LATER
        while service.leaving:
            engine.tasks(service)
        assert consumer.prove(handover).outcome is Outcome.OK


def test_which_tasks_are_ending() -> None:
    def told(wanted: str, state: str) -> bool:
        return ending({"DesiredState": wanted, "Status": {"State": state}})

    assert told("shutdown", "running") and told("remove", "running") and told("shutdown", "starting")
    assert not any(told("shutdown", state) for state in ("complete", "shutdown", "failed", "rejected", "orphaned"))
    assert not told("running", "running") and not told("ready", "running")
