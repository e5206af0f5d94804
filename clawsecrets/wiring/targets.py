"""What the configuration calls a target -> the adapter that serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clawsecrets.config import (
    CommandTarget,
    ConsumerConfig,
    DirectoryTarget,
    EnvFileTarget,
    InjectorConfig,
    NoneTarget,
    OpenClawTarget,
    ResolverBundleTarget,
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


def make_consumer(config: ConsumerConfig, is_own: Callable[[str], bool],
                  tokens: Callable[[], Sequence[SecretValue]]) -> Consumer:
    """The consumer of one [consumers.NAME]. `is_own`, `tokens`: see OpenClawConsumer."""
    match config:
        case OpenClawTarget():
            from clawsecrets.consumers.openclaw import OpenClawConsumer

            return OpenClawConsumer(config.name, config.url, is_own, tokens, config.reads,
                                    timeout=min(LOOKING, config.timeout), reload_timeout=config.timeout)
        case CommandTarget():
            from clawsecrets.consumers.command import CommandConsumer

            return CommandConsumer(config.name, config.reload, config.probe, config.reads, config.validates,
                                   config.timeout, config.user)
        case NoneTarget():
            from clawsecrets.consumers.none import NoneConsumer

            return NoneConsumer(config.name, config.reads)
