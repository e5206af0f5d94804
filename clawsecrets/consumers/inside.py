"""What is inside of a process: does it hold the new value, or still the old one? Shared by the consumers that look.

An environment is frozen when a process starts, so a variable is proof. A file is proof only for a process that started
after the file last changed, or one that is known to read it again by itself (`rereads`): what stands in a file says
nothing about what was read from it before. The old value anywhere, in whatever variable or file, is no success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from clawsecrets.clients import processes
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover, Reply

SHORT = 8
"""Bytes. A longer value counts wherever it is part of something (a URL, a list of keys); a shorter one must be all of
it, for it could stand anywhere by chance."""


APART = 3 * processes.TICK
"""Seconds between the last write of a file and the start of a process by which the file counts as older: both times are
told in whole ticks (proc(5), inode(7)), so what lies closer together cannot be put in order."""


@dataclass(frozen=True)
class Piece:
    """Something that a process has, and where. `since`: when it last changed (a file), Unix seconds; 0 for what cannot
    change any more."""

    where: str
    content: bytes
    since: float = 0.0


@dataclass(frozen=True)
class Seen:
    """What was looked at. `started`: when the process began, Unix seconds; 0: after all that could have changed."""

    pieces: Sequence[Piece]
    started: float = 0.0
    unseen: str = ""
    """What could not be looked at, in one line."""


def look(pids: Sequence[int], files: Sequence[str], frozen: Sequence[str] = ()) -> Seen:
    """The environments of all of them, and the files as the first one sees them; those that are `frozen` are made for
    the process while it starts, and never change. NotSeen."""
    pieces = [Piece(f"{name} (process {pid})", value)
              for pid, held in processes.all_of(pids) for name, value in held.items()]
    unseen = ""
    for path in (*files, *frozen):
        try:
            for name in processes.listed(pids[0], path):
                content, since = processes.inside(pids[0], name)
                pieces.append(Piece(name, content, 0.0 if path in frozen else since))
        except processes.NotSeen:
            raise
        except OSError:
            unseen = unseen or f"{path} cannot be read there"
    return Seen(pieces, processes.started_at(pids[0]), unseen)


def judge(seen: Seen, handover: Handover, rereads: bool = False) -> Reply:
    """OK with proof; REFUSED: it still has the old one; LATER."""
    old = [piece for piece in seen.pieces if has_old(piece.content, handover)]
    if old:
        return Reply(Outcome.REFUSED, f"it still has the old value in {names(old)}")
    new = [piece for piece in seen.pieces if holds(piece.content, handover.new)]
    fresh = [piece for piece in new if rereads or not piece.since or piece.since + processes.TICK < seen.started]
    if fresh:
        return Reply(Outcome.OK, proof=f"version {handover.new_version} is in {names(fresh)}")
    if new:
        why = f"{names(new)} has the new value, but changed after the process started"
        return Reply(Outcome.LATER, f"{why}: restart it, or say rereads = true if it reads the file again", person=True)
    told = f"; {seen.unseen}" if seen.unseen else ""
    return Reply(Outcome.LATER, f"neither its environment nor the files that are named hold it{told}", person=True)


def holds(content: bytes, value: SecretValue) -> bool:
    """Whether the value stands there."""
    wanted = value.reveal()
    if len(wanted) < SHORT:
        return SecretValue(content.strip()) == SecretValue(wanted.strip())
    return wanted in content


def has_old(content: bytes, handover: Handover) -> bool:
    """Whether the old value stands there, other than as a part of the new one."""
    old, new = handover.old, handover.new
    if old is None or old == new:
        return False
    if len(new.reveal()) > len(old.reveal()) >= SHORT:
        content = content.replace(new.reveal(), b"")
    return holds(content, old)


def names(pieces: Sequence[Piece]) -> str:
    """The first few of them, for people."""
    found = list(dict.fromkeys(piece.where for piece in pieces))
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def before(reply: Reply, well: str) -> Reply:
    """The same for a look before a rotation: what is only not shown yet stops nothing. `well`: what is known to be."""
    if reply.outcome is Outcome.REFUSED:
        return Reply(Outcome.REFUSED, f"it does not use what the store holds as current: {reply.detail}")
    shown = reply.outcome is Outcome.OK
    return Reply(Outcome.OK, reply.proof if shown else f"{well}; not yet shown: {reply.detail}")


def forwards(reply: Reply) -> Reply:
    """The answer of a probe: what a proof says, but for what only a person could show."""
    return reply if reply.outcome in (Outcome.OK, Outcome.REFUSED) else Reply(Outcome.LATER, reply.detail)


def worst(replies: Iterator[Reply], nobody: Callable[[], Reply]) -> Reply:
    """One answer for several processes: the first that is not OK, else all proofs together."""
    proofs: list[str] = []
    for reply in replies:
        if reply.outcome is not Outcome.OK:
            return reply
        proofs.append(reply.proof)
    return Reply(Outcome.OK, proof="; ".join(dict.fromkeys(proofs))) if proofs else nobody()
