"""The steps that look and that end: which value is in effect, who uses it, and that the other one is dead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clawsecrets.model.record import Ack, Record, in_use, same_value_in_use
from clawsecrets.model.rotation import MAX_TRIES, Outcome, Step
from clawsecrets.model.secret import SecretValue, Version
from clawsecrets.model.strategies import STRATEGIES
from clawsecrets.ports import Consumer, Handover, Reply
from clawsecrets.rotate import refreshing
from clawsecrets.rotate.elsewhere import LOOK_AGAIN, elsewhere, heard, waiting
from clawsecrets.rotate.held import held
from clawsecrets.rotate.job import GONE, Done, Job

FORCE = "revoking now may break it (--revoke-unproven does it)"
STILL_ALIVE = Reply(Outcome.LATER, "the provider still accepts it", after=5.0)
PROOF_LASTS = 60.0
"""Seconds after which a consumer is asked again before the old one is revoked: during a long grace it may have gone
back to it, and consumers may have been added."""
HURRY = 20.0
"""Seconds that a consumer may be unreachable before the replacement of a compromised value stops for a person."""
FAR = 120.0
"""The same for another host, whose daemon looks at the store from time to time."""
NOT_RELOADED = "not reloaded"
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
        return Done(Reply(Outcome.REFUSED, job.outfit.unvalidated(job.record.secret.name)))
    outcomes = {reply.outcome for _, reply in replies}
    if outcomes == {Outcome.OK, Outcome.REFUSED}:
        where = ", ".join(f"{target} the {'new' if r.outcome is Outcome.OK else 'old'} one" for target, r in replies)
        return Done(Reply(Outcome.LATER, f"they differ: {where}", after=5.0))
    return Done(_worst(replies, (Outcome.UNKNOWN, Outcome.LATER, Outcome.REFUSED)) or Reply(Outcome.OK))


def overridden(job: Job, reply: Reply, patience: float = HURRY) -> bool:
    """Whether the order (`--revoke-unproven`) stands in for a consumer that was tried long enough and is down."""
    if reply.outcome is Outcome.UNKNOWN:
        return job.forced and job.rotation.tries + 1 >= MAX_TRIES
    known_down = any(caveat.startswith(NOT_RELOADED) for caveat in job.rotation.caveats)
    waited = known_down or job.now - job.rotation.entered_at >= patience
    return job.forced and reply.outcome is Outcome.LATER and waited


def urgent(job: Job, reply: Reply, patience: float = HURRY) -> Reply:
    """Under `compromised` nobody waits for a consumer that is down: a person must decide whether to revoke."""
    waits = reply.outcome is Outcome.LATER and not reply.person
    if not (waits and job.rotation.compromised and job.now - job.rotation.entered_at >= patience):
        return reply
    return replace(reply, outcome=Outcome.REFUSED, detail=f"{reply.detail}; {FORCE}")


def _worst(replies: Sequence[tuple[str, Reply]], order: Sequence[Outcome]) -> Reply | None:
    """The first reply of the first of these outcomes that occurs, with its target in front."""
    for outcome in order:
        for target, reply in replies:
            if reply.outcome is outcome:
                return replace(reply, detail=f"{target}: {reply.detail}")
    return None


def confirm(job: Job) -> Done:
    """See that every target holds it, then prove that every consumer uses it. Nobody to ask is `delivered, not
    proven`, never a success."""
    handover = job.handover()
    if handover is None:
        return Done(GONE)
    targets = held(job)
    if targets.trouble:
        hurry = job.rotation.compromised and job.now - job.rotation.entered_at >= HURRY
        return Done(Reply(Outcome.REFUSED if hurry else Outcome.LATER, targets.trouble, after=15.0))
    done = asked(job, handover)
    if done.reply.outcome is not Outcome.OK or not targets.caveat:
        return done
    return replace(done, caveat="; ".join(filter(None, (done.caveat, targets.caveat))))


def asked(job: Job, handover: Handover) -> Done:
    """Ask every consumer for its proof that it uses the new value of `handover`."""
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
        return Done(urgent(job, worst))
    far = _far(job, handover.new_version)
    if far is not None and not job.vouched:
        if far.outcome is Outcome.REFUSED or not overridden(job, far, FAR):
            return Done(urgent(job, far, FAR))
        unshown.append(far.detail)
    unshown.extend(_unshown_far(job, handover.new_version))
    if not job.record.secret.consumers:
        unshown.append("no consumer is configured that could show it")
    if unshown:
        return _unproven(job, "; ".join(unshown))
    return Done(Reply(Outcome.OK, "; ".join(proof for _, proof in shown)), 
                lambda record: _proven(record, job, handover.new_version, shown))


def _far(job: Job, version: int) -> Reply | None:
    """What other hosts have not shown yet, or have seen to be otherwise; None: nothing."""
    hosts = elsewhere(job.outfit, job.record.secret)
    holding = heard(job.record, version, job.record.secret.injectors, hosts)
    using = heard(job.record, version, job.record.secret.consumers, hosts, proven=True)
    refused = holding.refused or using.refused
    if refused:
        return Reply(Outcome.REFUSED, refused)
    if holding.absent:
        return waiting(holding, "deliver it")
    return waiting(using, "prove it") if using.absent else None


def _unshown_far(job: Job, version: int) -> Sequence[str]:
    hosts = elsewhere(job.outfit, job.record.secret)
    found = heard(job.record, version, job.record.secret.consumers, hosts, proven=True)
    absent = tuple(f"host {host} has not proven it" for host in found.absent) if job.vouched else ()
    return (*found.unshown, *absent)


def _word_will_do(job: Job, reply: Reply) -> bool:
    """Whether a person's word, now or in the order, can stand in for this proof. Never for a consumer that is
    seen to use another value."""
    if reply.outcome is Outcome.LATER and reply.person:
        return True
    return (job.vouched or overridden(job, reply)) and reply.outcome is not Outcome.REFUSED


def _proven(record: Record, job: Job, number: int, proofs: Proofs) -> Record:
    record = record.change(number, lambda v: replace(v, proven_at=job.now))
    return record.ack(*(Ack(target, number, job.now, proof) for target, proof in proofs))


def _unproven(job: Job, why: str) -> Done:
    rotation = job.rotation
    if job.vouched:
        return Done(Reply(Outcome.OK, why), caveat=f"confirm: {BY_WORD} ({why})")
    if job.forced:
        return Done(Reply(Outcome.OK, why), caveat=f"not proven in use: {why}")
    ends = refreshing.ends_by_itself(job, why)
    if ends is not None:
        return ends
    revokes = any(row.step is Step.REVOKE_OLD for row in STRATEGIES[rotation.strategy].values())
    if rotation.compromised and revokes:
        return Done(Reply(Outcome.REFUSED, f"{why}; {FORCE}"))
    return Done(Reply(Outcome.LATER, why, person=True))


def wait(job: Job) -> Done:
    """Let the grace pass (none when the old one is compromised), then see that what was proven still holds, and that
    the targets do: an old one that a target has come to hold again is not to be revoked."""
    grace = 0.0 if job.rotation.compromised else job.outfit.policy.grace or 0.0
    left = job.rotation.entered_at + grace - job.now
    if left > 0:
        return Done(Reply(Outcome.LATER, "grace: both are live", after=left))
    trouble = held(job).trouble
    if trouble:
        return Done(Reply(Outcome.REFUSED, trouble))
    far = _far(job, job.rotation.new_version)
    if far is not None and not _by_word(job):  # it was proven, and its host says otherwise since
        return Done(replace(far, outcome=Outcome.LATER, after=LOOK_AGAIN))
    new = job.record.version(job.rotation.new_version)
    if new is not None and new.proven_at and job.now - new.proven_at > PROOF_LASTS:
        return confirm(job)
    return Done(Reply(Outcome.OK))


def _by_word(job: Job) -> bool:
    """Whether the rotation has come past CONFIRM on a person's word, or by the order, without every proof."""
    return any(caveat.startswith(("confirm:", "not proven", "not delivered", NOT_RELOADED))
               for caveat in job.rotation.caveats)


def revoke_old(job: Job) -> Done:
    """Kill the replaced one, and every orphan that an earlier round of this rotation may have left."""
    current, old = job.record.current, job.record.version(job.rotation.old_version)
    if current is None or current.number != job.rotation.new_version:
        return Done(Reply(Outcome.REFUSED, "the new version is not current: nothing is revoked"))
    swept = _sweep(job, current.handle)
    if swept is not None:
        return Done(swept)
    if old is None or old.dead_at:
        return Done(Reply(Outcome.OK, "there is no older one"))
    if in_use(job.record, old):
        return _only_tried(job, old, "the old one")
    trouble = held(job).trouble
    if job.vouched:
        words = f"revoked {BY_WORD}"
        return Done(Reply(Outcome.OK, "revoked by a person"), caveat=f"{words}; {trouble}" if trouble else words)
    if trouble:  # nothing is revoked while a reader could come to read the old one: a person must stop what writes it
        return Done(Reply(Outcome.LATER, f"{trouble}: stop that; nothing was revoked", person=True))
    job.renew()
    return Done(job.outfit.issuer.revoke(old.handle, job.value(old.number), job.request))


def _sweep(job: Job, ours: str) -> Reply | None:
    """None when nothing but our versions carries a label of any of its rounds (or that cannot be told)."""
    if job.rotation.turn < 2 or not ours or not job.outfit.issuer.can("list"):
        return None
    for label in job.rotation.labels:
        reply, found = job.outfit.issuer.find(job.labelled(label))
        if reply.outcome is not Outcome.OK:
            return reply
        for item in found:
            if not job.known_now(item):
                answer = job.outfit.issuer.revoke(item.handle, None, job.request)
                if answer.outcome is not Outcome.OK:
                    return answer
    return None


def _only_tried(job: Job, version: Version, which: str) -> Done:
    """Its value or its id at the provider is also that of one in use, which a revocation could kill: none is sent.
    It may be dead already (a person who makes a bot's new token kills the old one by that): trying it tells."""
    value = job.value(version.number)
    if value is None or same_value_in_use(job.record, version):
        return Done(Reply(Outcome.REFUSED, f"{which} is the same as one in use: nothing is revoked"))
    reply = job.outfit.issuer.test(value, job.request)
    sure = reply.outcome in (Outcome.OK, Outcome.REFUSED) and not reply.untestable
    if sure and reply.outcome is Outcome.REFUSED:
        dead = Reply(Outcome.OK, f"{which} was tried and refused: nothing is left to revoke")
        return Done(dead, lambda record: record.seen_dead(version.number, job.now))
    if job.vouched and not sure:
        return Done(Reply(Outcome.OK, "revoked by a person"), caveat=f"revoked {BY_WORD}")
    if not sure and not reply.untestable:
        return Done(reply)
    why = f"{which} has the id of one in use at the provider, so nothing is revoked by it: revoke it by hand"
    by_person = job.rotation.strategy == "assisted"
    return Done(Reply(Outcome.LATER if by_person else Outcome.REFUSED, why, person=by_person))


def prove_dead(job: Job) -> Done:
    """Try the old one until it is refused."""
    value = job.value(job.rotation.old_version)
    if value is None:
        return Done(Reply(Outcome.OK, "there is no older one"))
    if job.outfit.tests_elsewhere:
        done = probe(job)
        if done.reply.outcome is Outcome.OK:
            return replace(done, edit=lambda record: record.seen_dead(job.rotation.old_version, job.now))
        unsure = done.reply.outcome in (Outcome.LATER, Outcome.UNKNOWN)
        return Done(Reply(Outcome.OK, done.reply.detail), caveat=f"dead {BY_WORD}") if job.vouched and unsure else done
    return _dead(job, value, job.rotation.old_version, "the old one")


def _dead(job: Job, value: SecretValue, number: int, which: str) -> Done:
    reply = job.outfit.issuer.test(value, job.request)
    if reply.untestable:
        return Done(Reply(Outcome.OK), caveat=f"{which} could not be tried: "
                    f"{reply.detail or 'the provider has no test'}")
    if reply.outcome is Outcome.REFUSED:
        dead = Reply(Outcome.OK, f"{which} was tried and refused")
        return Done(dead, lambda record: record.seen_dead(number, job.now))
    if reply.outcome is Outcome.OK:
        return Done(STILL_ALIVE)
    return Done(Reply(Outcome.OK, reply.detail), caveat=f"{which}: dead {BY_WORD}") if job.vouched else Done(reply)


def revoke_new(job: Job) -> Done:
    """Kill the new one after a back-out, and try it until it is refused."""
    new = job.record.version(job.rotation.new_version)
    if new is None or new.dead_at:
        return Done(Reply(Outcome.OK, "there is no new one"))
    if in_use(job.record, new):
        return _only_tried(job, new, "the new one")
    value = job.value(new.number)
    if not job.vouched:
        job.renew()
        reply = job.outfit.issuer.revoke(new.handle, value, job.request)
        if reply.outcome is not Outcome.OK:
            return Done(reply)
    if value is None:
        return Done(Reply(Outcome.OK))
    return _dead(job, value, new.number, "the new one")
