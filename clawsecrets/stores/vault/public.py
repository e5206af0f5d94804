"""The public path of a secret: what is CURRENT, for every other reader. Brought there after the record says so.

It is read before the record, and written under check-and-set: whoever writes last has read a record that was the newest
after the last write before. So a process that slept cannot put an old value back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clawsecrets.errors import StoreError, UsageError
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault.body import Body
from clawsecrets.stores.vault.documents import Conflict, Document, Documents
from clawsecrets.stores.vault.layout import Layout, Shared, written

TRIES = 50
"""Times that somebody else may come in between before it is given up."""


class Public:
    """The public paths of one store. `shared`: names whose path is the team's own; of those one field is written, and
    nothing is ever deleted or destroyed."""

    def __init__(self, documents: Documents, layout: Layout, shared: Mapping[str, Shared]) -> None:
        self._documents, self._layout, self._shared = documents, layout, shared

    def allow(self, name: str, value: SecretValue) -> None:
        """UsageError when that value could not be shown at the name's path."""
        place = self._shared.get(name)
        if place is not None and "value" not in written(value):
            raise UsageError(f"{name}: the value is no text, and {place} holds text", "keep it at a path of the store")

    def bring(self, name: str, body: Callable[[], Body], value: Callable[[Body, int], SecretValue]) -> None:
        """Let the path hold what the newest record says. `body` reads that, `value` a version's value. StoreError."""
        for _ in range(TRIES):
            documents, path = self._place(name)
            found = documents.read(path)
            newest = body()  # after the path was read: see above
            try:
                if not newest.wanted:
                    if self._take_away(name, newest, found) and body().wanted:
                        continue  # that was not under check-and-set, and somebody brought it back meanwhile
                    return
                content = self._content(name, newest.wanted, value(newest, newest.wanted), found)
                if found.content != content:
                    documents.write(path, content, found.version, content.__eq__)
                return
            except Conflict:
                continue
        raise StoreError(f"the public path of {name} is written by somebody else all the time", "find out by whom")

    def hide(self, name: str) -> None:
        """Let readers find nothing there."""
        if name not in self._shared:
            self._documents.hide(self._layout.public(name))

    def clean(self, name: str) -> None:
        """Destroy every version of the path but the newest: they hold values that are erased."""
        if name in self._shared:
            return
        meta = self._documents.metadata(self._layout.public(name))
        if meta is not None:
            versions = meta.get("versions") or {}
            self._documents.destroy(self._layout.public(name), [
                int(number) for number, about in versions.items()
                if not about.get("destroyed") and (int(number) < int(meta["current_version"])
                                                   or about.get("deletion_time"))])

    def shows(self, name: str, number: int, value: SecretValue | None) -> bool:
        """Whether the path holds that version now (0: none)."""
        documents, path = self._place(name)
        found = documents.read(path)
        if value is None:
            return found.content is None or name in self._shared
        return found.content == self._content(name, number, value, found)

    def outside(self, name: str) -> SecretValue | None:
        """What the team's own path holds now; None where there is none, or the name is none of those."""
        place = self._shared.get(name)
        if place is None:
            return None
        text = (self._documents.beside(place.mount).read(place.path).content or {}).get(place.field)
        return SecretValue(text) if isinstance(text, str) else None

    def _place(self, name: str) -> tuple[Documents, str]:
        place = self._shared.get(name)
        return (self._documents, self._layout.public(name)) if place is None else \
            (self._documents.beside(place.mount), place.path)

    def _content(self, name: str, number: int, value: SecretValue, found: Document) -> dict[str, Any]:
        place = self._shared.get(name)
        if place is None:
            return {**written(value), "version": str(number)}
        return {**(found.content or {}), place.field: value.reveal_text()}

    def _take_away(self, name: str, newest: Body, found: Document) -> bool:
        """Whether something was taken away."""
        if name in self._shared:
            return False
        path = self._layout.public(name)
        if newest.record is None and found.version:
            self._documents.forget(path)
        elif found.content is not None:
            self._documents.hide(path)
        return found.version > 0
