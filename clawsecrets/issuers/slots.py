"""The issuer of a credential that has two fixed slots at its provider (strategy alternate): Azure's key 1 and key 2.

`create` fills the slot that is not in use, `revoke` fills one with a value that nobody reads. `recover` in the file
reads both slots without changing them: it tells which one holds a value, so that one whose slot holds another value by
now is known to be dead and its slot is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clawsecrets.issuers.http import HttpIssuer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Issuer, Listed, Reply, Request, Slots


class SlotIssuer(HttpIssuer):
    """An HttpIssuer whose handles are the names of two slots."""

    def can(self, operation: str) -> bool:
        """A slot has no label, so nothing is listed; a lost value is not read back, the slot is filled again."""
        return operation not in ("list", "recover") and super().can(operation)

    def create(self, request: Request) -> Reply:
        """A new value in the slot that is not in use. Ends what stands in it."""
        operation, idle = self.provider.operation("create"), self.idle(request)
        if operation is None or idle.outcome is not Outcome.OK:
            return idle if operation is not None else super().create(request)
        words = self._words(request, handle=idle.handle)
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.REFUSED, trouble)
        at = self.provider.slots[idle.handle]
        valued = replace(operation, ok=tuple(replace(answer, value=at) for answer in operation.ok))
        return replace(self._valued("create", valued, request, words), handle=idle.handle)

    def recover(self, request: Request) -> Reply:
        """Not needed: the slot is filled once more."""
        return Reply(Outcome.REFUSED, "a slot is filled again instead")

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        """Fill the slot anew, unless it holds another value than `value` by now: then that is dead already."""
        if handle and handle not in self.provider.slots:
            return Reply(Outcome.REFUSED, f"{self.provider.code} has no slot {handle!r}")
        if value is not None and self.provider.operation("recover") is not None:
            where = self._slot_of(value, request)
            if where.outcome is Outcome.REFUSED and not where.person:
                return Reply(Outcome.OK, f"{where.detail}: it is dead already")
            if where.outcome is Outcome.OK:
                handle = where.handle
            elif not where.person:
                return where
        return super().revoke(handle, value, request)

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        """Slots carry no labels."""
        return Reply(Outcome.REFUSED, f"{self.provider.code} has fixed slots, without labels"), ()

    def with_handle(self, reply: Reply, request: Request) -> Reply:
        """The reply of a person's creation with the slot that holds the value, where that can be read."""
        if reply.outcome is not Outcome.OK or reply.handle or reply.value is None:
            return reply
        where = self._slot_of(reply.value, request)
        return replace(reply, handle=where.handle) if where.outcome is Outcome.OK else reply

    def locate(self, request: Request) -> Reply:
        """The slot that holds `request.old`."""
        if request.old is None:
            return Reply(Outcome.REFUSED, "there is no old value")
        return self._slot_of(request.old, request)

    def idle(self, request: Request) -> Reply:
        """The other slot than `request.old_handle`."""
        slots = self.provider.slots
        if request.old_handle not in slots:
            return Reply(Outcome.REFUSED, f"{self.provider.code}: which slot is in use is not known"
                         if not request.old_handle else f"{self.provider.code} has no slot {request.old_handle!r}")
        return Reply(Outcome.OK, handle=next(name for name in slots if name != request.old_handle))

    def _slot_of(self, value: SecretValue, request: Request) -> Reply:
        """OK with the slot that holds it; REFUSED: both were read, and none does. `person`: they cannot be read."""
        operation = self.provider.operation("recover")
        if operation is None:
            return Reply(Outcome.REFUSED, f"{self.provider.code} cannot read its slots", person=True)
        words = self._words(request)
        trouble = self._trouble(operation.request, request, words)
        if trouble:
            return Reply(Outcome.REFUSED, f"its slots cannot be read: {trouble}", person=True)
        reply, verdict = self._perform("recover", operation, request, words)
        if reply.outcome is Outcome.REFUSED:
            return replace(reply, detail=f"its slots cannot be read: {reply.detail}", person=True)
        if reply.outcome is not Outcome.OK or verdict is None:
            return reply
        held = {name: verdict.text(at) for name, at in self.provider.slots.items()}
        if not all(held.values()):
            return Reply(Outcome.UNKNOWN, f"{reply.detail}, but without the value of each slot")
        found = next((name for name, text in held.items() if SecretValue(text) == value), "")
        if not found:
            return Reply(Outcome.REFUSED, f"neither {' nor '.join(held)} holds it")
        return Reply(Outcome.OK, reply.detail, handle=found)


def _conforms(issuer: SlotIssuer) -> tuple[Issuer, Slots]:
    return issuer, issuer
