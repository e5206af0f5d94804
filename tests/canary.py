"""Find a secret value in bytes that ought not to hold it: plain, or as a log, URL, JSON or dump would write it.

A hit names the form only, never the value, so that a failing test does not leak what it found.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Bytes; what is shorter is found by chance in any larger output."""


def fresh() -> bytes:
    """A new value, 46 bytes, with the characters that encoders treat specially (`+ / = & % " space`)."""
    return f'canary-{secrets.token_hex(8)}+/=&%" {secrets.token_hex(8)}'.encode()


def search(data: bytes, value: bytes) -> list[str]:
    """The forms in which `value` stands in `data`, empty when it does not. `ValueError` under 8 bytes.

    Base64 (standard and URL-safe) is found at each of the three alignments it can have inside a longer text; hex,
    percent and escape forms in either letter case.
    """
    if len(value) < SHORTEST:
        raise ValueError(f"a canary needs at least {SHORTEST} bytes to mean anything")
    lower = data.lower()
    found = [form for form, needle in _exact_forms(value) if needle in data]
    found += [form for form, needle in _caseless_forms(value) if needle.lower() in lower]
    return list(dict.fromkeys(found))


def _exact_forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "plain", value
    for offset in range(3):
        text = _base64_core(value, offset)
        yield f"base64+{offset}", text
        yield f"base64url+{offset}", text.replace(b"+", b"-").replace(b"/", b"_")
    yield "base32", base64.b32encode(value).rstrip(b"=")[: len(value) * 8 // 5]


def _caseless_forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "hex", value.hex().encode()
    yield "hex with colons", value.hex(":").encode()
    yield "hex with spaces", value.hex(" ").encode()
    yield "percent, all bytes", "".join(f"%{byte:02x}" for byte in value).encode()
    yield "backslash x, all bytes", "".join(f"\\x{byte:02x}" for byte in value).encode()
    for safe in ("", "/", "-_.!~*'()"):
        yield "percent", quote(value, safe=safe).encode()
    yield "form", quote_plus(value).encode()
    yield "repr", repr(value)[2:-1].encode()
    yield from _text_forms(value)


def _text_forms(value: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    units = text.encode("utf-16-be")
    yield "unicode escapes", "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)).encode()
    for ascii_only in (True, False):
        inner = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield "json", inner.encode()
        yield "json", inner.replace("/", "\\/").encode()
        yield "json in json", json.dumps(inner, ensure_ascii=ascii_only)[1:-1].encode()
    yield "repr", repr(text)[1:-1].encode()
    yield "utf-16", text.encode("utf-16-le")


def _base64_core(value: bytes, offset: int) -> bytes:
    """The base64 characters that depend on `value` alone when `offset` (0..2) other bytes stand before it."""
    encoded = base64.b64encode(b"\0" * offset + value).rstrip(b"=")
    first = (0, 2, 3)[offset]
    last = (offset + len(value)) * 8 // 6
    return encoded[first:last]
