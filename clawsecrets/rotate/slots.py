"""The steps around two fixed slots (strategy alternate): the idle one is replaced, and nobody's value with it.

A version's handle is the name of its slot. What stands in the idle slot ends when a new value is put there, so before
that it must be known that nobody needs it: this store has seen it die, has replaced it (its death is owed), or every
consumer shows that it uses the value of the other slot.
"""

from __future__ import annotations

from dataclasses import replace

from clawsecrets.model.record import IN_USE, Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Stage, Version
from clawsecrets.ports import Reply
from clawsecrets.rotate.held import held
from clawsecrets.rotate.job import GONE, Done, Edit, Job
from clawsecrets.rotate.proof import asked

NO_SLOTS = Reply(Outcome.REFUSED, "its provider has no two slots to alternate between")


def vacate(job: Job) -> Done:
    """Find the slot in use and the idle one, and see that nobody needs what stands in that. Changes nothing outside.

    REFUSED where it is not known which slot is in use: nothing is replaced on a guess.
    """
    slots, old = job.outfit.slots, job.record.version(job.rotation.old_version)
    if slots is None:
        return Done(NO_SLOTS)
    if old is None:
        return Done(Reply(Outcome.REFUSED, "which slot is in use is not known: store its value first: clawsecrets set "
                                           f"{job.record.secret.name}"))
    where = Reply(Outcome.OK, handle=old.handle) if old.handle else slots.locate(job.request)
    if where.outcome is not Outcome.OK:
        return Done(where)
    idle = slots.idle(replace(job.request, old_handle=where.handle))
    if idle.outcome is not Outcome.OK:
        return Done(idle)
    edit = _placed(old.number, where.handle)
    if _serves(job.record, idle.handle) or idle.handle == where.handle:
        return Done(Reply(Outcome.REFUSED, f"slot {idle.handle} holds a value that is in use"))
    if _replaced(job, idle.handle):
        return Done(Reply(Outcome.OK, f"slot {idle.handle}: what stood in it was replaced"), edit)
    return _unused(job, idle.handle, edit)


def _unused(job: Job, slot: str, edit: Edit) -> Done:
    """What stands in the idle slot is not known: then every consumer must show that it uses the other one."""
    handover = job.handover(forward=False)
    if handover is None:
        return Done(GONE)
    targets = held(job)
    if targets.trouble:
        return Done(Reply(Outcome.LATER, targets.trouble, after=15.0))
    done = asked(job, handover)
    detail = f"slot {slot}: nobody uses it" if done.reply.outcome is Outcome.OK else done.reply.detail
    return Done(replace(done.reply, detail=detail), lambda record: edit(done.edit(record)),
                f"the other slot: {done.caveat}" if done.caveat else "")


def clear(job: Job) -> Done:
    """Empty the idle slot: a lost creation may have put a value there that nobody knows. Repeated without harm."""
    slots = job.outfit.slots
    if slots is None:
        return Done(NO_SLOTS)
    if job.vouched:
        return Done(Reply(Outcome.OK, "emptied by a person"), caveat="the idle slot: emptied on a person's word")
    slot = slots.idle(job.request)
    if slot.outcome is not Outcome.OK:
        return Done(slot)
    job.renew()
    if _serves(job.store.load(job.record.secret.name), slot.handle):
        return Done(Reply(Outcome.REFUSED, f"slot {slot.handle} holds a value that is in use: it is not emptied"))
    return Done(job.outfit.issuer.revoke(slot.handle, None, job.request))


def _placed(number: int, slot: str) -> Edit:
    """The slot in use is written down with its version: from then on it is known which one must not be touched."""
    return lambda record: record.change(number, lambda version: replace(version, handle=slot))


def _serves(record: Record, slot: str) -> bool:
    return any(version.handle == slot and version.stage in IN_USE for version in record.versions)


def _replaced(job: Job, slot: str) -> bool:
    """Whether what this store last put into the slot is dead, or owed its death since it was replaced or given up."""
    owed = {entry.version for entry in job.record.debts}
    last: Version | None = None
    for version in job.store.history(job.record.secret.name):
        if version.handle == slot and version.stage is not Stage.REFRESH:
            last = version
    return last is not None and (last.stage is Stage.REVOKED or last.number in owed)
