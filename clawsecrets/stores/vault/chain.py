"""The audit log: segments of chained events, appended under check-and-set. The newest segment is the chain's head.

Each event has an id. It is appended only when no segment from `since` on holds it, and that is certain: every segment
but the newest is full and never changes, and the newest is the one that the check-and-set builds on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clawsecrets.errors import StoreDamaged
from clawsecrets.model import audit
from clawsecrets.model.audit import AuditEvent, ChainedEvent
from clawsecrets.stores import codec
from clawsecrets.stores.vault.body import Event
from clawsecrets.stores.vault.documents import Conflict, Document, Documents
from clawsecrets.stores.vault.faults import damaged
from clawsecrets.stores.vault.layout import KEPT, Layout

SEGMENT = 64
"""Events in a segment."""
LONG = 256 << 10
"""Bytes of a segment after which the next one is begun."""
_VERIFY = "`clawsecrets audit-log verify` says what is wrong"


@dataclass(frozen=True, slots=True)
class Segment:
    """One document of the log."""

    number: int
    first: int
    """Number of its first event."""
    previous: str
    """Hex mac of the event before that."""
    entries: tuple[tuple[str, str, str], ...] = ()
    """Id, event as text, hex mac."""
    version: int = 0

    @property
    def last(self) -> int:
        """Number of its last event."""
        return self.first + len(self.entries) - 1

    @property
    def head(self) -> str:
        """Hex mac of its last event."""
        return self.entries[-1][2] if self.entries else self.previous

    @property
    def full(self) -> bool:
        """Whether the next event goes to the next segment."""
        return len(self.entries) >= SEGMENT or sum(len(text) for _, text, _ in self.entries) > LONG

    @property
    def ids(self) -> frozenset[str]:
        """Of its events."""
        return frozenset(entry[0] for entry in self.entries)


class Chain:
    """The log of one store. Thread-safe."""

    def __init__(self, documents: Documents, layout: Layout, key: bytes) -> None:
        self._documents, self._layout, self._key = documents, layout, key
        self._turn = threading.Lock()
        self._head: Segment | None = None
        self._ids: dict[int, frozenset[str]] = {}
        """Of segments that are full."""

    def newest(self) -> int:
        """The number of the newest segment that is known: no event that is made from now on stands before it."""
        with self._turn:
            return self._at_head().number

    def append(self, events: Sequence[Event], since: int) -> None:
        """Append those that no segment from `since` on holds. StoreError."""
        with self._turn:
            head = self._at_head()
            while missing := self._missing(events, head, since):
                self._head = head = self._extended(head, missing)

    def events(self, since: int) -> Iterator[ChainedEvent]:
        """Events with a number above `since`, each checked. StoreDamaged."""
        full = max(since, 0) // SEGMENT  # so many segments at least hold nothing above `since`
        before = Segment(0, 1, audit.genesis(self._key).hex()) if full == 0 else None
        for number, segment in enumerate(self._segments([n for n in self.numbers() if n > full]), full + 1):
            if not _follows(segment, number, before):
                raise StoreDamaged(f"the audit log breaks off before its segment {number}", _VERIFY)
            for item in self._opened(segment):
                if item.seq > since:
                    yield item
            before = segment

    def fault(self) -> str:
        """Empty when the chain is whole, else its first fault."""
        try:
            segments = self._segments(self.numbers())
            before = Segment(0, 1, audit.genesis(self._key).hex())
            for number, segment in enumerate(segments, 1):
                if not _follows(segment, number, before):
                    return f"segment {number} of the log was altered, or one before it was removed"
                before = segment
            last, mac = before.last, before.head
            return audit.verify(self._key, self._stored(segments), bytes.fromhex(mac), last)
        except StoreDamaged as error:
            return error.message

    def numbers(self) -> list[int]:
        """Of the segments that there are, in order."""
        found = self._documents.names(self._layout.audit)
        return sorted(int(name) for name in found if name.isdecimal())

    # --- parts ---------------------------------------------------------------------------------------------------

    def _at_head(self) -> Segment:
        if self._head is None:
            there = self._segments(self.numbers()[-2:])
            self._head = there[-1] if there else Segment(1, 1, audit.genesis(self._key).hex())
        return self._head

    def _missing(self, events: Sequence[Event], head: Segment, since: int) -> list[Event]:
        unknown = [number for number in range(max(since, 1), head.number) if number not in self._ids]
        for segment in self._segments(unknown):
            self._ids[segment.number] = segment.ids
            unknown.remove(segment.number)
        if unknown:
            raise StoreDamaged(f"segment {unknown[0]} of the audit log is gone", _VERIFY)
        known = head.ids.union(*(self._ids[number] for number in range(max(since, 1), head.number)))
        return [item for item in events if item.id not in known]

    def _extended(self, head: Segment, missing: Sequence[Event]) -> Segment:
        """The head after as many of these as it has room for; when it is full, the next segment with them. Where
        somebody else was faster, the head as it is then."""
        if head.full:
            self._ids[head.number] = head.ids
            head = Segment(head.number + 1, head.last + 1, head.head)
        if not head.version:
            self._documents.keep(self._path(head.number), KEPT)
        longer = head
        for item in missing:
            if longer.full:
                break
            seq, text = longer.last + 1, codec.as_text(item.event)
            mac = audit.link(self._key, bytes.fromhex(longer.head), seq, item.event).hex()
            longer = replace(longer, entries=(*longer.entries, (item.id, text, mac)))
        added = longer.ids - head.ids
        try:
            newest = self._documents.write(
                self._path(head.number), _plain(longer), head.version,
                lambda content: added <= {str(entry[0]) for entry in content.get("events", ())})
        except Conflict as conflict:
            newest = conflict.found
        return self._segment(head.number, newest)

    def _segments(self, numbers: Sequence[int]) -> list[Segment]:
        """These, without one that was begun and holds nothing yet. StoreDamaged."""
        found = self._documents.each(self._documents.read, [self._path(number) for number in numbers])
        return [self._segment(number, document) for number, document in zip(numbers, found, strict=True)
                if document.version]

    def _stored(self, segments: Sequence[Segment]) -> Iterator[ChainedEvent]:
        """Their events, unchecked."""
        for segment in segments:
            for place, (_, text, mac) in enumerate(segment.entries):
                yield ChainedEvent(segment.first + place, _event(text, segment.first + place), bytes.fromhex(mac))

    def _segment(self, number: int, document: Document) -> Segment:
        segment = _parsed(number, document)
        if segment is None:
            raise damaged(f"segment {number} of the audit log is gone, or has another form than it was written in: "
                          f"{document.path}")
        return segment

    def _opened(self, segment: Segment) -> Iterator[ChainedEvent]:
        head = bytes.fromhex(segment.previous)
        for place, (_, text, mac) in enumerate(segment.entries):
            seq = segment.first + place
            event = _event(text, seq)
            head = audit.link(self._key, head, seq, event)
            if head.hex() != mac:
                raise StoreDamaged(f"audit event {seq} was altered or removed", _VERIFY)
            yield ChainedEvent(seq, event, head)

    def _path(self, number: int) -> str:
        return f"{self._layout.audit}/{number:08}"


def _follows(segment: Segment, number: int, before: Segment | None) -> bool:
    """Whether it is that segment, and goes on where the one before ends."""
    return segment.number == number and (
        before is None or (segment.first, segment.previous) == (before.last + 1, before.head))


def _event(text: str, seq: int) -> AuditEvent:
    try:
        return codec.event_from_plain(json.loads(text))
    except (ValueError, RecursionError):
        pass
    raise StoreDamaged(f"audit event {seq} was altered: it is not readable", _VERIFY)


def _plain(segment: Segment) -> dict[str, Any]:
    return {"first": segment.first, "previous": segment.previous, "events": [list(entry) for entry in segment.entries]}


def _parsed(number: int, document: Document) -> Segment | None:
    content: Mapping[str, Any] = document.content or {}
    try:
        entries = tuple((str(id_), str(text), bytes.fromhex(mac).hex()) for id_, text, mac in content["events"])
        previous = bytes.fromhex(content["previous"]).hex()
        return Segment(number, int(content["first"]), previous, entries, document.version)
    except (KeyError, ValueError, TypeError):
        return None
