"""What the engine is given for one secret: its issuer, targets, policy. The wiring builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from clawsecrets.model.hosts import own_name
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Secret, SecretValue
from clawsecrets.ports import Consumer, Injector, Issuer, Refresher, Reply, Request, Shadows, Slots


def _no_admin() -> SecretValue | None:
    return None


def _admin_fine() -> Reply:
    return Reply(Outcome.OK, "no admin credential is needed")


@dataclass(frozen=True)
class Outfit:
    """Everything that acts for one secret on this host. `policy` leaves nothing open."""

    strategy: str
    issuer: Issuer
    policy: RotationPolicy
    injectors: Mapping[str, Injector] = field(default_factory=dict)
    """Targets of this host, by the name that the secret's record uses."""
    consumers: Mapping[str, Consumer] = field(default_factory=dict)
    admin: Callable[[], SecretValue | None] = _no_admin
    admin_test: Callable[[], Reply] = _admin_fine
    """Does the provider still accept the admin credential?"""
    options: Mapping[str, str] = field(default_factory=dict)
    lacking: str = ""
    """Why its provider could not be asked at all, and what mends it; empty: it can."""
    refresher: Refresher | None = None
    """Who exchanges the refresh token (strategy refresh)."""
    slots: Slots | None = None
    """Who knows the two slots (strategy alternate)."""
    tests_elsewhere: bool = False
    """The consumers validate the value (self-issued), the issuer cannot."""
    shadows: Shadows | None = None
    """Who looks for places that hold the old value still; None: nobody."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Targets whose host only the configuration says -> that host (others say it themselves: `name@host`)."""

    def request(self, secret: str, label: str, *, old: SecretValue | None = None, old_handle: str = "",
                supplied: SecretValue | None = None, refresh: SecretValue | None = None) -> Request:
        """What the issuer is told."""
        return Request(secret, label, old, old_handle, self.admin(), self.options, supplied, refresh)

    @property
    def staged(self) -> frozenset[str]:
        """Injectors of the secret that the validating consumers read: they are served the staged value (self-issued).
        A consumer names what it reads as the configuration does, without a host."""
        return frozenset(target for target in self.injectors for consumer in self.consumers.values()
                         if consumer.validates and (not consumer.reads or own_name(target) in consumer.reads))

    def unvalidated(self, name: str) -> str:
        """Why nobody here could say which value of a self-issued secret is in effect, as it is bound, and what mends
        it; empty: somebody could, or its issuer can."""
        validators = {target: consumer for target, consumer in self.consumers.items() if consumer.validates}
        if not self.tests_elsewhere or self.staged:
            return ""
        if not validators:
            return ("its values are made here, and no consumer bound to it can say which one it accepts: bind one "
                    f"that can (README, \"Values that are made here\"): clawsecrets configure {name} --inject TARGET "
                    f"--consume TARGET; or make each new value yourself: clawsecrets configure {name} "
                    "--strategy assisted")
        reads = dict.fromkeys(read for consumer in validators.values() for read in consumer.reads)
        which = ", ".join(validators)
        return (f"{which} accepts or refuses it, and reads none of its targets: clawsecrets configure {name} --inject "
                f"{next(iter(reads), 'TARGET')}")


class Gear(Protocol):
    """Builds outfits. ConfigError when the secret names a target or provider that this host does not know."""

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        """The outfit; `strategy` of an unfinished rotation wins over what would be chosen now."""

    def is_admin(self, secret: Secret) -> bool:
        """Whether it may create or revoke others, by its kind or by name: such a one is never delivered."""
