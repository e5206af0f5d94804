"""A small world to rotate in: a provider, targets, consumers, a person, and what goes wrong.

Every call on a port and every commit is a numbered point. What goes wrong is told in two ways: `faults` by the number
of the point, and `script` by the state of the rotation and the effect (see Item). A fault is what happens at a point:
  before   killed before the effect           after    killed after the effect, before its answer is known
  lost     it happens, the answer is UNKNOWN   nothing  it does not happen, the answer is UNKNOWN
  refuse   it does not happen: REFUSED         later    it does not happen: LATER
  pause    asleep before the effect while another process takes over and goes on to the end
  asleep   the same, after the effect and before its answer is looked at
At every point the invariants that hold always are checked; `check_end` checks those of the end.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from clawsecrets.errors import UsageError
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import Ack, Record
from clawsecrets.model.rotation import Outcome, Rotation, State
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Reply
from clawsecrets.rotate.delivery import deliver
from clawsecrets.rotate.engine import Engine
from clawsecrets.rotate.ledger import Ledger
from clawsecrets.rotate.order import Order, Settings, may_give
from tests.fakes import FakeClock, MemoryStore, Quiet
from tests.sim.checks import NAME, Broken
from tests.sim.tokens import Tokens

CRASHES = ("before", "after")
FAULTS = (*CRASHES, "lost", "nothing", "refuse", "later")
LEASE = 90.0


__all__ = ["CRASHES", "FAULTS", "NAME", "Broken", "Item", "Kill", "World"]


class Kill(BaseException):
    """SIGKILL."""


@dataclass(frozen=True)
class Item:
    """In `state`, the effect `effect` suffers `kind`, the first `times` times (99, written `always`: for long).

    Four kinds more than the faults have: `abort` and `vouch` answer LATER for a person, who then aborts the rotation,
    or does it and says so; `relapse`: just before, the consumer went back to the old value (a stale copy, a restart).
    `neighbour`: just before, another secret was delivered to the same target and the consumer restarted.
    """

    state: str
    effect: str
    kind: str
    times: int = 1

    def __str__(self) -> str:
        often = {1: "", 99: " always"}.get(self.times, f" x{self.times}")
        return f"{self.state}.{self.effect} {self.kind}{often}"

    @classmethod
    def parse(cls, text: str) -> Item:
        """The inverse of `str`."""
        where, kind, *often = text.split()
        state, _, effect = where.partition(".")
        return cls(state, effect, kind, 1 if not often else 99 if often[0] == "always" else int(often[0][1:]))


@dataclass
class World(Tokens):
    """One secret with its provider, a target and a consumer, and whatever `traits` say.

    Traits: compromised, unproven (the consumer has no means to show it), forced (--revoke-unproven), blind (the
    provider cannot list), no-readback (cut-over: a lost value cannot be read back), selfauth (cut-over: the old one
    authenticates the creation), undying (revoke is refused for ever), slow-death (refused only a while after its
    revocation), other-host (a target and a consumer on another host), deadly and silent (refresh: see
    tests/sim/gear.py), helped (refresh: a person authorizes anew as soon as that is asked for), expiring (refresh:
    the old value ends by itself), unplaced (alternate: the store does not know which slot is in use), other-uses
    (alternate: the consumer uses what stands in the idle slot).
    """

    strategy: str
    faults: Mapping[int, str] = field(default_factory=dict)
    script: tuple[Item, ...] = ()
    traits: frozenset[str] = frozenset()
    patience: float = 200_000.0

    def __post_init__(self) -> None:
        self.point = 0
        self.trace: list[str] = []
        self.seen: list[tuple[str, str]] = []
        """(state, effect) of every effect."""
        self.used_up: dict[Item, int] = {}
        self.clock = FakeClock()
        self.live: dict[str, tuple[bytes, str]] = {}
        self.dying: dict[str, tuple[bytes, float]] = {}
        self.counter = itertools.count(1)
        self.ids = itertools.count(1)
        self.target: dict[str, bytes] = {}
        self.tokens: dict[bytes, bool] = {}
        self.used = b""
        self.accepts = b""
        self.person: list[bytes] = []
        self.done: Counter[str] = Counter()
        """How often something outside was changed."""
        self.unseen = False
        """Whether the target cannot be looked at."""
        self.spoiled = 0
        """How often, before it is looked at, somebody else writes the old value into the target."""
        self.carries = Outcome.OK
        """Whether the target could hold everything that it is to hold."""
        self.asleep = False
        self.faulty = False
        self._at_commit = ""
        self.store = MemoryStore(self.clock, self._commit_point)
        self._start()

    # --- the beginning ---------------------------------------------------------------------------------------------

    def _start(self) -> None:
        value = self.mint("")
        handle = next(iter(self.live), "")
        if self.strategy == "self-issued":
            self.live.clear()
            handle, value = "", b"v-old"
        if self.strategy == "refresh" or "unplaced" in self.traits:
            handle = ""
        self.target, self.used, self.accepts = {NAME: value}, value, value
        self.old = value
        if self.strategy == "alternate":  # a provider fills both slots at the beginning
            other = self.mint("")
            self.used = other if "other-uses" in self.traits else value
        self.done.clear()
        elsewhere = ("file@other",) if "other-host" in self.traits else ()
        consumers = ("app@other",) if "other-host" in self.traits else ()
        secret = Secret(NAME, "acme", Kind.API_KEY, self.clock.now(), injectors=("file", *elsewhere),
                        consumers=("app", *consumers))
        secret_value = SecretValue(value)
        self.ends = self.clock.now() + 30_000.0 if "expiring" in self.traits else 0.0
        version = Version(1, Stage.CURRENT, self.clock.now(), self.store.fingerprint(secret_value), handle,
                          expires_at=self.ends)
        acks = tuple(Ack(target, 1, 0.0, "seen") for target in (*elsewhere, *consumers))
        record = Record(secret, acks=acks).put_current(version)
        values = {1: secret_value}
        if self.strategy == "refresh":
            values[2] = SecretValue(self.authorize())
            spare = Version(2, Stage.REFRESH, self.clock.now(), self.store.fingerprint(values[2]))
            record = record.put_refresh_token(spare, self.clock.now())
        self.store.commit([Change(record, AuditEvent(0, "t", "secret.set", NAME), values)])
        self.faulty = True

    def mint(self, label: str) -> bytes:
        """A new credential at the provider."""
        number = next(self.counter)
        value = f"v{number}".encode()
        if self.strategy == "alternate":
            self.live["two" if "one" in self.live else "one"] = (value, "by-hand")
            self.done["mint"] += 1
            return value
        if self.strategy == "cut-over":
            self.live.clear()
        self.live[f"h{number}"] = (value, label)
        self.done["mint"] += 1
        return value

    def fill(self, slot: str) -> bytes:
        """A new value in a slot (strategy alternate): what stood in it is dead."""
        value = f"v{next(self.counter)}".encode()
        self.live[slot] = (value, "")
        self.done["mint"] += 1
        return value

    def kill(self, handle: str) -> None:
        """A revocation takes effect (at once, or after a while)."""
        found = self.live.pop(handle, None)
        if found is not None and "slow-death" in self.traits:
            self.dying[handle] = (found[0], self.clock.now() + 60.0)

    # --- points and faults -----------------------------------------------------------------------------------------

    def _fault(self, what: str) -> str:
        if not self.faulty:
            return ""
        self.point += 1
        state = self.state
        fault = self.faults.get(self.point, "") or self._scripted(state, what)
        self.trace.append(f"{self.point}:{state}.{what}{'!' + fault if fault else ''}")
        if what != "commit":
            self.seen.append((state, what))
        return fault

    def _scripted(self, state: str, what: str) -> str:
        for item in self.script:
            if item.state == state and item.effect == what and self.used_up.get(item, 0) < item.times:
                self.used_up[item] = self.used_up.get(item, 0) + 1
                return item.kind
        return ""

    def _commit_point(self, when: str) -> None:
        if when == "commit":
            self._at_commit = self._fault("commit")
            if self._at_commit == "before":
                raise Kill
            if self._at_commit in ("pause", "asleep"):
                self._take_over()
        else:
            self.check_always()
            if self._at_commit == "after":
                raise Kill

    def act(self, what: str, effect: Callable[[], Reply]) -> Reply:
        """One effect, with the fault of its point."""
        fault = self._fault(what)
        if self.ends and self.clock.now() >= self.ends:
            self.live.pop(self.handle_of(SecretValue(self.old)), None)
        if fault == "before":
            raise Kill
        if fault == "pause":
            self._take_over()
        if fault in ("nothing", "refuse", "later"):
            outcome = {"nothing": Outcome.UNKNOWN, "refuse": Outcome.REFUSED, "later": Outcome.LATER}[fault]
            return Reply(outcome, fault)
        if fault in ("abort", "vouch"):
            return Reply(Outcome.LATER, fault, person=True)
        if fault == "neighbour":
            self._neighbour()
        if fault == "relapse":
            self.used = self.old
            self.accepts = self.old
        self.done[what] += 1
        reply = effect()
        self.check_always()
        if fault == "asleep":
            self._take_over()
        if fault == "after":
            raise Kill
        return Reply(Outcome.UNKNOWN, "lost") if fault == "lost" else reply

    def _neighbour(self) -> None:
        """Another secret is delivered to the same target, then the consumer is restarted and reads what is there."""
        from tests.sim.gear import WorldGear

        faulty, self.faulty = self.faulty, False
        gear, record = WorldGear(self), self.store.load(NAME)
        other = replace(record.secret, name="other")
        deliver(self.store, gear, Record(other), gear.outfit(other), self.clock.now())
        self.used = self.target[NAME]
        if self.strategy == "self-issued":
            self.accepts = self.used
        self.faulty = faulty

    def _take_over(self) -> None:
        """The lease runs out; another process finishes the rotation; then the sleeper wakes up."""
        faulty, holder, self.faulty, self.asleep = self.faulty, self.holder, False, True
        self.clock.sleep(LEASE + 1)
        for _ in range(3):
            if self.store.load(NAME).rotating:
                self.rotate()
        self.after_takeover = self.store.load(NAME).revision
        self.faulty, self.holder = faulty, holder

    # --- running ---------------------------------------------------------------------------------------------------

    def engine(self) -> Engine:
        """A new process."""
        from tests.sim.gear import WorldGear

        self.holder = f"p{next(self.ids)}"
        settings = Settings(lease=LEASE, actor="sim", holder=self.holder, patience=self.patience, queue=0.0)
        return Engine(self.store, WorldGear(self), self.clock, Quiet(), lambda: f"rot{next(self.ids)}", settings)

    def rotate(self) -> Record:
        """The ordinary command. A person supplies a value where one is asked for."""
        rotation = self.store.load(NAME).rotation
        supplied = None
        asked = rotation is None or rotation.final or rotation.state in (State.PLANNED, State.AWAITING)
        if self.strategy == "assisted" and asked:
            supplied = SecretValue(self.person_value())
        order = Order(compromised="compromised" in self.traits, revoke_unproven="forced" in self.traits,
                      supplied=supplied)
        return self.engine().rotate(NAME, order).record

    def run(self) -> Record:
        """Rotate; after each kill run the next ordinary command, until the rotation ends or waits for a person."""
        for turn in range(16):
            record = self.store.load(NAME)
            rotation = record.rotation
            helps = rotation is not None and "helped" in self.traits and may_give(rotation)
            if rotation is not None and not helps and (rotation.final or rotation.state is State.STUCK):
                break
            try:
                if helps:
                    self.engine().rotate(NAME, Order(supplied=SecretValue(self.authorize())))
                elif rotation is not None and rotation.parked and _asked(rotation) in ("abort", "vouch"):
                    self._person_acts(_asked(rotation))
                elif rotation is not None and rotation.parked and rotation.waits_for == "person" and turn > 2:
                    break
                else:
                    self.rotate()
            except Kill:
                self.store.dead.add(self.holder)
        return self.store.load(NAME)

    def run_once(self) -> None:
        """One ordinary command, which may be killed."""
        try:
            self.rotate()
        except Kill:
            self.store.dead.add(self.holder)

    def _person_acts(self, what: str) -> None:
        """Abort, or vouch; where that cannot be, the person lets it go on."""
        try:
            if what == "abort":
                self.engine().abort(NAME)
            else:
                self._do_by_hand()
                self.engine().resume(NAME, vouched=True)
            return
        except UsageError:
            pass
        self.engine().resume(NAME)

    def person_value(self) -> bytes:
        """The person makes one key and pastes the same one until it is taken, or is dead."""
        stored = {self.store.value(NAME, v.number).reveal() for v in self.store.load(NAME).versions if not v.erased_at}
        if not self.person or self.person[-1] in stored or self.person[-1] not in self.live_values:
            self.person.append(self.mint("by-hand"))
        return self.person[-1]

    def heal(self) -> Record:
        """All faults are over. A person resumes; what can only be vouched for is seen to and vouched for."""
        self.faults, self.script = {}, ()
        for _ in range(8):
            record = self.store.load(NAME)
            rotation = record.rotation
            if rotation is None or rotation.final:
                break
            if rotation.stuck_in in (State.DISCARDING, State.WITHDRAWING) and "blind" in self.traits:
                self._remove_by_hand(rotation.labels)
                self.engine().resume(NAME, vouched=True)
            elif rotation.stuck_in is State.CLEARING and "undying" in self.traits:
                self._empty_by_hand(record, rotation)
                self.engine().resume(NAME, vouched=True)
            elif self.strategy == "self-issued" and "compromised" in self.traits and rotation.state is State.STUCK:
                self.used = self.accepts = self.target[NAME]  # a person restarts it: it reads what stands there
                self.engine().resume(NAME)
            elif rotation.stuck_in is State.RECREATING and "selfauth" in self.traits:
                self._give_by_hand()
            elif self.strategy == "refresh" and may_give(rotation):
                self.engine().rotate(NAME, Order(supplied=SecretValue(self.authorize())))
            elif rotation.state is State.AWAITING:
                self.rotate()
            elif self._only_by_word(rotation):
                self.engine().resume(NAME, vouched=True)
            else:
                self.engine().resume(NAME)
        return self.store.load(NAME)

    def _only_by_word(self, rotation: Rotation) -> bool:
        if rotation.state is not State.STUCK:
            return rotation.waits_for == "person"
        return "unproven" in self.traits and rotation.stuck_in in (State.DELIVERED, State.RESTORED)

    def _do_by_hand(self) -> None:
        """Who vouches has done it: what is to die in this state is dead."""
        record = self.store.load(NAME)
        rotation = record.rotation
        assert rotation is not None
        number = {State.RETIRING: rotation.old_version, State.UNDOING: rotation.new_version}.get(rotation.state, 0)
        version = record.version(number)
        if version is not None:
            self.live.pop(version.handle or self.handle_of(self.store.value(NAME, version.number)), None)
        if rotation.state is State.CLEARING:
            self._empty_by_hand(record, rotation)
        if rotation.state in (State.DISCARDING, State.WITHDRAWING):
            self._remove_by_hand(rotation.labels)

    def _remove_by_hand(self, labels: Collection[str]) -> None:
        self.live = {handle: item for handle, item in self.live.items() if item[1] not in labels}

    def _empty_by_hand(self, record: Record, rotation: Rotation) -> None:
        """The idle slot (strategy alternate)."""
        used = record.version(rotation.old_version)
        assert used is not None
        self.live = {slot: item for slot, item in self.live.items() if slot == used.handle}

    def _give_by_hand(self) -> None:
        """Out of the provider's dashboard: a new value, which kills the one that nobody knows."""
        self.engine().rotate(NAME, Order(supplied=SecretValue(self.mint("dashboard"))))

    def pay(self) -> None:
        """Work off the ledger without faults."""
        from tests.sim.gear import WorldGear

        self.faults, self.script = {}, ()
        Ledger(self.store, WorldGear(self), self.clock, "sim", f"p{next(self.ids)}").work(NAME, force=True)


def _asked(rotation: Rotation) -> str:
    """The fault that the rotation waits for a person with."""
    return rotation.note.rpartition(": ")[2]
