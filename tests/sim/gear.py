"""What acts in the simulated world: its issuer, files and consumers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Secret, SecretValue
from clawsecrets.ports import Consumer, Entry, Handover, Injector, Issuer, Listed, Refresher, Reply, Request, Slots
from clawsecrets.rotate.gear import Outfit
from tests.sim.world import NAME, World

GRACE = 120.0
OTHER = {"one": "two", "two": "one"}
"""The slots of strategy alternate."""


class _Issuer:
    def __init__(self, world: World) -> None:
        self.w = world

    def can(self, operation: str) -> bool:
        return operation != "list" or not ("blind" in self.w.traits or self.w.strategy == "alternate")

    def create(self, request: Request) -> Reply:
        if self.w.strategy == "assisted":
            given = request.supplied
            if given is None:
                return Reply(Outcome.LATER, "make one", person=True)
            handle = next((h for h, (v, _) in self.w.live.items() if v == given.reveal()), "")
            return self.w.act("obtain", lambda: Reply(Outcome.OK, value=given, handle=handle))
        if self.w.strategy == "self-issued":
            return self.w.act("create", lambda: Reply(Outcome.OK, value=SecretValue(f"s{next(self.w.counter)}")))
        if self.w.strategy == "alternate":
            return self.w.act("create", lambda: self._filled(request))
        return self.w.act("create", lambda: self._made(request))

    def _filled(self, request: Request) -> Reply:
        slot = OTHER[request.old_handle]
        return Reply(Outcome.OK, value=SecretValue(self.w.fill(slot)), handle=slot)

    def _made(self, request: Request) -> Reply:
        old = request.old.reveal() if request.old else b""
        if "selfauth" in self.w.traits and old not in self.w.live_values:
            return Reply(Outcome.REFUSED, "the old one is dead")
        value = self.w.mint(request.label)
        handle = next(h for h, (v, _) in self.w.live.items() if v == value)
        return Reply(Outcome.OK, value=SecretValue(value), handle=handle)

    def recover(self, request: Request) -> Reply:
        def read() -> Reply:
            if "no-readback" in self.w.traits:
                return Reply(Outcome.REFUSED, "no read-back")
            handle, (value, _) = next(iter(self.w.live.items()))
            return Reply(Outcome.OK, value=SecretValue(value), handle=handle)

        return self.w.act("recover", read)

    def recreate(self, request: Request) -> Reply:
        if "selfauth" in self.w.traits:
            return self.w.act("recreate", lambda: Reply(Outcome.REFUSED, "only the old one could, and it is dead"))
        return self.w.act("recreate", lambda: self._made(request))

    def test(self, value: SecretValue, request: Request) -> Reply:
        if self.w.strategy == "self-issued":
            return Reply(Outcome.OK, untestable=True)

        def ask() -> Reply:
            return Reply(Outcome.OK if value.reveal() in self.w.live_values else Outcome.REFUSED, "test")

        return self.w.act("test", ask)

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        def kill() -> Reply:
            if "undying" in self.w.traits:
                return Reply(Outcome.REFUSED, "you may not")
            self.w.kill(handle or self.w.handle_of(value))
            return Reply(Outcome.OK)

        return self.w.act("revoke", kill)

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        found: list[Listed] = []

        def look() -> Reply:
            if "blind" in self.w.traits:
                return Reply(Outcome.REFUSED, f"it cannot list: look for {request.label}")
            found.extend(Listed(h, label) for h, (_, label) in self.w.live.items() if label == request.label)
            return Reply(Outcome.OK)

        reply = self.w.act("find", look)
        return reply, found if reply.outcome is Outcome.OK else []

    def explain(self, request: Request) -> Sequence[str]:
        return ["make one"]

    def describe(self, operation: str, request: Request) -> str:
        return operation


class _Refresher:
    """A provider with single-use refresh tokens. Trait `deadly`: a refresh ends the old value, and a spent refresh
    token used again ends everything; `silent`: the same, but the old value lives on, so that nothing tells."""

    def __init__(self, world: World) -> None:
        self.w = world

    def refresh(self, request: Request) -> Reply:
        return self.w.act("refresh", lambda: self._made(request))

    def _made(self, request: Request) -> Reply:
        given = request.refresh.reveal() if request.refresh else b""
        pair = self.w.exchange(given)
        if pair is None:
            return Reply(Outcome.REFUSED, "that refresh token is dead")
        return Reply(Outcome.OK, value=SecretValue(pair[0]), refresh=SecretValue(pair[1]),
                     expires_at=self.w.clock.now() + 43200.0)

    def ask_again(self, request: Request) -> Reply:
        def ask() -> Reply:
            if self.w.deadly and "silent" not in self.w.traits and request.old is not None:
                alive = request.old.reveal() in self.w.live_values
                return Reply(Outcome.OK, proof="lives") if alive else Reply(Outcome.REFUSED, "it may be spent")
            return Reply(Outcome.REFUSED, "it may be spent") if self.w.deadly else Reply(Outcome.OK)

        return self.w.act("ask", ask)

    def reauthorize(self, request: Request) -> Reply:
        given = request.supplied
        if given is None:
            return Reply(Outcome.LATER, "authorize anew", person=True)
        return self.w.act("reauthorize", lambda: Reply(Outcome.OK, refresh=given))


class _Slots:
    """Which slot holds what. That nobody is seen using the idle one says nothing."""

    def __init__(self, world: World) -> None:
        self.w = world

    def locate(self, request: Request) -> Reply:
        def look() -> Reply:
            handle = self.w.handle_of(request.old)
            return Reply(Outcome.OK, handle=handle) if handle else Reply(Outcome.REFUSED, "no slot holds it")

        return self.w.act("locate", look)

    def idle(self, request: Request) -> Reply:
        return self.w.act("idle", lambda: Reply(Outcome.OK, handle=OTHER[request.old_handle]))


class _File:
    target = "file"

    def __init__(self, world: World) -> None:
        self.w = world

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        def write() -> Reply:
            self.w.target = {entry.name: entry.value.reveal() for entry in entries}
            return Reply(Outcome.OK)

        return self.w.act("deliver", write)

    def could(self, entries: Sequence[Entry]) -> Reply:
        return Reply(self.w.carries)

    def remove(self, names: object) -> Reply:
        return Reply(Outcome.OK)

    def holds(self, entry: Entry) -> bool | None:
        if self.w.unseen:
            return None
        if self.w.spoiled:
            self.w.spoiled -= 1
            self.w.target[NAME] = self.w.old
        return self.w.target.get(entry.name) == entry.value.reveal()

    def preflight(self) -> Reply:
        return self.w.act("preflight", lambda: Reply(Outcome.OK))

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        return []

    def describe(self) -> str:
        return "file"


class _App:
    """Uses what the file holds since its last reload; self-issued: accepts that and nothing else, and lets only in
    who knows the value that it accepts."""

    target = "app"
    reads: tuple[str, ...] = ()

    def __init__(self, world: World) -> None:
        self.w = world

    @property
    def validates(self) -> bool:
        return self.w.strategy == "self-issued"

    def reload(self, handover: Handover) -> Reply:
        def read() -> Reply:
            known = [value.reveal() for value in (handover.old, handover.new) if value is not None]
            if self.validates and self.w.accepts not in known:
                return Reply(Outcome.REFUSED, "it does not let us in")
            self.w.used = self.w.target[NAME]
            if self.validates:
                self.w.accepts = self.w.used
            return Reply(Outcome.OK)

        return self.w.act("reload", read)

    def probe(self, handover: Handover) -> Reply:
        def ask() -> Reply:
            if self.w.accepts == handover.new.reveal():
                return Reply(Outcome.OK)
            if handover.old is not None and self.w.accepts == handover.old.reveal():
                return Reply(Outcome.REFUSED, "old")
            return Reply(Outcome.LATER, "neither")

        return self.w.act("probe", ask)

    def prove(self, handover: Handover) -> Reply:
        def look() -> Reply:
            if "unproven" in self.w.traits:
                return Reply(Outcome.LATER, "it cannot show it", person=True)
            used = self.w.used == handover.new.reveal()
            return Reply(Outcome.OK if used else Outcome.REFUSED, proof="seen")

        return self.w.act("prove", look)

    def preflight(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK)

    def describe(self) -> str:
        return "app"


class WorldGear:
    """Outfits of the simulated world."""

    def __init__(self, world: World) -> None:
        self.w = world

    def is_admin(self, secret: Secret) -> bool:
        return False

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        file, app, issuer = _File(self.w), _App(self.w), _Issuer(self.w)
        return Outfit(
            strategy or self.w.strategy, issuer, RotationPolicy(interval=1.0, grace=GRACE), {"file": file},
            {"app": app}, refresher=_Refresher(self.w) if self.w.strategy == "refresh" else None,
            slots=_Slots(self.w) if self.w.strategy == "alternate" else None,
            tests_elsewhere=self.w.strategy == "self-issued",
        )


if TYPE_CHECKING:

    def _conforms(issuer: _Issuer, refresher: _Refresher, slots: _Slots, file: _File,
                  app: _App) -> tuple[Issuer, Refresher, Slots, Injector, Consumer]:
        return issuer, refresher, slots, file, app
