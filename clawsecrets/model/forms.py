"""The forms in which a value stands in files: encoded and escaped as programs write it.

What is a run of plain characters the inspector decodes by itself; a value with unusual characters, or one in the middle
of something encoded, is found only by looking for its encoded form.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

LEAST = 8
"""Bytes. Shorter values, and shorter forms, stand everywhere by chance."""


def forms(value: bytes) -> dict[bytes, str]:
    """Form -> the name of its encoding; the value itself is `plain`."""
    found = {value: "plain"}
    for form, name in _all(value):
        if len(form) >= LEAST:
            found.setdefault(form, name)
    return found


def _all(value: bytes) -> Iterator[tuple[bytes, str]]:
    if b"\n" in value:
        unix = value.replace(b"\r\n", b"\n")
        yield unix, "plain"
        yield unix.replace(b"\n", b"\r\n"), "plain"
        yield unix.replace(b"\n", b"\\n"), "escaped"
        yield unix.replace(b"\n", b"\\\\n"), "escaped"
    for shift in range(3):
        yield from ((form, "base64") for form in _base64(value, shift))
    yield value.hex().encode(), "hex"
    yield value.hex().upper().encode(), "hex"
    yield from ((form, "percent") for form in _percent(value))
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    yield from ((form.encode(), "escaped") for form in _escaped(text))
    yield html.escape(text).encode(), "html"
    yield html.escape(text, quote=False).encode(), "html"
    yield text.encode("utf-16-le"), "utf-16le"
    yield text.encode("utf-16-be"), "utf-16be"


def _base64(value: bytes, shift: int) -> Iterator[bytes]:
    """The characters that do not depend on what stands before or behind, when `shift` bytes stand before."""
    whole = base64.b64encode(bytes(shift) + value)
    sure = whole[-(-8 * shift // 6):8 * (shift + len(value)) // 6]
    yield sure
    yield sure.translate(bytes.maketrans(b"+/", b"-_"))


def _percent(value: bytes) -> Iterator[bytes]:
    for form in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield form.encode()
        parts = form.split("%")
        yield "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])]).encode()


def _escaped(text: str) -> Iterator[str]:
    """JSON, also with escaped slashes or inside of a JSON string; shells."""
    for ascii_only in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield once.replace("/", "\\/")
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield "".join("\\" + char if char in "\"$`\\" else char for char in text)
    yield "".join(char if char.isalnum() or char in "%+-./:=@_" else "\\" + char for char in text)
    yield text.replace("$", "$$")  # compose files
