"""Values that stand for a value: placeholders, published examples, references to a secret elsewhere. Pure."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise

from clawsecrets.scan.steps import DOWN, UP, steps

_WORDS = re.compile(
    rb"""example | placeholder | change[-_ ]?(?:me|this|it) | redacted | replace[-_]?(?:me|with|this) | dummy
    | (?:your|insert|enter|put|paste|add|my)[-_](?:[a-z]+[-_])*(?:key|token|secret|password|pass|value|id|api|here)
    | (?<![a-z])(?:your|yours|here|fake|sample|mock(?:ed)?|test(?:ing|key|token)?|todo|tbd|foo(?:bar)?|invalid|notreal
        |not[-_]?a[-_]?real|xxx+|lorem|ipsum|demo|stub|none|null|undefined|removed|masked|hidden|secret[-_]?key
        |some[-_]?(?:token|key|secret|password))(?![a-z]) """, re.X,
)
"""Somewhere in a value, in lower case: nobody's random value says so."""
_WHOLE = re.compile(
    rb"""(?: (?:the|my|our|a|an|this|new|old|user|admin|root|super|default|strong|db|database|mysql|postgres|redis)?
        [-_.]*(?:very|super|top)?[-_.]*(?:long|secure|strong|random|secret|private)?[-_.]*
        (?:pass(?:word|wd|phrase)?|pw|pwd|secret|token|key|api[-_]?key|credentials?|value|hunter2|letmein|admin|root
          |user(?:name)?|guest|postgres|mysql|mongo(?:db)?|redis|rabbitmq|string|text|number|true|false|bearer|basic)
        [-_.]?[0-9]{0,4}!? | p[a4@][s$5][s$5]w[o0]rd[0-9!]{0,4} | [a-z]{1,2} )\Z""", re.X,
)
"""The whole of it, in lower case: a word that says what should stand there."""
_MASKED = re.compile(
    rb"x{5,}|\*{3,}|\.{3,}|_{4,}|-{5,}|\xe2\x80\xa6|\xe2\x80\xa2{2,}|\[[a-z ]+\]|<[a-z][a-z_ -]+>|#{4,}",
)
_BRACKETS = re.compile(rb"<.*>\Z")
"""At its beginning."""
_ONE = re.compile(rb"(.)\1{7,}|(..)\2{5,}|(...)\3{4,}|(....)\4{3,}", re.S)
"""The same again and again. In long values (AWS session tokens hold `//////////`) it must be a quarter of it."""
_ROWS = (b"qwertyuiop", b"asdfghjkl", b"qwertzuiop", b"poiuytrewq")
_WALKS = (*(row[at:at + 7] for row in _ROWS for at in range(len(row) - 6)), b"zxcvbnm", b"1q2w3e4r", b"q1w2e3r4",
          b"deadbeefdeadbeef", b"cafebabe", b"0badc0de", b"badc0ffee")
_RARE = 24
"""So many times the length of a word, random text holds it by chance: no placeholder is that long."""
_RUN = 8
"""Characters that follow one another in the alphabet, up or down."""
_REFERENCE = re.compile(
    rb"""(?: \$\{ | \$\( | \$\[\[ | \$[A-Za-z_]\w*\Z | \$\$ | \$[1-9]\Z | \{\{ | \{% | %\{ | <%? | \#\{ | @\{
        | \{\w*\}\Z | %[A-Za-z_]\w*%\Z | %\(\w+\)s | %[sdvq]\Z | \$env: | process\.env | os\.(?:environ|getenv)
        | getenv | import\.meta
        | (?:config|cfg|self|this|settings|options|opts|args|params|props|ctx|context|req|request|env|vars?|local|data
            |each|module|secrets|inputs|github|values|std|state|event|window|document)\.[A-Za-z_]
        | (?:op|vault|env|file|ref|secret|awssm|gcpsm|ssm|exec|keyring|doppler|bws|keychain|sops|arn)://? | arn:aws
        | !(?:secret|ref|sub|env|vault|getatt)\b | ENC\[ | secretKeyRef | valueFrom | vault: | env: | file:/ )""",
    re.X | re.I,
)
"""How text begins that says where the secret is."""
_INSIDE = re.compile(rb"\$\{[^}]*\}|\{\{[^}]*\}\}|<%[^%]*%>|\$\([^)]*\)|#\{[^}]*\}|%\(\w+\)s|\{[a-z_]+\}")
"""A part of the value is filled in later."""
_PUBLISHED = frozenset({
    "b1dba8e85ee052b5", "b122867768cf1807", "ef67432f60c9b033", "826a83582efbd367", "47e450e46612da4a",
    "06b6e341c4f52e9e", "8a3b3bc84e875892", "1bd055360347cd88", "826e0fd9a88ef5e1", "2e12236193731ba6",
    "f8c661bbd238e78b", "078390239e4bf11d", "a05b8aa8899378c2", "f3cc1935c5262580", "bec7da02be091c9c",
    "398a836468919cb5", "e625d859d3319d4f", "c2945bcd936cf1d3", "be46cec26ef43b30", "e6d1b65208cb54f6",
    "9a119b06a213486f", "11c38988238e0512",
    "cefe19b2cd73cdbb",
    "c87e7d0454b975d9",
})
"""BLAKE2b-64 of values that vendors' documents show. Digests, so that this file is no finding itself."""


def reference(value: bytes) -> str:
    """Why it is a reference to a secret, not one; empty when it is none."""
    if _REFERENCE.match(value) or _INSIDE.search(value):
        return "it says where the secret is"
    return ""


def published(value: bytes) -> str:
    """Whether it is an example that a vendor's documents show."""
    parts = (value, b".".join(value.split(b".")[:2]))
    found = any(hashlib.blake2b(part, digest_size=8).hexdigest() in _PUBLISHED for part in parts)
    return "it is an example that the vendor's documents show" if found else ""


def placeholder(value: bytes, prefix: bytes = b"") -> str:
    """Why somebody was meant to put the real value there; empty when it may be one."""
    body = value[len(prefix):].lower()
    word = _WORDS.search(body)
    if (word and len(word[0]) * _RARE >= len(body)) or _WHOLE.match(body):
        return "it holds a word that says it is a placeholder"
    run = _ONE.search(body)
    if _MASKED.search(body) or _BRACKETS.match(body) or (run and 4 * len(run[0]) >= len(body)):
        return "it repeats itself, or is masked"
    if any(walk in body for walk in _WALKS) or _ascends(body) or all(_ascends(body[odd::2], 6) for odd in (0, 1)):
        return "it is a sequence of neighbouring characters"
    if len(body) >= 16 and len(set(body)) < 6:
        return "it is made of few different characters"
    return ""


def _ascends(text: bytes, run: int = _RUN) -> bool:
    """Whether `run` characters in it follow one another, up or down (9 leads to 0 and to a)."""
    if text.isascii():
        differences = steps(text)
        if DOWN * (run - 1) in differences:
            return True
        if UP * (run // 2 - 1) not in differences:  # however it is cut by a 9 or a z
            return False
    for step in (1, -1):
        length = 1
        for one, other in pairwise(text):
            follows = other - one == step or (step == 1 and (one, other) in ((57, 48), (57, 97), (122, 48)))
            length = length + 1 if follows else 1
            if length >= run:
                return True
    return False
