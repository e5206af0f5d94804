"""The audit event and the hash chain over events.

Chain: mac[0] = HMAC(key, "clawsecrets-audit-v1"), mac[n] = HMAC-SHA-256(key, mac[n-1] || canonical(event[n])).
The key is the store's; who cannot read it cannot forge, remove or reorder an event unseen. Truncation shows
because the head stands in the store's sealed manifest.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

GENESIS = b"clawsecrets-audit-v1"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened. Holds no secret value; `detail` is text only."""

    at: float
    """Unix seconds."""
    actor: str
    """user@host/pid"""
    action: str
    """Dotted word: secret.import, rotation.created, rotation.published, value.read…"""
    secret: str = ""
    version: int = 0
    rotation: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """An event with its place in the chain."""

    seq: int
    event: AuditEvent
    mac: bytes


def canonical(seq: int, event: AuditEvent) -> bytes:
    """The one byte form that is chained: JSON, sorted keys, no spaces, UTF-8."""
    return json.dumps(
        {
            "seq": seq,
            "at": event.at,
            "actor": event.actor,
            "action": event.action,
            "secret": event.secret,
            "version": event.version,
            "rotation": event.rotation,
            "detail": dict(event.detail),
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def genesis(key: bytes) -> bytes:
    """The head of an empty chain."""
    return hmac.new(key, GENESIS, hashlib.sha256).digest()


def link(key: bytes, head: bytes, seq: int, event: AuditEvent) -> bytes:
    """The new head after `event`."""
    return hmac.new(key, head + canonical(seq, event), hashlib.sha256).digest()


def verify(key: bytes, events: Iterable[ChainedEvent], head: bytes, count: int) -> str:
    """Empty when the chain is whole up to (`count`, `head`), else one line that names the first fault."""
    mac, seen = genesis(key), 0
    for item in events:
        seen += 1
        if item.seq != seen:
            return f"event {seen} is missing (found number {item.seq} in its place)"
        mac = link(key, mac, seen, item.event)
        if not hmac.compare_digest(mac, item.mac):
            return f"event {seen} was altered, or an event before it was removed"
    if seen != count:
        return f"the log ends at event {seen}, but {count} were written (truncated)"
    if not hmac.compare_digest(mac, head):
        return "the last event does not match the sealed head"
    return ""
