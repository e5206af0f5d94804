"""Targets of containers, units, processes and services: what each table may say, and what is refused with its words."""

from __future__ import annotations

import pytest

from clawsecrets.config import Config, find_paths, parse
from clawsecrets.config.running import DockerTarget, ProcessTarget, SwarmSecretTarget
from clawsecrets.errors import ConfigError

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)


def read(text: str) -> Config:
    return parse(text, "c.toml", PATHS)


def injector(lines: str) -> object:
    return read(f"[injectors.x]\n{lines}").injectors["x"]


def consumer(lines: str) -> object:
    return read(f"[consumers.x]\n{lines}").consumers["x"]


def test_a_compose_service_is_recreated_and_a_container_restarted() -> None:
    service = consumer('kind = "docker"\ncompose = "/a.yaml"\nservice = "s"')
    container = consumer('kind = "docker"\ncontainer = "c"')
    assert isinstance(service, DockerTarget) and service.action == "recreate"
    assert isinstance(container, DockerTarget) and container.action == "restart"


def test_who_may_read_a_swarm_secret_is_left_to_the_service() -> None:
    target = injector('kind = "swarm-secret"\nservices = ["a"]')
    assert isinstance(target, SwarmSecretTarget) and (target.owner, target.group, target.mode) == ("", "", 0)


def test_no_signal() -> None:
    target = consumer('kind = "process"\npidfile = "/p"\nsignal = "none"')
    assert isinstance(target, ProcessTarget) and target.signal == ""


@pytest.mark.parametrize(("lines", "words"), [
    ('kind = "swarm-secret"', "services is missing"),
    ('kind = "swarm-secret"\nservices = ["--help"]', "is not the name of a service"),
    ('kind = "swarm-secret"\nservices = ["a"]\nowner = "root"', "must be a number"),
    ('kind = "swarm-secret"\nservices = ["a"]\nengine = "ssh://h"', "no address of an engine"),
    ('kind = "swarm-secret"\nservices = ["a"]\nnames = { k = ".." }', "cannot be used there"),
    ('kind = "swarm-secret"\nservices = ["a"]\nnames = { k = "x", l = "x" }', "would both be x"),
    ('kind = "swarm-secret"\nservices = ["a"]\nmode = "0444"', "too open"),
    ('kind = "podman-secret"\nnames = { K = "x" }', "is not a secret's name"),
    ('kind = "podman-secret"\nnames = { k = "-x" }', "cannot be used there"),
    ('kind = "tmpfs-directory"', "path is missing"),
])
def test_injectors_that_are_refused(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        injector(lines)
    assert words in raised.value.message and "[injectors.x]" in raised.value.message


@pytest.mark.parametrize(("lines", "words"), [
    ('kind = "docker"', "either container, or compose"),
    ('kind = "docker"\ncontainer = "a"\ncompose = "/a"', "either container, or compose"),
    ('kind = "docker"\ncontainer = "-a"', "is not the name of a container"),
    ('kind = "docker"\ncontainer = "a"\naction = "recreate"', "recreated by Compose only"),
    ('kind = "docker"\ncontainer = "a"\naction = "KILL"', "is not known"),
    ('kind = "docker"\ncontainer = "a"\nservice = "s"', "'service' is not known"),
    ('kind = "docker"\ncompose = "/a"', "service is missing"),
    ('kind = "docker"\ncontainer = "a"\nfiles = ["x"]', "must be an absolute path"),
    ('kind = "swarm"', "service is missing"),
    ('kind = "systemd"\nunit = "-x"', "is not the name of a unit"),
    ('kind = "systemd"\nunit = "x"\naction = "stop"', "is not known"),
    ('kind = "process"\npidfile = "/p"\nsignal = "STOP"', "is not known"),
    ('kind = "http"', "needs health, probe or reload"),
    ('kind = "http"\nprobe = "https://h"', "belong together"),
    ('kind = "http"\nhealth = "https://h"\nauth = "bearer"', "belong together"),
    ('kind = "http"\nhealth = "https://h"\nvalidates = true', "needs a probe"),
    ('kind = "http"\nprobe = "https://h"\nauth = "a b"', "the name of a header"),
    ('kind = "http"\nhealth = "http://h.example"', "must be https"),
    ('kind = "http"\nhealth = "https://u:p@h"', "must be a plain URL"),
    ('kind = "http"\nhealth = "https://h/?key=1"', "must be a plain URL"),
    ('kind = "http"\nhealth = "https://h:x"', "must be a plain URL"),
])
def test_consumers_that_are_refused(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        consumer(lines)
    assert words in raised.value.message and "[consumers.x]" in raised.value.message
