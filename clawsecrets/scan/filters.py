"""Reasons not to report what an expression has matched: each a pure function of one sighting, asked in order.

Rules of high confidence are asked only whether the value is a placeholder, a published example, too plain, or carries
a wrong checksum. The others, whose expressions fit ordinary text too, must also look random (or, for passwords, like
no name or word), and stand in no context of hashes, identifiers, packed or public data.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from clawsecrets.model.finding import Rule
from clawsecrets.model.late import late
from clawsecrets.scan import checksums, placeholders
from clawsecrets.scan.ruleset import GENERIC
from clawsecrets.scan.words import drawn, wordiness, wordy

_AROUND = 160
"""Bytes before and after a value that judgements may look at."""
_SHAPED = late(rb"-----BEGIN |\$(?:2[abxy]|[0-9]|y|apr1|argon2id?)\$")
"""The beginning of a key block, or of a hashed password (crypt(5))."""
_UUID = late(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.I)
_HEX = late(rb"(?:0x)?[0-9a-f]+\Z|[0-9A-F]+\Z")
_DIGEST_LENGTHS = frozenset({32, 40, 56, 64, 96, 128})
_HASHED = late(
    rb"""(?:sha-?(?:1|224|256|384|512)|\bmd5|blake[23]|checksum|digest|integrity|fingerprint|\bhash(?:es)?\b|_hash\b
    |(?<=[a-z])Hash\b|commit(?:_?id|_?sha)?\b|\brev(?:ision)?\b|\betag\b|\btree\b|\bblob\b|\bsha\b|resolved|nonce
    |\bsri\b|\bgit\b|\boid\b|content[-_]?id|cache[-_]?key|\bthumbprint)[^\r\n]{0,48}\Z""", re.X | re.I,
)
"""Ends the text before a value that is most likely a hash, a digest or an object's id."""
_NEXT_TO = 72
"""Bytes in which that can stand: the longest word, and what may follow it."""
_PUBLIC = late(
    rb"""(?:public[-_ ]?key|pub[-_]?key|publishable|ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-|BEGIN\ (?:CERTIFICATE|PUBLIC)
    |data:[a-z]+/[a-z0-9.+-]+;base64,|(?:site|file)[-_ ]?key|client[-_]?id|app[-_]?id|\bx5c\b|certificate|signature
    |\b(?:gpg|pgp)\b|websocket-key
    |(?:next|prev(?:ious)?|page|continuation|sync|cursor|csrf|xsrf)[-_]?token|primary[-_ ]?key|foreign[-_ ]?key
    |sort[-_ ]?key|partition[-_ ]?key|translation[-_]?key|i18n)[^\r\n]{0,24}\Z""", re.X | re.I,
)
"""Ends the text before a value that may be public."""
_MEMBER = late(rb"[*&!]{0,2}[A-Za-z_$][\w$]*(?:\[\w*\])?(?:[?!]?\.|->|::)[A-Za-z_$][\w$.?]*\Z")
"""A member of something: `config.password`, `a?.b`."""
_NAME = late(
    rb"""(?:[a-z]+(?:[A-Z][a-z0-9]+)+|[a-z]+(?:[-_./:][a-z]+)+|(?:[A-Z][a-z0-9]+){2,}|[A-Z]+(?:_[A-Z0-9]+)+
    |[A-Za-z]+(?:-[A-Za-z]+)*|[A-Za-z]+(?::[A-Za-z]+)+|[a-z_]+[0-9]{0,3}|\#[A-Za-z_]+)\Z""", re.X,
)
"""The look of a name: camelCase, snake_case, kebab-case, a path, a constant, a word with a number."""
_CAMEL = late(rb"[a-z]+(?:[A-Z][a-z0-9]+)+\Z")
_OPERATORS = late(rb"\?\?|[!=]==|&&|\|\||\?[A-Za-z_$][\w$]*(?:[:.?]|\Z)|\?\.")
_ABOUT = late(rb"pass|auth|token|secret|login|credential|key\b|"
              rb"\b(?:the|your|this|that|used|for|is|are|must|not)\b")
_KEY_ITSELF = late(
    rb"""(?:api[-_. ]?key|apikey|_authToken|(?:auth|access)[-_. ]?token|secret[-_ ]?key|bearer)[\\"'`*]{0,4}
    [ \t]{0,3}[:=]?[ \t]{0,3}[\\"'`*]{0,4}\Z""", re.X | re.I,
)
"""Ends the text before a UUID that is a key, not an id: some providers issue them."""
_ADDRESS = late(rb"https?://[^:@]*(?::[0-9]{1,5}(?:/[^:@]*)?)?\Z")
"""An address without credentials."""
_CRYPTED = late(rb"\$(?:2[abxy]|[56y]|apr1|argon2id?)\$")
"""The beginning of a hashed password: `generic.htpasswd` tells of it, with low confidence."""
_ID = late(
    rb"""(?:(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?
      |[0-9]{10,16}|[a-z]{2,24}(?:[-_.][a-z]{2,24})*):)+
    [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z""", re.X,
)
"""Times and names, and then a UUID, joined by colons: the id of an event."""
_KEPT = late(
    rb"""((?:[a-z]{2,24}[-_.]){1,6}
      (?:stores?|tables?|index|journal|log|ledger|snapshots?|migrations?|state|records?|runs?|cache|queue|json|file)):
    (?:[0-9a-f]{64}|[0-9a-f]{56}|[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{24})([^\s"'`]*)\Z""", re.X,
)
"""The name of what keeps things, and a hash right behind its colon: the key of what is kept there. In the raw pages of
a database the next column follows without a gap."""
_OF_SECRETS = late(rb"secret|token|credential|pass|bearer|key")
"""In such a name: a secret may be called so (`token-store:`)."""
_NAME_BEFORE = 96
"""Bytes before a hash in which such a name can stand."""
_FINGERPRINT = late(rb"fp:[0-9a-f]{12,64}\Z")
"""What OpenClaw's records hold in place of a value."""
_MARKUP = late(rb"(?:\[.*\]|\(.*\)|<.*>|\{.*\}|.*=>.*|.*\$\{.*|.*\(\)?;?|.*;\Z)\Z", re.S)
"""Brackets around it, or a piece of code."""
_PLAIN = late(
    rb"""(?:[-+]?[0-9][0-9.,:_]*(?:[a-z]{1,2})?|v?[0-9]+(?:\.[0-9]+)+[\w.+-]*|(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::\d+)?
    |[0-9]{4}-[0-9]{2}-[0-9]{2}[T0-9:.Z+-]*|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?|wss?|file|git)://[^:@]*
    |[~.]{0,2}/[\w./@+-]*|[A-Za-z]:\\.*|\#[0-9A-Fa-f]{3,8}|[\w./-]+\.(?:js|ts|py|json|md|txt|ya?ml|toml|go|rs|html
      |css|png|svg|jpe?g|pem|key|crt|sh|env|lock|mjs|cjs|tsx?|c|h|java)|[^A-Za-z]*|\d+x\d+|0x[0-9A-Fa-f]+)\Z""", re.X,
)
"""A number, a version, an address, a date, an e-mail address, a path, a file, a colour."""
_OUTCOME = late(rb"(?:\A|[\r\n])(?:X|K)?(?:PASS|FAIL): \Z")
"""Ends the text before the name of a test in a log (DejaGnu, Automake): `PASS: ld-x86-64/tls`."""
_TEST = late(rb"[\w.+,:=@%/-]+\Z")
"""The look of a test's name, which as a rule has several parts ..."""
_PARTS = late(rb"\w[-_./:]\w")
_CALLED = late(rb"\s{0,2}[(\[]")
_DOCUMENTATION_HOST = late(
    rb"@(?:(?:[\w-]+\.)*example(?:\.\w+)?|[\w.-]*\.(?:test|invalid|example)|host(?:name)?|server|my[-.]?\w*host|domain\.\w+"
    rb"|your[\w.-]*|proxy\.(?:company|corp)\w*\.\w+|addr(?:ess)?|ip|\.\.\.)(?:[:/\s\"'`,)\\]|\Z)", re.I,
)


class Sighting(NamedTuple):
    """A value that an exact expression has found, and what stands around it. Holds the secret."""

    rule: Rule
    value: bytes
    before: bytes
    """At most 160 bytes before it."""
    after: bytes
    prefix: str

    @property
    def sure(self) -> bool:
        """Whether the look alone is proof."""
        return self.rule.confidence == "high" and not self.rule.near

    @property
    def password(self) -> bool:
        """Whether it may have been chosen by a person: words and short values count."""
        return "password" in self.rule.id or self.rule.id.endswith("-url")

    @property
    def shaped(self) -> bool:
        """Whether the expression says enough of the value itself (a key block, a hash): it need not look random."""
        return bool(_SHAPED.match(self.value)) or (
            bool(self.rule.checksum) and checksums.holds(self.rule.checksum, self.value))


Reason = Callable[[Sighting], str]
"""Empty when there is no reason."""


def sighting(rule: Rule, data: bytes, start: int, end: int, prefix: str) -> Sighting:
    """What stands at start..end of data, as the judgements want it."""
    return Sighting(rule, bytes(data[start:end]), bytes(data[max(0, start - _AROUND):start]),
                    bytes(data[end:end + _AROUND]), prefix)


Remembered = dict[tuple[str, bytes], dict[Reason, str]]
"""By rule and value: what the reasons came to that need nothing of the surroundings."""


def reason(seen: Sighting, remembered: Remembered | None = None) -> str:
    """The first reason to drop it; empty when it is to be reported."""
    known = {} if remembered is None else remembered.setdefault((seen.rule.id, seen.value), {})
    for judge in REASONS:
        found = known.get(judge)
        if found is None:
            found = judge(seen)
            if judge in _OF_VALUE:
                known[judge] = found
        if found:
            return found
    return ""


def entropy(value: bytes) -> float:
    """Shannon entropy, bits a byte."""
    total = len(value)
    counts = [value.count(char) for char in set(value)]
    return math.log2(total) - sum([count * math.log2(count) for count in counts]) / total if total else 0.0


# --- asked of every rule ------------------------------------------------------------------------------------------


def is_reference(seen: Sighting) -> str:
    """It says where the secret is: `${VAR}`, `{{ … }}`, `process.env.X`, `op://…`."""
    return "" if seen.shaped else placeholders.reference(seen.value)


def is_published(seen: Sighting) -> str:
    """A vendor's documents show it."""
    return placeholders.published(seen.value)


def is_placeholder(seen: Sighting) -> str:
    """Somebody was meant to put the real value there."""
    if _SHAPED.match(seen.value):
        body = seen.value[40:104]
        return placeholders.placeholder(body) if b"..." in body or b"\xe2\x80\xa6" in body else ""
    user, _, password = _decoded(seen.value).partition(b":") if seen.value.isascii() else (b"", b"", b"")
    if password and not seen.sure and (found := placeholders.placeholder(password)) and (user + password).isascii():
        return found
    return placeholders.placeholder(seen.value, seen.prefix.encode())


def wrong_checksum(seen: Sighting) -> str:
    """It is not built as the format asks (a JWT, basic credentials). A wrong CRC is no reason: an issuer may have
    changed how it is computed, and a leaked token with a distinctive prefix must not be missed."""
    name = seen.rule.checksum
    wrong = name in checksums.STRUCTURES and not checksums.holds(name, seen.value)
    return f"its checksum ({name}) is wrong" if wrong else ""


def too_plain(seen: Sighting) -> str:
    """Less entropy than the rule asks for."""
    least = seen.rule.entropy
    if not least:
        return ""
    has = entropy(seen.value)
    return f"entropy {has:.1f} is below {least:.1f} bits a character" if has < least else ""


# --- asked of rules whose expression is no proof ------------------------------------------------------------------


def is_plain(seen: Sighting) -> str:
    """A setting, a number, a path, a name in code."""
    if seen.sure or seen.shaped:
        return ""
    if _UUID.match(seen.value):
        return "" if "{8}-" in seen.rule.pattern or _KEY_ITSELF.search(seen.before) else "a UUID"
    if seen.rule.provider == GENERIC and not seen.rule.id.endswith("-url") and _PLAIN.match(seen.value):
        return "a number, an address, a path or a file"
    if seen.rule.id == "generic.password-quoted" and _MARKUP.match(seen.value):
        return "markup or code"
    if seen.rule.id == "generic.password" and _OPERATORS.search(seen.value):
        return "an expression in code"
    if seen.rule.id == "generic.password-words" and _ABOUT.search(seen.value):
        return "a sentence about passwords"
    if seen.rule.provider == GENERIC and _CALLED.match(seen.after) and not (
            seen.after[:1].isspace() and drawn(seen.value)):
        return "a call or an index"
    return ""


def is_composed(seen: Sighting) -> str:
    """An id that a program has put together: of a time, a name and a UUID; of the name of a store and a hash."""
    value = seen.value
    if seen.sure or seen.shaped or seen.rule.id.endswith("-url"):
        return ""
    if _FINGERPRINT.match(value):
        return "a fingerprint"
    if _ID.match(value) and not _KEY_ITSELF.search(seen.before):
        return "an id: names and a UUID"
    head = seen.before[-_NAME_BEFORE:]
    kept = _KEPT.search(head + value)
    if kept is None or kept.end(1) + 1 < len(head) or _OF_SECRETS.search(kept[1]):
        return ""
    return "an id: the name of a store and a hash" if not kept[2] or wordy(kept[2]) else ""


def is_no_such(seen: Sighting) -> str:
    """Not what the rule's name says, by its look."""
    rule, value = seen.rule, seen.value
    if rule.id == "generic.password" and _CRYPTED.match(value):
        return "a hashed password"
    if rule.near and "password" in rule.id and _ADDRESS.match(value):
        return "an address"
    if rule.id == "generic.secret-beside" and not drawn(value):
        return "it does not look random enough for what stands between it and its name"
    return ""


def is_outcome(seen: Sighting) -> str:
    """The name of a test in a log. What holds other characters may be a password all the same; so may what looks
    drawn at random, in one part."""
    if seen.rule.provider != GENERIC or "password" not in seen.rule.id or not _OUTCOME.search(seen.before):
        return ""
    value = seen.value
    return "a test's outcome" if _TEST.match(value) and (_PARTS.search(value) or not drawn(value)) else ""


def is_named(seen: Sighting) -> str:
    """It reads like words or like a name in code."""
    value, generic = seen.value, seen.rule.provider == GENERIC
    if seen.sure and not seen.shaped and wordy(value[len(seen.prefix):]) and not re.search(rb"[0-9]", value):
        return "it reads like words"
    if seen.sure or seen.shaped or seen.rule.id.endswith(("-url", "-words")):
        return ""
    if drawn(value):
        return ""
    if generic and _MEMBER.match(value):
        return "a member of something in code"
    if not (generic or seen.rule.near):
        return "a name in code" if _CAMEL.match(value) and wordy(value) else ""
    body = value.strip(b"!?.:*&") if seen.password else value[len(seen.prefix):]
    named = bool(_NAME.match(body))
    if seen.password:
        return "a name or a word" if named and (wordy(body) or wordiness(body)[1] < 4) else ""
    if wordy(body) or (generic and named and not _random_case(body)):
        return "it reads like words"
    return ""


def is_hash(seen: Sighting) -> str:
    """It stands where hashes, digests and ids of objects stand."""
    rule, value = seen.rule, seen.value
    if seen.sure or seen.shaped or rule.id.endswith("-url") or not (rule.near or rule.provider == GENERIC):
        return ""
    if value.startswith((b"sha256=", b"sha256-", b"sha384-", b"sha512-", b"sha256:", b"sha1-", b"h1:", b"md5-")):
        return "a digest"
    digest, generic = _digest_like(value), rule.provider == GENERIC
    if not (digest or generic):
        return ""
    line = _since_name(seen.before[seen.before.rfind(b"\n") + 1:], rule.near)
    if digest and _HASHED.search(line, max(0, len(line) - _NEXT_TO)):
        return "it stands where a hash or an id stands"
    public = generic and _PUBLIC.search(line)
    return "it stands where something public stands" if public else ""


def _digest_like(value: bytes) -> bool:
    return value.endswith(b"=") or (len(value) in _DIGEST_LENGTHS and bool(_HEX.match(value)))


def _since_name(line: bytes, near: tuple[str, ...]) -> bytes:
    """What stands between the name and the value: the name itself may say `hash`."""
    plain = re.sub(rb"[-_.]", b" ", line.lower())
    ends = (plain.rfind(word.encode()) + len(word) for word in near if word.encode() in plain)
    return line[max(ends, default=0):]


def is_packed(seen: Sighting) -> str:
    """Part of something encoded: an image, a bundle, a source map."""
    if seen.sure or seen.shaped:
        return ""
    tail, head = seen.after[:64], seen.before[-64:]
    if re.match(rb"[A-Za-z0-9+/=]{64}\Z", tail) or re.match(rb"[A-Za-z0-9+/]{64}\Z", head):
        return "a part of something encoded"
    return ""


def is_documentation(seen: Sighting) -> str:
    """A URL in a document: its host is nobody's, or user and password say so."""
    if not seen.rule.id.endswith("-url"):
        return ""
    if _DOCUMENTATION_HOST.match(seen.after):
        return "its host is one of documents"
    user = re.search(rb"://([^:/@\s]*):\Z", seen.before)
    if user and user[1].lower() == seen.value.lower():
        return "user and password are the same word"
    return ""


def is_weak(seen: Sighting) -> str:
    """A generic value that is too short or too even to be a secret."""
    if seen.rule.provider != GENERIC or seen.shaped or seen.sure:
        return ""
    value = seen.value
    if seen.password:
        return "" if len(value) >= 6 or seen.rule.id.endswith("-url") else "too short for a password"
    if len(value) < 16:
        return "too short for a key"
    least = 2.6 if _HEX.match(value) else 3.0
    return f"less than {least} bits a character" if entropy(value) < least else ""


def _random_case(value: bytes) -> bool:
    """Whether its case changes as only chance would have it."""
    letters = [65 <= char <= 90 for char in value if chr(char).isalpha()]
    changes = sum(one != other for one, other in pairwise(letters))
    return len(letters) >= 12 and changes * 3 >= len(letters) and not wordy(value)


def _decoded(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4))
    except (ValueError, binascii.Error):
        return b""


REASONS: tuple[Reason, ...] = (
    is_reference, is_published, is_placeholder, wrong_checksum, too_plain, is_documentation, is_no_such, is_outcome,
    is_plain, is_composed, is_named, is_hash, is_packed, is_weak,
)
"""In this order: the first one that is given is told."""
_OF_VALUE = frozenset((is_reference, is_published, is_placeholder, wrong_checksum, too_plain, is_no_such, is_named,
                       is_weak))
