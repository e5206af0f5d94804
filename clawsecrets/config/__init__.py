"""The configuration: one TOML file -> one frozen `Config`, split per package, so that nobody receives all of it.

    paths.py     where configuration, data and state stand
    shape.py     the frozen dataclasses
    tables.py    typed reading of a TOML table; unknown keys are refused with the nearest spelling
    load.py      file -> Config
    targets.py   [injectors.*] and [consumers.*]
    timing.py    [schedule] and [daemon]     zones.py  time zones     lines.py  where a key stands, for messages
    place.py     store URLs     vault.py   [store.vault] and [store.paths]
    trust.py     who may say what clawsecrets does
    append.py    adds a target to an existing file, keeping everything that stands there

Its names are imported when they are first used: a scan of staged files needs `paths` alone, and at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawsecrets.config.append import append_table
    from clawsecrets.config.load import parse, read_config
    from clawsecrets.config.paths import Paths, find_paths
    from clawsecrets.config.place import AnyStoreUrl, StoreUrl, VaultUrl, parse_store_url
    from clawsecrets.config.shape import (
        CommandTarget,
        Config,
        ConsumerConfig,
        DirectoryTarget,
        EnvFileTarget,
        InjectorConfig,
        KeyPlace,
        NoneTarget,
        OpenClawTarget,
        ProviderConfig,
        ResolverBundleTarget,
        RotationConfig,
        RunTarget,
        StoreConfig,
        TemplateTarget,
    )
    from clawsecrets.config.trust import require_provider_folder
    from clawsecrets.config.vault import VaultConfig

__all__ = [
    "AnyStoreUrl",
    "CommandTarget",
    "Config",
    "ConsumerConfig",
    "DirectoryTarget",
    "EnvFileTarget",
    "InjectorConfig",
    "KeyPlace",
    "NoneTarget",
    "OpenClawTarget",
    "Paths",
    "ProviderConfig",
    "ResolverBundleTarget",
    "RotationConfig",
    "RunTarget",
    "StoreConfig",
    "StoreUrl",
    "TemplateTarget",
    "VaultConfig",
    "VaultUrl",
    "append_table",
    "find_paths",
    "parse",
    "parse_store_url",
    "read_config",
    "require_provider_folder",
]

_HOMES = {
    "AnyStoreUrl": "place",
    "CommandTarget": "shape",
    "Config": "shape",
    "ConsumerConfig": "shape",
    "DirectoryTarget": "shape",
    "EnvFileTarget": "shape",
    "InjectorConfig": "shape",
    "KeyPlace": "shape",
    "NoneTarget": "shape",
    "OpenClawTarget": "shape",
    "Paths": "paths",
    "ProviderConfig": "shape",
    "ResolverBundleTarget": "shape",
    "RotationConfig": "shape",
    "RunTarget": "shape",
    "StoreConfig": "shape",
    "StoreUrl": "place",
    "TemplateTarget": "shape",
    "VaultConfig": "vault",
    "VaultUrl": "place",
    "append_table": "append",
    "find_paths": "paths",
    "parse": "load",
    "parse_store_url": "place",
    "read_config": "load",
    "require_provider_folder": "trust",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
