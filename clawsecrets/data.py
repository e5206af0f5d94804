"""Where our data is: inside the installed package, or in the top-level folders of a checkout."""

from __future__ import annotations

from pathlib import Path

from clawsecrets.errors import ConfigError


def data_path(name: str) -> Path:
    """The folder `providers` or `config`. ConfigError when the installation lacks it."""
    here = Path(__file__).resolve().parent
    for place in (here / "_data" / name, here.parent / name):
        if place.is_dir():
            return place
    raise ConfigError(f"the data folder {name!r} is missing from this installation", "install clawsecrets again")
