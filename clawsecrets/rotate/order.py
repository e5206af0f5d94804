"""What is asked of the engine, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Rotation, State
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Lease
from clawsecrets.rotate.commits import nobody

TAKES_REFRESH = frozenset({State.CREATING, State.DOUBTFUL, State.AWAITING})
"""States of the strategy refresh that a new refresh token of a person leads out of."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Settings:
    """How patient and who. Seconds."""

    lease: float = 90.0
    patience: float = 30.0
    """How long one run waits for LATER before it leaves the rotation parked."""
    queue: float = 60.0
    """How long to wait for another process that rotates the same secret."""
    actor: str = ""
    holder: str = ""
    """Unique per process: the lease is taken in this name."""
    stopping: Callable[[], bool] = _never
    """Whether to leave the rotation, parked, before its next step."""
    lead: Callable[[], Lease | None] = nobody
    """The daemon's: nothing is begun once another has it."""


@dataclass(frozen=True)
class Order:
    """What the operator asked of one rotation."""

    from_version: int = 0
    """Rotate only if this version is current; 0 = the one that is when the command begins."""
    compromised: bool = False
    revoke_unproven: bool = False
    supplied: SecretValue | None = None
    begin: bool = True
    """False: go on with an unfinished rotation only; where there is none (any more) nothing is done."""


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    record: Record
    already: bool = False
    """Another process had rotated it already; nothing was done."""


def may_give(rotation: Rotation) -> bool:
    """Whether a rotation that is not assisted takes from a person what it is stuck for: a value, a refresh token."""
    if rotation.strategy == "refresh":
        return rotation.state is State.AWAITING or rotation.stuck_in in TAKES_REFRESH
    return rotation.strategy == "cut-over" and rotation.state is State.STUCK
