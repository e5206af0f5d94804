"""A provider: how its credential looks, and how it is tested, created, revoked and listed. Typed form of one file.

Pure: `issuers/loader.py` reads the TOML, `issuers/soundness.py` judges it as a whole, `issuers/http.py` executes it.
There are no expressions in a provider file: `${name}` placeholders and JSON pointers (RFC 6901) only.

Placeholders: label (the rotation's id), handle (the credential's id at the provider), value (the credential that the
operation is about), old (the one that is replaced), refresh (the refresh token), admin, expiry_date (UTC day, today
plus `lifetime`), and every option of the file. A secret of these never stands in a host, a query name or a header name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from clawsecrets.model.expression import expression
from clawsecrets.model.secret import Kind

OPERATIONS = ("login", "create", "refresh", "test", "revoke", "list", "recover")
SECRETS = frozenset({"value", "old", "admin", "refresh"})
"""Placeholders that stand for a secret value."""
BUILT_IN = SECRETS | {"label", "handle", "expiry_date"}
RESERVED_OPTIONS = frozenset({"base_url", "ca_bundle"})
"""Options that every provider has: another base URL, and a CA bundle file for it. They come from the configuration of
a host, never from a secret's record."""
PROTOCOLS = ("postgresql",)
"""Protocols that an issuer module speaks by itself; a provider file for one has no operations."""
CONSUMERS = ("openclaw",)
"""Kinds of consumer that have a credential of their own, which a provider file may be about (`opens`)."""
PLACEHOLDER = re.compile(r"\$\{([a-z][a-z0-9_]*)\}")


class Credential(StrEnum):
    """Whose credential authenticates a request."""

    ADMIN = "admin"
    SELF = "self"
    """The credential that the operation is about."""
    OLD = "old"
    """The one that is being replaced."""

    @property
    def placeholder(self) -> str:
        """The placeholder that holds it."""
        return {"admin": "admin", "self": "value", "old": "old"}[self.value]


@dataclass(frozen=True, slots=True)
class Shape:
    """A request with placeholders in it."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: str = "none"
    """none, bearer, scheme:WORD, header:NAME, basic:USER, query:NAME, form:NAME; path = it stands in the path."""
    credential: Credential = Credential.ADMIN
    json: object = None
    form: Mapping[str, str] | None = None
    host: str = ""
    """Another host than the provider's, pinned as well. Empty: the provider's. Its first label may be an option."""

    def texts(self) -> Iterator[str]:
        """Every text of it in which placeholders may stand."""
        yield self.host
        yield self.path
        yield from self.query.values()
        yield from self.headers.values()
        yield from (self.form or {}).values()
        yield from _strings(self.json)

    def names(self) -> frozenset[str]:
        """The placeholders it needs, the authentication's among them."""
        found = {name for text in self.texts() for name in PLACEHOLDER.findall(text)}
        if self.auth != "none":
            found.add(self.credential.placeholder)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Condition:
    """What the body must also show for an answer to match. Exactly one of the tests is set."""

    at: str = ""
    """JSON pointer; the whole document when empty."""
    equals: object = None
    one_of: tuple[object, ...] = ()
    present: bool | None = None
    matches: str = ""
    """Regular expression, searched in the text at `at`."""
    contains: str = ""
    """Text somewhere in the raw body."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One declared answer: it matches by status and by all of `where`. The rest says where its parts stand."""

    status: tuple[int, ...]
    where: tuple[Condition, ...] = ()
    value: str = ""
    handle: str = ""
    identity: str = ""
    expires: str = ""
    """When it ends: a time."""
    expires_in: str = ""
    """When it ends: seconds from now."""
    refresh: str = ""
    """refresh: the next refresh token."""
    items: str | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list goes on. All empty: everything stands in one answer.

    next + query: the cursor at pointer `next` goes into the query parameter (with `more`: only while it is true).
    offset: a query parameter that counts items, until an empty page. page: one that counts pages from `first`.
    limit: further pages are not known; a list of that many items is no proof of completeness.
    """

    next: str = ""
    query: str = ""
    more: str = ""
    offset: str = ""
    page: str = ""
    first: int = 1
    limit: int = 0


class Lost(StrEnum):
    """What may be done when the answer to a refresh was lost, so that the refresh token may be spent."""

    USE_AGAIN = "use-again"
    """The provider lets it be used once more: for a while, or as often as one likes. A spent one is merely refused."""
    ASK_OLD = "ask-old"
    """A refresh ends the old value in the same moment: while that is accepted, the refresh token is not spent."""
    REAUTHORIZE = "reauthorize"
    """Nothing can tell, and a second use is not allowed: a person authorizes anew."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A request, and what its answers mean. Answers are tried in the order ok, refused, later, unknown."""

    request: Shape
    ok: tuple[Answer, ...]
    refused: tuple[Answer, ...] = ()
    later: tuple[Answer, ...] = ()
    unknown: tuple[Answer, ...] = ()
    paging: Paging = Paging()
    each: Operation | None = None
    """list: one request more per item, for providers whose list does not show the label."""
    lost: Lost = Lost.REAUTHORIZE
    """refresh: what a lost answer allows."""


@dataclass(frozen=True, slots=True)
class Option:
    """A parameter of a secret that the file uses as a placeholder."""

    about: str
    default: str | None = None
    """None: it must be given, unless `optional`."""
    optional: bool = False
    """Unset: the JSON member that is exactly this placeholder is left out."""
    type: str = "text"
    """text, number, or list (comma separated); the last two only as a whole JSON value."""


@dataclass(frozen=True, slots=True)
class Detect:
    """A rule that finds the credential in text. Group 1 is the secret, or the whole match without a group."""

    id: str
    pattern: str
    examples: tuple[str, ...]
    negative: tuple[str, ...]
    confidence: str = "high"
    """high: the look alone is proof. medium, low: other things look like it."""
    entropy: float = 0.0
    """Least Shannon entropy of the secret, bits a character; 0 = not asked."""
    name: str = ""
    """What it finds, for people; empty: the provider's name."""
    near: tuple[str, ...] = ()
    """Words one of which must name the value. `pattern` is then the value alone (see scan/expressions.py)."""
    checksum: str = ""
    """The checksum that the format carries (see scan/checksums.py)."""

    @property
    def expression(self) -> str:
        """The whole expression, with what `near` adds."""
        return expression(self.pattern, self.near)

    def find(self, text: str) -> list[str]:
        """The secrets in `text`, in order (entropy is not looked at here)."""
        return [match.group(1 if match.re.groups else 0) for match in re.finditer(self.expression, text)]

    def fits(self, value: str) -> bool:
        """Whether `value` as a whole looks like this credential. One that only its name tells never does."""
        return value in self.find(value)


@dataclass(frozen=True, slots=True)
class Manual:
    """What a person does where no API does it."""

    url: str
    steps: tuple[str, ...]
    revoke_steps: tuple[str, ...] = ()
    kills_old: bool = False
    """Making the new one by hand ends the old one at once."""
    reauthorize: tuple[str, ...] = ()
    """refresh: how a person gets a new refresh token."""


@dataclass(frozen=True, slots=True)
class Local:
    """How we make a value where we are the issuer."""

    bytes: int = 32
    encoding: str = "base64url"
    """base64url, hex"""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """The typed form of one provider file."""

    code: str
    name: str
    kind: Kind
    docs: str
    strategy: str
    interval: float
    """Seconds."""
    manual: Manual
    host: str = ""
    """Base URL, https. Empty: self-hosted, the configuration's `base_url` is needed."""
    env: tuple[str, ...] = ()
    env_older: tuple[str, ...] = ()
    """Names that older guides use."""
    fallback_strategy: str = ""
    """Used where the admin credential or a needed option is not there."""
    admin: str = ""
    """Default name of the admin credential in the store."""
    opens: str = ""
    """The kind of consumer (CONSUMERS) whose own credential it is: what we enter its RPC with."""
    note: str = ""
    """What to know before trusting this file, for people."""
    handle_pattern: str = ""
    """Group 1 of it, on the value, is the handle."""
    shortest: float = 0.0
    """Seconds: the provider bears no shorter interval (the daemon refuses one); 0.0 = not known."""
    lifetime: float = 0.0
    """Seconds that `${expiry_date}` lies ahead."""
    options: Mapping[str, Option] = field(default_factory=dict)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    local: Local | None = None
    protocol: str = ""
    """What is spoken instead of HTTPS requests of this file: one of PROTOCOLS, or empty."""
    slots: Mapping[str, str] = field(default_factory=dict)
    """alternate over HTTP: the two slots, each with the JSON pointer of its value in the answers of `create` and
    `recover`."""
    detect: tuple[Detect, ...] = ()

    def operation(self, name: str) -> Operation | None:
        """`login`, `create`, `refresh`, `test`, `revoke`, `list` or `recover`, if the file has it."""
        return self.operations.get(name)

    @property
    def needs_admin(self) -> bool:
        """Whether creating (or refreshing) needs the admin credential."""
        making = (self.operation("create"), self.operation("refresh"))
        if self.protocol and self.strategy == "alternate":
            return True
        return any(operation is not None and "admin" in operation.request.names() for operation in making)

    def missing_options(self, given: Mapping[str, str]) -> tuple[str, ...]:
        """Options that some operation needs and that neither `given` nor a default sets."""
        needed = {name for item in self.operations.values() for name in item.request.names()}
        absent = {n for n in needed if n in self.options and self.option_text(n, given) is None
                  and not self.options[n].optional}
        if self.protocol and self.strategy != "assisted":
            absent = {n for n, item in self.options.items() if not item.optional and self.option_text(n, given) is None}
        if (self.operations or self.protocol) and not self.host and not given.get("base_url"):
            absent.add("base_url")
        return tuple(sorted(absent))

    def option_text(self, name: str, given: Mapping[str, str]) -> str | None:
        """The option's value: what is given, else its default, else None."""
        return given.get(name) or self.options[name].default

    def strategy_for(self, *, has_admin: bool, options: Mapping[str, str]) -> str:
        """The strategy to use: the fallback where the admin credential or a needed option of the file is not there."""
        short = (self.needs_admin and not has_admin) or not RESERVED_OPTIONS.issuperset(self.missing_options(options))
        return self.fallback_strategy if short and self.fallback_strategy else self.strategy

    def handle_of(self, value: str) -> str:
        """The handle that can be read off the value itself; empty if none can."""
        match = re.search(self.handle_pattern, value) if self.handle_pattern else None
        return match.group(1) if match else ""

    def looks(self, value: str) -> bool:
        """Whether the value as a whole fits a high-confidence detection rule."""
        return any(rule.confidence == "high" and rule.fits(value) for rule in self.detect)


# --- validation of parts -----------------------------------------------------------------------------------------


def url_fault(url: str) -> str:
    """Empty when `url` may be a base URL: https, or http on loopback; no user, query or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL"
    if not host or parts.username is not None or parts.query or parts.fragment or re.search(r"\s", url):
        return "must be scheme://host[:port][/path] and nothing else"
    if parts.scheme == "http" and not is_loopback(host):
        return "must be https (http only on loopback)"
    return "" if parts.scheme in ("http", "https") else "must be https"


def gateway_fault(url: str) -> str:
    """Empty when a gateway's token may be sent to `url`: wss, or ws on loopback; no user, query or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("ws", "wss") or not host:
        return "must begin with ws:// or wss:// and name a host"
    if parts.username is not None or parts.query or parts.fragment:
        return "must not hold a user, a query or a fragment"
    if parts.scheme == "ws" and not is_loopback(host):
        return "would send the token unencrypted: ws:// is for loopback only"
    return ""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def pattern_fault(pattern: str) -> str:
    """Empty when the pattern compiles here and runs in linear time elsewhere too (Hyperscan)."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return f"does not compile: {error.msg}"
    plain = re.sub(r"\\.", lambda m: "\\1" if m.group()[1] in "123456789" else "a", pattern)
    if "\\1" in plain or re.search(r"\(\?(?:P=|\(|[=!>]|<[=!])|[*+?}]\+", plain):
        return "uses a backreference, lookaround, condition or possessive repeat: they do not run in linear time"
    if _nested(re.sub(r"\[\^?\]?[^]]*\]", "a", plain)):
        return "repeats a group that repeats: that can take exponential time"
    return "has more than one group: exactly one may hold the secret" if groups > 1 else ""


def _nested(plain: str) -> bool:
    """Whether a repeated group holds a repeat. Escapes and classes have been replaced by letters."""
    stack, index = [False], 0
    while index < len(plain):
        char = plain[index]
        if char == "(":
            stack.append(False)
        elif char == ")":
            inside = stack.pop()
            repeat = re.match(r"[*+]|\{(?!0,1\}|1\}|0\})", plain[index + 1:])
            if inside and repeat:
                return True
            stack[-1] = stack[-1] or inside
        elif char in "*+" or re.match(r"\{\d*,\d*\}", plain[index:]):
            stack[-1] = True
        index += 1
    return False


def _strings(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for item in node.values():
            yield from _strings(item)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _strings(item)
