"""What a secret is: a named collection of versions. Values never print; records hold none."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn

from clawsecrets.model.policy import RotationPolicy

NAME = re.compile(r"[a-z0-9][a-z0-9._/-]{0,127}\Z")
"""The grammar of secret names (design.md section 10)."""


class SecretValue:
    """Bytes that never print themselves. The ways out, `reveal()` and `reveal_text()`, are easy to grep for.

    Equality is constant-time (`hmac.compare_digest`). Not hashable, not picklable, not iterable, so that a value
    cannot end up in a set, a snapshot or a traceback by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves. Every call site is a place to review."""
        return self._value

    def reveal_text(self) -> str:
        """The value as UTF-8 text; a `ValueError` without the value in it if it is not."""
        try:
            return self._value.decode()
        except UnicodeDecodeError:
            pass
        raise ValueError("the value is not UTF-8 text")  # raised outside `except`: no context that holds the bytes

    def __repr__(self) -> str:
        return "<SecretValue>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a SecretValue cannot be pickled or copied")


class Kind(StrEnum):
    """What a credential is for. The default rotation interval goes by it (config/rotation-table.toml)."""

    GATEWAY_TOKEN = "gateway-token"
    API_KEY = "api-key"
    MESSAGING_TOKEN = "messaging-token"
    WEBHOOK_SECRET = "webhook-secret"
    ADMIN = "admin"
    OTHER = "other"


class Stage(StrEnum):
    """Where a version stands in its life. At most one PENDING, one CURRENT and one PREVIOUS at a time."""

    PENDING = "pending"
    """Minted and kept, not yet served to readers."""
    CURRENT = "current"
    """What readers get."""
    PREVIOUS = "previous"
    """Replaced, still live, kept for falling back until it is revoked."""
    RETIRED = "retired"
    """Replaced; its death is owed (a revocation is pending)."""
    REVOKED = "revoked"
    """Proven dead, or never live."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret; times are Unix seconds, 0.0 = never."""

    number: int
    stage: Stage
    created_at: float
    fingerprint: str = ""
    """Keyed hash of the value (store's own key), to compare without revealing. 16 hex digits."""
    handle: str = ""
    """The provider's non-secret id, needed to revoke it; empty when unknown."""
    identity: str = ""
    """Who the provider says it is (account, bot name): non-secret."""
    origin: str = ""
    """import, set, rotation, restore."""
    label: str = ""
    """The label it carries at the provider."""
    tested_at: float = 0.0
    """When the provider last accepted it."""
    proven_at: float = 0.0
    """When every consumer was last proven to use it."""
    dead_at: float = 0.0
    """When the provider was last seen refusing it."""
    erased_at: float = 0.0
    """When its value was destroyed; only this record stays."""
    expires_at: float = 0.0
    """When the provider will end it by itself."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A named credential and how it is to be kept. Holds no value.

    `injectors` and `consumers` are names of targets that the configuration defines, `target` for this host or
    `target@host`. `kind` ADMIN can never be bound to a target.
    """

    name: str
    provider: str
    kind: Kind
    created_at: float
    env: str = ""
    """The environment variable it is known by."""
    injectors: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    group: str = ""
    """Redundancy group: never two members rotated in one window."""
    policy: RotationPolicy = field(default_factory=RotationPolicy)
    deleted_at: float = 0.0
    """Soft delete: hidden, restorable until purged."""
    strategy: str = ""
    """Overrides the provider's strategy (for example overlap -> assisted where there is no admin credential)."""
    options: tuple[tuple[str, str], ...] = ()
    """Provider options of this secret (`account_id`, `project`…), used as `${name}` in its provider file."""
    paused_at: float = 0.0
    """Since when nothing is rotated by itself (by name it is); 0.0 = it is not paused."""
    paused_until: float = 0.0
    """When the pause ends by itself; 0.0 = a person ends it."""
    pause_reason: str = ""


def paused(secret: Secret, now: float) -> bool:
    """Whether a person has paused it, and that has not run out."""
    return bool(secret.paused_at) and (not secret.paused_until or now < secret.paused_until)


def valid_name(name: str) -> bool:
    """Whether `name` follows the grammar; `.` and `..` are not path segments in it."""
    return bool(NAME.match(name)) and not any(part in ("", ".", "..") for part in name.split("/"))
