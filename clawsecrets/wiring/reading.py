"""Provider files and importers, for the commands that show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.config import InjectorConfig, Paths, ResolverBundleTarget, append_table
from clawsecrets.config.append import Field
from clawsecrets.data import read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.model.provider import Provider

if TYPE_CHECKING:
    from clawsecrets.importers import Placement, Reading

REFS = "openclaw-refs"
"""The target that OpenClaw's references are answered from."""


def explain_provider(provider: Provider) -> Sequence[str]:
    """One provider in plain words."""
    from clawsecrets.issuers.loader import explain

    return explain(provider)


def check_provider(file: Path) -> Sequence[str]:
    """Every fault of a provider file."""
    from clawsecrets.issuers.loader import check_file

    return check_file(file)


def add_target(paths: Paths, section: str, name: str, fields: Mapping[str, Field]) -> None:
    """Append `[section.name]` to the configuration file, keeping everything that stands there. ConfigError."""
    append_table(paths.config, section, name, fields, paths)


def bundle_path(config: InjectorConfig) -> Path | None:
    """The file of a resolver bundle; None for other injectors."""
    return config.path if isinstance(config, ResolverBundleTarget) else None


def refs_bundle(injectors: Mapping[str, InjectorConfig], paths: Paths) -> Path:
    """The bundle that OpenClaw's references are answered from: the configured one, else where it is to be made.
    ConfigError where that name is another kind of target."""
    config = injectors.get(REFS)
    if config is None:
        return paths.data / "bundles" / "openclaw"
    path = bundle_path(config)
    if path is None:
        raise ConfigError(f"{paths.config}: [injectors.{REFS}] is no resolver-bundle, and OpenClaw's references are "
                          "answered from one", "give that target another name")
    return path


def command_faults(program: Path, uid: int | None) -> Sequence[str]:
    """Which of OpenClaw's rules for a resolver command the program breaks."""
    from clawsecrets.injectors.command_rules import check_command

    return check_command(program, uid)


def read_deployment(files: Sequence[Path], providers: Iterable[Provider]) -> tuple[Sequence[Reading], Placement]:
    """What the files hold, and which secrets that is. ConfigError names file and line."""
    from clawsecrets.importers import read_file, recognise

    readings = [read_file(file) for file in files]
    return readings, recognise([item for reading in readings for item in reading.items], providers)


def gateway_url(file: Path) -> str:
    """Where the gateway of an openclaw.json listens on this machine. ConfigError."""
    return f"ws://127.0.0.1:{gateway_port(file)}"


def gateway_port(file: Path) -> int:
    """The port that the gateway of an openclaw.json, or of a file that it includes, listens on. ConfigError."""
    from clawsecrets.importers import includes

    return includes.gateway_port(includes.parts(str(file), configuration))


def configuration(file: str) -> bytes:
    """A configuration's content. ConfigError."""
    from clawsecrets.importers import MOST

    try:
        return read_regular(Path(file), MOST)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", "it must be a file that you may read") from None
