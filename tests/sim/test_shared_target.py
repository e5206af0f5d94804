"""Two secrets in one target: whoever writes last must not put back an older value of the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.policy import RotationPolicy
from clawsecrets.model.record import Record, enter
from clawsecrets.model.rotation import Outcome, Rotation, State
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Entry, Reply
from clawsecrets.rotate.delivery import TURNS, deliver
from clawsecrets.rotate.gear import Outfit
from tests.fakes import FakeClock, MemoryStore
from tests.sim.gear import WorldGear
from tests.sim.world import World


class Shared:
    """A target; `meanwhile` runs after its content was decided and before it is written."""

    target = "file"

    def __init__(self) -> None:
        self.holds_now: dict[str, bytes] = {}
        self.meanwhile: Callable[[], None] = lambda: None
        self.writes = 0

    def could(self, entries: Sequence[Entry]) -> Reply:
        return Reply(Outcome.OK)

    def holds(self, entry: Entry) -> bool | None:
        return self.holds_now.get(entry.name) == entry.value.reveal()

    def deliver(self, entries: Sequence[Entry]) -> Reply:
        content = {entry.name: entry.value.reveal() for entry in entries}
        self.meanwhile()
        self.holds_now, self.writes = content, self.writes + 1
        return Reply(Outcome.OK)


class Two:
    """Secrets a and b, both in the shared file."""

    def __init__(self, strategy: str = "overlap") -> None:
        self.store, self.file, self.strategy = MemoryStore(FakeClock()), Shared(), strategy
        self.world = World(strategy)
        self.admin = ""
        for name in ("a", "b"):
            secret = Secret(name, "acme", Kind.API_KEY, 0.0, injectors=("file",), consumers=("app",))
            self._commit(Record(secret).put_current(Version(1, Stage.CURRENT, 0.0)), f"{name}1")

    def is_admin(self, secret: Secret) -> bool:
        return secret.name == self.admin

    def outfit(self, secret: Secret, strategy: str = "") -> Outfit:
        whole = WorldGear(self.world).outfit(secret, strategy)
        file = {"file": self.file}
        return replace(whole, injectors=file, policy=RotationPolicy(interval=1.0, grace=0.0))  # type: ignore[arg-type]

    def _commit(self, record: Record, value: str = "") -> Record:
        values = {record.last_number: SecretValue(value)} if value else {}
        return self.store.commit([Change(record, AuditEvent(0.0, "t", "x", record.secret.name), values)])[0]

    def enter(self, name: str, state: State) -> Record:
        """The secret's rotation enters a state (with a new version 2 when there is none yet)."""
        record = self.store.load(name)
        rotation = record.rotation or Rotation("r", name, self.strategy, state, 0.0, 0.0, old_version=1)
        minted = Version(2, Stage.PENDING, 0.0) if record.last_number == 1 else None
        entered = enter(record, replace(rotation, state=state), 1.0, minted)
        return self._commit(entered, f"{name}2" if minted else "")

    def write(self, name: str) -> Reply:
        record = self.store.load(name)
        return deliver(self.store, self, record, self.outfit(record.secret), 1.0).reply


def test_a_value_that_changes_while_the_other_is_written_is_not_lost() -> None:
    two = Two()
    two.enter("a", State.CREATED)
    two.enter("b", State.CREATED)
    two.enter("a", State.PUBLISHED)

    def b_goes_on() -> None:
        two.file.meanwhile = lambda: None
        two.enter("b", State.PUBLISHED)
        assert two.write("b").outcome is Outcome.OK

    two.file.meanwhile = b_goes_on
    assert two.write("a").outcome is Outcome.OK
    assert two.file.holds_now == {"a": b"a2", "b": b"b2"}


def test_one_is_staged_while_the_other_delivers() -> None:
    two = Two("self-issued")
    two.enter("a", State.CREATED)
    two.enter("a", State.STAGED)
    assert two.write("b").outcome is Outcome.OK
    assert two.file.holds_now == {"a": b"a2", "b": b"b1"}
    two.enter("a", State.UNSTAGING)
    assert two.write("b").outcome is Outcome.OK
    assert two.file.holds_now == {"a": b"a1", "b": b"b1"}


def test_a_target_that_others_keep_changing_is_said_to_be_unsure() -> None:
    two = Two()
    two.enter("b", State.CREATED)

    def flip() -> None:
        current = two.store.load("b").current
        forth = current is not None and current.number == 1
        two.enter("b", State.PUBLISHED if forth else State.DEMOTED)

    two.file.meanwhile = flip
    reply = two.write("a")
    assert reply.outcome is Outcome.UNKNOWN and two.file.writes == TURNS


def test_a_binding_to_another_target_is_not_written() -> None:
    two = Two()
    record = two.store.load("b")
    two._commit(replace(record, secret=replace(record.secret, injectors=("elsewhere",))))
    assert two.write("a").outcome is Outcome.OK
    assert two.file.holds_now == {"a": b"a1"}


def test_who_is_an_admin_by_name_is_never_delivered() -> None:
    two = Two()
    two.admin = "b"
    assert two.write("a").outcome is Outcome.OK
    assert two.file.holds_now == {"a": b"a1"}
