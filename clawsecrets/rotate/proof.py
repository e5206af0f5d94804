"""The steps that look and that end: which value is in effect, who uses it, and that the other one is dead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clawsecrets.model.record import Ack, Record
from clawsecrets.model.rotation import Outcome, Step
from clawsecrets.model.secret import SecretValue
from clawsecrets.model.strategies import STRATEGIES
from clawsecrets.ports import Consumer, Handover, Reply
from clawsecrets.rotate.delivery import missing_hosts
from clawsecrets.rotate.job import BACKWARDS, GONE, Done, Job

STILL_ALIVE = Reply(Outcome.LATER, "the provider still accepts it", after=5.0)
PROOF_LASTS = 60.0
"""Seconds after which a consumer is asked again before the old one is revoked: during a long grace it may have gone
back to it, and consumers may have been added."""
BY_WORD = "on a person's word"

Proofs = Sequence[tuple[str, str]]


def each(job: Job, handover: Handover | None, which: Callable[[Consumer], bool],
         call: Callable[[Consumer, Handover], Reply]) -> Done:
    """The call on each consumer that is meant; the first answer that is not OK ends it."""
    if handover is None:
        return Done(GONE)
    for target, consumer in job.outfit.consumers.items():
        if which(consumer):
            reply = call(consumer, handover)
            if reply.outcome is not Outcome.OK:
                return Done(replace(reply, detail=f"{target}: {reply.detail}"))
    return Done(Reply(Outcome.OK))


def probe(job: Job) -> Done:
    """Which value do the validating consumers accept? Always asked forwards: OK = the new one.

    When they differ, neither OK nor REFUSED is true: no row may throw away a value that one of them accepts.
    """
    handover = job.handover(forward=True)
    if handover is None:
        return Done(GONE)
    replies = [(target, consumer.probe(handover)) for target, consumer in job.outfit.consumers.items()
               if consumer.validates]
    if not replies:
        return Done(Reply(Outcome.REFUSED, "no consumer validates it"))
    outcomes = {reply.outcome for _, reply in replies}
    if outcomes == {Outcome.OK, Outcome.REFUSED}:
        where = ", ".join(f"{target} the {'new' if r.outcome is Outcome.OK else 'old'} one" for target, r in replies)
        return Done(Reply(Outcome.LATER, f"they differ: {where}", after=5.0))
    return Done(_worst(replies, (Outcome.UNKNOWN, Outcome.LATER, Outcome.REFUSED)) or Reply(Outcome.OK))


def _worst(replies: Sequence[tuple[str, Reply]], order: Sequence[Outcome]) -> Reply | None:
    """The first reply of the first of these outcomes that occurs, with its target in front."""
    for outcome in order:
        for target, reply in replies:
            if reply.outcome is outcome:
                return replace(reply, detail=f"{target}: {reply.detail}")
    return None


def confirm(job: Job) -> Done:
    """Prove that every consumer uses it. Nobody to ask is `delivered, not proven`, never a success."""
    handover = job.handover()
    if handover is None:
        return Done(GONE)
    shown: list[tuple[str, str]] = []
    unshown: list[str] = []
    failed: list[tuple[str, Reply]] = []
    for target, consumer in job.outfit.consumers.items():
        reply = consumer.prove(handover)
        if reply.outcome is Outcome.OK and reply.proof:
            shown.append((target, reply.proof))
        elif reply.outcome is Outcome.OK or _word_will_do(job, reply):
            unshown.append(f"{target}: {reply.detail or 'it shows no proof'}")
        else:
            failed.append((target, reply))
    worst = _worst(failed, (Outcome.REFUSED, Outcome.UNKNOWN, Outcome.LATER))
    if worst is not None:
        return Done(worst)
    absent = missing_hosts(job.record, handover.new_version, job.outfit.consumers, job.record.secret.consumers,
                           proven=True)
    if absent and not job.vouched:
        return Done(Reply(Outcome.LATER, f"waiting for {', '.join(absent)} to prove it", after=30.0))
    unshown.extend(f"{target}: its host has not proven it" for target in absent)
    if not job.record.secret.consumers:
        unshown.append("no consumer is configured that could show it")
    if unshown:
        return _unproven(job, "; ".join(unshown))
    return Done(Reply(Outcome.OK, "; ".join(proof for _, proof in shown)), lambda record: _proven(record, job, shown))


def _word_will_do(job: Job, reply: Reply) -> bool:
    """Whether a person's word can stand in for this proof. A consumer that is seen to use another value: never."""
    if reply.outcome is Outcome.LATER and reply.person:
        return True
    return job.vouched and reply.outcome is not Outcome.REFUSED


def _proven(record: Record, job: Job, proofs: Proofs) -> Record:
    number = job.rotation.old_version if job.rotation.state in BACKWARDS else job.rotation.new_version
    record = record.change(number, lambda v: replace(v, proven_at=job.now))
    return record.ack(*(Ack(target, number, job.now, proof) for target, proof in proofs))


def _unproven(job: Job, why: str) -> Done:
    rotation = job.rotation
    if job.vouched:
        return Done(Reply(Outcome.OK, why), caveat=f"confirm: {BY_WORD} ({why})")
    if rotation.revoke_unproven and rotation.compromised:
        return Done(Reply(Outcome.OK, why), caveat=f"not proven in use: {why}")
    revokes = any(row.step is Step.REVOKE_OLD for row in STRATEGIES[rotation.strategy].values())
    if rotation.compromised and revokes:
        return Done(Reply(Outcome.REFUSED, f"{why}; revoking now may break it (--revoke-unproven does it)"))
    return Done(Reply(Outcome.LATER, why, person=True))


def wait(job: Job) -> Done:
    """Let the grace pass (none when the old one is compromised), then see that what was proven still holds."""
    grace = 0.0 if job.rotation.compromised else job.outfit.policy.grace or 0.0
    left = job.rotation.entered_at + grace - job.now
    if left > 0:
        return Done(Reply(Outcome.LATER, "grace: both are live", after=left))
    new = job.record.version(job.rotation.new_version)
    if new is not None and new.proven_at and job.now - new.proven_at > PROOF_LASTS:
        return confirm(job)
    return Done(Reply(Outcome.OK))


def revoke_old(job: Job) -> Done:
    """Kill the replaced one, and every orphan that an earlier round of this rotation may have left."""
    current, old = job.record.current, job.record.version(job.rotation.old_version)
    if current is None or current.number != job.rotation.new_version:
        return Done(Reply(Outcome.REFUSED, "the new version is not current: nothing is revoked"))
    if old is not None and old.handle and old.handle == current.handle:
        return Done(Reply(Outcome.REFUSED, "old and new have the same id at the provider: nothing is revoked"))
    swept = _sweep(job, current.handle)
    if swept is not None:
        return Done(swept)
    if old is None or old.dead_at:
        return Done(Reply(Outcome.OK, "there is no older one"))
    if job.vouched:
        return Done(Reply(Outcome.OK, "revoked by a person"), caveat=f"revoked {BY_WORD}")
    return Done(job.outfit.issuer.revoke(old.handle, job.value(old.number), job.request))


def _sweep(job: Job, ours: str) -> Reply | None:
    """None when nothing but the new one carries our label (or that cannot be told)."""
    if job.rotation.rounds < 2 or not ours or not job.outfit.issuer.can("list"):
        return None
    reply, found = job.outfit.issuer.find(job.request)
    if reply.outcome is not Outcome.OK:
        return reply
    for item in found:
        if item.handle != ours:
            answer = job.outfit.issuer.revoke(item.handle, None, job.request)
            if answer.outcome is not Outcome.OK:
                return answer
    return None


def prove_dead(job: Job) -> Done:
    """Try the old one until it is refused."""
    value = job.value(job.rotation.old_version)
    if value is None:
        return Done(Reply(Outcome.OK, "there is no older one"))
    if job.outfit.tests_elsewhere:
        done = probe(job)
        unsure = done.reply.outcome in (Outcome.LATER, Outcome.UNKNOWN)
        return Done(Reply(Outcome.OK, done.reply.detail), caveat=f"dead {BY_WORD}") if job.vouched and unsure else done
    return _dead(job, value, "the old one")


def _dead(job: Job, value: SecretValue, which: str) -> Done:
    reply = job.outfit.issuer.test(value, job.request)
    if reply.untestable:
        return Done(Reply(Outcome.OK), caveat=f"{which} could not be tried: the provider has no test")
    if reply.outcome is Outcome.REFUSED:
        return Done(Reply(Outcome.OK, f"{which} was tried and refused"))
    if reply.outcome is Outcome.OK:
        return Done(STILL_ALIVE)
    return Done(Reply(Outcome.OK, reply.detail), caveat=f"{which}: dead {BY_WORD}") if job.vouched else Done(reply)


def revoke_new(job: Job) -> Done:
    """Kill the new one after a back-out, and try it until it is refused."""
    new = job.record.version(job.rotation.new_version)
    if new is None or new.dead_at:
        return Done(Reply(Outcome.OK, "there is no new one"))
    value = job.value(new.number)
    if not job.vouched:
        reply = job.outfit.issuer.revoke(new.handle, value, job.request)
        if reply.outcome is not Outcome.OK:
            return Done(reply)
    if value is None:
        return Done(Reply(Outcome.OK))
    return _dead(job, value, "the new one")
