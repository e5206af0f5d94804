"""Podman's secrets at a real Podman, and the docker consumer at its compatible service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.clients.docker_control import Control
from clawsecrets.consumers.docker import DockerConsumer
from clawsecrets.injectors import mapping
from clawsecrets.injectors.podman import PodmanSecret
from clawsecrets.model.rotation import Outcome
from tests import canary as canaries
from tests.real import containers
from tests.real.containers import entry, handover, ok, seen, sees
from tests.real.podman import Podman, podman

pytestmark = pytest.mark.real("docker")

OLD, NEW = (canaries.fresh() for _ in range(2))
NAME = mapping.engine_name("acme/key")


@pytest.fixture(scope="module")
def engine() -> Iterator[Podman]:
    with podman() as it:
        yield it


@pytest.fixture(autouse=True)
def nothing_left(engine: Podman) -> Iterator[None]:
    yield
    engine("rm", "--force", "--all", "--time", "1")
    engine("secret", "rm", "--all")


def run(engine: Podman, log: Path) -> None:
    log.mkdir(exist_ok=True)
    engine("run", "--detach", "--replace", "--name", "reader", "--network", "none", "--volume", f"{log}:/log",
           "--secret", f"{NAME},mode=0400,uid=1000", "--env", f"WHERE=/run/secrets/{NAME}", "localhost/base:1", "sh",
           "-c", containers.LOOP)


def test_a_rotation(engine: Podman, tmp_path: Path) -> None:
    secrets, log = PodmanSecret("podman"), tmp_path / "log"
    consumer = DockerConsumer("c", Control.of(f"unix://{engine.socket}"), "reader", files=["/run/secrets"], settle=0.0)
    ok(secrets.preflight())
    assert secrets.holds(entry(OLD)) is False
    ok(secrets.deliver([entry(OLD)]))
    run(engine, log)
    sees(log, OLD)
    ok(consumer.preflight(handover(OLD)))
    ok(secrets.deliver([entry(NEW, 2)]))
    assert secrets.holds(entry(NEW, 2)) is True and secrets.holds(entry(OLD)) is False
    kept = consumer.prove(handover(NEW, OLD))
    assert kept.outcome is Outcome.REFUSED and f"/run/secrets/{NAME}" in kept.detail
    run(engine, log)
    ok(consumer.prove(handover(NEW, OLD)))
    sees(log, NEW)
    assert seen(log) == [OLD.decode(), NEW.decode()]
    shown = engine("secret", "inspect", NAME)
    assert canaries.search(shown, NEW) == [] and canaries.search(shown, OLD) == []


def test_it_is_not_written_again_without_need(engine: Podman) -> None:
    secrets = PodmanSecret("podman")
    ok(secrets.deliver([entry(OLD)]))
    first = engine("secret", "inspect", "--format", "{{.ID}}", NAME)
    ok(secrets.deliver([entry(OLD)]))
    assert engine("secret", "inspect", "--format", "{{.ID}}", NAME) == first
    ok(secrets.remove({"acme/key": "", "never-there": ""}))
    assert engine("secret", "ls", "--noheading") == b"" and secrets.holds(entry(OLD)) is False


def test_one_made_by_hand_is_taken_over(engine: Podman) -> None:
    engine("secret", "create", "own-name", "-", data=OLD)
    secrets = PodmanSecret("podman", {"acme/key": "own-name"})
    assert secrets.holds(entry(OLD)) is False
    ok(secrets.deliver([entry(OLD)]))
    assert secrets.holds(entry(OLD)) is True


@pytest.mark.parametrize("value", [b"", b"x" * 512_000])
def test_what_podman_cannot_carry_is_refused(engine: Podman, value: bytes) -> None:
    secrets = PodmanSecret("podman")
    assert secrets.could([entry(value)]).outcome is Outcome.REFUSED
    assert secrets.deliver([entry(value), entry(OLD, 1, "other")]).outcome is Outcome.REFUSED
    assert engine("secret", "ls", "--noheading") == b""
    ok(secrets.could([entry(b"x" * 511_999)]))
    bad = PodmanSecret("podman", {"acme/key": "-x"})
    assert bad.deliver([entry(OLD)]).outcome is Outcome.REFUSED


def test_a_restart_is_looked_at_as_it_is(engine: Podman, tmp_path: Path) -> None:
    """Whether Podman gives a restarted container the new value is its own affair: the answer is what is inside."""
    secrets, log = PodmanSecret("podman"), tmp_path / "log"
    ok(secrets.deliver([entry(OLD)]))
    run(engine, log)
    sees(log, OLD)
    ok(secrets.deliver([entry(NEW, 2)]))
    consumer = DockerConsumer("c", Control.of(f"unix://{engine.socket}"), "reader", files=["/run/secrets"], settle=0.0)
    ok(consumer.reload(handover(NEW, OLD)))
    containers.wait(0.3)
    now = seen(log)[-1].encode()
    assert consumer.prove(handover(NEW, OLD)).outcome is (Outcome.OK if now == NEW else Outcome.REFUSED)
