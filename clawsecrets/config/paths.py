"""Where configuration, data and state stand. The order is a contract (ARCHITECTURE.md, "Names, places, formats").

    CLAWSECRETS_HOME=/dir     all of it under /dir: clawsecrets.toml, data/, state/, cache/
    XDG_*_HOME                $XDG_CONFIG_HOME/clawsecrets, $XDG_DATA_HOME/clawsecrets, $XDG_STATE_HOME/clawsecrets,
                              $XDG_CACHE_HOME/clawsecrets
    uid 0                     /etc/clawsecrets, /var/lib/clawsecrets, /var/lib/clawsecrets/state,
                              /var/cache/clawsecrets
    anyone else               ~/.config, ~/.local/share, ~/.local/state, ~/.cache (home: HOME, else what the password
                              database says)

The configuration file alone: `--config`, then CLAWSECRETS_CONFIG, then the folder above. For uid 0, HOME plays no
part: `sudo` often leaves it at the caller's, and a root service must find its store whoever starts it.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from clawsecrets.errors import ConfigError

NAME = "clawsecrets"
FILE = "clawsecrets.toml"


class Paths(NamedTuple):
    """Absolute places. Nothing is created, and nothing needs to exist, by making one."""

    config: Path
    """The configuration file."""
    config_given: bool
    """Named by `--config` or CLAWSECRETS_CONFIG: then it must exist."""
    config_dir: Path
    """The folder for our own files beside data: the master key file by default."""
    data: Path
    state: Path
    home: Path
    """What `~/` means in the configuration."""
    cache: Path = Path("/nonexistent")
    """What can be made again: compiled rules, ids of content that was scanned and clean."""

    @property
    def database(self) -> Path:
        """The default embedded store, in a folder of its own, so that the other files never lie beside it."""
        return self.data / "store" / "store.db"

    @property
    def key_file(self) -> Path:
        """The default master key file: not beside the database."""
        return self.config_dir / "master.key"

    @property
    def anchor(self) -> Path:
        """The default generation anchor: outside of the database's folder."""
        return self.state / "anchor.json"

    def anchor_of(self, database: Path) -> Path:
        """The default anchor of any store: each has its own, or one would look like a rollback of the other."""
        if database == self.database:
            return self.anchor
        import hashlib  # with OpenSSL: a scan has no use for it here

        return self.state / f"anchor-{hashlib.sha256(os.fsencode(database)).hexdigest()[:12]}.json"


def find_paths(given: str = "", environ: Mapping[str, str] | None = None, uid: int | None = None) -> Paths:
    """The places for this user. `given` is `--config`; environment and uid are this process's unless told.

    ConfigError when a variable holds a relative path, or when no home folder can be found and one is needed.
    """
    env = os.environ if environ is None else environ
    who = os.geteuid() if uid is None else uid
    root = _absolute(env, "CLAWSECRETS_HOME")
    home = _home(env, who)
    if root is not None:
        config_dir, data, state = root, root / "data", root / "state"
    else:
        config_dir, data, state = _standard(env, who, home)
    chosen = given or env.get("CLAWSECRETS_CONFIG", "")
    config = Path(os.path.abspath(chosen)) if chosen else config_dir / FILE
    cache = root / "cache" if root is not None else _cache(env, who, home)
    return Paths(config, bool(chosen), config_dir, data, state, home or config_dir, cache)


def _cache(env: Mapping[str, str], uid: int, home: Path | None) -> Path:
    return _xdg(env, "XDG_CACHE_HOME") or (Path("/var/cache") / NAME if uid == 0 else _under(home, ".cache"))


def _standard(env: Mapping[str, str], uid: int, home: Path | None) -> tuple[Path, Path, Path]:
    if uid == 0:
        system = (Path("/etc") / NAME, Path("/var/lib") / NAME, Path("/var/lib") / NAME / "state")
        return (
            _xdg(env, "XDG_CONFIG_HOME") or system[0],
            _xdg(env, "XDG_DATA_HOME") or system[1],
            _xdg(env, "XDG_STATE_HOME") or system[2],
        )
    return (
        _xdg(env, "XDG_CONFIG_HOME") or _under(home, ".config"),
        _xdg(env, "XDG_DATA_HOME") or _under(home, ".local", "share"),
        _xdg(env, "XDG_STATE_HOME") or _under(home, ".local", "state"),
    )


def _xdg(env: Mapping[str, str], name: str) -> Path | None:
    """The variable's folder for us; a relative one counts as unset (XDG Base Directory Specification 0.8)."""
    value = env.get(name, "")
    return Path(os.path.normpath(value)) / NAME if os.path.isabs(value) else None


def _under(home: Path | None, *parts: str) -> Path:
    if home is None:
        raise ConfigError(
            "no home folder: HOME is not set and the password database does not know this user",
            "set CLAWSECRETS_HOME to the folder that is to hold configuration, data and state",
        )
    return home.joinpath(*parts) / NAME


def _home(env: Mapping[str, str], uid: int) -> Path | None:
    value = env.get("HOME", "")
    if os.path.isabs(value):
        return Path(os.path.normpath(value))
    try:
        found = pwd.getpwuid(uid).pw_dir
    except KeyError:
        return None
    return Path(found) if os.path.isabs(found) else None


def _absolute(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name, "")
    if not value:
        return None
    if not os.path.isabs(value):
        raise ConfigError(f"{name} must be an absolute path, not {value!r}", f"set {name} to a path that begins with /")
    return Path(os.path.normpath(value))
