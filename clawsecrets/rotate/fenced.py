"""What a process may still do that finds out, after an effect, that another one has taken its rotation over.

It commits nothing. But its effect came too late and may contradict what the other one did meanwhile, and nobody else
knows of it: so it takes the effect back, or puts what the store says now in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clawsecrets.errors import ClawError, LateEffect
from clawsecrets.model.record import IN_USE, Revocation
from clawsecrets.model.rotation import Outcome, Step
from clawsecrets.ports import Handover, Reply
from clawsecrets.rotate.delivery import deliver
from clawsecrets.rotate.job import Job

Owe = Callable[[str, Revocation], bool]
"""Puts a debt into the ledger of a secret; False when that cannot be done now."""


SLOTTED = frozenset({Step.CREATE, Step.CLEAR, Step.REVOKE_OLD, Step.REVOKE_NEW})
"""Steps that change a slot at the provider (strategy alternate), whatever stands in it by then."""


def make_good(job: Job, step: Step, reply: Reply, owe: Owe) -> None:
    """Make good a late effect. Raises LateEffect where that cannot be done, with what a person must do."""
    if step is Step.CREATE and job.rotation.strategy == "overlap" and reply.outcome is Outcome.OK:
        _take_back(job, reply, owe)  # its holder minted one of its own
    elif step in (Step.CREATE, Step.RECREATE) and job.rotation.strategy == "cut-over" and reply.outcome is Outcome.OK:
        name = job.record.secret.name
        raise LateEffect(f"{name} was rotated by another process while this one slept, and this one has replaced it "
                         "once more at the provider", f"the stored value is dead: run clawsecrets rotate {name} now")
    elif step is Step.REFRESH and reply.outcome is Outcome.OK:
        end_spare(job, step, reply)
        name = job.record.secret.name
        raise LateEffect(f"{name} was refreshed by another process while this one slept, and this one has used its "
                         "refresh token once more at the provider",
                         f"see that the stored one still works: clawsecrets rotate {name}")
    elif step in SLOTTED and job.rotation.strategy == "alternate":
        _see_to_slot(job, step, reply, owe)
    elif step in (Step.STAGE, Step.DELIVER):
        _deliver_again(job)


def end_spare(job: Job, step: Step, reply: Reply) -> None:
    """Revoke the value of a pair whose refresh token went to another process, or that came too late. What cannot be
    revoked ends by itself."""
    if step is Step.REFRESH and reply.value is not None:
        job.outfit.issuer.revoke("", reply.value, job.request)


def _see_to_slot(job: Job, step: Step, reply: Reply, owe: Owe) -> None:
    """A late effect changes whatever stands in the slot now. Where nobody uses the slot, what was put there is taken
    back; where its effect ended the value in use, that is said."""
    name = job.record.secret.name
    try:
        record = job.store.load(name)
    except ClawError:  # deleted meanwhile: nobody is to use it
        return
    current = record.current
    if step is Step.CREATE and reply.outcome is Outcome.OK and not record.rotating and not any(
            version.handle == reply.handle and version.stage in IN_USE for version in record.versions):
        _take_back(job, reply, owe)
    value = replace(job, record=record).value(current.number) if current is not None else None
    if value is None or reply.outcome in (Outcome.REFUSED, Outcome.LATER):
        return
    if job.outfit.issuer.test(value, job.request).outcome is Outcome.REFUSED:
        raise LateEffect(f"{name} was rotated by another process while this one slept, and this one has changed the "
                         "slot of the stored value once more at the provider",
                         f"the stored value is dead: run clawsecrets rotate {name} now")


def _take_back(job: Job, made: Reply, owe: Owe) -> None:
    name, label = job.record.secret.name, job.rotation.label
    answer = job.outfit.issuer.revoke(made.handle, made.value, job.request)
    if answer.outcome is Outcome.OK:
        return
    entry = Revocation(0, made.handle, job.now, "orphan", next_at=job.now, note=answer.detail, label=label,
                       rotation=job.rotation.id)
    if not made.handle or not owe(name, entry):
        raise LateEffect(f"{name} was taken over by another process, and the credential that this one made (id "
                         f"{made.handle or 'unknown'}, label {label}) could not be revoked: {answer.detail}",
                         "revoke it at the provider")


def _deliver_again(job: Job) -> None:
    """What we wrote may be older than what the other process wrote: write what the store says now."""
    try:
        record = job.store.load(job.record.secret.name)
    except ClawError:  # deleted meanwhile: nothing is to stand there, and nothing is known to put there
        return
    deliver(job.store, job.gear, record, job.outfit, job.now)
    current = record.current
    if current is None or job.outfit.tests_elsewhere:
        return
    secret = record.secret
    value = job.store.value(secret.name, current.number)
    for consumer in job.outfit.consumers.values():
        consumer.reload(Handover(secret.name, secret.provider, secret.kind.value, value, current.number))
