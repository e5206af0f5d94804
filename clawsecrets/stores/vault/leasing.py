"""Leases in record documents, by the cluster's clock: who may rotate a secret. The fence is the epoch.

A lease lasts from the moment at which the server says it wrote it, and what time it is now is the moment at which the
server says it wrote a small document. No host's clock counts. A holder whose process is gone, on this very host since
this boot, is replaced at once; any other is waited for.
"""

from __future__ import annotations

import os
from dataclasses import replace

from clawsecrets.errors import Fenced, StoreBusy
from clawsecrets.ports import Lease
from clawsecrets.stores.lease import Row, alive, boot_id, process_start
from clawsecrets.stores.vault.body import Body, Holding, wrote
from clawsecrets.stores.vault.documents import Conflict, Documents
from clawsecrets.stores.vault.layout import Layout


class ClusterClock:
    """What time it is in the cluster."""

    def __init__(self, documents: Documents, layout: Layout) -> None:
        self._documents, self._path = documents, layout.clock

    def now(self) -> float:
        """Unix seconds. One small write. StoreError."""
        version = self._documents.read(self._path).version
        if not version:
            self._documents.keep(self._path, 1)
        while True:
            mark = os.urandom(8).hex()
            try:
                return self._documents.write(self._path, {"writes": [mark]}, version, wrote(mark)).created
            except Conflict as conflict:
                version = conflict.found.version


def taken(holding: Holding, holder: str, ttl: float) -> Holding:
    """The next one on that name, for this process, from the write on in which it stands."""
    return Holding(holder, holding.epoch + 1, ttl, 0.0, boot_id(), os.getpid(), process_start(os.getpid()))


def refuse_live(name: str, holding: Holding, clock: ClusterClock) -> None:
    """StoreBusy when a live holder has it."""
    if not holding.holder or not _alive(name, holding):
        return
    left = holding.at + holding.ttl - clock.now()
    if left > 0:
        raise StoreBusy(f"{name} is being worked on by {holding.holder}",
                        f"wait for it to end; if it hangs, it is replaced in {left:.0f} s", left)


def require(body: Body, lease: Lease) -> None:
    """Fenced when it was given up or taken over."""
    if (body.lease.holder, body.lease.epoch) != (lease.holder, lease.epoch):
        by = f" by {body.lease.holder}" if body.lease.holder else ""
        raise Fenced(f"the lease on {lease.name} was taken over{by}; nothing was committed",
                     "look at `clawsecrets status`: the other process goes on with it")


def given_up(holding: Holding) -> Holding:
    """Nobody's; its epoch stays."""
    return Holding(epoch=holding.epoch)


def renewed(holding: Holding, ttl: float) -> Holding:
    """From the write on in which it stands."""
    return replace(holding, ttl=ttl, at=0.0)


def _alive(name: str, holding: Holding) -> bool:
    """Whether the holder must be waited for. Of another host's, or another boot's, nothing can be seen: yes."""
    if not holding.boot or holding.boot != boot_id():
        return True
    return alive(Row(name, holding.holder, holding.epoch, 0.0, holding.boot, holding.pid, holding.started))
