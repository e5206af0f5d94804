"""An admin credential reaches no target, whatever its record says: when a neighbour of the target is delivered, too."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.rotate.delivery import entries_for
from clawsecrets.rotate.gear import Outfit
from tests.fakes import FakeClock, MemoryStore


@dataclass
class Named:
    """Gear that knows admins by name, as the configuration does."""

    admins: frozenset[str]

    def is_admin(self, secret: Secret) -> bool:
        return secret.name in self.admins

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        raise AssertionError("nothing rotates here")


@pytest.mark.parametrize(("admins", "held"), [((), ["key", "my-admin"]), (("my-admin",), ["key"])])
def test_an_admin_by_name_is_left_out_of_its_neighbours_delivery(admins: tuple[str, ...], held: list[str]) -> None:
    store = MemoryStore(FakeClock())
    for name in ("key", "my-admin"):
        record = Record(Secret(name, "generic", Kind.OTHER, 1.0, injectors=("file",)))
        record = record.put_current(Version(1, Stage.CURRENT, 1.0))
        store.commit([Change(record, AuditEvent(1.0, "t", "secret.set", name), {1: SecretValue(f"v-{name}")})])
    found = entries_for(store, Named(frozenset(admins)), "file")
    assert [entry.name for entry in found] == held
