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
PREFIX = {"acme": "acme_live_", "rollco": "rollco_", "selfroll": "selfroll_", "refresher": "refresher_",
          "refresher-once": "refonce_", "pairco": "pairco_"}
SLOTS = ("one", "two")
"""The slots of pairco. A credential's label is its slot."""
MOST_ACTIVE = 2
"""Live values of one family at `refresher`: one more ends the oldest."""


@dataclass
class Credential:
    """One that was ever made. `alive` is what the provider would accept."""

    style: str
    handle: str
    value: str
    label: str
    alive: bool = True
    family: str = ""
    """What was made from one authorization (refresher, refresher-once)."""
    refresh: str = ""
    """The refresh token that was given out with it."""


@dataclass
class Token:
    """A refresh token: for one use."""

    style: str
    family: str
    value: str
    uses: int = 0
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
        self.tokens: list[Token] = []
        self.settings: dict[str, Any] = {"readback": True, "page_size": 100, "grace_uses": 5}
        if state is not None and state.exists():
            saved = json.loads(state.read_text())
            self.credentials = [Credential(**item) for item in saved["credentials"]]
            self.tokens = [Token(**item) for item in saved["tokens"]]
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
                "tokens": [asdict(item) for item in self.tokens],
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

    def fill(self, slot: str) -> Credential:
        """A new value in a slot of pairco; what stood in it is dead."""
        with self.lock:
            self.empty(slot)
            return self.make("pairco", slot)

    def empty(self, slot: str) -> None:
        """End what stands in a slot of pairco."""
        with self.lock:
            for item in self.alive("pairco"):
                item.alive = item.alive and item.label != slot
            self.save()

    def authorize(self, style: str, label: str) -> Credential:
        """A person's consent: the first value and the first refresh token of a family."""
        with self.lock:
            return self._pair(style, f"family-{len(self.tokens) + 1}", label)

    def _pair(self, style: str, family: str, label: str) -> Credential:
        made = self.make(style, label)
        token = Token(style, family, f"once_{secrets.token_hex(16)}")
        self.tokens.append(token)
        made.family, made.refresh = family, token.value
        self.save()
        return made

    def exchange(self, style: str, given: str) -> Credential | None:
        """Use a refresh token; None = it is not accepted.

        refresher: a used one is good for `grace_uses` more, and the older values live on, two at most. refresher-once:
        a use ends the older value, and a second use ends everything of its family; it is counted as `reused`.
        """
        with self.lock:
            token = next((item for item in self.tokens if item.style == style and item.value == given), None)
            if token is None or not token.alive:
                return None
            token.uses += 1
            family = [item for item in self.credentials if item.family == token.family and item.alive]
            if style == "refresher-once":
                for item in family:
                    item.alive = False
                if token.uses > 1:
                    self.calls["reused"] += 1
                    for other in self.tokens:
                        other.alive = other.alive and other.family != token.family
                    return None
            elif token.uses > 1 + self.settings["grace_uses"]:
                return None
            elif len(family) >= MOST_ACTIVE:
                family[0].alive = False
            return self._pair(style, token.family, "refreshed")

    def kill_value(self, style: str, value: str) -> bool:
        """End one value."""
        with self.lock:
            found = next((item.handle for item in self.alive(style) if item.value == value), "")
            return bool(found) and self.kill(found)

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
            if "end" in order:
                self.kill_value(order["end"]["style"], order["end"]["value"])
            if order.get("clear"):
                self.faults.clear()
                self.calls.clear()
            if order.get("release"):
                self.release.set()
                self.release = threading.Event()
            self.settings.update(order.get("set", {}))
            if "seed" in order:
                style, label = order["seed"]["style"], order["seed"].get("label", "by-hand")
                if style == "pairco":  # both slots are filled; the first is the one in use
                    self.fill(SLOTS[1])
                    return asdict(self.fill(SLOTS[0]))
                refreshed = style.startswith("refresher")
                return asdict(self.authorize(style, label) if refreshed else self.make(style, label))
            return {}
