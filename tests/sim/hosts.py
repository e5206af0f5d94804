"""Several hosts on one store, in a simulated world: two secrets in one file on each host, an app that reads it there,
one provider. Every effect and commit is a point, at which the process may be killed, or another one may run meanwhile.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from clawsecrets.errors import ClawError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.hosts import host_of
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, Rotation, State
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Entry, Handover, Listed, Reply, Request, Store
from clawsecrets.rotate.engine import Engine
from clawsecrets.rotate.gear import Outfit
from clawsecrets.rotate.ledger import Ledger
from clawsecrets.rotate.order import Order, Settings
from clawsecrets.rotate.sync import Sync, Synced
from tests.fakes import FakeClock, MemoryStore, Quiet
from tests.sim.checks import Broken
from tests.sim.world import Kill

NAMES = ("k1", "k2")
LEASE = 90.0


@dataclass
class Side:
    """One host: what its file holds, what its app uses."""

    name: str
    file: dict[str, bytes] = field(default_factory=dict)
    used: dict[str, bytes] = field(default_factory=dict)
    stubborn: bool = False
    """Its app goes on with what it has, whatever it is told."""
    full: bool = False
    """Its file cannot carry a new value."""
    mute: bool = False
    """Its app has no means to show what it uses."""
    down: bool = False
    """Its app does not answer."""
    validates: bool = False
    """Its app is the one that accepts or refuses a self-issued value."""

    def restart(self) -> None:
        """The app reads its file."""
        if not self.stubborn:
            self.used = dict(self.file)


class Hosts:
    """The world. `kill`: points at which the process at work is killed; `meanwhile`: point -> what runs in between."""

    def __init__(self, hosts: Sequence[str] = ("a", "b"), names: Sequence[str] = NAMES,
                 strategy: str = "overlap", store: Store | None = None) -> None:
        self.strategy = strategy
        self.clock = FakeClock()
        self.point = 0
        self.kill: set[int] = set()
        self.meanwhile: dict[int, tuple[str, Callable[[], object]]] = {}
        self.at_work: list[str] = []
        """Hosts whose process is asleep in the middle of something. Nothing else runs there then: a process that sleeps
        exactly between its last look and its write to a file cannot be fenced, only looked after (it looks again)."""
        self.trace: list[str] = []
        self.ids, self.counter = itertools.count(1), itertools.count(1)
        self.live: dict[str, tuple[bytes, str]] = {}
        self.sides = {name: Side(name) for name in hosts}
        self.reloads = dict.fromkeys(hosts, 0)
        self.armed, self.depth = False, 0
        self.holder = ""
        self.left_behind: set[str] = set()
        """Hosts that a person has ordered not to wait for."""
        self.memory = MemoryStore(self.clock, self._at)
        self.store: Store = store or self.memory
        for name in names:
            self._first(name)
        for side in self.sides.values():
            side.file = {name: self.current(name) for name in names}
            side.restart()
        for host in hosts:
            self.sync(host)
        self.reloads = dict.fromkeys(hosts, 0)
        self.armed = True

    def _first(self, name: str) -> None:
        injectors, consumers = ([f"{kind}@{host}" for host in self.sides] for kind in ("file", "app"))
        secret = Secret(name, "acme", Kind.API_KEY, self.clock.now(), injectors=tuple(injectors),
                        consumers=tuple(consumers))
        value = SecretValue(self.mint(""))
        handle = next(handle for handle, (held, _) in self.live.items() if held == value.reveal())
        version = Version(1, Stage.CURRENT, self.clock.now(), self.store.fingerprint(value), handle)
        self.store.commit([Change(Record(secret).put_current(version), AuditEvent(0, "t", "secret.set", name),
                                  {1: value})])

    def mint(self, label: str) -> bytes:
        number = next(self.counter)
        self.live[f"h{number}"] = (f"v{number}".encode(), label)
        return f"v{number}".encode()

    def current(self, name: str) -> bytes:
        """The value that the store serves."""
        current = self.store.load(name).current
        assert current is not None
        return self.store.value(name, current.number).reveal()

    @property
    def live_values(self) -> set[bytes]:
        return {value for value, _ in self.live.values()}

    # --- points -----------------------------------------------------------------------------------------------------

    def _at(self, what: str) -> None:
        """One point: another process may run, this one may be killed."""
        if not self.armed:
            return
        self.point += 1
        self.trace.append(f"{self.point}:{what}{'!' if self.point in self.kill else ''}")
        host, other = self.meanwhile.pop(self.point, ("", None))
        if other is not None and self.depth < 2 and host not in (*self.at_work, self.holder.partition('/')[0]):
            mine, self.depth = self.holder, self.depth + 1
            self.at_work.append(mine.partition("/")[0])
            other()
            self.at_work.pop()
            self.holder, self.depth = mine, self.depth - 1
        if self.point in self.kill:
            self.memory.dead.add(self.holder)
            raise Kill
        self.check()

    def act(self, what: str, effect: Callable[[], Reply]) -> Reply:
        """One effect between two points."""
        self._at(f"{what}?")
        reply = effect()
        self.check()
        self._at(what)
        return reply

    def check(self) -> None:
        """No outage, on any host, now or at the next restart of its app; and nothing that lives is lost."""
        for name in self.store.names() if self.strategy == "overlap" else ():
            if self.current(name) not in self.live_values:
                raise Broken(f"the current value of {name} is dead; {self.trace}")
            for side in (side for side in self.sides.values() if side.name not in self.left_behind):
                for who, held in (("file", side.file[name]), ("app", side.used[name])):
                    if held not in self.live_values:
                        raise Broken(f"outage: the {who} on {side.name} holds a dead value of {name}; {self.trace}")

    # --- processes --------------------------------------------------------------------------------------------------

    def engine(self, host: str) -> Engine:
        """A new process on a host."""
        self.holder = f"{host}/{next(self.ids)}"
        settings = Settings(lease=LEASE, actor=host, holder=self.holder, patience=0.0, queue=0.0)
        return Engine(self.store, HostGear(self, host), self.clock, Quiet(), lambda: f"rot{next(self.ids)}", settings)

    def run(self, work: Callable[[], object]) -> None:
        """A command, which may be killed, refused, or find another at work."""
        holder = self.holder
        with suppress(Kill, ClawError):
            work()
        self.holder = holder

    def rotate(self, host: str, name: str) -> Record:
        return self.engine(host).rotate(name, Order()).record

    def abort(self, host: str, name: str) -> Record:
        return self.engine(host).abort(name).record

    def resume(self, host: str, name: str) -> Record:
        return self.engine(host).resume(name).record

    def sync(self, host: str) -> Sequence[Synced]:
        engine = self.engine(host)
        return Sync(self.store, HostGear(self, host), engine, self.clock, host, host_of, host, self.holder, LEASE).run()

    def pay(self, name: str) -> None:
        self.holder = f"ledger/{next(self.ids)}"
        Ledger(self.store, HostGear(self, "a"), self.clock, "sim", self.holder).work(name, force=True)

    def heal(self, lead: str = "a") -> None:
        """No more faults: every host is there, its daemon looks, and one leads, until everything has ended."""
        self.kill, self.meanwhile = set(), {}
        for _ in range(40):
            self.clock.sleep(LEASE + 31.0)
            for host in self.sides:
                self.sync(host)
            unfinished = [name for name in self.store.names() if self.store.load(name).rotating]
            if not unfinished:
                break
            for name in unfinished:
                stuck = self.rotation(name).state is State.STUCK
                (self.resume if stuck else self.rotate)(lead, name)
        for name in self.store.names():
            self.pay(name)
        for host in self.sides:
            self.sync(host)

    def rotation(self, name: str) -> Rotation:
        rotation = self.store.load(name).rotation
        assert rotation is not None
        return rotation

    def check_end(self) -> None:
        """Everything has ended: each secret has one live credential, and every host uses it."""
        self.check()
        for name in self.store.names():
            record = self.store.load(name)
            if record.rotating:
                raise Broken(f"{name} has not ended: {self.rotation(name).state} {self.rotation(name).note}; "
                             f"{self.trace}")
            if record.debts:
                raise Broken(f"{name} owes {record.debts}")
            for side in self.sides.values():
                if side.file[name] != self.current(name) or (side.used[name] != self.current(name)):
                    raise Broken(f"{side.name} has another value of {name} than is current; {self.trace}")
        if self.live_values != {self.current(name) for name in self.store.names()}:
            raise Broken(f"orphans: {self.live_values}; {self.trace}")


class HostGear:
    """Outfits of one host."""

    def __init__(self, world: Hosts, host: str) -> None:
        self.w, self.side = world, world.sides[host]

    def is_admin(self, secret: Secret) -> bool:
        return False

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        file, app = f"file@{self.side.name}", f"app@{self.side.name}"
        return Outfit(strategy or self.w.strategy, _Issuer(self.w), RotationPolicy(interval=1.0, grace=0.0),
                      {file: _File(self.w, self.side)} if file in secret.injectors else {},
                      {app: _App(self.w, self.side)} if app in secret.consumers else {},
                      tests_elsewhere=self.w.strategy == "self-issued")


class _Issuer:
    def __init__(self, world: Hosts) -> None:
        self.w = world

    def can(self, operation: str) -> bool:
        return True

    def create(self, request: Request) -> Reply:
        def make() -> Reply:
            value = self.w.mint(request.label)
            handle = next(handle for handle, (held, _) in self.w.live.items() if held == value)
            return Reply(Outcome.OK, value=SecretValue(value), handle=handle)

        return self.w.act(f"create {request.secret}", make)

    recover = recreate = create

    def test(self, value: SecretValue, request: Request) -> Reply:
        return Reply(Outcome.OK if value.reveal() in self.w.live_values else Outcome.REFUSED)

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        def kill() -> Reply:
            self.w.live.pop(handle, None)
            return Reply(Outcome.OK)

        return self.w.act(f"revoke {handle}", kill)

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        found = [Listed(handle, label) for handle, (_, label) in self.w.live.items() if label == request.label]
        return Reply(Outcome.OK), found

    def explain(self, request: Request) -> Sequence[str]:
        return []

    def describe(self, operation: str, request: Request) -> str:
        return operation


class _File:
    def __init__(self, world: Hosts, side: Side) -> None:
        self.w, self.side, self.target = world, side, f"file@{side.name}"

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        def write() -> Reply:
            wanted = {entry.name: entry.value.reveal() for entry in entries}
            if self.side.full and wanted != self.side.file:
                return Reply(Outcome.REFUSED, "it cannot carry that")
            self.side.file = wanted
            return Reply(Outcome.OK)

        return self.w.act(f"write {self.target} {[(e.name, e.version) for e in entries]}", write)

    def could(self, entries: Sequence[Entry]) -> Reply:
        return Reply(Outcome.OK)

    def remove(self, bound: Mapping[str, str]) -> Reply:
        return Reply(Outcome.OK)

    def holds(self, entry: Entry) -> bool | None:
        return self.side.file.get(entry.name) == entry.value.reveal()

    def preflight(self) -> Reply:
        return Reply(Outcome.OK)

    def exposed(self, names: Sequence[str]) -> Sequence[str]:
        return []

    def describe(self) -> str:
        return self.target


class _App:
    reads: tuple[str, ...] = ()

    def __init__(self, world: Hosts, side: Side) -> None:
        self.w, self.side, self.target, self.validates = world, side, f"app@{side.name}", side.validates

    def reload(self, handover: Handover) -> Reply:
        def read() -> Reply:
            self.w.reloads[self.side.name] += 1
            self.side.restart()
            return Reply(Outcome.OK)

        return self.w.act(f"reload {self.target}", read)

    def probe(self, handover: Handover) -> Reply:
        if self.side.used[handover.name] == handover.new.reveal():
            return Reply(Outcome.OK)
        return Reply(Outcome.REFUSED, "the old one")

    def prove(self, handover: Handover) -> Reply:
        if self.side.mute:
            return Reply(Outcome.LATER, "it cannot show it", person=True)
        if self.side.down:
            return Reply(Outcome.LATER, "it does not answer")
        used = self.side.used[handover.name] == handover.new.reveal()
        return Reply(Outcome.OK, proof="seen") if used else Reply(Outcome.REFUSED, "it uses another one")

    def preflight(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK)

    def describe(self) -> str:
        return self.target
