"""Which names are bound to a target: a list for each target, so that a delivery reads no other record.

A list only grows, and a name is in it before the record that binds it is committed: it may name too many, never too
few. What counts is the record. Where there is no list (a store of before, or somebody removed it), or none that can be
read, every record is read; the next binding makes it, complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from clawsecrets.stores.vault.documents import Conflict, Document, Documents
from clawsecrets.stores.vault.layout import KEPT, Layout


class Bindings:
    """The lists of one store. `bound` looks at every record: the names that are, or may be, bound to a target."""

    def __init__(self, documents: Documents, layout: Layout, bound: Callable[[str], Iterable[str]]) -> None:
        self._documents, self._layout, self._bound = documents, layout, bound

    def names(self, target: str) -> list[str] | None:
        """All that may be bound to it; None: there is no list to go by. StoreError."""
        found = _listed(self._documents.read(self._layout.bound(target)))
        return None if found is None else sorted(found)

    def add(self, name: str, targets: Iterable[str]) -> None:
        """Put the name into the lists of these. StoreError."""
        for target in targets:
            while not self._added(name, target):
                pass

    def _added(self, name: str, target: str) -> bool:
        """Whether it is in the list now; False: somebody else wrote it meanwhile."""
        path = self._layout.bound(target)
        document = self._documents.read(path)
        listed = _listed(document)
        if listed is not None and name in listed:
            return True
        if listed is None:  # what others bind meanwhile they add themselves
            listed = frozenset(self._bound(target))
        if not document.version:
            self._documents.keep(path, KEPT)
        with suppress(Conflict):
            self._documents.write(path, {"names": sorted({*listed, name})}, document.version,
                                  lambda content: name in (_names(content) or ()))
            return True
        return False


def _listed(document: Document) -> frozenset[str] | None:
    return None if document.content is None else _names(document.content)


def _names(content: object) -> frozenset[str] | None:
    names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return frozenset(names)
