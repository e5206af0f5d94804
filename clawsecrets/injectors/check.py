"""Recognising a value in a place that never gives it back (Swarm, Podman): a salted, slow hash kept beside it.

`salt:hash`, both in hexadecimal; scrypt (RFC 7914) with n = 2^14, r = 8, p = 1, so that a label that is shown
somewhere does not help to guess even a weak value.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from clawsecrets.model.secret import SecretValue

_SIZE = 16
"""Bytes of salt and of hash."""


def of(value: SecretValue) -> str:
    """A new check of it; two of one value differ."""
    salt = secrets.token_bytes(_SIZE)
    return f"{salt.hex()}:{_hash(value, salt).hex()}"


def matches(check: str, value: SecretValue) -> bool:
    """Whether it was made of this value."""
    salt, _, digest = check.partition(":")
    try:
        return hmac.compare_digest(_hash(value, bytes.fromhex(salt)), bytes.fromhex(digest))
    except ValueError:
        return False


def _hash(value: SecretValue, salt: bytes) -> bytes:
    return hashlib.scrypt(value.reveal(), salt=salt, n=1 << 14, r=8, p=1, dklen=_SIZE)
