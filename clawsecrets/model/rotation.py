"""A rotation: where it stands, and what each outcome of its next step leads to.

Rules (the tables are in strategies.py):
1. In each state exactly one step is done. An effect answers OK (it happened), REFUSED (it did not and will not),
   LATER (it did not yet) or UNKNOWN (it may have).
2. The state is committed before its step runs. A crash is therefore the outcome UNKNOWN, and there is no other
   recovery.
3. A row without `unknown` is idempotent: UNKNOWN does it again, a bounded number of times, then `exhausted`.
4. LATER waits, and does it again until the row's deadline, then `exhausted`. LATER for a person has no deadline.
5. `exhausted` is safe whether or not the step happened.
6. Labels (PENDING, CURRENT, PREVIOUS) and the revocation ledger change only by entering a state (strategies.MARKS),
   in the same commit as the state itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Where a rotation stands. The four last are final; STUCK waits for a person."""

    PLANNED = "planned"
    VACATING = "vacating"
    CREATING = "creating"
    DISCARDING = "discarding"
    WITHDRAWING = "withdrawing"
    PROBING_OLD = "probing-old"
    RECOVERING = "recovering"
    CREATING_AGAIN = "creating-again"
    CLEARING = "clearing"
    RECREATING = "recreating"
    DOUBTFUL = "doubtful"
    AWAITING = "awaiting"
    CREATED = "created"
    STAGED = "staged"
    PROBING = "probing"
    UNSTAGING = "unstaging"
    UNSTAGED = "unstaged"
    PUBLISHED = "published"
    DELIVERED = "delivered"
    RECHECKING = "rechecking"
    PROVEN = "proven"
    RETIRING = "retiring"
    PROVING_DEAD = "proving-dead"
    FALLING_BACK = "falling-back"
    REVERTING = "reverting"
    REVERT_STAGED = "revert-staged"
    REVERT_PROBING = "revert-probing"
    DEMOTED = "demoted"
    RESTORED = "restored"
    UNDOING = "undoing"
    STUCK = "stuck"
    DONE = "done"
    DONE_OWED = "done-owed"
    ABORTED = "aborted"
    ABORTED_OWED = "aborted-owed"


FINAL = frozenset({State.DONE, State.DONE_OWED, State.ABORTED, State.ABORTED_OWED})
FAILED = frozenset({State.ABORTED, State.ABORTED_OWED})
"""Final states in which the old value stays."""
TURNED = frozenset({
    State.DISCARDING, State.WITHDRAWING, State.CLEARING, State.UNSTAGING, State.UNSTAGED, State.FALLING_BACK,
    State.REVERTING, State.REVERT_STAGED, State.REVERT_PROBING, State.DEMOTED, State.RESTORED, State.UNDOING,
})
"""States of a rotation that has turned back: why it did is kept through them (`Rotation.reason`)."""


class Step(StrEnum):
    """What is done in a state. rotate/steps.py maps each to calls on the ports."""

    ANNOUNCE = "announce"
    VACATE = "vacate"
    CREATE = "create"
    DISCARD = "discard"
    CLEAR = "clear"
    RECOVER = "recover"
    RECREATE = "recreate"
    OBTAIN = "obtain"
    REFRESH = "refresh"
    ASK_AGAIN = "ask-again"
    REAUTHORIZE = "reauthorize"
    TEST = "test"
    TEST_OLD = "test-old"
    STAGE = "stage"
    RELOAD = "reload"
    PROBE = "probe"
    DELIVER = "deliver"
    CONFIRM = "confirm"
    WAIT = "wait"
    REVOKE_OLD = "revoke-old"
    PROVE_DEAD = "prove-dead"
    REVOKE_NEW = "revoke-new"


class Outcome(StrEnum):
    """All that an effect may answer."""

    OK = "ok"
    REFUSED = "refused"
    LATER = "later"
    UNKNOWN = "unknown"


class Wait(StrEnum):
    """For whom a parked rotation waits."""

    NOBODY = ""
    TIME = "time"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a strategy table. Targets are states; None = stay (do it again)."""

    step: Step
    ok: State
    refused: State
    unknown: State | None = None
    """None: the step is idempotent."""
    exhausted: State | None = None
    """Where LATER past the deadline, or UNKNOWN too often, leads. None = `refused`."""
    over: State | None = None
    """Set where `ok`, `refused` or `unknown` starts another round: where to go when no round is left."""
    again: State | None = None
    """The target that counts as another round."""
    abort: State | None = None
    """Where a person's `abort` leads; None: it cannot be aborted here."""
    deadline: float = 600.0
    """Seconds that LATER may last."""
    vouch: bool = False
    """A person may say that it was done (`rotations resume --done`): it stands in for what cannot be seen."""
    resume: State | None = None
    """Where a person's `resume` leads out of STUCK. None: to the row itself, as after a crash."""

    @property
    def gave_up(self) -> State:
        """The row taken when patience ends."""
        return self.refused if self.exhausted is None else self.exhausted

    def targets(self) -> frozenset[State]:
        """Every state this row can lead to."""
        every = (self.ok, self.refused, self.unknown, self.exhausted, self.over, self.abort, self.resume)
        return frozenset(state for state in every if state is not None)


Table = Mapping[State, Row]

STILL_IN = "still in "
"""How a caveat begins that names a place where the old value still stands."""
MAX_TRIES = 4
"""UNKNOWN outcomes in one state before it is given up."""
MAX_ROUNDS = 3
"""Rounds (create again, stage again) before it is given up."""
MAX_HOPS = 60
"""State changes in one rotation; more means a loop that the table should not have, and ends STUCK."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation of one secret. Frozen: `settle` gives the next one. Times are Unix seconds."""

    id: str
    """Begins every label that its credentials carry at the provider (see `label`)."""
    secret: str
    strategy: str
    state: State
    started_at: float
    entered_at: float
    old_version: int = 0
    """0 = there was none (first value)."""
    new_version: int = 0
    """0 until CREATED was first entered."""
    tries: int = 0
    rounds: int = 1
    hops: int = 0
    armed: bool = True
    """True: the step may have begun, so that a crash is UNKNOWN. False: parked, nothing is under way."""
    until: float = 0.0
    """Parked: not before this time."""
    waits_for: Wait = Wait.NOBODY
    note: str = ""
    """One line for people: why it waits or failed. Never a value."""
    stuck_in: State | None = None
    compromised: bool = False
    revoke_unproven: bool = False
    caveats: tuple[str, ...] = ()
    """What a finished rotation could not show (for example `no test at the provider`)."""
    finished_at: float = 0.0
    turn: int = 1
    """Counts every round, and unlike `rounds` never begins again: what an earlier round made has another label."""
    reason: str = ""
    """Why it turned back or ended without a new value; the note of ABORTED and ABORTED_OWED tells it."""
    failures: int = 0
    """How many rotations of this secret, this one included, have been given up in a row."""

    @property
    def label(self) -> str:
        """What a credential made in this round carries at the provider."""
        return f"{self.id}-{self.turn}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all rounds so far, the oldest first."""
        return tuple(f"{self.id}-{turn}" for turn in range(1, self.turn + 1))

    @property
    def done(self) -> bool:
        """Whether it ended with the new value in use."""
        return self.state in (State.DONE, State.DONE_OWED)

    @property
    def final(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in FINAL

    @property
    def parked(self) -> bool:
        """Whether it waits for time or a person, with no step under way."""
        return not self.armed and not self.final and self.state is not State.STUCK

    def settle(self, table: Table, outcome: Outcome, now: float, note: str = "", *,
               until: float = 0.0, person: bool = False) -> Rotation:
        """The rotation after its step answered `outcome` at `now`. Pure.

        `until`: for LATER, the time of the next try. `person`: LATER waits for a person, without deadline.
        """
        row = table[self.state]
        if outcome is Outcome.OK:
            return self._go(row, row.ok, now, "")
        if outcome is Outcome.REFUSED:
            return self._go(row, row.refused, now, note)
        if outcome is Outcome.LATER:
            if not person and now - self.entered_at >= row.deadline:
                return self._go(row, row.gave_up, now, note)
            waits = Wait.PERSON if person else Wait.TIME
            return replace(self, armed=False, until=until, waits_for=waits, note=note, tries=0)
        if row.unknown is not None:
            return self._go(row, row.unknown, now, note)
        if self.tries + 1 >= MAX_TRIES:
            return self._go(row, row.gave_up, now, note)
        return replace(self, tries=self.tries + 1, note=note or self.note)

    def arm(self) -> Rotation:
        """Leave the parking place: committed before the step runs again."""
        return replace(self, armed=True, until=0.0, waits_for=Wait.NOBODY)

    def park(self, now: float) -> Rotation:
        """Before its step has begun: nothing is under way, and it may go on at any time."""
        return replace(self, armed=False, until=now, waits_for=Wait.TIME)

    def aborted(self, table: Table, now: float, note: str) -> Rotation:
        """The rotation after a person's abort; `ValueError` where it cannot be aborted."""
        at = self.stuck_in if self.state is State.STUCK else self.state
        row = table.get(at) if at is not None else None
        if row is None or row.abort is None:
            raise ValueError(f"a rotation that is {self.state.value} cannot be aborted, only resumed")
        return replace(self._enter(row.abort, now, note), reason=note)

    def resumed(self, table: Table, now: float, *, here: bool = False) -> Rotation:
        """Out of STUCK with fresh patience, to where its row says; parked ones need not wait for their time.

        `here`: to the very row it is stuck in, whatever the row says (a person vouches for its step).
        """
        if self.state is not State.STUCK or self.stuck_in is None:
            return replace(self, until=0.0) if self.parked else self
        row = table[self.stuck_in]
        target = self.stuck_in if here or row.resume is None else row.resume
        return replace(self, hops=0, rounds=1)._enter(target, now, "")

    def _go(self, row: Row, target: State, now: float, note: str) -> Rotation:
        """Follow one arrow; rounds and hops are counted here so that every rotation ends."""
        rounds, turn = self.rounds, self.turn
        if row.again is not None and target is row.again:
            if rounds >= MAX_ROUNDS:
                target = row.over if row.over is not None else State.STUCK
            else:
                rounds, turn = rounds + 1, turn + 1
        moved = replace(self, rounds=rounds, turn=turn)
        if self.hops + 1 >= MAX_HOPS and target not in FINAL and target is not State.STUCK:
            # The step was done: `resume` must go on behind it, or it would be done (and minted) twice.
            return replace(moved._enter(State.STUCK, now, note or "it went round too often"), stuck_in=target)
        return moved._enter(target, now, note)

    def _enter(self, target: State, now: float, note: str) -> Rotation:
        reason, failures = self.reason, self.failures
        if (target in TURNED or target in FAILED) and self.state not in TURNED:
            reason = note
        if target in FAILED:
            note = "; ".join(dict.fromkeys(words for words in (reason, note) if words))
        if target in FINAL:
            failures = failures + 1 if target in FAILED else 0
        return replace(
            self,
            state=target,
            entered_at=now,
            tries=0,
            hops=self.hops + 1,
            armed=target not in FINAL and target is not State.STUCK,
            until=0.0,
            waits_for=Wait.PERSON if target is State.STUCK else Wait.NOBODY,
            note=note,
            stuck_in=self.state if target is State.STUCK else None,
            finished_at=now if target in FINAL else 0.0,
            reason=reason,
            failures=failures,
        )
