"""The only package that names concrete adapters, so that no other has to.

    stores.py   makes and opens stores, and the sources of their keys
    shop.py     issuers, injectors and consumers for one secret; the engine
    targets.py  a target of the configuration -> its adapter
    reading.py  provider files and importers, for the commands that show them
"""

from clawsecrets.config import find_paths, read_config
from clawsecrets.wiring.shop import SystemClock, Workshop, engine, ledger
from clawsecrets.wiring.stores import open_store

__all__ = ["SystemClock", "Workshop", "engine", "find_paths", "ledger", "open_store", "read_config"]
