"""[shadows]: where copies of replaced values are looked for, beyond the usual places."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clawsecrets.config.tables import Table


@dataclass(frozen=True, slots=True)
class ShadowsConfig:
    """For `shadows` and `adopt`."""

    openclaw: tuple[Path, ...] = ()
    """OpenClaw's state folders; empty: OPENCLAW_STATE_DIR, else ~/.openclaw."""
    files: tuple[Path, ...] = ()
    """Further environment files: of Compose projects, for example."""
    look: bool = True
    """Whether a rotation looks at all."""


def read_shadows(table: Table) -> ShadowsConfig:
    """[shadows]. ConfigError names file, table and key."""
    config = ShadowsConfig(table.paths("openclaw"), table.paths("files"), table.flag("look", True))
    table.done()
    return config
