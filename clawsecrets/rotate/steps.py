"""Each step of the tables as calls on the ports (those that prove and end stand in proof.py). A step answers a Reply
and says how the record changes; it never commits and never decides where to go: the table does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from clawsecrets.model.hosts import AWAITED
from clawsecrets.model.record import RETRY_AFTER, WATCH, Ack, Record, Revocation
from clawsecrets.model.rotation import Outcome, State, Step
from clawsecrets.ports import Handover, Reply
from clawsecrets.rotate import preflight, proof, refreshing, shadowing, slots
from clawsecrets.rotate.delivery import deliver
from clawsecrets.rotate.elsewhere import LOOK_AGAIN, Voice, carriers, elsewhere, heard, owner, waiting
from clawsecrets.rotate.held import holds_all
from clawsecrets.rotate.job import GONE, Done, Job
from clawsecrets.rotate.proof import FAR, NOT_RELOADED, each, overridden, probe, urgent


def announce(job: Job) -> Done:
    """Look before anything happens, with the eyes of the dry run. Where the consumer that validates the value is on
    another host, that one goes on from here."""
    others = carriers(job.outfit, job.record.secret)
    if others:
        return Done(Reply(Outcome.LATER, f"{AWAITED}{' or '.join(others)} to carry it out", after=LOOK_AGAIN))
    notes: list[str] = []
    looked = preflight.looked(job.record, job.outfit, job.store, job.gear, compromised=job.rotation.compromised)
    for reply, passed_over in looked:
        if reply.outcome is not Outcome.OK:
            return Done(reply)
        if passed_over:
            notes.append(reply.detail)
    return Done(Reply(Outcome.OK, "; ".join(notes)))


def create(job: Job) -> Done:
    """Mint. An OK without a value is no OK."""
    return Done(_new(job, job.outfit.issuer.create(job.request)))


def recover(job: Job) -> Done:
    """Read back what a lost CREATE made, or take it from a person; a value that is known already is no such thing."""
    if job.supplied is not None:
        return Done(_new(job, Reply(Outcome.OK, "given by a person", value=job.supplied)))
    return Done(_new(job, job.outfit.issuer.recover(job.request)))


def recreate(job: Job) -> Done:
    """Mint again although the old one is dead."""
    return Done(_new(job, job.outfit.issuer.recreate(job.request)))


def obtain(job: Job) -> Done:
    """Take the value that a person supplied, or ask for it. One that stands in the store already (in use, or owed a
    revocation) is not taken: it would be revoked as the older version that it is. Nor is one that was revoked: it is
    known to others, or was never accepted."""
    known = 0 if job.supplied is None else job.known_as(job.supplied)
    if known:
        return Done(Reply(Outcome.LATER, f"the value given is version {known}; give the new one", person=True))
    gone = 0 if job.supplied is None else job.revoked_as(job.supplied)
    if gone:
        why = f"the value given was version {gone}, which is revoked; give the new one"
        return Done(Reply(Outcome.LATER, why, person=True))
    return Done(_new(job, job.outfit.issuer.create(job.request)))


def _new(job: Job, reply: Reply) -> Reply:
    """An OK must hold a value, and one that no version has: else nothing new was made."""
    if reply.outcome is not Outcome.OK:
        return reply
    if not reply.value:
        return Reply(Outcome.UNKNOWN, "the provider answered without a value")
    known = job.known_as(reply.value) or job.revoked_as(reply.value)
    return Reply(Outcome.REFUSED, f"the provider gave the value of version {known} again") if known else reply


def discard(job: Job) -> Done:
    """Find what a crash left under this round's label and kill it. The label stays watched: what was lost may still
    happen at the provider."""
    reply, found = job.outfit.issuer.find(job.request)
    if reply.outcome is not Outcome.OK:
        if job.vouched:
            return Done(Reply(Outcome.OK, reply.detail), caveat="what a lost create left: removed on a person's word")
        return Done(reply)
    label, rotation = job.rotation.label, job.rotation.id
    left = [Revocation(0, "", job.now, WATCH, next_at=job.now + RETRY_AFTER[0], label=label, rotation=rotation)]
    killed = 0
    for item in found:
        if job.known_now(item):
            continue
        answer = job.outfit.issuer.revoke(item.handle, None, job.request)
        if answer.outcome is Outcome.REFUSED:
            left.append(Revocation(0, item.handle, job.now, "orphan", next_at=job.now, note=answer.detail, label=label,
                                   rotation=rotation))
        elif answer.outcome is not Outcome.OK:
            return Done(answer)
        killed += 1
    return Done(Reply(Outcome.OK, f"{killed} discarded"), lambda record: _owe_all(record, left))


def _owe_all(record: Record, entries: list[Revocation]) -> Record:
    for entry in entries:
        record = record.owe(entry)
    return record


def test(job: Job) -> Done:
    """Does the provider accept the new value?"""
    value = job.value(job.rotation.new_version)
    if value is None:
        return Done(GONE)
    reply = job.outfit.issuer.test(value, job.request)
    if reply.untestable:
        return Done(Reply(Outcome.OK, reply.detail), caveat=f"the new one was not tested: {_why(reply)}")
    if reply.outcome is not Outcome.OK:
        return Done(reply)
    return Done(reply, lambda record: record.change(job.rotation.new_version, lambda v: replace(
        v, tested_at=job.now, handle=v.handle or reply.handle, identity=reply.identity or v.identity)))


def test_old(job: Job) -> Done:
    """Does the provider still accept the old value?"""
    value = job.value(job.rotation.old_version)
    if not job.rotation.old_version and job.rotation.strategy == "refresh" and job.rotation.state is State.PROBING_OLD:
        return Done(Reply(Outcome.OK, "there was no older value: nobody needs one"))
    if value is None:
        return Done(Reply(Outcome.REFUSED, "there is no older value to fall back on"))
    reply = job.outfit.issuer.test(value, job.request)
    if reply.untestable:
        if job.rotation.state is State.FALLING_BACK:  # nothing of ours has revoked it yet
            return Done(Reply(Outcome.OK), caveat=f"the old one was not tested: {_why(reply)}")
        return Done(Reply(Outcome.UNKNOWN, f"the old one was not tested: {_why(reply)}"))
    return Done(reply)


def _why(untestable: Reply) -> str:
    """Its issuer's reason, which need not be the provider's fault."""
    return untestable.detail or "the provider has no way to test it"


def stage(job: Job) -> Done:
    """Serve the new value to the targets that the validating consumer reads, and to no other reader."""
    if job.handover() is None:
        return Done(GONE)
    if not job.outfit.staged:
        return Done(Reply(Outcome.REFUSED, job.outfit.unvalidated(job.record.secret.name)))
    done = deliver(job.store, job.gear, job.record, job.outfit, job.now, job.outfit.staged, job.actor)
    return Done(done.reply, lambda record: record.ack(*done.acks))


def reload(job: Job) -> Done:
    """Make the validating consumers take the staged value."""
    return each(job, job.handover(), lambda c: c.validates, lambda c, h: c.reload(h))


def deliver_all(job: Job) -> Done:
    """Write every target of this host, reload the consumers that do not validate it, wait for other hosts."""
    handover = job.handover(forward=False) if job.rotation.state is State.UNSTAGING else job.handover()
    if handover is None:
        return Done(GONE)
    hosts = elsewhere(job.outfit, job.record.secret)
    done = Done(Reply(Outcome.OK)) if hosts and _was_done(job, handover.new_version) else _deliver_here(job, handover)
    if done.reply.outcome is not Outcome.OK or not hosts:
        return done
    found = heard(job.record, handover.new_version, job.record.secret.injectors, hosts)
    if found.refused:
        return replace(done, reply=urgent(job, Reply(Outcome.REFUSED, found.refused)))
    if not found.absent:
        return done
    reply = waiting(found, "deliver it")
    if overridden(job, reply, FAR):
        without = f"not delivered: host {', host '.join(found.absent)}"
        return replace(done, caveat="; ".join(filter(None, (done.caveat, without))))
    return replace(done, reply=urgent(job, reply, FAR))


def _was_done(job: Job, version: int) -> bool:
    """Whether this host's part was done by an earlier try, which only waited for other hosts: no consumer is reloaded
    again and again for that."""
    mine = (*job.outfit.injectors, *job.outfit.consumers)
    acks = [job.record.acked(target) for target in mine]
    return holds_all(job) and all(ack is not None and ack.version == version for ack in acks)


def _deliver_here(job: Job, handover: Handover) -> Done:
    name, hosted = job.record.secret.name, [t for t in job.outfit.consumers if owner(job.outfit, t)]
    Voice(job.store, job.now, job.actor).unsay(name, hosted, handover.new_version)
    done = deliver(job.store, job.gear, job.record, job.outfit, job.now, actor=job.actor)

    def edit(record: Record) -> Record:
        return record.ack(*done.acks)

    if done.reply.outcome is not Outcome.OK:
        return Done(done.reply, edit)
    self_issued = job.outfit.tests_elsewhere
    told = each(job, handover, lambda c: not (self_issued and c.validates), lambda c, h: c.reload(h))
    caveat = ""
    if told.reply.outcome is not Outcome.OK:
        if not overridden(job, told.reply):
            return Done(urgent(job, told.reply), edit)
        caveat = f"{NOT_RELOADED}: {told.reply.detail}"
    if not elsewhere(job.outfit, job.record.secret):
        return Done(done.reply, edit, caveat)
    reloaded = tuple(Ack(target, handover.new_version, job.now, "") for target in job.outfit.consumers)
    return Done(done.reply, lambda record: record.ack(*done.acks, *reloaded), caveat)


STEPS: Mapping[Step, Callable[[Job], Done]] = {
    Step.ANNOUNCE: announce,
    Step.VACATE: slots.vacate,
    Step.CREATE: create,
    Step.DISCARD: discard,
    Step.CLEAR: slots.clear,
    Step.RECOVER: recover,
    Step.RECREATE: recreate,
    Step.OBTAIN: obtain,
    Step.REFRESH: refreshing.refresh,
    Step.ASK_AGAIN: refreshing.ask_again,
    Step.REAUTHORIZE: refreshing.reauthorize,
    Step.TEST: test,
    Step.TEST_OLD: test_old,
    Step.STAGE: stage,
    Step.RELOAD: reload,
    Step.PROBE: probe,
    Step.DELIVER: deliver_all,
    Step.CONFIRM: proof.confirm,
    Step.WAIT: proof.wait,
    Step.REVOKE_OLD: proof.revoke_old,
    Step.PROVE_DEAD: shadowing.prove_dead,
    Step.REVOKE_NEW: proof.revoke_new,
}
