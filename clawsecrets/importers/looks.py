"""What a value looks like by itself: a placeholder, a setting, a secret. Pure judgements, on text that stays here."""

from __future__ import annotations

import math
import re
from collections import Counter
from urllib.parse import urlsplit

ENOUGH_BITS = 32.0
"""Shannon entropy of the whole text from which a value with a telling name counts as a secret."""

_TELLING = re.compile(
    r"(?:^|_)(?:API_?KEYS?|KEYS?|TOKENS?|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|CREDENTIALS?|AUTH|AUTHORIZATION|"
    r"PRIVATE|SIGNING|BEARER|COOKIE|SESSION|WEBHOOK|PAT|DSN)(?:_|\d|\Z)"
)
_NAMES_A_PLACE = re.compile(
    r"_(?:FILE|PATH|DIR|URL|URI|HOST|PORT|ID|NAME|USER|USERNAME|EMAIL|REGION|ENABLED|EXPIRES?|TTL|ENV|TYPE|MODE)\Z"
)
_PLACEHOLDER = re.compile(
    r"""(?: change[-_ ]?(?:me|this|it).* | (?:please[-_ ])?(?:change|replace|insert|enter|put|add|set|paste)[-_ ].*
        | .*\b(?:your|my)[-_ ](?:.*[-_ ])?(?:key|token|secret|password|value|id|api|here)\b.*
        | your[-_ ].* | .*[-_ ]here | <[^<>]*> | \[[^][":,]*\] | \$?\{+[^{}":]*\}+ | [-_.*]* 
        | .*(?:x{6,}|\*{3,}|\.{3,}|\u2026).* | x{3,} | replace[-_]?me | to[-_]?do | tbd
        | none | null | nil | undefined | n/a | placeholder.* | example.* | dummy.* | sample | fake | secret | password
        | passwd | token | key | api[-_]?key | test(?:ing)? | foo(?:bar)? | __.*redacted__ | \W*redacted\W*
    )\Z""",
    re.X | re.I | re.S,
)
_PLAIN = re.compile(r"(?:true|false|yes|no|on|off|-?\d[\d.,:]*|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)\Z", re.I)


def placeholder(text: str) -> bool:
    """Whether somebody was meant to put the real value there."""
    return bool(_PLACEHOLDER.match(text.strip()))


def telling(key: str) -> bool:
    """Whether a name says that a secret stands there. camelCase and kebab-case count like SNAKE_CASE."""
    snake = re.sub(r"[^A-Z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).upper())
    return bool(_TELLING.search(snake)) and not _NAMES_A_PLACE.search(snake)


def bits(text: str) -> float:
    """Shannon entropy of the whole text, in bits: per character, times its length."""
    total = len(text)
    return -sum(count * math.log2(count / total) for count in Counter(text).values()) if total else 0.0


def entropy(text: str) -> float:
    """Shannon entropy, bits a character."""
    return bits(text) / len(text) if text else 0.0


def ordinary(text: str) -> bool:
    """Whether it is plainly a setting: a number, a switch, an e-mail address, a path, a URL without a password."""
    if _PLAIN.match(text) or re.match(r"(?:~|\.{1,2})?/[\w./@ -]*\Z", text):
        return True
    return "://" in text and not holds_password(text)


def holds_password(text: str) -> bool:
    """Whether it is a URL with a password in it."""
    if "://" not in text or "@" not in text:
        return False
    try:
        return bool(urlsplit(text.strip()).password)
    except ValueError:
        return False


def secretive(key: str, text: str) -> bool:
    """Whether a value that nobody recognises is most likely a secret."""
    if holds_password(text) or "PRIVATE KEY-----" in text:
        return True
    return telling(key) and not ordinary(text) and bits(text) >= ENOUGH_BITS
