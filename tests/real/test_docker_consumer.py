"""The docker consumer at a real engine: what the process inside has, after a restart, a recreation, or neither."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clawsecrets.clients.compose import Compose
from clawsecrets.consumers.docker import DockerConsumer
from clawsecrets.injectors.atomic import Access
from clawsecrets.injectors.directory import Directory
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.rotation import Outcome
from tests import canary as canaries
from tests.real import containers
from tests.real.containers import FILE, control, entry, handover, ok, seen, sees, starts, unless
from tests.real.docker import BASE, Dockerd

pytestmark = pytest.mark.real("docker", "compose")

OLD, NEW, BAD = (canaries.fresh() for _ in range(3))


@pytest.fixture(scope="module")
def engine() -> Iterator[Dockerd]:
    yield from containers.engine()


def directory(path: Path) -> Directory:
    return Directory("files", path, Access(mode=0o400))


def project(folder: Path, service: str, more: str = "") -> Path:
    """A Compose file with one reader, `gateway`."""
    (folder / "log").mkdir(exist_ok=True)
    (folder / "loop.sh").write_text(containers.LOOP)
    healthy = unless(BAD.decode()).replace("$", "$$")
    file = folder / "compose.yaml"
    file.write_text(f"services:\n  gateway:\n    image: {BASE}\n    network_mode: none\n"
                    f"    command: [sh, /loop.sh]\n    volumes: ['./loop.sh:/loop.sh', './log:/log']\n"
                    f"    healthcheck: {{test: {json.dumps(healthy)}, interval: 100ms, retries: 2}}\n{service}{more}")
    return file


@pytest.fixture
def down(engine: Dockerd, tmp_path: Path) -> Iterator[None]:
    yield
    engine.run(["docker-compose", "--file", tmp_path / "compose.yaml", "--profile", "*", "down", "--timeout", "1",
                "--volumes"])
    assert containers.left(engine) == []


def of_compose(engine: Dockerd, file: Path, action: str = "recreate", **more: object) -> DockerConsumer:
    consumer = DockerConsumer("c", control(engine), compose=Compose(file, "gateway", host=engine.host), action=action)
    return replace(consumer, **more)


def up(engine: Dockerd, file: Path) -> None:
    engine.run(["docker-compose", "--file", file, "up", "--detach", "gateway"])


# --- an env file and a recreation -----------------------------------------------------------------------------------


def test_a_variable_by_recreation(engine: Dockerd, tmp_path: Path, down: None) -> None:
    env, log = EnvFile("env", tmp_path / "a.env", "compose"), tmp_path / "log"
    file = project(tmp_path, "    env_file: [./a.env]\n")
    ok(env.deliver([entry(OLD)]))
    up(engine, file)
    sees(log, OLD)
    consumer = of_compose(engine, file)
    assert "KEY" in ok(consumer.preflight(handover(OLD))).detail
    ok(env.deliver([entry(NEW, 2)]))
    before = consumer.prove(handover(NEW, OLD))
    assert before.outcome is Outcome.REFUSED and "KEY" in before.detail
    ok(consumer.reload(handover(NEW, OLD)))
    proof = ok(consumer.prove(handover(NEW, OLD))).proof
    assert "version 2" in proof and "KEY (process" in proof
    assert ok(consumer.probe(handover(NEW, OLD))) and seen(log) == [OLD.decode(), NEW.decode()]
    ok(consumer.reload(handover(NEW, OLD)))
    assert starts(log) == 2, "it was started with it already, and is left alone"


def test_a_service_of_a_profile_and_one_that_goes_away(engine: Dockerd, tmp_path: Path, down: None) -> None:
    env, log = EnvFile("env", tmp_path / "a.env", "compose"), tmp_path / "log"
    file = project(tmp_path, "    env_file: [./a.env]\n    profiles: [claw]\n")
    ok(env.deliver([entry(OLD)]))
    up(engine, file)
    sees(log, OLD)
    consumer = of_compose(engine, file)
    ok(consumer.preflight(handover(OLD)))
    ok(env.deliver([entry(NEW, 2)]))
    ok(consumer.reload(handover(NEW, OLD)))
    ok(consumer.prove(handover(NEW, OLD)))
    text = file.read_text()
    away = of_compose(engine, file)
    away = replace(away, compose=Compose(file, "gateway", host="unix:///nowhere.sock"))
    file.write_text(text.replace("  gateway:", "  renamed:"))
    assert f"{file} has no service gateway" in consumer.reload(handover(NEW, OLD)).detail
    answers = [consumer.prove(handover(NEW, OLD)), consumer.probe(handover(NEW, OLD))]
    file.write_text(text)
    answers += [away.prove(handover(NEW, OLD)), away.reload(handover(NEW, OLD))]
    gone = of_compose(engine, tmp_path / "not/there.yaml")
    answers += [gone.prove(handover(NEW, OLD)), gone.reload(handover(NEW, OLD)), gone.preflight(handover(NEW, OLD))]
    assert all(answer.outcome is not Outcome.OK and answer.detail.startswith(str(tmp_path)) for answer in answers)


def test_a_restart_does_not_change_a_variable(engine: Dockerd, tmp_path: Path, down: None) -> None:
    env = EnvFile("env", tmp_path / "a.env", "compose")
    file = project(tmp_path, "    env_file: [./a.env]\n")
    ok(env.deliver([entry(OLD)]))
    up(engine, file)
    ok(env.deliver([entry(NEW, 2)]))
    consumer = of_compose(engine, file, "restart")
    ok(consumer.reload(handover(NEW, OLD)))
    reply = consumer.prove(handover(NEW, OLD))
    assert reply.outcome is Outcome.REFUSED and "keeps its environment" in reply.detail


def test_an_unhealthy_one_is_backed_out(engine: Dockerd, tmp_path: Path, down: None) -> None:
    env, log = EnvFile("env", tmp_path / "a.env", "compose"), tmp_path / "log"
    file = project(tmp_path, "    env_file: [./a.env]\n")
    ok(env.deliver([entry(OLD)]))
    up(engine, file)
    consumer = of_compose(engine, file)
    ok(env.deliver([entry(BAD, 2)]))
    reply = consumer.reload(handover(BAD, OLD))
    assert reply.outcome is Outcome.REFUSED and "not healthy" in reply.detail
    assert consumer.prove(handover(BAD, OLD)).outcome is Outcome.REFUSED
    ok(env.deliver([entry(OLD)]))
    ok(consumer.reload(handover(OLD, BAD, 1)))
    ok(consumer.prove(handover(OLD, BAD, 1)))
    assert seen(log) == [OLD.decode(), BAD.decode(), OLD.decode()]


def test_a_file_that_needs_more_of_the_environment_is_refused(engine: Dockerd, tmp_path: Path, down: None) -> None:
    file = project(tmp_path, "    environment: {A: '${NOT_SET_HERE}'}\n")
    up(engine, file)
    reply = of_compose(engine, file).reload(handover(NEW, OLD))
    assert reply.outcome is Outcome.REFUSED and "NOT_SET_HERE" in reply.detail and starts(tmp_path / "log") <= 1


# --- files ----------------------------------------------------------------------------------------------------------


def test_a_mounted_folder_shows_the_new_file(engine: Dockerd, tmp_path: Path) -> None:
    """It reads it again by itself: nothing is restarted, and it never reads anything but the old and the new value."""
    files, log = directory(tmp_path / "secrets"), tmp_path / "log"
    ok(files.deliver([entry(OLD)]))
    with containers.running(engine, "reader", log, "--volume", f"{tmp_path}/secrets:/run/s:ro", "--env",
                            f"WHERE=/run/s/{FILE}") as name:
        sees(log, OLD)
        consumer = DockerConsumer("c", control(engine), name, action="none", files=["/run/s"], settle=0.0)
        ok(consumer.preflight(handover(OLD)))
        ok(files.deliver([entry(NEW, 2)]))
        unsure = consumer.prove(handover(NEW, OLD))
        assert unsure.outcome is Outcome.LATER and unsure.person and "rereads" in unsure.detail
        rereads = replace(consumer, rereads=True)
        ok(rereads.reload(handover(NEW, OLD)))
        assert f"/run/s/{FILE}" in ok(rereads.prove(handover(NEW, OLD))).proof
        sees(log, NEW)
        assert seen(log) == [OLD.decode(), NEW.decode()] and starts(log) == 1
        restarting = replace(consumer, action="restart")
        ok(restarting.reload(handover(NEW, OLD)))
        ok(restarting.prove(handover(NEW, OLD)))
        assert starts(log) == 2
    assert containers.left(engine) == []


def test_the_trap_of_a_single_mounted_file(engine: Dockerd, tmp_path: Path, down: None) -> None:
    """Compose mounts a file secret as a single file: a replaced one is not seen until the mount is made anew."""
    files, log = directory(tmp_path / "secrets"), tmp_path / "log"
    file = project(tmp_path, "    environment: {WHERE: /run/secrets/key}\n    secrets: [key]\n",
                   f"secrets:\n  key: {{file: ./secrets/{FILE}}}\n")
    ok(files.deliver([entry(OLD)]))
    up(engine, file)
    sees(log, OLD)
    idle = of_compose(engine, file, "none", files=["/run/secrets"], rereads=True)
    trap = idle.preflight(handover(OLD))
    assert trap.outcome is Outcome.REFUSED and "single file" in trap.detail and "mount its folder" in trap.detail
    ok(files.deliver([entry(NEW, 2)]))
    containers.wait(0.3)
    assert seen(log) == [OLD.decode()], "the trap is real: the file was replaced, and it still reads the old one"
    kept = idle.prove(handover(NEW, OLD))
    assert kept.outcome is Outcome.REFUSED and "/run/secrets/key is mounted as a single file" in kept.detail
    for action in ("restart", "recreate"):
        consumer = of_compose(engine, file, action, files=["/run/secrets"])
        ok(consumer.reload(handover(NEW, OLD)))
        assert "/run/secrets/key" in ok(consumer.prove(handover(NEW, OLD))).proof
        assert seen(log) == [OLD.decode(), NEW.decode()]
        ok(files.deliver([entry(OLD)]))
        ok(consumer.reload(handover(OLD, NEW, 1)))
        ok(files.deliver([entry(NEW, 2)]))
        (log / "seen").write_text(OLD.decode() + "\n")


def test_copying_out_of_a_container_does_not_show_what_it_reads(engine: Dockerd, tmp_path: Path) -> None:
    """Why proof is not taken by `docker cp`: it mounts the path anew."""
    files, log = directory(tmp_path / "secrets"), tmp_path / "log"
    ok(files.deliver([entry(OLD)]))
    with containers.running(engine, "reader", log, "--volume", f"{tmp_path}/secrets/{FILE}:/key", "--env",
                            "WHERE=/key") as name:
        sees(log, OLD)
        ok(files.deliver([entry(NEW, 2)]))
        assert NEW in engine.docker("cp", f"{name}:/key", "-")
        assert engine.docker("exec", name, "cat", "/key") == OLD


# --- looking without /proc ------------------------------------------------------------------------------------------


def test_by_exec_where_proc_may_not_be_read(engine: Dockerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawsecrets.consumers.containers._is_of", lambda pid, ident: False)
    files, log = directory(tmp_path / "secrets"), tmp_path / "log"
    ok(files.deliver([entry(OLD)]))
    with containers.running(engine, "reader", log, "--volume", f"{tmp_path}/secrets:/run/s:ro", "--env",
                            f"WHERE=/run/s/{FILE}", "--env", f"STALE=postgres://u:{OLD.decode()}@h") as name:
        consumer = DockerConsumer("c", control(engine), name, files=[f"/run/s/{FILE}"], settle=0.0)
        ok(consumer.preflight(handover(OLD)))
        ok(files.deliver([entry(NEW, 2)]))
        ok(consumer.reload(handover(NEW, OLD)))
        stale = consumer.prove(handover(NEW, OLD))
        assert stale.outcome is Outcome.REFUSED and "STALE" in stale.detail
        assert f"/run/s/{FILE}" in ok(consumer.prove(handover(NEW))).proof
        absent = replace(consumer, files=["/nowhere"]).prove(handover(NEW))
        assert absent.outcome is Outcome.LATER and absent.person and "/nowhere" in absent.detail


def test_what_is_not_there_is_refused(engine: Dockerd, tmp_path: Path) -> None:
    consumer = DockerConsumer("c", control(engine), "no-such")
    for reply in (consumer.preflight(handover(NEW)), consumer.reload(handover(NEW)), consumer.prove(handover(NEW))):
        assert reply.outcome is Outcome.REFUSED and "no-such" in reply.detail
    gone = DockerConsumer("c", replace(control(engine), engine=replace(
        control(engine).engine, address=replace(control(engine).engine.address, url=f"unix://{tmp_path}/none"))), "x")
    assert gone.prove(handover(NEW)).outcome is Outcome.LATER
    assert gone.reload(handover(NEW)).outcome is Outcome.UNKNOWN


def test_one_that_ends_again_and_again(engine: Dockerd, tmp_path: Path) -> None:
    with containers.running(engine, "reader", tmp_path / "log", "--env", f"KEY={NEW.decode()}") as name:
        consumer = DockerConsumer("c", control(engine), name, settle=1.0)
        ok(consumer.reload(handover(NEW)))
        (tmp_path / "log" / "stop").touch()
        reply = replace(consumer, action="restart", rereads=True).reload(handover(NEW))
        assert reply.outcome is Outcome.REFUSED and "exit 3" in reply.detail
