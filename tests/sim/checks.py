"""What must hold in the simulated world: at every instant, and at the end."""

from __future__ import annotations

from clawsecrets.model.record import Record
from clawsecrets.model.rotation import FINAL, State
from clawsecrets.model.secret import Stage
from tests.fakes import FakeClock, MemoryStore

NAME = "acme"


FILLING = (State.CREATING, State.CREATING_AGAIN, State.CLEARING)
"""States of strategy alternate in which the idle slot may hold a value that nobody knows: it is replaced or emptied."""


class Broken(AssertionError):
    """An invariant does not hold."""


class Checked:
    """A world that can be looked at. See World for the fields."""

    strategy: str
    store: MemoryStore
    clock: FakeClock
    live: dict[str, tuple[bytes, str]]
    dying: dict[str, tuple[bytes, float]]
    target: dict[str, bytes]
    tokens: dict[bytes, bool]
    traits: frozenset[str]
    used: bytes
    accepts: bytes
    old: bytes
    person: list[bytes]
    trace: list[str]
    asleep: bool

    @property
    def state(self) -> str:
        """Where the rotation stands in the store."""
        rotation = self.store.load(NAME).rotation if NAME in self.store.names() else None
        return rotation.state.value if rotation else ""

    @property
    def deadly(self) -> bool:
        """Whether a second use of a refresh token ends everything that was made with it."""
        return bool({"deadly", "silent"} & self.traits)

    @property
    def live_values(self) -> set[bytes]:
        """What the provider accepts now."""
        now = self.clock.now()
        dying = {value for value, until in self.dying.values() if until > now}
        return {value for value, _ in self.live.values()} | dying

    def check_always(self) -> None:
        """What holds at every instant."""
        record = self.store.load(NAME)
        current = record.current
        if current is None:
            raise Broken("there is no CURRENT")
        value = self.store.value(NAME, current.number).reveal()
        both_live = self.strategy in ("overlap", "alternate", "assisted")
        both_live |= self.strategy == "refresh" and not self.deadly
        if both_live and not self.asleep:
            used = value if self._left_behind(record) else self.used
            for who, held in (("store", value), ("target", self.target[NAME]), ("consumer", used)):
                if held not in self.live_values:
                    raise Broken(f"outage: the {who} holds a dead value; {self.trace}")
        stored = {self.store.value(NAME, v.number).reveal() for v in record.versions if not v.erased_at}
        if not self.asleep:
            self._check_known(record, stored)
        if self.strategy == "self-issued" and self.accepts not in stored:
            raise Broken(f"the consumer accepts a value that the store has lost; {self.trace}")

    @staticmethod
    def _left_behind(record: Record) -> bool:
        """Whether a person ordered to revoke although the consumer was down, and the rotation says so."""
        rotation = record.rotation
        return rotation is not None and rotation.compromised and rotation.revoke_unproven and any(
            "not reloaded" in caveat for caveat in rotation.caveats)

    def _check_known(self, record: Record, stored: set[bytes]) -> None:
        """Invariant 1: whatever lives is in the store, or can be found by a label: of an unfinished rotation,
        or one that is watched."""
        rotation = record.rotation
        labels = set(rotation.labels) if rotation is not None and not rotation.final else set()
        labels |= {entry.label for entry in record.revocations if entry.watch}
        found_by_reading = self.strategy in ("cut-over", "refresh") and record.rotating
        stands = (rotation.stuck_in or rotation.state) if rotation is not None else None
        found_by_reading |= self.strategy == "alternate" and stands in FILLING
        for handle, (live, label) in self.live.items():
            owed = any(entry.handle == handle for entry in record.revocations)
            known = live in stored or label in labels or label in ("by-hand", "dashboard") or owed
            if not known and not found_by_reading:
                raise Broken(f"lost: {handle} lives and nobody knows it; {self.trace}")

    def check_end(self, record: Record) -> None:
        """What holds when a rotation has ended or is stuck."""
        self.check_always()
        rotation, current = record.rotation, record.current
        if rotation is None or current is None:
            raise Broken("no rotation")
        if rotation.state not in FINAL:
            if rotation.state is not State.STUCK and not rotation.parked:
                raise Broken(f"it ended in the middle: {rotation.state}; {self.trace}")
            return
        value = self.store.value(NAME, current.number).reveal()
        self._check_live(record, value)
        if (rotation.state in (State.DONE, State.DONE_OWED)) is (value == self.old):
            raise Broken(f"{rotation.state} with the wrong value current; {self.trace}")
        if rotation.state in (State.DONE, State.ABORTED) and record.debts:
            raise Broken(f"{rotation.state} but owing; {self.trace}")
        if self.target[NAME] != value or (self.used != value and not self._left_behind(record)):
            raise Broken(f"{rotation.state}: target {self.target}, used {self.used!r}, current {value!r}; {self.trace}")
        self._check_record(record)

    def _check_live(self, record: Record, value: bytes) -> None:
        state = record.rotation.state if record.rotation else None
        alive = {self.accepts} if self.strategy == "self-issued" else {value for value, _ in self.live.values()}
        alive |= {self.old} & self.live_values  # it must have been tried; an orphan's value is known to nobody
        owed = {self.store.value(NAME, e.version).reveal() for e in record.revocations if e.version}
        owed |= {self.live[e.handle][0] for e in record.revocations if e.handle in self.live}
        person = set(self.person) if state in (State.ABORTED, State.ABORTED_OWED) else set()
        if self.strategy == "alternate" and state in (State.ABORTED, State.ABORTED_OWED):
            person |= {value for value, label in self.live.values() if label == "by-hand"} - {self.old}
        if alive - owed - person != {value}:
            raise Broken(f"{state}: live {alive}, current {value!r}, owed {owed}; {self.trace}")
        if value in owed:
            raise Broken(f"{state}: what is current is owed a revocation; {self.trace}")

    def _check_record(self, record: Record) -> None:
        """The labels fit: one CURRENT, no PENDING; what is dead has no value, what has one and no label is owed."""
        owed = {entry.version for entry in record.revocations}
        for version in record.versions:
            wrong = version.stage in (Stage.PENDING, Stage.PREVIOUS) or (version.stage is Stage.RETIRED and \
                version.number not in owed) or (version.stage is Stage.REVOKED) is not bool(version.erased_at)
            if wrong:
                raise Broken(f"{self.state} with version {version.number} {version.stage}; {self.trace}")
        if problem := self.store.verify_log():
            raise Broken(problem)
        self._check_refresh_token(record)

    def _check_refresh_token(self, record: Record) -> None:
        """One refresh token stands in the store, and it is the one that works: without it this was the last time."""
        if self.strategy != "refresh":
            return
        held = [version for version in record.versions if version.stage is Stage.REFRESH]
        if len(held) != 1 or not self.tokens.get(self.store.value(NAME, held[0].number).reveal()):
            raise Broken(f"{self.state}: the store has {len(held)} refresh token(s), or a spent one; {self.trace}")
