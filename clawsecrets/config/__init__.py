"""The configuration: one TOML file -> one frozen `Config`, split per package, so that nobody receives all of it.

    paths.py     where configuration, data and state stand
    shape.py     the frozen dataclasses
    tables.py    typed reading of a TOML table; unknown keys are refused with the nearest spelling
    load.py      file -> Config
    targets.py   [injectors.*] and [consumers.*]
    place.py     store URLs
    trust.py     who may say what clawsecrets does
    append.py    adds a target to an existing file, keeping everything that stands there
"""

from clawsecrets.config.append import append_table
from clawsecrets.config.load import load, parse, read_config
from clawsecrets.config.paths import Paths, find_paths
from clawsecrets.config.place import StoreUrl, parse_store_url
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
    StoreConfig,
)
from clawsecrets.config.trust import require_provider_folder

__all__ = [
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
    "StoreConfig",
    "StoreUrl",
    "append_table",
    "find_paths",
    "load",
    "parse",
    "parse_store_url",
    "read_config",
    "require_provider_folder",
]
