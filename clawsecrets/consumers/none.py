"""A consumer that nothing can be asked of: what is delivered to it is delivered, not proven."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Consumer, Handover, Reply

PROVES = "nothing"
CANNOT = "anything: delivered, not proven"


@dataclass(frozen=True)
class NoneConsumer:
    """Says honestly that it cannot show anything."""

    target: str
    reads: Collection[str] = ()
    validates: bool = False

    def reload(self, handover: Handover) -> Reply:
        """There is nothing to call."""
        return Reply(Outcome.OK, "nothing is reloaded: restart what reads it")

    def probe(self, handover: Handover) -> Reply:
        """Nobody can tell."""
        return Reply(Outcome.UNKNOWN, "it cannot be asked")

    def prove(self, handover: Handover) -> Reply:
        """A person must look."""
        return Reply(Outcome.LATER, "delivered; it has no means to show what it uses", person=True)

    def preflight(self, handover: Handover) -> Reply:
        """Nothing can be looked at."""
        return Reply(Outcome.OK, "cannot be asked: it will be delivered, not proven")

    def describe(self) -> str:
        """For `--dry-run`."""
        return "nothing to ask: delivered, not proven"


def _conforms(consumer: NoneConsumer) -> Consumer:
    return consumer
