"""Classes of characters that values are made of: where a value of a class may stand is told by its class alone."""

from __future__ import annotations

import string

_ALNUM = string.ascii_letters + string.digits
CLASSES: dict[str, bytes] = {
    "hex": b"0123456789abcdef",
    "HEX": b"0123456789ABCDEF",
    "alnum": _ALNUM.encode(),
    "word": (_ALNUM + "_-").encode(),
    "base64": (_ALNUM + "+/=").encode(),
    "token": (_ALNUM + "_-.~+/=:").encode(),
    "graph": bytes(range(0x21, 0x7F)),
    "any": bytes(range(256)),
}
"""Name -> its bytes; the narrowest first."""


def class_of(value: bytes) -> str:
    """The narrowest class that has all bytes of the value."""
    return next(name for name, members in CLASSES.items() if not value.translate(None, members))
