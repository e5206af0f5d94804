"""Who may write the cache of clean content, and who may believe it.

    CLAWSECRETS_CACHE_KEY          32 bytes in base64: reads and writes (CI: a secret that forks do not get)
    CLAWSECRETS_CACHE_PUBLIC_KEY   32 bytes in base64 (RFC 8032): only reads what the owner of the key has signed
    neither                        a key of this host, made in the state folder, 0600

An empty variable counts as unset: that is what a fork's pull request gets in place of a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from clawsecrets.errors import ConfigError

SECRET, PUBLIC = "CLAWSECRETS_CACHE_KEY", "CLAWSECRETS_CACHE_PUBLIC_KEY"
FILE = "cache.key"
SIZE = 32
MAC, SIGNATURE = 32, 64
"""Bytes of the HMAC-SHA256 and of the Ed25519 signature (zeros: not signed)."""


class CacheKey:
    """What a cache is authenticated with. The key itself is in no repr."""

    __slots__ = ("public", "secret", "signs")

    def __init__(self, secret: bytes = b"", *, public: bytes = b"", signs: bool = False) -> None:
        """`signs`: what is written is signed too, for readers who have only the public key."""
        self.secret, self.public, self.signs = secret, public, signs

    @property
    def writes(self) -> bool:
        """Whether a cache may be written under it."""
        return bool(self.secret)

    def seal(self, data: bytes) -> bytes:
        """HMAC and signature of what is written."""
        signature = self._signature(data) if self.signs else bytes(SIGNATURE)
        return self._mac(data) + signature

    def holds(self, seal: bytes, data: bytes) -> bool:
        """Whether the seal is right: by HMAC with the key, by signature without it."""
        if self.secret:
            return hmac.compare_digest(seal[:MAC], self._mac(data))
        return bool(self.public) and _signed(self.public, seal[MAC:], data)

    def public_key(self) -> str:
        """What goes into CLAWSECRETS_CACHE_PUBLIC_KEY."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.from_private_bytes(self._derived(b"cache signature"))
        return base64.b64encode(key.public_key().public_bytes_raw()).decode()

    def _signature(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._derived(b"cache signature")).sign(data)

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._derived(b"cache mac"), data, "sha256")

    def _derived(self, purpose: bytes) -> bytes:
        return hashlib.blake2b(purpose, key=self.secret, digest_size=SIZE, person=b"clawsecrets").digest()


def _signed(public: bytes, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def cache_key(state: Path, environ: Mapping[str, str]) -> CacheKey:
    """The key that applies here. ConfigError for a variable that holds none. With the host's own key nothing is made
    that cannot be: without a state folder to write to, there is no key, and so no cache."""
    if text := environ.get(SECRET, "").strip():
        return CacheKey(_decoded(SECRET, text), signs=True)
    if text := environ.get(PUBLIC, "").strip():
        return CacheKey(public=_decoded(PUBLIC, text))
    return CacheKey(_own(state))


def _decoded(name: str, text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != SIZE:
        raise ConfigError(f"{name} must be {SIZE} bytes in base64", "`openssl rand -base64 32` makes a key")
    return found


def _own(state: Path) -> bytes:
    """The key file's content; made when it is not there. Empty when it cannot be used."""
    path = state / FILE
    with suppress(OSError):
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = state / f".{FILE}.{os.getpid()}"
        if not path.exists():
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with open(handle, "wb") as file:
                    file.write(os.urandom(SIZE))
                with suppress(FileExistsError):
                    os.link(draft, path)  # whoever is first makes the key
            finally:
                os.unlink(draft)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        at = os.fstat(handle)
        if not stat.S_ISREG(at.st_mode) or at.st_uid != os.geteuid() or at.st_mode & 0o077:
            return b""
        found = os.read(handle, SIZE + 1)
    except OSError:
        return b""
    finally:
        os.close(handle)
    return found if len(found) == SIZE else b""
