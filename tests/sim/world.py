"""A small world to rotate in: a provider, a target, consumers, and a script of faults.

Every call on a port and every commit is a numbered point. A fault is what happens at a point:
  before   killed before the effect           after    killed after the effect, before its answer is known
  lost     it happens, the answer is UNKNOWN   nothing  it does not happen, the answer is UNKNOWN
  refuse   it does not happen: REFUSED         later    it does not happen: LATER
At every point the invariants that hold always are checked; `check_end` checks those of the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import FINAL, Outcome, State
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Consumer, Entry, Handover, Injector, Issuer, Listed, Reply, Request
from clawsecrets.rotate.engine import Engine, Order, Settings
from clawsecrets.rotate.gear import Outfit
from clawsecrets.rotate.ledger import Ledger
from tests.fakes import FakeClock, MemoryStore, Quiet

NAME = "acme"
CRASHES = ("before", "after")
FAULTS = (*CRASHES, "lost", "nothing", "refuse", "later")


class Kill(BaseException):
    """SIGKILL."""


class Broken(AssertionError):
    """An invariant does not hold."""


@dataclass
class World:
    """One secret with its provider, one target and one consumer."""

    strategy: str
    faults: Mapping[int, str] = field(default_factory=dict)
    compromised: bool = False
    readback: bool = True
    """cut-over: the provider can read the value back."""

    def __post_init__(self) -> None:
        self.point = 0
        self.trace: list[str] = []
        self.clock = FakeClock()
        self.live: dict[str, tuple[bytes, str]] = {}
        self.killed_by_us: set[bytes] = set()
        self.counter = itertools.count(1)
        self.ids = itertools.count(1)
        self.target: dict[str, bytes] = {}
        self.used = b""
        self.accepts = b""
        self.person: list[bytes] = []
        self.store = MemoryStore(self.clock, self._commit_point)
        self._start()

    # --- the beginning ---------------------------------------------------------------------------------------------

    def _start(self) -> None:
        value = self._mint("")
        handle = next(iter(self.live), "")
        if self.strategy == "self-issued":
            self.live.clear()
            handle, value = "", b"v-old"
        self.target, self.used, self.accepts = {NAME: value}, value, value
        self.old = value
        secret = Secret(NAME, "acme", Kind.API_KEY, self.clock.now(), injectors=("file",), consumers=("app",))
        secret_value = SecretValue(value)
        version = Version(1, Stage.CURRENT, self.clock.now(), self.store.fingerprint(secret_value), handle)
        record = Record(secret).put_current(version)
        self.faulty = False
        self.store.commit([Change(record, AuditEvent(0, "t", "secret.set", NAME), {1: secret_value})])
        self.faulty = True
        self.point = 0

    def _mint(self, label: str) -> bytes:
        number = next(self.counter)
        value = f"v{number}".encode()
        if self.strategy == "cut-over":
            self.live.clear()
        self.live[f"h{number}"] = (value, label)
        return value

    # --- points and faults -----------------------------------------------------------------------------------------

    def _fault(self, what: str) -> str:
        if not self.faulty:
            return ""
        self.point += 1
        fault = self.faults.get(self.point, "")
        self.trace.append(f"{self.point}:{what}{'!' + fault if fault else ''}")
        return fault

    def _commit_point(self, when: str) -> None:
        if when == "commit":
            self._pending_fault = self._fault("commit")
            if self._pending_fault == "before":
                raise Kill
        else:
            self.check_always()
            if self._pending_fault == "after":
                raise Kill

    def act(self, what: str, effect: Callable[[], Reply]) -> Reply:
        """One effect, with the fault of its point."""
        fault = self._fault(what)
        if fault == "before":
            raise Kill
        if fault in ("nothing", "refuse", "later"):
            outcome = {"nothing": Outcome.UNKNOWN, "refuse": Outcome.REFUSED, "later": Outcome.LATER}[fault]
            return Reply(outcome, fault)
        reply = effect()
        self.check_always()
        if fault == "after":
            raise Kill
        return Reply(Outcome.UNKNOWN, "lost") if fault == "lost" else reply

    # --- running ---------------------------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """A new process."""
        self.holder = f"p{next(self.ids)}"
        settings = Settings(actor="sim", holder=self.holder, patience=3600.0, queue=0.0)
        return Engine(self.store, _Gear(self), self.clock, Quiet(), lambda: f"rot{next(self.ids)}", settings)

    def run(self) -> Record:
        """Rotate; after each kill run the next ordinary command, until the rotation ends or waits for a person."""
        for _ in range(12):
            try:
                engine = self.engine()
                record = self.store.load(NAME)
                if record.rotation is not None and not record.rotating:
                    return record
                supplied = SecretValue(self.person_value()) if self.strategy == "assisted" else None
                engine.rotate(NAME, Order(compromised=self.compromised, supplied=supplied))
                record = self.store.load(NAME)
                if record.rotation is not None and (record.rotation.final or record.rotation.state is State.STUCK):
                    return record
            except Kill:
                self.store.dead.add(self.holder)
        return self.store.load(NAME)

    def person_value(self) -> bytes:
        """The person makes one key and pastes the same one until it is taken."""
        if not self.person or not any(self.person[-1] == value for value, _ in self.live.values()):
            self.person.append(self._mint("by-hand"))
        return self.person[-1]

    def unstick(self) -> Record:
        """A person resumes a stuck rotation in a world without faults, or aborts it where that is the way out."""
        self.faults = {}
        for _ in range(6):
            record = self.store.load(NAME)
            if record.rotation is None or record.rotation.final:
                break
            self.engine().resume(NAME)
        return self.store.load(NAME)

    def pay(self) -> None:
        """Work off the ledger without faults."""
        self.faults = {}
        Ledger(self.store, _Gear(self), self.clock, "sim", f"p{next(self.ids)}").work(NAME, force=True)

    # --- invariants ------------------------------------------------------------------------------------------------

    @property
    def live_values(self) -> set[bytes]:
        """What the provider accepts."""
        return {value for value, _ in self.live.values()}

    def check_always(self) -> None:
        """What holds at every instant."""
        record = self.store.load(NAME)
        current = record.current
        if current is None:
            raise Broken("there is no CURRENT")
        value = self.store.value(NAME, current.number).reveal()
        if self.strategy in ("overlap", "assisted"):
            for who, held in (("store", value), ("target", self.target[NAME]), ("consumer", self.used)):
                if held not in self.live_values:
                    raise Broken(f"outage: the {who} holds a dead value; {self.trace}")
        stored = {self.store.value(NAME, v.number).reveal() for v in record.versions if not v.erased_at}
        labels = {record.rotation.id} if record.rotating and record.rotation else set()
        for handle, (live, label) in self.live.items():
            owed = any(entry.handle == handle for entry in record.revocations)
            if live not in stored and label not in labels and label != "by-hand" and not owed \
                    and not self._readable(record):
                raise Broken(f"lost: {handle} lives and nobody knows it; {self.trace}")
        if self.strategy == "self-issued":
            if self.accepts not in stored:
                raise Broken(f"the consumer accepts a value that the store has lost; {self.trace}")

    def _readable(self, record: Record) -> bool:
        return self.strategy == "cut-over" and record.rotating

    def check_end(self, record: Record) -> None:
        """What holds when a rotation has ended or is stuck."""
        self.check_always()
        rotation, current = record.rotation, record.current
        if rotation is None or current is None:
            raise Broken("no rotation")
        value = self.store.value(NAME, current.number).reveal()
        if rotation.state not in FINAL:
            if rotation.state is not State.STUCK and not rotation.parked:
                raise Broken(f"it ended in the middle: {rotation.state}; {self.trace}")
            return
        alive = {self.accepts} if self.strategy == "self-issued" else self.live_values
        owed = {self.store.value(NAME, e.version).reveal() for e in record.revocations if e.version}
        owed |= {self.live[e.handle][0] for e in record.revocations if e.handle in self.live}
        person = set(self.person) if rotation.state in (State.ABORTED, State.ABORTED_OWED) else set()
        if alive - owed - person != {value}:
            raise Broken(f"{rotation.state}: live {alive}, current {value!r}, owed {owed}; {self.trace}")
        done = rotation.state in (State.DONE, State.DONE_OWED)
        if done and value == self.old or not done and value != self.old:
            raise Broken(f"{rotation.state} with the wrong value current; {self.trace}")
        if rotation.state is State.DONE and record.revocations and any(e.version for e in record.revocations):
            raise Broken("DONE but owing")
        if self.target[NAME] != value or self.used != value:
            raise Broken(f"{rotation.state}: target {self.target}, used {self.used!r}, current {value!r}; {self.trace}")
        if record.staged(Stage.PENDING) is not None:
            raise Broken(f"{rotation.state} with a PENDING left; {self.trace}")
        if problem := self.store.verify_log():
            raise Broken(problem)


class _Issuer:
    def __init__(self, world: World) -> None:
        self.w = world

    def can(self, operation: str) -> bool:
        return True

    def create(self, request: Request) -> Reply:
        if self.w.strategy == "assisted":
            if request.supplied is None:
                return Reply(Outcome.LATER, "make one", person=True)
            given = request.supplied
            handle = next((h for h, (v, _) in self.w.live.items() if v == given.reveal()), "")
            return self.w.act("obtain", lambda: Reply(Outcome.OK, value=given, handle=handle))
        if self.w.strategy == "self-issued":
            return self.w.act("create", lambda: Reply(Outcome.OK, value=SecretValue(f"s{next(self.w.counter)}")))
        return self.w.act("create", lambda: self._made(request))

    def _made(self, request: Request) -> Reply:
        value = self.w._mint(request.label)
        handle = next(h for h, (v, _) in self.w.live.items() if v == value)
        return Reply(Outcome.OK, value=SecretValue(value), handle=handle)

    def recover(self, request: Request) -> Reply:
        def read() -> Reply:
            if not self.w.readback:
                return Reply(Outcome.REFUSED, "no read-back")
            handle, (value, _) = next(iter(self.w.live.items()))
            return Reply(Outcome.OK, value=SecretValue(value), handle=handle)

        return self.w.act("recover", read)

    def recreate(self, request: Request) -> Reply:
        return self.w.act("recreate", lambda: self._made(request))

    def test(self, value: SecretValue, request: Request) -> Reply:
        if self.w.strategy == "self-issued":
            return Reply(Outcome.OK, untestable=True)
        ok = value.reveal() in self.w.live_values
        return self.w.act("test", lambda: Reply(Outcome.OK if ok else Outcome.REFUSED, "test"))

    def revoke(self, handle: str, value: SecretValue | None, request: Request) -> Reply:
        def kill() -> Reply:
            self.w.live.pop(handle, None)
            return Reply(Outcome.OK)

        return self.w.act("revoke", kill)

    def find(self, request: Request) -> tuple[Reply, Sequence[Listed]]:
        found: list[Listed] = []

        def look() -> Reply:
            found.extend(Listed(h, label) for h, (_, label) in self.w.live.items() if label == request.label)
            return Reply(Outcome.OK)

        reply = self.w.act("find", look)
        return reply, found if reply.outcome is Outcome.OK else []

    def explain(self, request: Request) -> Sequence[str]:
        return ["make one"]

    def describe(self, operation: str, request: Request) -> str:
        return operation


class _File:
    target = "file"

    def __init__(self, world: World) -> None:
        self.w = world

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        def write() -> Reply:
            self.w.target = {entry.name: entry.value.reveal() for entry in entries}
            return Reply(Outcome.OK)

        return self.w.act("deliver", write)

    def remove(self, names: object) -> Reply:
        return Reply(Outcome.OK)

    def holds(self, entry: Entry) -> bool | None:
        return self.w.target.get(entry.name) == entry.value.reveal()

    def preflight(self) -> Reply:
        return Reply(Outcome.OK)

    def describe(self) -> str:
        return "file"


class _App:
    """Uses what the file holds since its last reload; self-issued: accepts that and nothing else."""

    target = "app"
    reads: tuple[str, ...] = ()

    def __init__(self, world: World) -> None:
        self.w = world

    @property
    def validates(self) -> bool:
        return self.w.strategy == "self-issued"

    def reload(self, handover: Handover) -> Reply:
        def read() -> Reply:
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
        used = self.w.used == handover.new.reveal()
        return self.w.act("prove", lambda: Reply(Outcome.OK if used else Outcome.REFUSED, proof="seen"))

    def preflight(self, handover: Handover) -> Reply:
        return Reply(Outcome.OK)

    def describe(self) -> str:
        return "app"


class _Gear:
    def __init__(self, world: World) -> None:
        self.w = world

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        file, app, issuer = _File(self.w), _App(self.w), _Issuer(self.w)
        _conforms(issuer, file, app)
        return Outfit(
            strategy or self.w.strategy, issuer, RotationPolicy(interval=1.0, grace=60.0), {"file": file},
            {"app": app}, tests_elsewhere=self.w.strategy == "self-issued",
        )


def _conforms(issuer: Issuer, injector: Injector, consumer: Consumer) -> None:
    """The type checker reads this."""


def with_faults(world: World, faults: Mapping[int, str]) -> World:
    """The same beginning with another script."""
    return replace(world, faults=dict(faults))
