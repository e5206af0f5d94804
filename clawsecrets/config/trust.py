"""Who may say what clawsecrets does: the configuration names commands, and provider files say where credentials go."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from clawsecrets.errors import ConfigError


def require_unshared(path: Path) -> None:
    """ConfigError for a file or folder that group or others may write to; see also `require_owner`. OSError."""
    mode = path.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path}: others may write to it, and clawsecrets runs what it says",
                          "choose another folder: this one is there for them, too" if mode & stat.S_ISVTX
                          else f"chmod go-w {shlex.quote(str(path))}")
    require_owner(path)


def require_owner(path: Path) -> None:
    """Root takes no orders from a file or folder of another user. ConfigError; OSError."""
    if os.geteuid() == 0 and path.stat().st_uid != 0:
        raise ConfigError(f"{path}: belongs to another user, and root would run what it says",
                          f"run as that user, or: chown root {shlex.quote(str(path))}")


def require_provider_folder(folder: Path) -> None:
    """The same for a folder and its provider files; one that is not there is left to who reads it. ConfigError."""
    try:
        for path in (folder, *folder.glob("*.toml")):
            require_unshared(path)
    except FileNotFoundError:
        return
    except OSError as error:
        fault = f"{folder}: cannot be read: {error.strerror}"
    else:
        return
    raise ConfigError(fault, "it must be a folder that you may read")
