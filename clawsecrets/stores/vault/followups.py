"""What follows from a record document's last write: history, public path, erased values, audit events.

All of it can be done twice, by two processes at once, or late by one that slept: the history grows by number, the
public path goes by the newest record, value documents are named once, and an event is looked for before it is appended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from clawsecrets.errors import StoreDamaged
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.stores.codec import as_text
from clawsecrets.stores.vault.body import Body, wanted
from clawsecrets.stores.vault.chain import Chain
from clawsecrets.stores.vault.documents import Conflict, Documents
from clawsecrets.stores.vault.faults import damaged
from clawsecrets.stores.vault.layout import BLOCK, KEPT, Layout
from clawsecrets.stores.vault.public import Public


class Followups:
    """Does what is left to do for the documents of one store. Thread-safe."""

    def __init__(self, documents: Documents, layout: Layout, chain: Chain, public: Public,
                 body: Callable[[str], Body], value: Callable[[Body, int], SecretValue]) -> None:
        self._documents, self._layout, self._chain, self._public = documents, layout, chain, public
        self._body, self._value = body, value
        self._turn = threading.Lock()
        self._done: dict[str, str] = {}

    def settled(self, body: Body, then: Record | None = None) -> Body:
        """The body when all that is left to do for it is done: it goes into the document with its next write.

        Where the value is lost that the public path was to hold, that is left to the next write, `then`, if it makes
        another version current: so a lost value can be replaced. StoreError.
        """
        replaced = then is not None and wanted(then) != body.wanted
        if body.open and not self.known(body) and self._do(body, replaced):
            with self._turn:
                self._done[body.name] = _state(body)
        return body.done()

    def known(self, body: Body) -> bool:
        """Whether this process did it all."""
        with self._turn:
            return self._done.get(body.name) == _state(body)

    def _do(self, body: Body, replaced: bool) -> bool:
        """Whether all of it could be done."""
        todo, name = body.todo, body.name
        if not all(self._layout.is_history(name, path) for path in todo.forget):
            raise damaged(f"the record document of {name} names documents of others to be destroyed: "
                          f"{self._layout.record(name)}")
        if todo.bury:
            self._bury(body)
        whole = self._shown(body, replaced) if body.shown != body.wanted or todo.forget else True
        for document in todo.erase:
            self._documents.forget(self._layout.value(name, document))
        for path in todo.forget:
            self._documents.forget(path)
        if todo.erase:
            self._public.clean(name)
        if todo.events:
            self._chain.append(todo.events, todo.since)
        return whole

    def _shown(self, body: Body, replaced: bool) -> bool:
        """Whether the public path holds what it is to. StoreError; no StoreDamaged where something else is to come."""
        try:
            self._public.bring(body.name, lambda: self._body(body.name), self._value)
            return True
        except StoreDamaged:
            if not replaced:
                raise
        if body.todo.erase:
            self._public.hide(body.name)  # what it shows may be what is erased now
        return False

    def _bury(self, body: Body) -> None:
        blocks: dict[int, list[Version]] = {}
        for version in body.todo.bury:
            blocks.setdefault(version.number // BLOCK, []).append(version)
        for block, versions in blocks.items():
            path = self._layout.history(body.name, body.life, block)
            added = {str(version.number): as_text(version) for version in versions}
            while not self._merged(path, added):
                pass

    def _merged(self, path: str, added: Mapping[str, str]) -> bool:
        """Whether the document holds these now; False: somebody else wrote it meanwhile."""
        found = self._documents.read(path)
        held = found.content or {}
        if added.keys() <= held.keys():
            return True
        if not found.version:
            self._documents.keep(path, KEPT)
        try:
            self._documents.write(path, {**held, **added}, found.version,
                                  lambda content: added.keys() <= content.keys())
            return True
        except Conflict:
            return False


def _state(body: Body) -> str:
    """What tells one state of a document from the next: the id of its last write."""
    return body.writes[-1] if body.writes else ""
