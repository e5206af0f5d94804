"""Swarm secrets at a real swarm of one node: delivered by updates, put back where they fail, and nothing left over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.consumers.swarm import SwarmConsumer
from clawsecrets.injectors.swarm import Given, SwarmSecret
from clawsecrets.model.rotation import Outcome
from tests import canary as canaries
from tests.real import containers
from tests.real.containers import FILE, control, entry, handover, ok, seen, sees, unless
from tests.real.docker import BASE, Dockerd
from tests.waiting import LONG, until

pytestmark = [pytest.mark.real("docker", "compose"), pytest.mark.slow]

OLD, NEW, BAD = (canaries.fresh() for _ in range(3))
QUICK = ("--detach", "--update-monitor", "200ms", "--update-delay", "0s", "--rollback-monitor", "200ms",
         "--restart-delay", "200ms", "--stop-grace-period", "1s")


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    yield from containers.swarm_engine()


Service = tuple[str, Path]


@pytest.fixture
def service(engine: Dockerd, tmp_path: Path) -> Iterator[Service]:
    """A reader whose health check refuses BAD; with a setting of its own that an update must not lose."""
    log = tmp_path / "log"
    log.mkdir()
    name = "gateway"
    engine.docker("service", "create", *QUICK, "--name", name, "--mount", f"type=bind,source={log},target=/log",
                  "--env", f"WHERE=/run/secrets/{FILE}", "--label", "kept=yes", "--ulimit", "nofile=77:77",
                  "--health-cmd", unless(BAD.decode()), "--health-interval", "100ms", "--health-retries", "1",
                  "--health-start-period", "0s", BASE, "sh", "-c", containers.LOOP)
    until(lambda: (log / "seen").exists(), "the service")
    yield name, log
    engine.docker("service", "rm", name)
    until(lambda: not engine.docker("ps", "--all", "--quiet"), "the end of its tasks")
    for secret in engine.docker("secret", "ls", "--quiet").decode().split():
        engine.docker("secret", "rm", secret)


def injector(engine: Dockerd, name: str, **more: object) -> SwarmSecret:
    return SwarmSecret("swarm", control(engine), [name], **more)  # type: ignore[arg-type]


def names(engine: Dockerd) -> list[str]:
    return sorted(engine.docker("secret", "ls", "--format", "{{.Name}}").decode().split())


def spec(engine: Dockerd, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(engine.docker("service", "inspect", name))[0]["Spec"]
    return found


def test_a_rotation(engine: Dockerd, service: Service) -> None:
    name, log = service
    swarm = injector(engine, name)
    consumer = SwarmConsumer("c", control(engine), name)
    before = spec(engine, name)
    ok(swarm.preflight())
    assert ok(swarm.deliver([entry(OLD)])).proof == "healthy with acme-key.v1"
    sees(log, OLD)
    ok(consumer.preflight(handover(OLD)))
    assert swarm.holds(entry(OLD)) is True and swarm.holds(entry(NEW)) is False and swarm.holds(entry(OLD, 2)) is False
    assert ok(swarm.deliver([entry(NEW, 2)])).proof == "healthy with acme-key.v2"
    ok(consumer.reload(handover(NEW, OLD)))
    proof = ok(consumer.prove(handover(NEW, OLD))).proof
    assert f"version 2 is in /run/secrets/{FILE}" in proof
    assert consumer.prove(handover(OLD, NEW, 1)).outcome is Outcome.REFUSED
    assert [value for value in seen(log) if value != "missing"] == [OLD.decode(), NEW.decode()]
    assert names(engine) == ["acme-key.v2"] and swarm.exposed(["acme/key"]) == []
    after = spec(engine, name)
    task = after["TaskTemplate"]["ContainerSpec"]  # type: ignore[index]
    (ref,) = task.pop("Secrets")
    assert ref["File"] == {"Name": FILE, "UID": "1000", "GID": "1000", "Mode": 0o400}
    assert after == before
    shown = engine.docker("secret", "inspect", "acme-key.v2") + engine.docker("service", "inspect", name)
    assert canaries.search(shown, NEW) == [] and canaries.search(shown, OLD) == []


def test_who_may_read_it_is_kept(engine: Dockerd, service: Service) -> None:
    name, _ = service
    engine.docker("secret", "create", "by-hand", "-", data=OLD)
    engine.docker("service", "update", *QUICK[:1], "--secret-add",
                  "source=by-hand,target=key,uid=7,gid=8,mode=0440", name)
    swarm = injector(engine, name, files={"acme/key": "key"})
    ok(swarm.deliver([entry(NEW, 2)]))
    task = spec(engine, name)["TaskTemplate"]["ContainerSpec"]  # type: ignore[index]
    assert [ref["File"] for ref in task["Secrets"]] == [{"Name": "key", "UID": "7", "GID": "8", "Mode": 0o440}]
    given = injector(engine, name, files={"acme/key": "key"}, given=Given("1000", "1000", 0o400))
    ok(given.deliver([entry(NEW, 2)]))
    task = spec(engine, name)["TaskTemplate"]["ContainerSpec"]  # type: ignore[index]
    assert [ref["File"] for ref in task["Secrets"]] == [{"Name": "key", "UID": "1000", "GID": "1000", "Mode": 0o400}]
    assert "by-hand" in names(engine), "what is not ours is not removed"
    engine.docker("service", "update", *QUICK[:1], "--secret-rm", "acme-key.v2", name)


@pytest.mark.parametrize("action", ["pause", "rollback", "continue"])
def test_a_failing_health_check_puts_it_back(engine: Dockerd, service: Service, action: str) -> None:
    """Whatever the service's own failure action is."""
    name, log = service
    engine.docker("service", "update", "--detach", "--update-failure-action", action, name)
    swarm = injector(engine, name, timeout=LONG)
    hasty = injector(engine, name, timeout=3.0)  # under "continue" nothing but its patience ends it
    consumer = SwarmConsumer("c", control(engine), name, timeout=LONG)
    ok(swarm.deliver([entry(OLD)]))
    reply = (hasty if action == "continue" else swarm).deliver([entry(BAD, 2)])
    assert reply.outcome is Outcome.REFUSED and "healthy" in reply.detail
    assert swarm.holds(entry(OLD)) is True
    sees(log, OLD)
    ok(consumer.prove(handover(OLD, BAD, 1)))
    ok(swarm.deliver([entry(OLD)]))
    assert names(engine) == ["acme-key.v1"], "the one that failed is removed"
    ok(swarm.deliver([entry(NEW, 3)]))
    ok(consumer.prove(handover(NEW, OLD, 3)))


def test_a_secret_that_was_made_before_a_crash_is_used(engine: Dockerd, service: Service,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    name, _ = service
    swarm = injector(engine, name)
    ok(swarm.deliver([entry(OLD)]))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SwarmSecret, "_update", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        swarm.deliver([entry(NEW, 2)])
    assert names(engine) == ["acme-key.v1", "acme-key.v2"]
    ok(swarm.deliver([entry(NEW, 2)]))
    assert names(engine) == ["acme-key.v2"]


def test_a_name_that_another_value_has(engine: Dockerd, service: Service) -> None:
    """Of another store, say, which counts its versions anew."""
    name, _ = service
    ok(injector(engine, name).deliver([entry(OLD, 2)]))
    ok(injector(engine, name).deliver([entry(NEW, 2)]))
    (left,) = names(engine)
    assert left.startswith("acme-key.v2.")
    ok(SwarmConsumer("c", control(engine), name).prove(handover(NEW, OLD)))


def test_old_versions_are_kept_as_long_as_asked(engine: Dockerd, service: Service) -> None:
    name, _ = service
    ok(injector(engine, name).deliver([entry(OLD)]))
    ok(injector(engine, name, keep=3600.0).deliver([entry(NEW, 2)]))
    assert names(engine) == ["acme-key.v1", "acme-key.v2"]
    engine.docker("service", "rollback", "--detach", name)
    until(lambda: injector(engine, name).holds(entry(OLD)), "the rollback")


def test_removing(engine: Dockerd, service: Service) -> None:
    name, _ = service
    swarm = injector(engine, name)
    ok(swarm.deliver([entry(OLD), entry(NEW, 1, "other")]))
    ok(swarm.remove({"acme/key": ""}))
    assert names(engine) == ["other.v1"]
    ok(swarm.remove({"acme/key": "", "other": ""}))
    assert names(engine) == []


def test_what_swarm_cannot_carry_is_refused(engine: Dockerd, service: Service) -> None:
    name, _ = service
    swarm = injector(engine, name)
    for value in (b"", b"x" * (500 * 1024 + 1)):
        assert swarm.could([entry(value)]).outcome is Outcome.REFUSED
        assert swarm.deliver([entry(value)]).outcome is Outcome.REFUSED
    assert injector(engine, "none-such").preflight().outcome is Outcome.REFUSED
    assert names(engine) == []
