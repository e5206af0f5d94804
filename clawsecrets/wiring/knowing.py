"""Values that are known, put together: the store's own (`--known`), or an index of them (`--fingerprints`).

    finders = known_finders(order.known, open_store, order.fingerprints, say)
    detector, inspector, rules: as scan/sought.py says
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawsecrets.model.secret import Secret
    from clawsecrets.ports import Store
    from clawsecrets.scan.sought import Finder


@dataclass(frozen=True, slots=True)
class Exported:
    """An index, and what did not go into it."""

    text: str
    count: int
    left_out: tuple[str, ...]
    """A line each, without any value."""


def export_index(store: Store, names: Collection[str] | None, own: Callable[[Secret], bool]) -> Exported:
    """The index of all values of the store, or of those of the named secrets; none of what is clawsecrets' `own`."""
    from clawsecrets.scan.index import build, write
    from clawsecrets.scan.known import values

    wanted = {record.secret.name for record in store.records()
              if not own(record.secret) and (names is None or record.secret.name in names)}
    rows, out, key = build(value for value in values(store) if value.known.name in wanted)
    lines = [f"left out: {one.known.name} version {one.known.version}: {one.reason}" for one in out]
    return Exported(write(rows, key), len(rows), tuple(lines))


def known_finders(known: bool, open_store: Callable[[], Store], index: str, say: Callable[[str], None]
                  ) -> list[Finder]:
    """What looks for known values, made before the workers are forked. The store is opened only when it is asked for,
    and closed again. StoreError, ConfigError."""
    found: list[Finder] = []
    if known:
        from clawsecrets.scan.known import KnownValues, values

        store = open_store()
        try:
            found.append(KnownValues(values(store), say))
        finally:
            store.close()
    if index:
        from clawsecrets.scan.index import IndexValues

        found.append(IndexValues.of(Path(index), say))
    return found
