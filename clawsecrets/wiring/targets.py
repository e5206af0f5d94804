"""What the configuration calls a target -> the adapter that serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from clawsecrets.config import (
    CommandTarget,
    ConsumerConfig,
    DirectoryTarget,
    EnvFileTarget,
    InjectorConfig,
    NoneTarget,
    OpenClawTarget,
    ResolverBundleTarget,
    RunTarget,
    TemplateTarget,
)
from clawsecrets.config.running import (
    DockerTarget,
    HttpTarget,
    PodmanSecretTarget,
    ProcessTarget,
    RunningConsumer,
    RunningInjector,
    SwarmSecretTarget,
    SwarmTarget,
    SystemdTarget,
    TmpfsDirectoryTarget,
)
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Consumer, Injector

LOOKING = 10.0
"""Seconds at most for what only reads at a gateway, however long its reload may take."""


def make_injector(config: InjectorConfig) -> Injector:
    """The injector of one [injectors.NAME]."""
    from clawsecrets.injectors.atomic import access

    match config:
        case EnvFileTarget():
            from clawsecrets.injectors.envfile import EnvFile

            rights = access(config.owner, config.group, config.mode)
            return EnvFile(config.name, config.path, config.dialect, rights, config.names)
        case DirectoryTarget():
            from clawsecrets.injectors.directory import Directory

            return Directory(config.name, config.path, access(config.owner, config.group, config.mode))
        case ResolverBundleTarget():
            from clawsecrets.injectors.bundle import ResolverBundle

            return ResolverBundle(config.name, config.path, access(config.owner, config.group))
        case TemplateTarget():
            from clawsecrets.injectors.template import Template

            return Template(config.name, config.template, config.path, access(config.owner, config.group, config.mode))
        case _:
            return _running_injector(config)


def note_of(state: Path, name: str) -> Path:
    """Where `run --as NAME` notes its process, under the state folder."""
    return state / "run" / f"{name}.json"


def _running_injector(config: RunningInjector) -> Injector:
    match config:
        case TmpfsDirectoryTarget():
            from clawsecrets.injectors.atomic import access
            from clawsecrets.injectors.tmpfs import TmpfsDirectory

            return TmpfsDirectory(config.name, config.path, access(config.owner, config.group, config.mode))
        case SwarmSecretTarget():
            from clawsecrets.clients.docker_control import Control
            from clawsecrets.injectors.swarm import Given, SwarmSecret

            given = Given(config.owner or None, config.group or None, config.mode or None)
            return SwarmSecret(config.name, Control.of(config.engine), config.services, given, config.names,
                               config.timeout, config.keep)
        case PodmanSecretTarget():
            from clawsecrets.injectors.podman import PodmanSecret

            return PodmanSecret(config.name, config.names)


def make_consumer(config: ConsumerConfig, is_own: Callable[[str], bool],
                  tokens: Callable[[], Sequence[SecretValue]], state: Path) -> Consumer:
    """The consumer of one [consumers.NAME]. `is_own`, `tokens`: see OpenClawConsumer; `state`: the state folder."""
    match config:
        case OpenClawTarget():
            from clawsecrets.consumers.openclaw import OpenClawConsumer

            return OpenClawConsumer(config.name, config.url, is_own, tokens, config.reads,
                                    timeout=min(LOOKING, config.timeout), reload_timeout=config.timeout,
                                    restart=config.restart)
        case CommandTarget():
            from clawsecrets.consumers.command import CommandConsumer

            return CommandConsumer(config.name, config.reload, config.probe, config.reads, config.validates,
                                   config.timeout, config.user)
        case RunTarget():
            from clawsecrets.consumers.run import RunConsumer

            return RunConsumer(config.name, note_of(state, config.name), config.reads, config.timeout)
        case NoneTarget():
            from clawsecrets.consumers.none import NoneConsumer

            return NoneConsumer(config.name, config.reads)
        case _:
            return _running_consumer(config)


def _running_consumer(config: RunningConsumer) -> Consumer:
    match config:
        case DockerTarget():
            return _docker(config)
        case SwarmTarget():
            from clawsecrets.clients.docker_control import Control
            from clawsecrets.consumers.swarm import FILES, SwarmConsumer

            return SwarmConsumer(config.name, Control.of(config.engine), config.service, config.files or FILES,
                                 config.reads, config.timeout)
        case SystemdTarget():
            from clawsecrets.consumers.systemd import SystemdConsumer

            return SystemdConsumer(config.name, config.unit, config.action, config.user, config.files, config.rereads,
                                   config.reads, config.timeout, config.settle)
        case ProcessTarget():
            from clawsecrets.consumers.process import ProcessConsumer

            return ProcessConsumer(config.name, config.pidfile, config.signal, config.files, config.rereads,
                                   config.reads, config.timeout)
        case HttpTarget():
            from clawsecrets.consumers.http import HttpConsumer

            return HttpConsumer(config.name, config.health, config.probe, config.auth, config.reload, config.reads,
                                config.validates, config.timeout)


def _docker(config: DockerTarget) -> Consumer:
    from clawsecrets.clients.compose import Compose
    from clawsecrets.clients.docker_control import Control
    from clawsecrets.consumers.docker import DockerConsumer

    control = Control.of(config.engine)
    compose = Compose(config.compose, config.service, config.project, control.engine.address.url, config.timeout) \
        if config.compose else None
    return DockerConsumer(config.name, control, config.container, compose, config.action, config.files, config.rereads,
                          config.reads, config.timeout, config.settle)
