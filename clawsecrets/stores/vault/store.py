"""The vault store: ports.Store on a KV v2 mount of Vault or OpenBao. Several hosts may use it at once.

One document per name is the truth, and writing it under check-and-set is the commit. Values are written before it,
what follows from it after (followups.py). A commit whose process dies is a commit or none; the rest is done by whoever
next writes or takes the name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from typing import TYPE_CHECKING

from clawsecrets.errors import Fenced, NotFound, StaleRecord, StoreError, UsageError
from clawsecrets.model.audit import AuditEvent, ChainedEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue, Version, valid_name
from clawsecrets.ports import Broken, Change, Lease
from clawsecrets.stores.changes import Plan, plan, require_name
from clawsecrets.stores.codec import version_from_plain
from clawsecrets.stores.vault import keys, leasing
from clawsecrets.stores.vault.bindings import Bindings
from clawsecrets.stores.vault.body import Body, Event, Held, Todo, from_document, to_plain, wrote
from clawsecrets.stores.vault.chain import Chain
from clawsecrets.stores.vault.deepcheck import Inspection
from clawsecrets.stores.vault.documents import LATE, Conflict, Document, Documents
from clawsecrets.stores.vault.faults import damaged
from clawsecrets.stores.vault.followups import Followups
from clawsecrets.stores.vault.keys import StoreKeys
from clawsecrets.stores.vault.layout import BLOCK, KEPT, MAX_VALUE, Layout, Shared, sealed, shared, unsealed
from clawsecrets.stores.vault.public import Public
from clawsecrets.stores.vault.records import Records
from clawsecrets.stores.vault.transport import Connection, Patience, Transport, Wire

if TYPE_CHECKING:
    from clawsecrets.ports import Store


class VaultStore:
    """ports.Store on documents of a KV v2 mount. Thread-safe."""

    def __init__(self, documents: Documents, layout: Layout, store_keys: StoreKeys,
                 places: Mapping[str, Shared]) -> None:
        self.layout, self.keys = layout, store_keys
        self._documents = documents
        self._records = Records(documents, layout)
        self._bindings = Bindings(documents, layout, self._may_be_bound)
        self._chain = Chain(documents, layout, store_keys.audit)
        self._clock = leasing.ClusterClock(documents, layout)
        self._public = Public(documents, layout, places)
        self._followups = Followups(documents, layout, self._chain, self._public, self._records.body, self._value)

    @property
    def identity(self) -> str:
        """store_ports.Identified."""
        return f"vault {self.keys.store}"

    # --- reading -------------------------------------------------------------------------------------------------

    def names(self, *, deleted: bool = False, broken: Broken | None = None) -> Sequence[str]:
        return [record.secret.name for record in self._records.present(self._records.every(), broken)
                if bool(record.secret.deleted_at) is deleted]

    def load(self, name: str) -> Record:
        return self._records.record(name)[1]

    def records(self, *, broken: Broken | None = None) -> Iterable[Record]:
        return (record for record in self._records.present(self._records.every(), broken)
                if not record.secret.deleted_at)

    def bound(self, target: str, *, broken: Broken | None = None) -> Iterable[Record]:
        listed = self._bindings.names(target)
        return (record for record in self._records.present(self._records.every() if listed is None else listed, broken)
                if target in record.secret.injectors and not record.secret.deleted_at)

    def history(self, name: str) -> Sequence[Version]:
        body, record = self._records.record(name)
        blocks = [self.layout.history(name, body.life, block) for block in range(record.last_number // BLOCK + 1)]
        found = {version.number: version for path in self._documents.each(self._buried, blocks) for version in path}
        found.update({version.number: version for version in (*body.todo.bury, *record.versions)})
        return [found[number] for number in sorted(found)]

    def value(self, name: str, number: int) -> SecretValue:
        held = self._records.where(name, number)
        document = None if held is None else self._documents.read(self.layout.value(name, held.document))
        if held is not None and document is not None and document.content is not None:
            return self._opened(name, number, held, document)
        return self._looked_for(name, number)

    def values(self, wanted: Sequence[tuple[str, int]]) -> Sequence[SecretValue]:
        return self._documents.each(lambda one: self.value(*one), wanted)

    def fingerprint(self, value: SecretValue) -> str:
        return self.keys.print_of(value)

    def events(self, *, since: int = 0) -> Iterable[ChainedEvent]:
        self._catch_up()
        yield from self._chain.events(since)

    def verify_log(self) -> str:
        self._catch_up()
        return self._chain.fault()

    def check(self) -> Sequence[str]:
        self._catch_up()
        return self._inspection().faults(self._clock.now)

    def mend(self) -> Sequence[str]:
        """Destroy what a crash left of values that were never committed, when it is older than a day; one line each."""
        return self._inspection().mend(self._clock.now())

    def outside(self, name: str) -> SecretValue | None:
        """What the team's own path of that name holds now; None: nothing, or the name is not one of `[store.paths]`."""
        return self._public.outside(name)

    # --- writing -------------------------------------------------------------------------------------------------

    def commit(self, changes: Sequence[Change], lease: Lease | None = None,
               lead: Lease | None = None) -> Sequence[Record]:
        names = [change.record.secret.name for change in changes]
        if len(set(names)) != len(names):
            raise UsageError("one commit cannot change a secret twice")
        for change in changes:
            self._measure(change)
        if len(changes) > 1:  # each is atomic, all of them are not: at least nothing that can be foreseen comes between
            for change, body in zip(changes, self._records.bodies(names), strict=True):
                plan(change, body.record, body.values)
        return [self._commit(change, lease, lead) for change in changes]

    def purge(self, name: str, event: AuditEvent) -> None:
        noted, since = Event(token_hex(8), event), self._chain.newest()
        while True:
            body, record = self._records.record(name)
            if not record.secret.deleted_at:
                raise UsageError(f"{name} is not deleted, and only a deleted secret can be purged", "delete it first")
            body = self._followups.settled(body)
            blocks = range(record.last_number // BLOCK + 1)
            todo = Todo((noted,), since, (), tuple(held.document for held in body.values.values()),
                        tuple(self.layout.history(name, body.life, block) for block in blocks))
            with suppress(Conflict):
                written = self._put(replace(body, record=None, values={}, life="", todo=todo))
                break
        self._finish(written)

    def log(self, event: AuditEvent) -> None:
        self._chain.append([Event(token_hex(8), event)], self._chain.newest())

    def acquire(self, name: str, holder: str, ttl: float) -> Lease:
        if not valid_name(name) or not holder or not ttl > 0:
            raise UsageError(f"a lease needs a secret's name, a holder and a time to live (name {name!r})")
        while True:
            body = self._records.body(name)
            leasing.refuse_live(name, body.lease, self._clock)
            body = self._followups.settled(body)  # what a dead holder left
            with suppress(Conflict):
                taken = leasing.taken(body.lease, holder, ttl)
                self._put(replace(body, lease=taken))
                return Lease(name, holder, taken.epoch, ttl)

    def renew(self, lease: Lease) -> None:
        while True:
            body = self._as_left(lease.name)
            leasing.require(body, lease)
            with suppress(Conflict):
                self._put(replace(body, lease=leasing.renewed(body.lease, lease.ttl)))
                return

    def release(self, lease: Lease) -> None:
        while True:
            body = self._as_left(lease.name)
            if (body.lease.holder, body.lease.epoch) != (lease.holder, lease.epoch):
                return
            with suppress(Conflict):
                self._put(replace(body, lease=leasing.given_up(body.lease)))
                return

    def keep_login(self) -> str:
        """store_ports.KeepsLogin."""
        return self._documents.keep_login()

    def close(self) -> None:
        self._documents.close()

    # --- one commit ----------------------------------------------------------------------------------------------

    def _measure(self, change: Change) -> None:
        name = change.record.secret.name
        require_name(name)
        for value in change.values.values():
            if len(value) > MAX_VALUE:
                raise UsageError(f"{name}: the value is longer than {MAX_VALUE} bytes, which is all that a cluster's "
                                 "storage takes")
            self._public.allow(name, value)

    def _commit(self, change: Change, lease: Lease | None, lead: Lease | None) -> Record:
        name, noted, since = change.record.secret.name, Event(token_hex(8), change.event), self._chain.newest()
        held: dict[int, Held] = {}
        try:
            while True:
                body = self._records.body(name)
                if lease is not None:
                    leasing.require(body if lease.name == name else self._records.body(lease.name), lease)
                todo = plan(change, body.record, body.values)
                body = self._followups.settled(body, todo.record)
                if todo.new and not body.version:  # a value of a name that has no document could be a removed one's
                    with suppress(Conflict):
                        self._put(body)
                    continue
                self._bindings.add(name, _more_targets(body, todo.record))  # it may name too many, never too few
                held = held or {number: self._put_value(name, number, change.values[number]) for number in todo.new}
                if lead is not None:
                    leasing.require(self._records.body(lead.name), lead)
                with suppress(Conflict):
                    written = self._put(_changed(body, todo, held, Todo((noted,), since, todo.bury)))
                    break
        except (StaleRecord, Fenced):
            self._drop(name, held)  # certainly not committed
            raise
        self._finish(written)
        return todo.record

    def _put_value(self, name: str, number: int, value: SecretValue) -> Held:
        document, content = f"{number}-{token_hex(8)}", sealed(value)
        self._documents.write(self.layout.value(name, document), content, 0, lambda found: found == content)
        return Held(document, self.keys.digest(name, number, value))

    def _drop(self, name: str, held: Mapping[int, Held]) -> None:
        for one in held.values():
            with suppress(StoreError):
                self._documents.forget(self.layout.value(name, one.document))

    def _put(self, body: Body) -> Body:
        """Write the document that follows the one that the body was read from. Conflict."""
        mark, path = token_hex(8), self.layout.record(body.name)
        if not body.version:
            self._documents.keep(path, KEPT)
        found = self._documents.write(path, to_plain(body.marked(mark)), body.version, wrote(mark))
        return from_document(body.name, found, self._documents.mount)

    def _finish(self, written: Body) -> None:
        """What follows from a commit that is durable."""
        fault: StoreError | None = None
        try:
            self._followups.settled(written)
            return
        except StoreError as error:
            fault = error
        raise StoreError(f"{written.name} was changed, but not all that follows from it could be done: {fault.message}",
                         f"{fault.hint}; the next command that works on {written.name} does the rest")

    # --- parts ---------------------------------------------------------------------------------------------------

    def _as_left(self, name: str) -> Body:
        """The body without what this process did for it already; what it did not do stays to be done."""
        body = self._records.body(name)
        return body.done() if self._followups.known(body) else body

    def _may_be_bound(self, target: str) -> list[str]:
        """By a look at every record; of one that cannot be read it is not known."""
        unknown: list[str] = []
        records = list(self._records.present(self._records.every(), lambda name, fault: unknown.append(name)))
        return [*unknown, *(record.secret.name for record in records if target in record.secret.injectors)]

    def _looked_for(self, name: str, number: int) -> SecretValue:
        """A value by the newest record."""
        for pause in LATE:
            body = self._records.record(name)[0]
            if number not in body.values:
                raise NotFound(f"{name} has no value for version {number}: it was erased, or never there",
                               f"`clawsecrets history {name}` shows its versions")
            held = body.values[number]
            document = self._documents.read(self.layout.value(name, held.document))
            if document.content is not None:
                break
            self._documents.pause(pause)
            self._documents.witness(self.layout.clock)  # it is not called gone on the word of a node that lags behind
        else:
            document = self._documents.read(self.layout.value(name, held.document))
        return self._opened(name, number, held, document)

    def _value(self, body: Body, number: int) -> SecretValue:
        held = body.values[number]
        return self._opened(body.name, number, held,
                            self._documents.read(self.layout.value(body.name, held.document)))

    def _opened(self, name: str, number: int, held: Held, document: Document) -> SecretValue:
        value = unsealed(document.content, f"the value of {name} version {number}")
        if not self.keys.vouches(held.digest, name, number, value):
            raise damaged(f"the value of {name} version {number} was altered or exchanged")
        return value

    def _buried(self, path: str) -> list[Version]:
        try:
            return [version_from_plain(json.loads(text))
                    for text in (self._documents.read(path).content or {}).values()]
        except (ValueError, TypeError):
            pass
        raise damaged(f"the history {path} has another form than it was written in")

    def _catch_up(self) -> None:
        """Do what dead processes left to do; what cannot be done now is told by `check`."""
        for body in self._records.bodies(self._records.every(), lambda name, fault: None):
            with suppress(StoreError):
                self._followups.settled(body)

    def _inspection(self) -> Inspection:
        return Inspection(self._documents, self.layout, self._chain, self._public, self._followups, self._bindings,
                          self._records.body, self._value, self.history)


def _more_targets(body: Body, planned: Record) -> list[str]:
    """Targets that the record is bound to from now on, and was not."""
    before = body.record.secret.injectors if body.record is not None else ()
    return [target for target in planned.secret.injectors if target not in before]


def _changed(body: Body, planned: Plan, held: Mapping[int, Held], todo: Todo) -> Body:
    """The body after a change."""
    erased = tuple(body.values[number].document for number in planned.erase)
    values = {number: one for number, one in {**body.values, **held}.items() if number not in planned.erase}
    return replace(body, record=planned.record, values=values, life=body.life or token_hex(4),
                   todo=replace(todo, erase=erased))


if TYPE_CHECKING:

    def _conforms(store: VaultStore) -> Store:
        return store


def open_store(connection: Connection, mount: str, prefix: str, *, paths: Mapping[str, str] | None = None,
               patience: Patience | None = None, wire: Wire | None = None) -> VaultStore:
    """Open the store. `paths`: name -> MOUNT/data/PATH#FIELD of secrets that are managed where they already are;
    `wire`: another way to send.

    StoreMissing, StoreLocked, StoreDamaged, StoreError, UsageError.
    """
    places = {name: shared(text) for name, text in (paths or {}).items()}
    documents, layout = _reached(connection, mount, prefix, patience, wire)
    try:
        found = keys.read(documents, layout)
        documents.catch_up(layout.clock)
        return VaultStore(documents, layout, found, places)
    except BaseException:
        documents.close()
        raise


def create(connection: Connection, mount: str, prefix: str, *, event: AuditEvent | None = None,
           paths: Mapping[str, str] | None = None, patience: Patience | None = None,
           wire: Wire | None = None) -> VaultStore:
    """Make a store below a prefix of a KV v2 mount, and give it opened. StoreError when there is one already."""
    places = {name: shared(text) for name, text in (paths or {}).items()}
    documents, layout = _reached(connection, mount, prefix, patience, wire)
    try:
        if not documents.version_2():
            raise StoreError(f"{mount} is not a KV version 2 secrets engine",
                             f"make one: `bao secrets enable -path={mount} kv-v2`")
        documents.catch_up(layout.clock)
        keys.require_none(documents, layout)
        store = VaultStore(documents, layout, keys.make(documents, layout), places)
        if event is not None:
            store.log(event)
        return store
    except BaseException:
        documents.close()
        raise


def _reached(connection: Connection, mount: str, prefix: str, patience: Patience | None,
             wire: Wire | None) -> tuple[Documents, Layout]:
    layout = Layout(prefix)
    return Documents(Transport(connection, patience, wire), mount, layout.lasting), layout
