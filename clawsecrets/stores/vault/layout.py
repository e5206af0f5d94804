"""Where things stand below the store's prefix, and the forms of what is no record: docs/vault-format.md."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clawsecrets.errors import UsageError
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.vault.faults import damaged

OURS = ".clawsecrets"
"""The folder of all that is not for other readers. No secret's name can begin with a dot."""
MAX_VALUE = 512 << 10
"""Bytes of the longest value: with its encoding it must stay below Raft's limit of 1 MiB for an entry."""
MAX_TEXT = 600 << 10
"""Bytes of JSON up to which a public value is written as text."""
BLOCK = 256
"""Versions in one document of the history."""
KEPT = 2
"""KV versions that are kept of a document of ours that is written more than once. None of them holds a value."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below the mount."""

    prefix: str

    def public(self, name: str) -> str:
        """What every other reader reads."""
        return f"{self.prefix}/{name}"

    def ours(self, *parts: str) -> str:
        """A path of ours."""
        return "/".join((self.prefix, OURS, *parts))

    @property
    def store(self) -> str:
        """The store's own document."""
        return self.ours("store")

    @property
    def clock(self) -> str:
        """A document that is written to learn what time it is in the cluster."""
        return self.ours("clock")

    @property
    def records(self) -> str:
        """The folder of the record documents."""
        return self.ours("records")

    @property
    def audit(self) -> str:
        """The folder of the audit log's segments."""
        return self.ours("audit")

    def record(self, name: str) -> str:
        """The record document of one name."""
        return f"{self.records}/{flat(name)}"

    def value(self, name: str, document: str) -> str:
        """One value."""
        return self.ours("values", flat(name), document)

    def history(self, name: str, life: str, block: int) -> str:
        """A block of the buried versions of one life of a name."""
        return self.ours("history", flat(name), f"{life}-{block:04}")

    def bound(self, target: str) -> str:
        """The list of the names that are bound to a target. A dot at the beginning would be another path."""
        return self.ours("bound", f"%{flat(target)}" if target.startswith((".", "%")) else flat(target))

    def is_history(self, name: str, path: str) -> bool:
        """Whether that is a block of the name's history, and nothing else by way of `..`."""
        folder, _, block = path.rpartition("/")
        return folder == self.ours("history", flat(name)) and block not in (".", "..")

    @property
    def lasting(self) -> tuple[str, ...]:
        """Beginnings of the paths of documents that are never taken away."""
        return (f"{self.records}/", f"{self.audit}/", self.ours("bound", ""), self.store, self.clock)


def flat(name: str) -> str:
    """A name as one path segment."""
    return name.replace("/", "~")


def unflat(segment: str) -> str:
    """The name back."""
    return segment.replace("~", "/")


_SHARED = re.compile(r"(?P<mount>[^#]+?)/data/(?P<path>[^#]+)#(?P<field>.+)\Z")


@dataclass(frozen=True, slots=True)
class Shared:
    """A field of a document that belongs to the team: a secret that is managed where it already is."""

    mount: str
    path: str
    field: str

    def __str__(self) -> str:
        return f"{self.mount}/data/{self.path}#{self.field}"


def shared(text: str) -> Shared:
    """From `MOUNT/data/PATH#FIELD`, which is the path of the HTTP API and of policies. UsageError."""
    found = _SHARED.match(text)
    parts = text.partition("#")[0].split("/")
    if found is None or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"{text!r} is not a place in a KV version 2 mount",
                         "write MOUNT/data/PATH#FIELD, for example secret/data/openclaw#OPENAI_API_KEY")
    return Shared(found["mount"], found["path"], found["field"])


def written(value: SecretValue) -> dict[str, str]:
    """A value as other readers get it: `value`, or `value_base64` where it is no text (or would become too long)."""
    raw = value.reveal()
    text = _text(raw)
    if text is None or _length(text) > MAX_TEXT:
        return {"value_base64": base64.b64encode(raw).decode()}
    return {"value": text}


def sealed(value: SecretValue) -> dict[str, str]:
    """A value in a document of ours."""
    return {"value_base64": base64.b64encode(value.reveal()).decode()}


def unsealed(content: Mapping[str, Any] | None, where: str) -> SecretValue:
    """The value back. StoreDamaged."""
    try:
        return SecretValue(base64.b64decode((content or {})["value_base64"], validate=True))
    except (KeyError, TypeError, ValueError, binascii.Error):
        pass
    raise damaged(f"{where} is gone, or has another form than it was written in")


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _length(text: str) -> int:
    """Bytes that it takes in the server's JSON, which escapes more than ours does."""
    escaped = sum(text.count(mark) for mark in '<>&') * 5 + sum(text.count(mark) for mark in '"\\\n\r\t')
    controls = sum(5 for mark in text if mark < " " and mark not in "\n\r\t")
    return len(text.encode()) + escaped + controls
