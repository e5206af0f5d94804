"""The store's own document: its id and its keys. Made once; who may read it can forge fingerprints and the log."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_bytes, token_hex
from typing import Any

from clawsecrets.errors import StoreError, StoreMissing
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.seal import mac, same
from clawsecrets.stores.vault.documents import LATE, Conflict, Document, Documents
from clawsecrets.stores.vault.faults import damaged
from clawsecrets.stores.vault.layout import KEPT, Layout

FORMAT = 1
_BYTES = 32


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """What the store's document holds."""

    store: str
    """The store's id."""
    fingerprint: bytes = field(repr=False)
    audit: bytes = field(repr=False)

    def print_of(self, value: SecretValue) -> str:
        """The fingerprint of a value: 16 hex digits."""
        return mac(self.fingerprint, value.reveal()).hex()[:16]

    def digest(self, name: str, number: int, value: SecretValue) -> str:
        """What vouches for a value document: it is this value of this version."""
        return mac(self.fingerprint, f"value\0{name}\0{number}\0".encode() + value.reveal()).hex()

    def vouches(self, digest: str, name: str, number: int, value: SecretValue) -> bool:
        """Whether that is its digest."""
        return same(self.digest(name, number, value).encode(), digest.encode())


def require_none(documents: Documents, layout: Layout) -> None:
    """StoreDamaged where records are left of a store whose document is gone: under new keys none of its values would
    count any more."""
    left: list[str] = []
    with suppress(StoreError):  # whose policy does not let it list learns it otherwise
        left = documents.names(layout.records)
    if left and documents.read(layout.store).version == 0:
        documents.witness(layout.clock)
        if documents.read(layout.store).version:
            return
        raise damaged(f"the store's document {documents.mount}/{layout.store} is gone, and records of it are there")


def make(documents: Documents, layout: Layout) -> StoreKeys:
    """Make the store's document. StoreError when there is one already."""
    made = StoreKeys(token_hex(16), token_bytes(_BYTES), token_bytes(_BYTES))
    plain = {"format": FORMAT, "store": made.store, "fingerprint": made.fingerprint.hex(), "audit": made.audit.hex()}
    try:
        documents.keep(layout.store, KEPT)
        documents.write(layout.store, plain, 0, lambda content: content.get("store") == made.store)
        return made
    except Conflict:
        pass
    raise StoreError(f"there is a store at {documents.mount}/{layout.prefix} already",
                     "use it, or choose another mount or prefix with --store")


def read(documents: Documents, layout: Layout) -> StoreKeys:
    """The keys. StoreMissing when no store was made there, StoreDamaged.

    That there is none is said only when nodes that have shown a write of this very moment have none: the one that
    happens to be asked may stand by, and lag behind the leader for as long as it likes. StoreError where the policy
    allows no such write, or no node shows it.
    """
    document = documents.read(layout.store)
    for pause in LATE:  # behind a balancer, the node that shows the write need not be the one that is read next
        if document.version:
            break
        documents.witness(layout.clock)
        document = documents.read(layout.store)
        if not document.version:
            documents.pause(pause)
    if document.version == 0:
        require_none(documents, layout)
        with suppress(StoreError):
            documents.forget(layout.clock)
        raise StoreMissing(f"there is no store at {documents.mount}/{layout.prefix}", "clawsecrets init makes one")
    found = _parsed(document)
    if found is None:
        raise damaged(f"the store's document {documents.mount}/{layout.store} was deleted or altered, or has another "
                      f"form than format {FORMAT}")
    return found


def _parsed(document: Document) -> StoreKeys | None:
    plain: Mapping[str, Any] = document.content or {}
    try:
        keys = [bytes.fromhex(plain[name]) for name in ("fingerprint", "audit")]
        if plain["format"] != FORMAT or any(len(key) != _BYTES for key in keys):
            return None
        return StoreKeys(str(plain["store"]), *keys)
    except (KeyError, ValueError, TypeError):
        return None
