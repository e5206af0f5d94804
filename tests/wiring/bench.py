"""A workshop over a store in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawsecrets.config import find_paths, parse
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change
from clawsecrets.wiring import Workshop
from tests.fakes import FakeClock, MemoryStore

PROVIDERS = Path(__file__).parent.parent / "data" / "providers"
PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)


def secret(name: str, provider: str = "generic", kind: Kind = Kind.OTHER, **more: Any) -> Secret:
    return Secret(name, provider, kind, 0.0, **more)


@dataclass
class Bench:
    """`text` is the configuration; the test providers (acme, ...) are there."""

    text: str
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.config = parse(f'providers_dirs = ["{PROVIDERS}"]\n{self.text}', "c.toml", PATHS)
        self.shop = Workshop(self.config, PATHS, lambda: self.store, self.clock)

    def put(self, kept: Secret, value: str) -> Record:
        """Keep a secret with one current version."""
        record = Record(kept, (Version(1, Stage.CURRENT, 0.0),), last_number=1)
        change = Change(record, AuditEvent(0.0, "test", "secret.set", kept.name), {1: SecretValue(value)})
        return self.store.commit([change])[0]
