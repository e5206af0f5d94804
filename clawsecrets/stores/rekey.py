"""A new master key: everything sealed anew in one transaction, whole or not at all.

Order, so that a kill at any instant leaves a store that opens with the old or the new key: the new keys are kept
outside (a key file then holds both), the database is committed, and only then the old ones are destroyed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from clawsecrets.errors import StoreError, UsageError
from clawsecrets.model import audit
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.stores import lease, rows
from clawsecrets.stores.deepcheck import log_fault
from clawsecrets.stores.faults import damaged
from clawsecrets.stores.keys import KeySource, Slot, word
from clawsecrets.stores.manifest import Head
from clawsecrets.stores.recovery import KIND as RECOVERY
from clawsecrets.stores.recovery import Recipient
from clawsecrets.stores.rows import Body
from clawsecrets.stores.seal import Keys, new_key
from clawsecrets.stores.session import Draft, Session
from clawsecrets.stores.slots import Unlocked, forget_slots, read_meta, read_slots, write_meta, write_slots

_BATCH = 1000


def rekey(store: Session, event: AuditEvent, sources: Sequence[KeySource] = ()) -> Sequence[str]:
    """Give the store a new master key. `sources`: what opens it from now on; none = what opens it today.

    The recovery code stays the same (it is a public key that is wrapped to). Gives one line for each old key that
    could not be destroyed. UsageError when a slot cannot be carried over and no sources are named; StoreError,
    StoreDamaged when the store is not sound: then nothing has changed.
    """
    was = store.unlocked
    chosen = list(sources) or _carried(store)
    if not any(source.kind == RECOVERY for source in chosen):
        chosen += recipients(was.slots)
    keys, slots = Keys(new_key(), was.keys.store), list[Slot]()
    try:
        with store.writing() as draft:
            was = store.unlocked
            for source in chosen:
                slots.append(source.create(keys.store, keys.master))
            exchange_keys(store, draft, keys, slots)
            draft.unlocked = replace(draft.unlocked, source=chosen[0])
            store.note_event(draft, event)
    except BaseException:
        _undo(store, was, zip(chosen, slots, strict=False))
        raise
    old, store.sources = store.sources, tuple(s for s in chosen if not isinstance(s, Recipient))
    return forget_slots(keys.store, _pairs(old, was.slots))


def recipients(slots: Iterable[Slot]) -> list[KeySource]:
    """The recovery recipients among the slots."""
    return [Recipient(word(slot, "recipient")) for slot in slots if slot.kind == RECOVERY]


def _carried(store: Session) -> list[KeySource]:
    """A source for each slot, that opens it. UsageError names the one that is not at hand."""
    was, found = store.unlocked, list[KeySource]()
    for slot in was.slots:
        if slot.kind == RECOVERY:
            continue
        source = next((s for s in store.sources if s.kind == slot.kind and _opens(s, was, slot)), None)
        if source is None:
            raise UsageError(f"the store also opens with a {slot.kind}, which was not given: it would open it no more",
                             "give it too, or name all that is to open the store from now on")
        found.append(source)
    return found


def _opens(source: KeySource, was: Unlocked, slot: Slot) -> bool:
    with suppress(StoreError):
        return source.open(was.keys.store, slot) == was.keys.master
    return False


def _pairs(sources: Sequence[KeySource], slots: Iterable[Slot]) -> list[tuple[KeySource, Slot]]:
    return [(source, slot) for slot in slots for source in sources if source.kind == slot.kind]


def _undo(store: Session, was: Unlocked, made: Iterable[tuple[KeySource, Slot]]) -> None:
    """Destroy the new keys, but only where the file shows for certain that they were not committed."""
    with suppress(StoreError), store.reading():
        if read_slots(store.db) == was.slots:
            forget_slots(was.keys.store, made)


def exchange_keys(store: Session, draft: Draft, keys: Keys, slots: Sequence[Slot],
                  edit: Callable[[Record], Record] = lambda record: record) -> None:
    """Seal every row anew within `writing`, each record as `edit` gives it. StoreDamaged."""
    old = draft.unlocked
    fault = log_fault(store.db, old.keys, store.view)
    if fault:
        raise damaged(f"audit log: {fault}")
    for name in sorted(draft.heads):
        draft.heads[name] = _reseal(store, draft, keys, name, edit)
    draft.audit_head = _chain_again(store, keys)
    lease.rewrite(store.db, keys.lease, lease.everyone(store.db, old.keys.lease), free=False)
    _, sealed_seed = read_meta(store.db)
    write_meta(store.db, keys, old.keys.lasting.open(sealed_seed))
    write_slots(store.db, slots)
    draft.unlocked = replace(old, keys=keys, slots=tuple(slots), slot=slots[0])
    draft.erased = True


def _reseal(store: Session, draft: Draft, keys: Keys, name: str, edit: Callable[[Record], Record]) -> Head:
    db, old = store.db, draft.unlocked.keys
    body = store.body(draft.heads, name)
    digests = {}
    for number in body.values:
        wrapped, sealed = rows.get_value_row(db, body, number)
        data_key = old.wrap.open(wrapped, name, number)
        digests[number] = rows.put_sealed_value(db, name, number, keys.wrap.seal(data_key, name, number), sealed)
    versions = rows.buried(db, old, body)
    db.execute("DELETE FROM history WHERE name = ?", (name,))
    fresh = Body(edit(body.record), digests)
    count, chain = rows.bury(db, keys, fresh, versions)
    return rows.put_body(db, keys, replace(fresh, buried=count, chain=chain))


def _chain_again(store: Session, keys: Keys) -> bytes:
    """The audit chain under the new key; gives its head. The old one was verified."""
    head, last = audit.genesis(keys.audit), 0
    while batch := list(rows.get_events(store.db, last, _BATCH)):
        for item in batch:
            head = audit.link(keys.audit, head, item.seq, item.event)
            store.db.execute("UPDATE audit SET mac = ? WHERE seq = ?", (head, item.seq))
        last = batch[-1].seq
    return head
