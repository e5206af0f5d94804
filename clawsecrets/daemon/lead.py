"""One daemon per store and host leads; the others stand by. A lease of the store says which, its epoch is the fence.

A holder whose process is gone is replaced at the next try. One that is stopped (SIGSTOP, a frozen container) is
replaced when its lease has run out; woken, it finds itself fenced, and does nothing. Should two ever act at once, the
lease on each secret still lets only one of them rotate it.
"""

from __future__ import annotations

import re
from contextlib import suppress

from clawsecrets.errors import Fenced, StoreBusy, StoreError
from clawsecrets.ports import Lease, Store

PREFIX = "clawsecrets.daemon/"
"""Leases of this name belong to daemons; a host's name follows."""


class Lead:
    """The lead of one store on one host. Seconds."""

    def __init__(self, store: Store, host: str, holder: str, ttl: float) -> None:
        self._store = store
        self._name = PREFIX + (re.sub(r"[^a-z0-9._-]+", "-", host.lower()).strip("-.")[:64] or "host")
        self._holder = holder
        self._ttl = ttl
        self._lease: Lease | None = None
        self.other = ""
        """Who leads, when we do not."""

    @property
    def held(self) -> bool:
        """Whether we led when we last looked."""
        return self._lease is not None

    def take(self) -> bool:
        """Try to lead; whether we do."""
        try:
            self._lease = self._store.acquire(self._name, self._holder, self._ttl)
            self.other = ""
        except StoreBusy as busy:
            self.other = busy.message
        return self.held

    def confirm(self) -> bool:
        """Whether we still lead, and for another while. False, too, when the store cannot say so now."""
        if self._lease is None:
            return False
        try:
            self._store.renew(self._lease)
        except Fenced:
            self._lease = None
        except StoreError:
            return False
        return self.held

    def give_up(self) -> None:
        """Let another lead at once."""
        if self._lease is not None:
            with suppress(StoreError):
                self._store.release(self._lease)
            self._lease = None
