"""The record documents of one store, read: one, several at once, and those that cannot be read told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from clawsecrets.errors import NotFound, StoreDamaged, StoreError
from clawsecrets.model.record import Record
from clawsecrets.model.secret import valid_name
from clawsecrets.ports import Broken
from clawsecrets.stores.vault.body import Body, Held, from_document
from clawsecrets.stores.vault.documents import Documents
from clawsecrets.stores.vault.faults import NotForUs
from clawsecrets.stores.vault.layout import Layout, unflat

_BATCH = 256
"""Records read at once while iterating."""


class Records:
    """What stands in record documents now. Thread-safe."""

    def __init__(self, documents: Documents, layout: Layout) -> None:
        self._documents, self._layout = documents, layout
        self._held: dict[str, Mapping[int, Held]] = {}
        """Where values were when a record was last read: a number has one value for ever, so it is there or gone."""

    def every(self) -> list[str]:
        """All names that have a document, in order."""
        return sorted(unflat(segment) for segment in self._documents.names(self._layout.records))

    def body(self, name: str) -> Body:
        """One document; an empty body where there is none. StoreDamaged, StoreError."""
        body = from_document(name, self._documents.read(self._layout.record(name)), self._documents.mount)
        self._held[name] = body.values
        return body

    def record(self, name: str) -> tuple[Body, Record]:
        """One that has a record. NotFound, StoreDamaged, StoreError."""
        body = self.body(name) if valid_name(name) else Body(name)
        if body.record is None:
            raise NotFound(f"there is no secret {name}", "`clawsecrets list` shows what there is")
        return body, body.record

    def where(self, name: str, number: int) -> Held | None:
        """Where a value was when its record was last read."""
        return self._held.get(name, {}).get(number)

    def bodies(self, names: Sequence[str], broken: Broken | None = None) -> list[Body]:
        """Several, in order. What cannot be read of itself is told to `broken`, and left out; without that, raised."""
        if broken is None:
            return self._documents.each(self.body, names)
        found = self._documents.each(self._tried, names)
        faults = {name: one for name, one in zip(names, found, strict=True) if isinstance(one, StoreError)}
        if faults and len(faults) == len(names) and all(isinstance(one, NotForUs) for one in faults.values()):
            raise next(iter(faults.values()))  # that is no single document's fault: the policy is another one's
        for name, fault in faults.items():
            broken(name, fault)
        return [one for one in found if isinstance(one, Body)]

    def present(self, names: Sequence[str], broken: Broken | None = None) -> Iterator[Record]:
        """The records of those that have one, deleted ones too."""
        for start in range(0, len(names), _BATCH):
            for body in self.bodies(names[start : start + _BATCH], broken):
                if body.record is not None:
                    yield body.record

    def _tried(self, name: str) -> Body | StoreError:
        try:
            return self.body(name)
        except (StoreDamaged, NotForUs) as error:
            return error
