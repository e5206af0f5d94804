"""Checksums that credential formats carry, by the name that a rule's `checksum` says.

`github-crc32`, `npm-crc32`: the last 6 characters are the CRC-32 of what stands between the prefix (up to and with the
last `_` of the first 13 characters) and them, in base 62 (digits, upper case, lower case), left-padded with `0`:
GitHub's tokens since 2021 (github.blog, "Behind GitHub's new authentication token formats") and npm's.
`crc32-base62-whole`: the same over everything before the last 6 characters, the prefix included.
`gitlab-crc32`: GitLab's routable tokens: after the last `.`, 2 characters of length and 7 of CRC-32, base 36,
over everything before these 7.
`basic-auth`: base64 of printable `user:password` (RFC 7617).
`jwt`: header and payload are base64url of JSON objects, and the header names an algorithm (RFC 7519).
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONGEST_PREFIX = 13


def holds(name: str, value: bytes) -> bool:
    """Whether `value` carries a right checksum of that name. KeyError for a name that is none."""
    return ALGORITHMS[name](value)


def crc32_digits(text: bytes, alphabet: str, length: int) -> str:
    """CRC-32 in the alphabet's base, left-padded with its zero."""
    number, digits = zlib.crc32(text), ""
    while number:
        number, rest = divmod(number, len(alphabet))
        digits = alphabet[rest] + digits
    return digits.rjust(length, alphabet[0])


def _crc32_base62(value: bytes) -> bool:
    body = value[value.rfind(b"_", 0, _LONGEST_PREFIX) + 1:]
    return len(body) > 6 and body[-6:] == crc32_digits(body[:-6], _BASE62, 6).encode()


def _crc32_base62_whole(value: bytes) -> bool:
    return len(value) > 6 and value[-6:] == crc32_digits(value[:-6], _BASE62, 6).encode()


def _gitlab(value: bytes) -> bool:
    return len(value) > 7 and value[-7:] == crc32_digits(value[:-7], _BASE36, 7).encode()


def _basic_auth(value: bytes) -> bool:
    try:
        text = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True).decode()
    except ValueError:
        return False
    return text.isprintable() and bool(text.partition(":")[2])


def _jwt(value: bytes) -> bool:
    import json

    header, _, rest = value.partition(b".")
    claims = rest.partition(b".")[0]
    try:
        first, second = (json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
                         for part in (header, claims))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(first, dict) and "alg" in first and isinstance(second, dict)


ALGORITHMS: Mapping[str, Callable[[bytes], bool]] = {
    "github-crc32": _crc32_base62,
    "npm-crc32": _crc32_base62,
    "crc32-base62-whole": _crc32_base62_whole,
    "gitlab-crc32": _gitlab,
    "basic-auth": _basic_auth,
    "jwt": _jwt,
}
"""What a rule's `checksum` may name."""
STRUCTURES = frozenset({"basic-auth", "jwt"})
"""Those that are no checksum but the value's own build: what is built in another way is no such value."""
