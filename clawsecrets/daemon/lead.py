"""One daemon of a store leads; the others stand by, and serve the targets of their own hosts. A lease of the store says
which, its epoch is the fence.

A holder whose process is gone is replaced at the next try. One that is stopped (SIGSTOP, a frozen container) is
replaced when its lease has run out; woken, it finds itself fenced, and does nothing. Should two ever act at once, the
lease on each secret still lets only one of them rotate it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from clawsecrets.errors import Fenced, StoreBusy, StoreError, StoreGone
from clawsecrets.ports import Lease, Store

NAME = "clawsecrets.daemon/lead"
"""The lease of whoever keeps the schedule of this store."""


FRESH = 1.0
"""Seconds for which a confirmation holds without asking the store again; a tenth of the lease where that is less."""


def since_boot() -> float:
    """Seconds since boot. They pass while the process is stopped, and while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lead:
    """The lead of one store. Seconds."""

    def __init__(self, store: Store, holder: str, ttl: float,
                 clock: Callable[[], float] = since_boot) -> None:
        self._store = store
        self._clock = clock
        self._confirmed = 0.0
        self._holder = holder
        self._ttl = ttl
        self._lease: Lease | None = None
        self._last: Lease | None = None
        self.other = ""
        """Who leads, when we do not."""
        self.trouble = ""
        """Why the store cannot say now whether we lead (a full disk, say); empty: it can."""
        self.gone: StoreGone | None = None
        """The store has to be opened anew: with this one there is nothing to lead any more."""

    @property
    def held(self) -> bool:
        """Whether we led when we last looked."""
        return self._lease is not None

    def lease(self) -> Lease | None:
        """What a beginning is committed under, the lost one, too: Fenced when another has taken it."""
        return self._last

    def take(self) -> bool:
        """Try to lead; whether we do. Not, too, when the store cannot be asked now: `trouble` says why."""
        try:
            began = self._clock()
            self._lease = self._store.acquire(NAME, self._holder, self._ttl)
            self._last, self._confirmed, self.other, self.trouble = self._lease, began, "", ""
        except StoreBusy as busy:
            self.other, self.trouble = busy.message, ""
        except StoreError as error:
            self.other, self.trouble = "", error.message
            self.gone = error if isinstance(error, StoreGone) else None
        return self.held

    def confirm(self) -> bool:
        """Whether we still lead, and for another while. False, too, when the store cannot say so now."""
        if self._lease is None:
            return False
        began = self._clock()
        if 0.0 <= began - self._confirmed < min(FRESH, self._ttl / 10):
            return True
        try:
            self._store.renew(self._lease)
            self._confirmed, self.trouble = began, ""
        except Fenced:
            self._lease, self.trouble = None, ""
        except StoreError as error:
            self.trouble = error.message
            self.gone = error if isinstance(error, StoreGone) else None
            return False
        return self.held

    def last(self, ttl: float) -> None:
        """From the next confirmation on it lasts so long."""
        self._ttl = ttl
        if self._lease is not None:
            self._lease, self._confirmed = replace(self._lease, ttl=ttl), 0.0

    def give_up(self) -> None:
        """Let another lead at once."""
        if self._lease is not None:
            with suppress(StoreError):
                self._store.release(self._lease)
            self._lease = None
