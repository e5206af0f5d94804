"""The targets of each kind, as the wiring makes them, for a rotation that is killed: what is delivered, and who reads.

`out/` holds what injectors write; `world/` is what outlives the kills (stands.py). Nothing is waited for longer than
the stand-ins need.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from clawsecrets.clients.compose import Compose
from clawsecrets.clients.docker_control import Control
from clawsecrets.consumers.command import CommandConsumer
from clawsecrets.consumers.docker import NOTHING, RECREATE, RESTART, DockerConsumer
from clawsecrets.consumers.http import BEARER, HttpConsumer
from clawsecrets.consumers.openclaw import OpenClawConsumer
from clawsecrets.consumers.process import ProcessConsumer
from clawsecrets.consumers.run import RunConsumer
from clawsecrets.consumers.swarm import SwarmConsumer
from clawsecrets.consumers.systemd import SystemdConsumer
from clawsecrets.injectors.bundle import ResolverBundle
from clawsecrets.injectors.directory import Directory
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.injectors.podman import PodmanSecret
from clawsecrets.injectors.swarm import SwarmSecret
from clawsecrets.injectors.template import Template
from clawsecrets.injectors.tmpfs import TmpfsDirectory
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Consumer, Injector

NAME = "acme"
DOOR = "token-of-the-gateway"
"""With which the gateway lets us in; not what is rotated."""
World = Mapping[str, str]
Made = tuple[Injector, Consumer]


def _docker(folder: Path, world: World, name: str, action: str, files: tuple[str, ...] = (), rereads: bool = False
            ) -> DockerConsumer:
    composed = Compose(folder / "compose.yaml", name, host=world["engine"], timeout=60.0)
    of = {"compose": composed} if action == RECREATE else {"container": name}
    return DockerConsumer("app", Control.of(world["engine"]), action=action, files=files, rereads=rereads, settle=0.0,
                          sleep=_soon, **of)  # type: ignore[arg-type]


def _soon(seconds: float) -> None:
    time.sleep(min(seconds, 0.005))


def env_file(folder: Path, world: World) -> Made:
    """A variable of a Compose service, which is recreated."""
    return EnvFile("out", folder / "out/app.env", "compose"), _docker(folder, world, "composed", RECREATE)


def mounted_folder(folder: Path, world: World) -> Made:
    """A folder that is mounted; its program reads it at every use."""
    return (Directory("out", folder / "out/files"),
            _docker(folder, world, "mounted", NOTHING, ("/run/s/acme",), rereads=True))


def compose_secret(folder: Path, world: World) -> Made:
    """A Compose file secret: a single mounted file, seen after a restart."""
    return Directory("out", folder / "out/files"), _docker(folder, world, "single", RESTART, ("/run/secrets/acme",))


def swarm(folder: Path, world: World) -> Made:
    control = Control.of(world["engine"])
    return (SwarmSecret("out", control, ["swarmed"], timeout=60.0, sleep=_soon),
            SwarmConsumer("app", control, "swarmed", files=["/run/secrets/acme"], timeout=60.0, sleep=_soon))


def podman(folder: Path, world: World) -> Made:
    """A Podman secret; its container is made anew."""
    return PodmanSecret("out"), _docker(folder, world, "podded", RECREATE, ("/run/secrets/acme",))


def memory(folder: Path, world: World) -> Made:
    """A folder in memory; a process reads it again when it is sent SIGHUP."""
    return (TmpfsDirectory("out", folder / "out/files", kind=lambda _: "tmpfs"),
            ProcessConsumer("app", folder / "world/pid", files=[str(folder / "out/files/acme")], rereads=True,
                            settle=0.0, sleep=_soon))


def systemd(folder: Path, world: World) -> Made:
    """An EnvironmentFile= of a unit, which is restarted."""
    return (EnvFile("out", folder / "out/app.env", "systemd"),
            SystemdConsumer("app", "app.service", settle=0.0, timeout=60.0, sleep=_soon))


def credential(folder: Path, world: World) -> Made:
    """LoadCredential= of a unit: systemd copies the file when it starts it."""
    return (Directory("out", folder / "out/files"),
            SystemdConsumer("app", "app.service", settle=0.0, timeout=60.0, sleep=_soon))


def http(folder: Path, world: World) -> Made:
    """A service that is told to read its file again, and then tried."""
    url = world["http"]
    return (Template("out", folder / "app.conf.j2", folder / "out/app.conf"),
            HttpConsumer("app", f"{url}/health", f"{url}/probe", BEARER, f"{url}/reload", sleep=_soon))


def command(folder: Path, world: World) -> Made:
    """Whatever an operator's own commands do."""
    words = [str(folder / "bin/app")]
    return EnvFile("out", folder / "out/app.env", "docker"), CommandConsumer("app", [*words, "reload"],
                                                                             [*words, "probe"], sleep=_soon)


def openclaw(folder: Path, world: World) -> Made:
    """A SecretRef of OpenClaw: the resolver's bundle, and a gateway that reloads its secrets."""
    return (ResolverBundle("out", folder / "out/bundle"),
            OpenClawConsumer("app", world["gateway"], lambda _: False, lambda: [SecretValue(DOOR)], ["out"]))


def run(folder: Path, world: World) -> Made:
    """A command under `run --watch`, which starts it anew by itself."""
    return Directory("out", folder / "out/files"), RunConsumer("app", folder / "world/run.json", sleep=_soon)


def engine(folder: Path, world: World) -> tuple[Mapping[str, Injector], Mapping[str, Consumer]]:
    """All that a container host has at once, for real engines (test_crash_engine.py)."""
    control, out, pod = Control.of(world["engine"]), folder / "out", str(folder / "pod")
    compose = Compose(folder / "compose.yaml", "app", host=world["engine"])
    injectors: dict[str, Injector] = {
        "env": EnvFile("env", out / "app.env", "compose"), "files": Directory("files", out / "files"),
        "swarm": SwarmSecret("swarm", control, ["swarmed"]), "podman": PodmanSecret("podman")}
    consumers: dict[str, Consumer] = {
        "app": DockerConsumer("app", control, compose=compose, action=RECREATE, files=["/run/s"], settle=0.0),
        "tasks": SwarmConsumer("tasks", control, "swarmed"),
        "pod": CommandConsumer("pod", [pod, "reload"], [pod, "probe"])}
    return injectors, consumers


def made(kind: str, folder: Path, world: World) -> tuple[Mapping[str, Injector], Mapping[str, Consumer]]:
    """The injectors and consumers of a kind, by name."""
    if kind == ENGINE:
        return engine(folder, world)
    injector, consumer = KINDS[kind](folder, world)
    return {"out": injector}, {"app": consumer}


ENGINE = "engine"
NAMES = {ENGINE: (("env", "files", "swarm", "podman"), ("app", "tasks", "pod"))}
"""Of injectors and consumers, where they are not one of each."""
KINDS: Mapping[str, Callable[[Path, World], Made]] = {make.__name__: make for make in (
    env_file, mounted_folder, compose_secret, swarm, podman, memory, systemd, credential, http, command, openclaw,
    run)}
