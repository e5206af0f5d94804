"""The shadow check, put together: where to look, with what, and what reads OpenClaw's configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from clawsecrets.config import Config
from clawsecrets.data import read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.model.shadow import Looked, Sought
from clawsecrets.model.value import SecretValue
from clawsecrets.ports import Shadows
from clawsecrets.shadows.reading import Leaf

MOST = 16 << 20
"""Bytes of a configuration."""


class Lazily:
    """Made when it is first used: most commands never look."""

    def __init__(self, config: Config, delivered: Callable[[str], bool]) -> None:
        self._config, self._delivered = config, delivered

    def look(self, sought: Sequence[Sought]) -> Looked:
        """All places."""
        return host_shadows(self._config, self._delivered).look(sought)

    def known(self, name_of: Callable[[SecretValue], str]) -> Looked:
        """All places."""
        return host_shadows(self._config, self._delivered).known(name_of)


def host_shadows(config: Config, delivered: Callable[[str], bool]) -> Shadows:
    """What looks on this host. `delivered`: whether a SecretRef to a secret would be answered. ClawError."""
    from clawsecrets.scan.literals import Literals
    from clawsecrets.shadows.look import HostShadows

    given = config.shadows
    folders = given.openclaw or (state_folder(),)
    named = os.environ.get("OPENCLAW_CONFIG_PATH", "")
    configs = [named] if os.path.isabs(named) else []
    return HostShadows([str(folder) for folder in folders], [str(Path.home())], Literals, leaves, configs,
                       [str(path) for path in given.files], includes=included,
                       delivered=delivered)


def included(config: str) -> list[str]:
    """The files that an openclaw.json includes ($include), itself left out. ConfigError when one cannot be read."""
    from clawsecrets.importers import includes

    def read(file: str) -> bytes:
        try:
            return read_regular(Path(file), MOST)
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror or 'cannot be read'}") from None

    return [part.file for part in includes.parts(config, read)[1:]]


def state_folder() -> Path:
    """Where OpenClaw keeps its state: OPENCLAW_STATE_DIR, else ~/.openclaw."""
    return Path(os.environ.get("OPENCLAW_STATE_DIR") or Path.home() / ".openclaw")


def leaves(raw: bytes, file: str) -> Iterator[Leaf]:
    """The texts of an openclaw.json. ConfigError when it is none."""
    from clawsecrets.importers.fields import load_fields
    from clawsecrets.importers.openclaw_json import texts

    known = load_fields()
    for path, dotted, text in texts(raw, file):
        field = known.at(path)
        yield Leaf(dotted, text, field is None or field.text)
