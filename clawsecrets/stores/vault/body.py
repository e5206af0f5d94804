"""The record document: all that is kept of one name but its values, and the one place where a commit happens.

What follows from a commit (the public path, the history, erased values, the audit event) stands in it as `todo` until
it is done; `shown` is the version that the public path was last brought to. The record itself is text in it: the
server's JSON would make another number of a large one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Version
from clawsecrets.stores import codec
from clawsecrets.stores.vault.documents import Document
from clawsecrets.stores.vault.faults import damaged, rollback, undelete

FORMAT = 1
_NAMED = re.compile(r"[0-9]+-[0-9a-f]+")
"""A value document. A record could be written by hand: what it names is read and destroyed with our rights."""
WRITES = 8
"""Ids of writes that a document remembers, so that a lost answer can be told from another's write."""


@dataclass(frozen=True, slots=True)
class Held:
    """Where a value is, and what it must hash to."""

    document: str
    digest: str


@dataclass(frozen=True, slots=True)
class Holding:
    """The lease on the name. `holder` empty: nobody has it. The epoch only grows."""

    holder: str = ""
    epoch: int = 0
    ttl: float = 0.0
    at: float = 0.0
    """When it was last taken or renewed, by the cluster's clock; 0.0: with the very write that it stands in."""
    boot: str = ""
    pid: int = 0
    started: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """An audit event with the id by which it is found again in the log."""

    id: str
    event: AuditEvent


@dataclass(frozen=True, slots=True)
class Todo:
    """What follows from the last write of a document. Each can be done twice without harm."""

    events: tuple[Event, ...] = ()
    since: int = 1
    """The segment of the log from which on the events may stand."""
    bury: tuple[Version, ...] = ()
    """Versions that go to the history."""
    erase: tuple[str, ...] = ()
    """Value documents to destroy."""
    forget: tuple[str, ...] = ()
    """Documents of the history to destroy (purge)."""

    def __bool__(self) -> bool:
        return bool(self.events or self.bury or self.erase or self.forget)


@dataclass(frozen=True, slots=True)
class Body:
    """One name. Holds no value."""

    name: str
    record: Record | None = None
    """None: there is only a lease, or its epoch."""
    values: Mapping[int, Held] = field(default_factory=dict)
    life: str = ""
    """An id of the secret: a name that was purged and is used again has another."""
    lease: Holding = Holding()
    shown: int = 0
    todo: Todo = Todo()
    writes: tuple[str, ...] = ()
    version: int = 0
    """KV's number of the document that it was read from. Not in the document."""

    @property
    def wanted(self) -> int:
        """The version that the public path is to hold; 0: none."""
        return wanted(self.record)

    @property
    def open(self) -> bool:
        """Whether something may be left to do."""
        return bool(self.todo) or self.shown != self.wanted

    def done(self) -> Body:
        """With nothing left to do."""
        return replace(self, todo=Todo(), shown=self.wanted)

    def marked(self, mark: str) -> Body:
        """With the id of one more write."""
        return replace(self, writes=(*self.writes[1 - WRITES :], mark))


def wanted(record: Record | None) -> int:
    """The version that the public path is to hold by that record; 0: none."""
    if record is None or record.secret.deleted_at or record.current is None:
        return 0
    return record.current.number


def to_plain(body: Body) -> dict[str, Any]:
    """The content of the document."""
    record, todo = body.record, body.todo
    return {
        "format": FORMAT,
        "name": body.name,
        "record": None if record is None else codec.as_text(record),
        "revision": 0 if record is None else record.revision,
        "values": {str(number): [held.document, held.digest] for number, held in body.values.items()},
        "life": body.life,
        "lease": asdict(body.lease),
        "shown": body.shown,
        "todo": {
            "events": [[item.id, codec.as_text(item.event)] for item in todo.events],
            "since": todo.since,
            "bury": [codec.as_text(version) for version in todo.bury],
            "erase": list(todo.erase),
            "forget": list(todo.forget),
        },
        "writes": list(body.writes),
    }


def from_document(name: str, document: Document, mount: str = "MOUNT") -> Body:
    """What a document holds; an empty body when there is none. StoreDamaged."""
    if document.content is None:
        if document.version:
            raise damaged(f"the record document of {name} was deleted: {document.path}",
                          undelete(mount, document.path, document.version))
        return Body(name)
    body = _parsed(document.content)
    if body is None or body.name != name:
        raise damaged(f"the record document of {name} was altered, or has another form than format {FORMAT}: "
                      f"{document.path}", rollback(mount, document.path, document.version))
    lease = body.lease if body.lease.at else replace(body.lease, at=document.created)
    return replace(body, lease=lease, version=document.version)


def _parsed(plain: Mapping[str, Any]) -> Body | None:
    try:
        if plain["format"] != FORMAT:
            return None
        record, todo, lease = plain["record"], plain["todo"], plain["lease"]
        return Body(
            str(plain["name"]),
            None if record is None else codec.record_from_plain(json.loads(record), int(plain["revision"])),
            {int(number): Held(_document(held[0]), str(held[1])) for number, held in plain["values"].items()},
            str(plain["life"]),
            Holding(str(lease["holder"]), int(lease["epoch"]), float(lease["ttl"]), float(lease["at"]),
                    str(lease["boot"]), int(lease["pid"]), str(lease["started"])),
            int(plain["shown"]),
            Todo(tuple(Event(str(item[0]), codec.event_from_plain(json.loads(item[1]))) for item in todo["events"]),
                 int(todo["since"]), tuple(codec.version_from_plain(json.loads(one)) for one in todo["bury"]),
                 tuple(_document(one) for one in todo["erase"]), _texts(todo["forget"])),
            _texts(plain["writes"]),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _document(plain: Any) -> str:
    """The name of a value document. ValueError: it would be another path."""
    if not _NAMED.fullmatch(str(plain)):
        raise ValueError("no value document")
    return str(plain)


def _texts(plain: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in plain)


def wrote(mark: str) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a document remembers that write."""
    return lambda content: mark in (content.get("writes") or ())
