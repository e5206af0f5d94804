"""The sealed resolver bundle: its bytes. Format and test vectors: docs/bundle-format.md.

Used by `resolve`, which OpenClaw starts on every reload, so it imports as little as it can, also from this project.
A bundle is one JSON object; each value is sealed by itself (AES-256-GCM, associated data: format, generation, name,
version), and a seal over generation, names, versions and sealed values makes them one whole, so that nothing in it can
be altered, exchanged, left out or taken from an older bundle. The key file holds the key, or the new and the old key
while one replaces the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable, Sequence

from clawsecrets.errors import StoreDamaged, StoreLocked

MAGIC = "clawsecrets-bundle"
FORMAT = 1
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
LARGEST = 16 * 1024 * 1024
"""Bytes of a bundle."""
HINT = "deliver again: clawsecrets inject"


class Sealed:
    """A bundle whose whole was verified. Values are opened one by one."""

    __slots__ = ("_entries", "_key", "generation")

    def __init__(self, key: bytes, generation: int, entries: dict[str, tuple[int, bytes]]) -> None:
        self._key = key
        self._entries = entries
        self.generation = generation

    def versions(self) -> dict[str, int]:
        """Each name with its version."""
        return {name: version for name, (version, _) in self._entries.items()}

    def open(self, name: str) -> bytes | None:
        """The value of a name; None when the bundle has none. StoreDamaged cannot be after `opened`, but is checked."""
        if name not in self._entries:
            return None
        version, box = self._entries[name]
        plain = _unseal(self._key, box, _bound("value", self.generation, name, version))
        if plain is None:
            raise StoreDamaged(f"the value of {name} does not open", HINT)
        return plain


def sealed(key: bytes, generation: int, entries: Sequence[tuple[str, int, bytes]],
           nonce: Callable[[int], bytes] = os.urandom) -> bytes:
    """The bytes of a bundle with these (name, version, value). `nonce` is replaced by the test vectors only."""
    boxes = {
        name: (version, _seal(key, value, _bound("value", generation, name, version), nonce))
        for name, version, value in sorted(entries)
    }
    whole = {
        "format": MAGIC,
        "version": FORMAT,
        "generation": generation,
        "entries": {name: {"version": version, "sealed": _text(box)} for name, (version, box) in boxes.items()},
        "seal": _text(_seal(key, b"", _whole(generation, boxes), nonce)),
    }
    return json.dumps(whole, separators=(",", ":")).encode() + b"\n"


def opened(content: bytes, keys: bytes) -> Sealed:
    """Verify a bundle with the content of its key file. StoreDamaged, StoreLocked (no such key)."""
    if len(keys) not in (KEY_BYTES, 2 * KEY_BYTES):
        raise StoreLocked("the key file of the bundle is not a bundle key", HINT)
    generation, boxes, seal = _parsed(content)
    for start in range(0, len(keys), KEY_BYTES):
        key = keys[start : start + KEY_BYTES]
        if _unseal(key, seal, _whole(generation, boxes)) == b"":
            return Sealed(key, generation, boxes)
    raise StoreDamaged("the bundle does not open: it was altered, or belongs to another key", HINT)


def generation_of(content: bytes) -> int:
    """What an unverified bundle says of itself; 0 when it is none."""
    try:
        return _parsed(content)[0]
    except StoreDamaged:
        return 0


def _parsed(content: bytes) -> tuple[int, dict[str, tuple[int, bytes]], bytes]:
    fault = "the bundle is damaged"
    found: tuple[int, dict[str, tuple[int, bytes]], bytes] | None = None
    try:
        whole = json.loads(content)
        if whole["format"] == MAGIC and whole["version"] != FORMAT:
            fault = "the bundle was written by another version of clawsecrets"
        elif whole["format"] == MAGIC:
            entries = {name: (_number(e["version"]), _bytes(e["sealed"])) for name, e in whole["entries"].items()}
            found = _number(whole["generation"]), entries, _bytes(whole["seal"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass  # raised below, outside `except`: the library's error quotes what it could not read
    if found is None:
        raise StoreDamaged(fault, HINT)
    return found


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError
    return value


def _bytes(value: str) -> bytes:
    """Strict base64: one text per value, so that no bit of the file is without meaning."""
    found = binascii.a2b_base64(value, strict_mode=True)
    if _text(found) != value:
        raise ValueError
    return found


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bound(purpose: str, *parts: object) -> bytes:
    return json.dumps([f"{MAGIC}/{FORMAT}", purpose, *parts], separators=(",", ":")).encode()


def _whole(generation: int, boxes: dict[str, tuple[int, bytes]]) -> bytes:
    parts = [[name, version, hashlib.sha256(box).hexdigest()] for name, (version, box) in sorted(boxes.items())]
    return _bound("whole", generation, parts)


def _seal(key: bytes, plain: bytes, bound: bytes, nonce: Callable[[int], bytes]) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    used = nonce(NONCE_BYTES)
    return used + AESGCM(key).encrypt(used, plain, bound)


def _unseal(key: bytes, box: bytes, bound: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(box) < NONCE_BYTES + TAG_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], bound)
    except InvalidTag:
        return None
