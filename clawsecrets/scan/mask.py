"""The only look at a value that leaves the scan: the public prefix of its format, `…`, and three characters at most."""

from __future__ import annotations

ELLIPSIS = "…"
TAIL = 3
"""Characters shown of the end ..."""
LONG = 20
"""... where the value has at least so many,"""
HIDDEN = 12
"""and where at least so many stay hidden between prefix and end: a prefix is cut for that."""


def mask(secret: bytes, prefix: str = "") -> str:
    """What may be shown of a value: `ghp_…x7Q`. Only printable ASCII of it is shown; the rest is `?`.

    `prefix` is the public prefix of the format (the same in every credential of the kind); it is not shown when the
    value does not begin with it.
    """
    text = secret.decode("utf-8", "replace")
    shown = prefix if prefix and text.startswith(prefix) else ""
    tail = TAIL if len(text) >= LONG else 0
    shown = shown[:max(0, len(text) - tail - HIDDEN)]
    return _printable(shown) + ELLIPSIS + _printable(text[len(text) - tail:])


def _printable(text: str) -> str:
    return "".join(c if "!" <= c <= "~" else "?" for c in text)
