"""The strategy tables: how each kind of rotation proceeds. ARCHITECTURE.md's diagrams are drawn from them.

Read a row as: in this state do this step; OK leads here, refused there, unknown there (None: do it again),
`exhausted` when patience ends. What entering a state does to labels and ledger stands in MARKS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from clawsecrets.model.rotation import Row, State, Step, Table
from clawsecrets.model.secret import Stage

S = State
DAY = 86400.0


class Mark(Enum):
    """What entering a state does to the record, in the same commit."""

    KEEP = "the new value becomes PENDING"
    DROP = "the PENDING value is thrown away: it is not live"
    PROMOTE = "PENDING becomes CURRENT, CURRENT becomes PREVIOUS"
    DEMOTE = "PREVIOUS becomes CURRENT again and owes nothing, the new one PENDING"
    OWE_OLD = "the old credential enters the revocation ledger"
    OWE_NEW = "the new credential enters the revocation ledger"
    BURY_OLD = "the old one is proven dead: REVOKED, its ledger entry closes"
    BURY_NEW = "the new one is gone: REVOKED, its ledger entry closes"
    RETIRE_OLD = "the old one becomes RETIRED; the ledger keeps owing it"
    RETIRE_NEW = "the new one becomes RETIRED; the ledger keeps owing it"


MARKS: Mapping[State, Mark] = {
    S.AWAITING: Mark.DROP,
    S.CREATED: Mark.KEEP,
    S.PUBLISHED: Mark.PROMOTE,
    S.RETIRING: Mark.OWE_OLD,
    S.PROVING_DEAD: Mark.OWE_OLD,
    S.DEMOTED: Mark.DEMOTE,
    S.UNDOING: Mark.OWE_NEW,
    S.DONE: Mark.BURY_OLD,
    S.DONE_OWED: Mark.RETIRE_OLD,
    S.ABORTED: Mark.BURY_NEW,
    S.ABORTED_OWED: Mark.RETIRE_NEW,
}

SERVES: Mapping[str, Mapping[State, Stage]] = {
    "self-issued": {
        S.CREATED: Stage.PENDING,
        S.STAGED: Stage.PENDING,
        S.PROBING: Stage.PENDING,
        S.REVERTING: Stage.PREVIOUS,
        S.REVERT_STAGED: Stage.PREVIOUS,
        S.REVERT_PROBING: Stage.PREVIOUS,
    },
}
"""Which label the targets that the validating consumer reads are served, where it is not CURRENT."""

_AFTER_PUBLISHED: Table = {
    S.PUBLISHED: Row(Step.DELIVER, S.DELIVERED, S.FALLING_BACK, abort=S.FALLING_BACK, deadline=DAY),
    S.DELIVERED: Row(Step.CONFIRM, S.PROVEN, S.FALLING_BACK, exhausted=S.STUCK, abort=S.FALLING_BACK,
                     deadline=DAY, vouch=True, resume=S.PUBLISHED),
    S.PROVEN: Row(Step.WAIT, S.RETIRING, S.STUCK, abort=S.FALLING_BACK, deadline=400 * DAY, resume=S.PUBLISHED),
    S.RETIRING: Row(Step.REVOKE_OLD, S.PROVING_DEAD, S.DONE_OWED, vouch=True),
    S.PROVING_DEAD: Row(Step.PROVE_DEAD, S.DONE, S.DONE_OWED, vouch=True, deadline=120.0),
    S.FALLING_BACK: Row(Step.TEST_OLD, S.DEMOTED, S.PUBLISHED, exhausted=S.STUCK, over=S.STUCK, again=S.PUBLISHED),
    S.DEMOTED: Row(Step.DELIVER, S.RESTORED, S.STUCK),
    S.RESTORED: Row(Step.CONFIRM, S.UNDOING, S.STUCK, vouch=True, resume=S.DEMOTED),
    S.UNDOING: Row(Step.REVOKE_NEW, S.ABORTED, S.ABORTED_OWED, vouch=True),
}

OVERLAP: Table = {
    S.PLANNED: Row(Step.ANNOUNCE, S.CREATING, S.ABORTED, abort=S.ABORTED),
    S.CREATING: Row(Step.CREATE, S.CREATED, S.ABORTED, unknown=S.DISCARDING, abort=S.ABORTED),
    S.DISCARDING: Row(Step.DISCARD, S.PLANNED, S.STUCK, over=S.ABORTED, again=S.PLANNED, abort=S.WITHDRAWING,
                      vouch=True),
    S.WITHDRAWING: Row(Step.DISCARD, S.ABORTED, S.STUCK, vouch=True),
    S.CREATED: Row(Step.TEST, S.PUBLISHED, S.UNDOING, abort=S.UNDOING),
    **_AFTER_PUBLISHED,
}
"""Two credentials may live at once: nobody is ever without a working one."""

ASSISTED: Table = {
    S.PLANNED: Row(Step.ANNOUNCE, S.AWAITING, S.ABORTED, abort=S.ABORTED),
    S.AWAITING: Row(Step.OBTAIN, S.CREATED, S.ABORTED, exhausted=S.STUCK, abort=S.ABORTED),
    S.CREATED: Row(Step.TEST, S.PUBLISHED, S.AWAITING, exhausted=S.STUCK, abort=S.UNDOING, deadline=DAY),
    **_AFTER_PUBLISHED,
}
"""A person makes the new one; a value that the provider refuses sends us back to asking."""

ALTERNATE: Table = {
    S.PLANNED: Row(Step.ANNOUNCE, S.VACATING, S.ABORTED, abort=S.ABORTED),
    S.VACATING: Row(Step.VACATE, S.CREATING, S.ABORTED, abort=S.ABORTED, deadline=DAY, vouch=True),
    S.CREATING: Row(Step.CREATE, S.CREATED, S.ABORTED, unknown=S.CREATING_AGAIN, abort=S.ABORTED),
    S.CREATING_AGAIN: Row(Step.CREATE, S.CREATED, S.CLEARING, abort=S.CLEARING),
    S.CLEARING: Row(Step.CLEAR, S.ABORTED, S.STUCK, vouch=True),
    S.CREATED: Row(Step.TEST, S.PUBLISHED, S.UNDOING, abort=S.UNDOING),
    **_AFTER_PUBLISHED,
}
"""Two fixed slots, one in use: the idle one is proven unused and given a new value, which ends what stood in it. A slot
whose answer was lost is simply given another; it is emptied where that is given up. The handle of a version is the name
of its slot, so the one in use is never touched before its value is proven replaced."""

CUT_OVER: Table = {
    S.PLANNED: Row(Step.ANNOUNCE, S.CREATING, S.ABORTED, abort=S.ABORTED),
    S.CREATING: Row(Step.CREATE, S.CREATED, S.ABORTED, unknown=S.PROBING_OLD, abort=S.ABORTED),
    S.PROBING_OLD: Row(Step.TEST_OLD, S.CREATING_AGAIN, S.RECOVERING, exhausted=S.STUCK, over=S.STUCK,
                       again=S.CREATING_AGAIN),
    S.CREATING_AGAIN: Row(Step.CREATE, S.CREATED, S.STUCK, unknown=S.PROBING_OLD),
    S.RECOVERING: Row(Step.RECOVER, S.CREATED, S.RECREATING, exhausted=S.STUCK, over=S.STUCK, again=S.CREATED),
    S.RECREATING: Row(Step.RECREATE, S.CREATED, S.STUCK, unknown=S.RECOVERING, over=S.STUCK, again=S.RECOVERING,
                      resume=S.CREATED),
    S.CREATED: Row(Step.TEST, S.PUBLISHED, S.RECOVERING, exhausted=S.PUBLISHED, over=S.STUCK, again=S.RECOVERING,
                   deadline=15.0),
    S.PUBLISHED: Row(Step.DELIVER, S.DELIVERED, S.STUCK, deadline=DAY),
    S.DELIVERED: Row(Step.CONFIRM, S.RECHECKING, S.STUCK, deadline=DAY, vouch=True, resume=S.PUBLISHED),
    S.RECHECKING: Row(Step.TEST, S.PROVING_DEAD, S.RECOVERING, exhausted=S.STUCK, over=S.STUCK, again=S.RECOVERING),
    S.PROVING_DEAD: Row(Step.PROVE_DEAD, S.DONE, S.DONE_OWED, vouch=True, deadline=120.0),
}
"""Creating the new one kills the old: once CREATE may have happened there is only forward."""

SELF_ISSUED: Table = {
    S.PLANNED: Row(Step.ANNOUNCE, S.CREATING, S.ABORTED, abort=S.ABORTED),
    S.CREATING: Row(Step.CREATE, S.CREATED, S.ABORTED, abort=S.ABORTED),
    S.CREATED: Row(Step.STAGE, S.STAGED, S.UNSTAGING, abort=S.UNSTAGING),
    S.STAGED: Row(Step.RELOAD, S.PUBLISHED, S.UNSTAGING, unknown=S.PROBING, abort=S.UNSTAGING, deadline=30.0),
    S.PROBING: Row(Step.PROBE, S.PUBLISHED, S.CREATED, exhausted=S.STUCK, over=S.UNSTAGING, again=S.CREATED,
                   abort=S.UNSTAGING),
    S.UNSTAGING: Row(Step.DELIVER, S.UNSTAGED, S.STUCK),
    S.UNSTAGED: Row(Step.PROBE, S.PUBLISHED, S.ABORTED, exhausted=S.STUCK),
    S.PUBLISHED: Row(Step.DELIVER, S.DELIVERED, S.REVERTING, exhausted=S.STUCK, abort=S.REVERTING, deadline=DAY),
    S.DELIVERED: Row(Step.CONFIRM, S.PROVING_DEAD, S.REVERTING, exhausted=S.STUCK, abort=S.REVERTING, deadline=DAY,
                     vouch=True, resume=S.PUBLISHED),
    S.PROVING_DEAD: Row(Step.PROVE_DEAD, S.DONE, S.REVERT_PROBING, exhausted=S.DONE_OWED, vouch=True, deadline=120.0),
    S.REVERTING: Row(Step.STAGE, S.REVERT_STAGED, S.STUCK),
    S.REVERT_STAGED: Row(Step.RELOAD, S.DEMOTED, S.REVERT_PROBING, unknown=S.REVERT_PROBING),
    S.REVERT_PROBING: Row(Step.PROBE, S.REVERTING, S.DEMOTED, exhausted=S.STUCK, over=S.STUCK, again=S.REVERTING),
    S.DEMOTED: Row(Step.DELIVER, S.RESTORED, S.STUCK),
    S.RESTORED: Row(Step.CONFIRM, S.ABORTED, S.STUCK, vouch=True, resume=S.DEMOTED),
}
"""We are the issuer and the consumer is the validator, which holds one value only: deliver first, then see."""

REFRESH: Table = {
    S.PLANNED: Row(Step.ANNOUNCE, S.CREATING, S.ABORTED, abort=S.ABORTED),
    S.CREATING: Row(Step.REFRESH, S.CREATED, S.STUCK, unknown=S.DOUBTFUL, exhausted=S.ABORTED, abort=S.ABORTED,
                    resume=S.AWAITING),
    S.DOUBTFUL: Row(Step.ASK_AGAIN, S.CREATING, S.STUCK, over=S.STUCK, again=S.CREATING, deadline=DAY,
                    resume=S.AWAITING),
    S.AWAITING: Row(Step.REAUTHORIZE, S.CREATING, S.STUCK),
    S.CREATED: Row(Step.TEST, S.PUBLISHED, S.PROBING_OLD, abort=S.PROBING_OLD, deadline=DAY),
    S.PROBING_OLD: Row(Step.TEST_OLD, S.UNDOING, S.CREATED, exhausted=S.STUCK, over=S.STUCK, again=S.CREATED,
                       resume=S.CREATED),
    **_AFTER_PUBLISHED,
}
"""A single-use refresh token yields the next value and the next refresh token. It is used again only where the
provider allows that, or is seen not to have spent it; else a person authorizes anew. Backing out gives up the new
value alone, and only while the old one is seen to live: the new refresh token stays, and the next rotation is made
with it."""

STRATEGIES: Mapping[str, Table] = {
    "overlap": OVERLAP,
    "alternate": ALTERNATE,
    "cut-over": CUT_OVER,
    "refresh": REFRESH,
    "self-issued": SELF_ISSUED,
    "assisted": ASSISTED,
}

BACKING_OUT = frozenset({S.FALLING_BACK, S.REVERTING, S.REVERT_STAGED, S.REVERT_PROBING, S.DEMOTED, S.RESTORED})
"""States on the way back to the old value. A compromised one is never gone back to."""


def table_for(strategy: str, *, compromised: bool = False) -> Table:
    """The table of a strategy. Under `compromised` no arrow leads back to the old value: they end STUCK."""
    table = STRATEGIES[strategy]
    if not compromised:
        return table
    return {state: _forward_only(row) for state, row in table.items() if state not in BACKING_OUT}


def _forward_only(row: Row) -> Row:
    def turn(state: State | None) -> State | None:
        return State.STUCK if state in BACKING_OUT else state

    return replace(
        row,
        ok=turn(row.ok) or row.ok,
        refused=turn(row.refused) or row.refused,
        unknown=turn(row.unknown),
        exhausted=turn(row.exhausted),
        over=turn(row.over),
        abort=None if row.abort in BACKING_OUT else row.abort,
    )
