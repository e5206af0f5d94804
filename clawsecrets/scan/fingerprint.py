"""A name for a value that tells nothing of it: stable over commits, lines, squashes and moves of files.

    fingerprint = hex(scrypt(value, salt, n, r=8, p=1, 16 bytes))      32 hex digits
    n           = 2**12 when bits(value) < 40, 2**9 when < 60, 2**6 when < 80, else 2

scrypt is RFC 7914. Stretching buys something for values that can be guessed only (a password, a word with a year):
there each guess must cost, the more the fewer it takes. 80 bits of chance cannot be tried out whatever a try costs, and
most findings are such keys; so thousands of them take no time. Of a URL, who guesses knows scheme, user, host and port:
only the password counts, or without one the best of what may be a token (webhooks). The salt stands in the baseline's
header; without a baseline it is `STANDARD_SALT`, so that a report is comparable with the next one anyway.

`bits` is part of the format, since it chooses n.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable, Collection
from itertools import pairwise

STANDARD_SALT = hashlib.sha256(b"clawsecrets fingerprint 1").digest()[:16]
"""The salt where no baseline says another."""
STRONG = 80.0
"""Bits from which on a value cannot be guessed."""
COSTS = ((40.0, 2 ** 12), (60.0, 2 ** 9), (STRONG, 2 ** 6))
"""scrypt's n for values of fewer bits."""
LEAST = 2
"""The same for strong ones: the smallest that scrypt has."""
_SLOW = 2 ** 9
"""From this n on they are done in threads."""
LOOKED_AT = 512
"""Bytes of a value that `bits` looks at: more cannot make it weaker than what it asks for."""

_WORD = re.compile(r"[A-Z]?[a-z]{4,}|[A-Z]{4,}")
_DIGITS = frozenset("0123456789")
_LOWER_HEX, _UPPER_HEX = _DIGITS | set("abcdef"), _DIGITS | set("ABCDEF")
_VOWELS = frozenset("aeiouyAEIOUY")
_WORD_BITS = 2.0
"""Bits of a letter that stands in something like a word: 13 bits, a short dictionary, for six or seven of them."""
_PROSE_BITS = 1.5
"""Bits of a character of a sentence: what has spaces in it was not made by a generator."""
_AGAIN_BITS = 8.0
"""Bits of a piece that stood there before, or that everybody knows."""
_STEP_BITS = 0.5
"""Bits of a character that follows its neighbour as that one followed its own: aaaa, 4567, dcba."""
_URL = re.compile(rb"""\s*(?:[\w.-]+\s*=\s*)?["']?([A-Za-z][A-Za-z0-9+.:-]*)://(.*)""", re.DOTALL)
_ESCAPED = re.compile(rb"%([0-9A-Fa-f]{2})")
_NO_PASSWORD = frozenset((b"", b"x", b"x-oauth-basic"))
"""What stands as password where the user is a token."""
_PIECE = 4
_KNOWN = (
    "qwertyuiop asdfghjkl zxcvbnm qazwsxedc 1q2w3e4r5t 1234567890 0987654321 abcdefghijklmnopqrstuvwxyz deadbeef "
    "cafebabe password passw0rd p@ssw0rd secret admin administrator changeme letmein welcome monkey dragon master "
    "login guest root user test example default token openclaw gateway telegram discord database postgres mysql redis "
    "company january february march april june july august september october november december monday friday summer "
    "winter spring autumn love hello sunshine princess football baseball trustno1 iloveyou superman batman shadow "
    "2019 2020 2021 2022 2023 2024 2025 2026 2027 http:// https:// www. .com"
)
_KNOWN_PIECES = {_KNOWN[at:at + _PIECE]: at for at in range(len(_KNOWN) - _PIECE + 1)}


def bits(value: bytes, enough: float = math.inf) -> float:
    """About how many bits of chance are in a value, rather too few than too many: length times the bits of its
    alphabet, less for words, repetitions, runs and what everybody knows. From `enough` on they are not counted."""
    return max(_bits(part, enough) for part in _secret_parts(value[:LOOKED_AT]))


def _secret_parts(value: bytes) -> list[bytes]:
    """What is secret in it: all; of a URL the password, or else each part that may be a token."""
    url = _URL.match(value) if b"://" in value else None
    if url is None:
        return [value]
    scheme, rest = url[1].lower(), url[2]
    authority = re.split(rb"[/?#\s]", rest, maxsplit=1)[0]
    login, at, host = authority.rpartition(b"@")
    if not at and _cut_short(authority):
        login = rest.partition(b"@")[0] if b"@" in rest else b""
    user, _, password = login.partition(b":")
    if password not in _NO_PASSWORD:
        return [_unescaped(password)]
    named = scheme in (b"http", b"https") or b"." in host or host.rpartition(b":")[2].isdigit()
    parts = [user, b"" if named else host, *re.split(rb"[/?&=#;,@\s]", rest[len(authority):])]
    return [_unescaped(part) for part in parts]


def _cut_short(authority: bytes) -> bool:
    """Whether what should be a port is none: a password with / or # in it, or a token with a colon."""
    return b":" in authority and not authority.startswith(b"[") and not authority.rpartition(b":")[2].isdigit()


def _unescaped(part: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), part)


def _bits(value: bytes, enough: float) -> float:
    text = value.decode("latin-1")
    if not text:
        return 0.0
    each = min(math.log2(_alphabet(text)), _PROSE_BITS if " " in text else 8.0)
    costs = [each] * len(text)
    for word in _WORD.finditer(text):
        if _like_a_word(word[0]):
            costs[word.start():word.end()] = [min(each, _WORD_BITS)] * len(word[0])
    steps = [ord(b) - ord(a) for a, b in pairwise(text)]
    for at in range(2, len(text)):
        if steps[at - 1] == steps[at - 2] and abs(steps[at - 1]) <= 1:
            costs[at] = min(costs[at], _STEP_BITS)
    return _without_repeats(text.lower(), costs, enough)


def _alphabet(text: str) -> int:
    """How many characters it could have been made of, judged by those that are in it."""
    there = set(text)
    if there <= _LOWER_HEX or there <= _UPPER_HEX:
        return 10 if text.isdigit() else 16
    size = 10 * (not there.isdisjoint(_DIGITS)) + 26 * any("a" <= c <= "z" for c in there)
    size += 26 * any("A" <= c <= "Z" for c in there) + 64 * any(c > "~" for c in there)
    marks = {c for c in there if c <= "~" and not c.isalnum()}
    return max(2, size + (0 if not marks else 2 if len(marks) <= 2 else 32))


def _like_a_word(word: str) -> bool:
    vowels = sum(c in _VOWELS for c in word)
    return 0.2 <= vowels / len(word) <= 0.65


def _without_repeats(text: str, costs: list[float], enough: float) -> float:
    """The sum of the costs; a piece of four characters and more that stood before, or is known, counts once."""
    whole = _KNOWN + "\0" + text
    first, end = len(_KNOWN) + 1, len(whole)
    last = end - _PIECE
    seen: dict[str, int] = {}
    total, at = 0.0, first
    while at < end and total < enough:
        piece = whole[at:at + _PIECE]
        found = _KNOWN_PIECES.get(piece, -1)
        if found < 0:
            found = seen.setdefault(piece, at)
        if found == at or at > last:
            total += costs[at - first]
            at += 1
            continue
        length = 1
        while at + length < end and whole[found + length] == whole[at + length]:
            length += 1
        total += min(sum(costs[at - first:at - first + length]), _AGAIN_BITS)
        for done in range(at, at + length):
            seen.setdefault(whole[done:done + _PIECE], done)
        at += length
    return total


def fingerprint(value: bytes, salt: bytes = STANDARD_SALT) -> str:
    """The fingerprint of one value: 32 hex digits."""
    return _stretched(value, salt, _cost(value))


def _cost(value: bytes) -> int:
    its = bits(value, STRONG)
    return next((n for least, n in COSTS if its < least), LEAST)


def _stretched(value: bytes, salt: bytes, cost: int) -> str:
    return hashlib.scrypt(value, salt=salt, n=cost, r=8, p=1, maxmem=1 << 24, dklen=16).hex()


def fingerprints(values: Collection[bytes], salt: bytes = STANDARD_SALT) -> dict[bytes, str]:
    """The fingerprints of many values, by value; on all processors (scrypt runs outside of the interpreter's lock)."""
    return begun(values, salt)()


def begun(values: Collection[bytes], salt: bytes = STANDARD_SALT) -> Callable[[], dict[bytes, str]]:
    """Begin with the fingerprints of many values; a call waits for them. Weak values are done meanwhile, in threads.
    The others are done when they are asked for: a thread that needs the lock a thousand times for a moment waits a
    thousand times for whoever works."""
    costs = {value: _cost(value) for value in dict.fromkeys(values)}
    slow = [value for value, cost in costs.items() if cost >= _SLOW]
    if len(slow) < 5:  # to import what runs them side by side takes as long
        return lambda: {value: _stretched(value, salt, cost) for value, cost in costs.items()}
    from concurrent.futures import ThreadPoolExecutor  # a scan that finds nothing does not pay for it

    count = os.cpu_count() or 1
    pool = ThreadPoolExecutor(count)

    def some(part: int) -> dict[bytes, str]:
        return {value: _stretched(value, salt, costs[value]) for value in slow[part::count]}

    running = [pool.submit(some, part) for part in range(count)]

    def made() -> dict[bytes, str]:
        with pool:
            found = {value: name for share in running for value, name in share.result().items()}
        return {value: found.get(value) or _stretched(value, salt, cost) for value, cost in costs.items()}

    return made
