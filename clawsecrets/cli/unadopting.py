"""What `adopt --undo` takes back in the store: who reads its own files again is no longer said to be served by us."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from clawsecrets.adopting.journal import recorded
from clawsecrets.cli.delivering import withdraw
from clawsecrets.cli.session import Session
from clawsecrets.ports import Change

if TYPE_CHECKING:
    from clawsecrets.adopting.undo import Undoing


def unbind(session: Session, undoing: Undoing, *, refs: Collection[str], env: str) -> bool:
    """Take the bindings away that nothing uses any more, and the values out of those targets: of what no SecretRef
    names, the targets `refs`, and of what no `${VARIABLE}` names, `env` (empty: none). Whether all values are out."""
    named, variables = undoing.used()
    clean = True
    records = (recorded(session.store, name) for name in undoing.plan.names)
    for record in filter(None, records):  # of one that was purged nothing is bound
        secret = record.secret
        gone = {session.shop.bound(target) for target in refs if secret.name not in named}
        if env and undoing.plan.gateway_variables.get(secret.name, "") not in variables:
            gone.add(session.shop.bound(env))
        left = replace(secret, injectors=tuple(one for one in secret.injectors if one not in gone),
                       consumers=tuple(one for one in secret.consumers if one not in gone))
        if left == secret:
            continue
        acks = tuple(ack for ack in record.acks if ack.target not in gone)
        event = session.event("secret.configured", secret.name, note="adopt --undo")
        session.store.commit([Change(replace(record, secret=left, acks=acks), event)])
        clean &= withdraw(session, secret, [one for one in secret.injectors if one in gone])
    return clean
