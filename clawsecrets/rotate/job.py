"""What a step is given and what it answers: the record, its rotation, and everything that acts for the secret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clawsecrets.errors import NotFound
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, Rotation, State
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover, Listed, Reply, Request, Store
from clawsecrets.rotate.gear import Gear, Outfit

BACKWARDS = frozenset({State.REVERTING, State.REVERT_STAGED, State.DEMOTED, State.RESTORED})
"""States in which the older value is the one being handed over."""

Edit = Callable[[Record], Record]


def unchanged(record: Record) -> Record:
    """The edit that edits nothing."""
    return record


def known(record: Record, item: Listed) -> bool:
    """Whether what the provider lists is a version of the record (one whose id is not known goes by its label)."""
    return any(version.handle == item.handle if version.handle else version.label == item.label
               for version in record.versions)


def _nothing() -> None:
    """Nobody can take it over."""


@dataclass(frozen=True)
class Done:
    """A step's answer: the reply, and what it teaches about the record."""

    reply: Reply
    edit: Edit = unchanged
    caveat: str = ""
    more: tuple[str, ...] = ()
    """Further caveats."""
    note: str = ""
    """What else there is to know once it is done."""


@dataclass(frozen=True)
class Job:
    """What a step is given."""

    record: Record
    rotation: Rotation
    outfit: Outfit
    store: Store
    gear: Gear
    now: float
    supplied: SecretValue | None = None
    """The value that a person gave with this command."""
    vouched: bool = False
    """A person's word stands in for what cannot be seen, never against what is seen."""
    renew: Callable[[], None] = _nothing
    """Extends the lease; Fenced when it was taken over. Called before each of several effects of one step."""
    actor: str = ""

    def known_now(self, item: Listed) -> bool:
        """Whether it is a version's, in the newest record: such a one is no orphan. Asked right before each
        revocation; Fenced when another process has taken over."""
        self.renew()
        return known(self.store.load(self.record.secret.name), item)

    @property
    def forced(self) -> bool:
        """Whether the old one is to be revoked although a consumer could not be proven."""
        return self.rotation.compromised and self.rotation.revoke_unproven

    def value(self, number: int) -> SecretValue | None:
        """The value of a version, None when there is none (any more).

        A process that slept while another took over finds values gone that its record still has: it must get as far
        as its commit, where it is fenced and makes its effect good.
        """
        version = self.record.version(number)
        if version is None or version.erased_at:
            return None
        try:
            return self.store.value(self.record.secret.name, number)
        except NotFound:
            return None

    def known_as(self, value: SecretValue) -> int:
        """The version that has this value already; 0 = none."""
        held = (v.number for v in self.record.versions if not v.erased_at)
        return next((number for number in held if self.value(number) == value), 0)

    def revoked_as(self, value: SecretValue) -> int:
        """The version of the whole history that had this value, and is dead; 0 = none. One that this rotation itself
        took and the provider did not accept yet is none: it may be given again."""
        mark = self.store.fingerprint(value)
        return next((version.number for version in self.store.history(self.record.secret.name)
                     if version.erased_at and version.fingerprint == mark
                     and not (version.label and version.label in self.rotation.labels)), 0)

    @property
    def request(self) -> Request:
        """What the issuer is told in this round."""
        return self.labelled(self.rotation.label)

    def labelled(self, label: str) -> Request:
        """The same with the label of another round."""
        old, refresh = self.record.version(self.rotation.old_version), self.record.refresh_token
        return self.outfit.request(
            self.record.secret.name, label, old=self.value(self.rotation.old_version),
            old_handle=old.handle if old else "", supplied=self.supplied,
            refresh=self.value(refresh.number) if refresh else None,
        )

    def handover(self, *, forward: bool | None = None) -> Handover | None:
        """From which value to which; None when the target value is gone."""
        ahead = self.rotation.state not in BACKWARDS if forward is None else forward
        new, old = self.rotation.new_version, self.rotation.old_version
        if not ahead:
            new, old = old, new
        value = self.value(new)
        secret = self.record.secret
        if value is None:
            return None
        written = [ack.at for ack in self.record.acks if ack.version == new and ack.target in self.outfit.injectors]
        return Handover(secret.name, secret.provider, secret.kind.value, value, new, self.value(old),
                        max(written, default=0.0))


GONE = Reply(Outcome.REFUSED, "the value to hand over is no longer in the store")
