"""Sealing: AES-256-GCM boxes, each with a key of its own for one purpose of one store.

Every key comes from the 32-byte master key by HKDF-SHA-256 (salt: the store's id, info: `clawsecrets/1/` and the
purpose). What a box seals is bound by associated data to format, store, purpose and its place (name, number,
revision), so that nothing can be moved elsewhere. A sealed thing is nonce (12 random bytes), ciphertext, tag (16).
Format: docs/store-format.md.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os

from clawsecrets.stores.faults import damaged

FORMAT = 1
MAGIC = f"clawsecrets/{FORMAT}"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


def new_key() -> bytes:
    """32 random bytes from the operating system."""
    return os.urandom(KEY_BYTES)


def derive(master: bytes, store: str, purpose: str) -> bytes:
    """The 32-byte key for one purpose of one store."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=store.encode(), info=f"{MAGIC}/{purpose}".encode()).derive(master)


def bound(store: str, purpose: str, parts: tuple[str | int, ...]) -> bytes:
    """The associated data: one JSON array without spaces, ASCII, so that no two places share it."""
    return json.dumps([MAGIC, store, purpose, *parts], separators=(",", ":")).encode()


class Box:
    """Seals and opens for one purpose under one key. `parts` say the place: name, number, revision."""

    __slots__ = ("_aead", "_purpose", "_store")

    def __init__(self, key: bytes, store: str, purpose: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead = AESGCM(key)
        self._store = store
        self._purpose = purpose

    def seal(self, plain: bytes, *parts: str | int) -> bytes:
        """nonce, ciphertext, tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, bound(self._store, self._purpose, parts))

    def try_open(self, sealed: bytes, *parts: str | int) -> bytes | None:
        """What was sealed for exactly this place, or None."""
        from cryptography.exceptions import InvalidTag

        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            return None
        aad = bound(self._store, self._purpose, parts)
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except InvalidTag:
            return None

    def open(self, sealed: bytes, *parts: str | int) -> bytes:
        """What was sealed for exactly this place. StoreDamaged when it was altered or comes from elsewhere."""
        plain = self.try_open(sealed, *parts)
        if plain is None:
            where = " ".join([self._purpose, *(str(part) for part in parts)])
            raise damaged(f"the sealed {where} does not open: it was altered, or moved from elsewhere")
        return plain


class Keys:
    """Every key of one store, from its master key. Keeps the master key, which `rekey` replaces."""

    __slots__ = ("audit", "history", "lasting", "lease", "manifest", "master", "record", "store", "wrap")

    def __init__(self, master: bytes, store: str) -> None:
        self.master = master
        self.store = store
        self.record = self._box("record")
        self.wrap = self._box("key")
        self.history = self._box("history")
        self.manifest = self._box("manifest")
        self.lasting = self._box("lasting")
        self.audit = derive(master, store, "audit")
        self.lease = derive(master, store, "lease")

    def _box(self, purpose: str) -> Box:
        return Box(derive(self.master, self.store, purpose), self.store, purpose)

    def value_box(self, data_key: bytes) -> Box:
        """The box of one version's value; its random data key is used for nothing else."""
        return Box(data_key, self.store, "value")

    def __repr__(self) -> str:
        return f"<Keys of store {self.store}>"


class LastingKeys:
    """Keys that a change of the master key must not change: fingerprints stay comparable, the anchor verifiable."""

    __slots__ = ("anchor", "fingerprint")

    def __init__(self, seed: bytes, store: str) -> None:
        self.fingerprint = derive(seed, store, "fingerprint")
        self.anchor = derive(seed, store, "anchor")

    def __repr__(self) -> str:
        return "<LastingKeys>"


def mac(key: bytes, content: bytes) -> bytes:
    """HMAC-SHA-256."""
    return hmac.new(key, content, hashlib.sha256).digest()


def same(one: bytes, other: bytes) -> bool:
    """Constant-time equality."""
    return hmac.compare_digest(one, other)
