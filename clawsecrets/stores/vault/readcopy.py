"""What was read here before, sealed on this host, for `get`, `list` and `history` while the cluster does not answer.

The operator allows it (`cache.max_age`); its use is always said. Only what was asked for is kept, none of it longer
than that, under a key of its own (0600) beside it. Nothing is ever written to the store from it, with one exception:
that a value was read from it goes to the audit log as soon as the cluster answers again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from clawsecrets.errors import NotFound, StoreError, StoreUnreachable
from clawsecrets.model.audit import AuditEvent, ChainedEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.ports import Broken, Change, Lease
from clawsecrets.stores.codec import (
    as_text,
    event_from_plain,
    record_from_plain,
    record_to_plain,
    version_from_plain,
    version_to_plain,
)
from clawsecrets.stores.faults import io_failed
from clawsecrets.stores.files import make_private_folder, read_private, taking_turns, write_private
from clawsecrets.stores.seal import KEY_BYTES, Box, new_key

if TYPE_CHECKING:
    from clawsecrets.ports import Store

_T = TypeVar("_T")
_MOST = 64 << 20
"""Bytes of a copy that is looked at."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How long a copy counts (seconds), whose it is, and who is told of its use."""

    store: str
    max_age: float
    now: Callable[[], float]
    say: Callable[[str], None] = field(repr=False)


class Copy:
    """The sealed file: entries by key with the time at which they were read, and events that wait."""

    def __init__(self, path: Path, rules: Rules) -> None:
        self._path, self._key, self._rules = path, path.with_suffix(".key"), rules

    def put(self, entries: Mapping[str, Any]) -> None:
        """Keep these as read now. StoreError."""
        now = self._rules.now()
        self._change(lambda plain: plain["entries"].update({key: [now, entry] for key, entry in entries.items()}))

    def get(self, key: str) -> tuple[float, Any] | None:
        """An entry with its age in seconds; None: there is none that still counts."""
        found = self._read()["entries"].get(key)
        age = self._rules.now() - found[0] if found else -1.0
        return (age, found[1]) if found and 0.0 <= age <= self._rules.max_age else None

    def wait(self, event: AuditEvent) -> None:
        """Keep an event for the audit log. StoreError."""
        self._change(lambda plain: plain["waiting"].append(json.loads(as_text(event))))

    def waiting(self) -> list[AuditEvent]:
        """The events that wait."""
        return [event_from_plain(plain) for plain in self._read()["waiting"]]

    def sent(self, count: int) -> None:
        """The first so many of them are in the log. StoreError."""
        self._change(lambda plain: plain.update(waiting=plain["waiting"][count:]))

    # --- parts ---------------------------------------------------------------------------------------------------

    def _read(self) -> dict[str, Any]:
        """What there is; nothing where it is gone, damaged or another store's."""
        empty: dict[str, Any] = {"entries": {}, "waiting": []}
        try:
            sealed = self._path.read_bytes() if self._path.stat().st_size <= _MOST else b""
        except OSError:
            return empty
        box = self._box()
        opened = box.try_open(sealed) if box is not None else None
        found = json.loads(opened) if opened is not None else empty
        return found if isinstance(found, dict) else empty

    def _change(self, edit: Callable[[dict[str, Any]], object]) -> None:
        failed: OSError | None = None
        if not self._path.parent.is_dir():
            make_private_folder(self._path.parent)
        with taking_turns(self._path):
            box = self._box() or self._new_box()
            plain = self._read()
            edit(plain)
            oldest = self._rules.now() - self._rules.max_age
            plain["entries"] = {key: entry for key, entry in plain["entries"].items() if entry[0] >= oldest}
            try:
                write_private(self._path, box.seal(json.dumps(plain).encode()))
            except OSError as error:
                failed = error
        if failed is not None:
            raise io_failed("write", self._path, failed)

    def _box(self) -> Box | None:
        key = read_private(self._key, "the key of the read copy") if self._key.exists() else b""
        return Box(key, self._rules.store, "read copy") if len(key) == KEY_BYTES else None

    def _new_box(self) -> Box:
        key, failed = new_key(), None
        try:
            write_private(self._key, key)
        except OSError as error:
            failed = error
        if failed is not None:
            raise io_failed("write", self._key, failed)
        return Box(key, self._rules.store, "read copy")


class _Seen:
    """Whether a record could not be read, on the way to who asked to be told."""

    def __init__(self, broken: Broken | None) -> None:
        self._broken = broken
        self.fault = False

    @property
    def told(self) -> Broken | None:
        """Who is to be told in its place."""
        return None if self._broken is None else self._tell

    def _tell(self, name: str, fault: StoreError) -> None:
        self.fault = True
        if self._broken is not None:
            self._broken(name, fault)


class CopiedStore:
    """ports.Store for commands that only read: the live store, and the copy where that does not answer.

    `open_live` is called once; what it raises besides StoreUnreachable is raised here.
    """

    def __init__(self, open_live: Callable[[], Store], copy: Copy, rules: Rules) -> None:
        self._copy, self._rules = copy, rules
        self._live: Store | None = None
        self._fault: StoreUnreachable | None = None
        self._told = False
        try:
            self._live = open_live()
        except StoreUnreachable as error:
            self._fault = error
        if self._live is not None:
            self._send(self._live)

    def names(self, *, deleted: bool = False, broken: Broken | None = None) -> Sequence[str]:
        seen = _Seen(broken)
        return self._read(f"names {deleted}", lambda store: list(store.names(deleted=deleted, broken=seen.told)),
                          list, list, seen)

    def load(self, name: str) -> Record:
        return self._read(f"record {name}", lambda store: store.load(name), _record_out, _record_in)

    def records(self, *, broken: Broken | None = None) -> Iterable[Record]:
        seen = _Seen(broken)
        found = self._read("records", lambda store: list(store.records(broken=seen.told)),
                           lambda records: [_record_out(record) for record in records],
                           lambda plain: [_record_in(one) for one in plain], seen)
        return iter(found)

    def bound(self, target: str, *, broken: Broken | None = None) -> Iterable[Record]:
        return self._only().bound(target, broken=broken)

    def history(self, name: str) -> Sequence[Version]:
        return self._read(f"history {name}", lambda store: list(store.history(name)),
                          lambda versions: [version_to_plain(version) for version in versions],
                          lambda plain: [version_from_plain(one) for one in plain])

    def value(self, name: str, number: int) -> SecretValue:
        return self._read(f"value {name} {number}", lambda store: store.value(name, number),
                          lambda value: base64.b64encode(value.reveal()).decode(),
                          lambda plain: SecretValue(base64.b64decode(plain)))

    def values(self, wanted: Sequence[tuple[str, int]]) -> Sequence[SecretValue]:
        return [self.value(name, number) for name, number in wanted]

    def log(self, event: AuditEvent) -> None:
        """Into the log, or kept for it: what cannot be recorded is not done."""
        if self._live is not None:
            try:
                self._live.log(event)
                return
            except StoreUnreachable as error:
                self._fault, self._live = error, None
        self._copy.wait(replace(event, detail={**event.detail, "from": "read copy"}))

    def close(self) -> None:
        if self._live is not None:
            self._live.close()

    # --- what a command that only reads has no use for ---------------------------------------------------------------

    def commit(self, changes: Sequence[Change], lease: Lease | None = None,
               lead: Lease | None = None) -> Sequence[Record]:
        return self._only().commit(changes, lease, lead)

    def purge(self, name: str, event: AuditEvent) -> None:
        self._only().purge(name, event)

    def acquire(self, name: str, holder: str, ttl: float) -> Lease:
        return self._only().acquire(name, holder, ttl)

    def renew(self, lease: Lease) -> None:
        self._only().renew(lease)

    def release(self, lease: Lease) -> None:
        self._only().release(lease)

    def fingerprint(self, value: SecretValue) -> str:
        return self._only().fingerprint(value)

    def events(self, *, since: int = 0) -> Iterable[ChainedEvent]:
        return self._only().events(since=since)

    def verify_log(self) -> str:
        return self._only().verify_log()

    def check(self) -> Sequence[str]:
        return self._only().check()

    # --- parts ---------------------------------------------------------------------------------------------------

    def _only(self) -> Store:
        """The live store, for what no copy can do. StoreUnreachable."""
        if self._live is None:
            self._give_up()
        return self._live

    def _read(self, key: str, live: Callable[[Store], _T], out: Callable[[_T], Any], back: Callable[[Any], _T],
              seen: _Seen | None = None) -> _T:
        if self._live is not None:
            try:
                found = live(self._live)
            except NotFound:
                self._keep(key, None)
                raise
            except StoreUnreachable as error:
                self._fault, self._live = error, None
            else:
                if seen is None or not seen.fault:  # what is not whole does not take the place of what was
                    self._keep(key, out(found))
                return found
        kept = self._copy.get(key)
        if kept is None or kept[1] is None:
            self._give_up()
        self._tell(kept[0])
        return back(kept[1])

    def _give_up(self) -> NoReturn:
        fault = self._fault or StoreUnreachable("the store cannot be used")
        raise StoreUnreachable(f"{fault.message}; this host has no copy of what was asked for", fault.hint)

    def _tell(self, age: float) -> None:
        if not self._told and self._fault is not None:
            self._told = True
            self._rules.say(f"{self._fault.message}: this is from the copy on this host, {age / 60:.0f} min old")

    def _keep(self, key: str, plain: Any) -> None:
        try:
            self._copy.put({key: plain})
        except StoreError as error:
            self._rules.say(f"the copy for reading was not kept: {error.message}")

    def _send(self, live: Store) -> None:
        """Events that waited for the cluster."""
        waiting = self._copy.waiting()
        for event in waiting:
            live.log(event)
        if waiting:
            self._copy.sent(len(waiting))


def _record_out(record: Record) -> dict[str, Any]:
    return {"revision": record.revision, "record": record_to_plain(record)}


def _record_in(plain: Mapping[str, Any]) -> Record:
    return record_from_plain(plain["record"], int(plain["revision"]))


if TYPE_CHECKING:

    def _conforms(store: CopiedStore) -> Store:
        return store
