"""The only package that names concrete adapters, so that no other has to.

    stores.py   makes and opens stores, and the sources of their keys
    vault.py    how we log in to Vault or OpenBao, and the policies needed there
    shop.py     issuers, injectors and consumers for one secret; the engine
    notifying.py  who is told of what the daemon notices
    targets.py  a target of the configuration -> its adapter
    reading.py  provider files and importers, for the commands that show them
    rules.py    detection rules -> the compiled rule set
    scanning.py what a scan looks at, and with what
    hushing.py  what an error may repeat of what was typed

Its names are imported when they are first used: a scan needs none of them, and must start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawsecrets.config import find_paths, read_config
    from clawsecrets.wiring.shop import SystemClock, Workshop, engine, ledger, sync
    from clawsecrets.wiring.stores import open_store

__all__ = ["SystemClock", "Workshop", "engine", "find_paths", "ledger", "open_store", "read_config", "sync"]

_HOMES = {
    "SystemClock": "clawsecrets.wiring.shop",
    "Workshop": "clawsecrets.wiring.shop",
    "engine": "clawsecrets.wiring.shop",
    "find_paths": "clawsecrets.config.paths",
    "ledger": "clawsecrets.wiring.shop",
    "open_store": "clawsecrets.wiring.stores",
    "read_config": "clawsecrets.config.load",
    "sync": "clawsecrets.wiring.shop",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
