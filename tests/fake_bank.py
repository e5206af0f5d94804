"""The books of the fake provider: credentials, faults and counts. The server is tests/fake_provider.py."""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ADMIN = "acme-admin-5f1c0ffee5f1c0ffee"
PREFIX = {"acme": "acme_live_", "rollco": "rollco_", "selfroll": "selfroll_"}


@dataclass
class Credential:
    """One that was ever made. `alive` is what the provider would accept."""

    style: str
    handle: str
    value: str
    label: str
    alive: bool = True


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of `operation` (-1: all).

    `how`: reset (TCP reset), close (orderly close without an answer), hang (holds for `seconds` or until released,
    then closes), slow (waits `seconds`, then answers), drip (headers, then a byte each 0.2 s for `seconds`),
    status (answers `status` with `headers`), garbage (200 with bytes that are no JSON), exit (the server process
    dies at once). `when` is before or after acting. slow and drip after acting are the real answer, late.
    """

    operation: str
    how: str
    when: str = "before"
    times: int = 1
    status: int = 500
    seconds: float = 30.0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


class Bank:
    """The provider's books: credentials, faults and counts, under one lock, kept in a file if one is given."""

    def __init__(self, state: Path | None = None, admin: str = ADMIN) -> None:
        self.lock = threading.RLock()
        self.admin, self.state_file = admin, state
        self.credentials: list[Credential] = []
        self.calls: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.release = threading.Event()
        self.holding = 0
        self.settings: dict[str, Any] = {"readback": True, "page_size": 100}
        if state is not None and state.exists():
            saved = json.loads(state.read_text())
            self.credentials = [Credential(**item) for item in saved["credentials"]]
            self.calls.update(saved["calls"])
            self.settings.update(saved["settings"])

    def save(self) -> None:
        if self.state_file is None:
            return
        new = self.state_file.with_suffix(".new")
        new.write_text(json.dumps(self.snapshot()))
        new.replace(self.state_file)

    def snapshot(self) -> dict[str, Any]:
        with self.lock:
            return {
                "credentials": [asdict(item) for item in self.credentials],
                "calls": dict(self.calls),
                "faults": [asdict(item) for item in self.faults],
                "holding": self.holding,
                "settings": self.settings,
            }

    def make(self, style: str, label: str) -> Credential:
        with self.lock:
            number = len(self.credentials) + 1
            made = Credential(style, f"{style}-{number}", PREFIX[style] + secrets.token_hex(16), label)
            self.credentials.append(made)
            self.save()
            return made

    def roll(self, style: str, label: str) -> Credential:
        with self.lock:
            for item in self.credentials:
                item.alive = item.alive and item.style != style
            return self.make(style, label)

    def kill(self, handle: str) -> bool:
        with self.lock:
            hit = [item for item in self.credentials if item.handle == handle and item.alive]
            for item in hit:
                item.alive = False
            self.save()
            return bool(hit)

    def alive(self, style: str) -> list[Credential]:
        with self.lock:
            return [item for item in self.credentials if item.style == style and item.alive]

    def take_fault(self, operation: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.operation in (operation, "*") and fault.times != 0:
                    fault.times -= fault.times > 0
                    return fault
            return None

    def count(self, operation: str) -> None:
        with self.lock:
            self.calls[operation] += 1
            self.save()

    def control(self, order: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock:
            if "fault" in order:
                self.faults.append(Fault(**order["fault"]))
            if order.get("clear"):
                self.faults.clear()
                self.calls.clear()
            if order.get("release"):
                self.release.set()
                self.release = threading.Event()
            self.settings.update(order.get("set", {}))
            if "seed" in order:
                return asdict(self.make(order["seed"]["style"], order["seed"].get("label", "by-hand")))
            return {}
