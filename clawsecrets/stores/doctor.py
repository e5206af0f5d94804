"""What `doctor` should say about an open embedded store: where its parts lie, and what that weakens."""

from __future__ import annotations

from collections.abc import Sequence

from clawsecrets.errors import StoreError
from clawsecrets.stores.recovery import KIND as RECOVERY
from clawsecrets.stores.session import Session


def notes(store: Session) -> Sequence[str]:
    """One line per weakness that is no fault; empty when there is none."""
    unlocked, anchor = store.unlocked, store.anchor
    found = list(unlocked.source.notes(unlocked.keys.store, unlocked.slot, store.path))
    if not any(slot.kind == RECOVERY for slot in unlocked.slots):
        found.append("the store has no recovery code: without its key it is lost, and no backup can be made")
    if anchor.path.resolve().parent == store.path.parent:
        found.append(f"the anchor {anchor.path} lies beside the store: who puts back an older folder is not detected")
    if store.anchor_behind:
        found.append(f"the anchor {anchor.path} could not be brought up to date: a rollback may not be detected")
    return [*found, *_anchor_age(store)]


def _anchor_age(store: Session) -> list[str]:
    unlocked, anchor = store.unlocked, store.anchor
    try:
        seen = anchor.understood(anchor.content(), unlocked.lasting.anchor, unlocked.keys.store)
    except StoreError as error:
        return [error.message]
    if seen is None:
        return [f"there is no anchor at {anchor.path}: a rollback of the store cannot be detected"]
    if seen.since > 1:
        return [f"the anchor was made anew at generation {seen.since}: a rollback before that would not have been seen"]
    return []
