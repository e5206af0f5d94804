"""Each step of the tables as calls on the ports. A step answers a Reply and says how the record changes; it
never commits and never decides where to go: the table does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from clawsecrets.model.record import Ack, Record, Revocation
from clawsecrets.model.rotation import Outcome, Rotation, State, Step
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Consumer, Handover, Reply, Request, Store
from clawsecrets.rotate import preflight
from clawsecrets.rotate.delivery import deliver, missing_hosts
from clawsecrets.rotate.gear import Gear, Outfit

BACKWARDS = frozenset({State.REVERTING, State.REVERT_STAGED, State.DEMOTED, State.RESTORED})
"""States in which the older value is the one being handed over."""

STILL_ALIVE = Reply(Outcome.LATER, "the provider still accepts it", after=5.0)

Edit = Callable[[Record], Record]


def unchanged(record: Record) -> Record:
    """The edit that edits nothing."""
    return record


@dataclass(frozen=True)
class Done:
    """A step's answer: the reply, and what it teaches about the record."""

    reply: Reply
    edit: Edit = unchanged
    caveat: str = ""


@dataclass(frozen=True)
class Job:
    """What a step is given."""

    record: Record
    rotation: Rotation
    outfit: Outfit
    store: Store
    gear: Gear
    now: float
    supplied: SecretValue | None = None

    def value(self, number: int) -> SecretValue | None:
        """The value of a version, None when there is none (any more)."""
        version = self.record.version(number)
        if version is None or version.erased_at:
            return None
        return self.store.value(self.record.secret.name, number)

    @property
    def request(self) -> Request:
        """What the issuer is told in this rotation."""
        old = self.record.version(self.rotation.old_version)
        return self.outfit.request(
            self.record.secret.name, self.rotation.id, old=self.value(self.rotation.old_version),
            old_handle=old.handle if old else "", supplied=self.supplied,
        )

    def handover(self, *, forward: bool | None = None) -> Handover | None:
        """From which value to which; None when the target value is gone."""
        ahead = self.rotation.state not in BACKWARDS if forward is None else forward
        new, old = self.rotation.new_version, self.rotation.old_version
        if not ahead:
            new, old = old, new
        value = self.value(new)
        secret = self.record.secret
        if value is None:
            return None
        return Handover(secret.name, secret.provider, secret.kind.value, value, new, self.value(old))


GONE = Reply(Outcome.REFUSED, "the value to hand over is no longer in the store")


def announce(job: Job) -> Done:
    """Look before anything happens. What is unsure now is refused now: nothing was done yet."""
    for reply in preflight.checks(job.record, job.outfit, job.store):
        if reply.outcome is not Outcome.OK:
            return Done(Reply(Outcome.REFUSED, reply.detail))
    return Done(Reply(Outcome.OK))


def create(job: Job) -> Done:
    """Mint. An OK without a value is no OK."""
    return Done(_with_value(job.outfit.issuer.create(job.request)))


def recover(job: Job) -> Done:
    """Read back what a lost CREATE made; the old value again means that there is nothing to read back."""
    reply = _with_value(job.outfit.issuer.recover(job.request))
    known = job.value(job.rotation.new_version) or job.value(job.rotation.old_version)
    if reply.value is not None and known is not None and reply.value == known:
        return Done(Reply(Outcome.REFUSED, "the provider gave back a value that it refuses"))
    return Done(reply)


def recreate(job: Job) -> Done:
    """Mint again although the old one is dead."""
    return Done(_with_value(job.outfit.issuer.recreate(job.request)))


def obtain(job: Job) -> Done:
    """Take the value that a person supplied, or ask for it."""
    if job.supplied is not None and job.supplied == job.value(job.rotation.old_version):
        return Done(Reply(Outcome.LATER, "the value given is the one in use now; give the new one", person=True))
    return Done(_with_value(job.outfit.issuer.create(job.request)))


def _with_value(reply: Reply) -> Reply:
    if reply.outcome is Outcome.OK and not reply.value:
        return Reply(Outcome.UNKNOWN, "the provider answered without a value")
    return reply


def discard(job: Job) -> Done:
    """Find what a crash left under our label and kill it, until the provider lists none."""
    reply, found = job.outfit.issuer.find(job.request)
    if reply.outcome is not Outcome.OK:
        return Done(reply)
    owed: list[Revocation] = []
    for item in found:
        answer = job.outfit.issuer.revoke(item.handle, None, job.request)
        if answer.outcome is Outcome.REFUSED:
            owed.append(Revocation(0, item.handle, job.now, "orphan", next_at=job.now, note=answer.detail))
        elif answer.outcome is not Outcome.OK:
            return Done(answer)
    return Done(Reply(Outcome.OK, f"{len(found)} discarded"), lambda record: _owe_all(record, owed))


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
        return Done(Reply(Outcome.OK, reply.detail), caveat="the provider has no way to test the new one")
    if reply.outcome is not Outcome.OK:
        return Done(reply)
    return Done(reply, lambda record: record.change(job.rotation.new_version, lambda v: replace(
        v, tested_at=job.now, handle=v.handle or reply.handle, identity=reply.identity or v.identity)))


def test_old(job: Job) -> Done:
    """Does the provider still accept the old value?"""
    value = job.value(job.rotation.old_version)
    if value is None:
        return Done(Reply(Outcome.REFUSED, "there is no older value to fall back on"))
    reply = job.outfit.issuer.test(value, job.request)
    if reply.untestable:
        if job.rotation.state is State.FALLING_BACK:  # nothing of ours has revoked it yet
            return Done(Reply(Outcome.OK), caveat="the provider has no way to test the old one")
        return Done(Reply(Outcome.UNKNOWN, "the provider has no way to test the old one"))
    return Done(reply)


def stage(job: Job) -> Done:
    """Serve the new value to the targets that the validating consumer reads, and to no other reader."""
    if job.handover() is None:
        return Done(GONE)
    if not job.outfit.staged:
        return Done(Reply(Outcome.REFUSED, "no consumer that validates it reads any of its injectors"))
    done = deliver(job.store, job.gear, job.record, job.outfit, job.now, job.outfit.staged)
    return Done(done.reply, lambda record: record.ack(*done.acks))


def reload(job: Job) -> Done:
    """Make the validating consumers take the staged value."""
    return _each(job, job.handover(), lambda c: c.validates, lambda c, h: c.reload(h))


def probe(job: Job) -> Done:
    """Which value do the validating consumers accept? Always asked forwards: OK = the new one."""
    return _each(job, job.handover(forward=True), lambda c: c.validates, lambda c, h: c.probe(h))


def _each(job: Job, handover: Handover | None, which: Callable[[Consumer], bool],
          call: Callable[[Consumer, Handover], Reply]) -> Done:
    if handover is None:
        return Done(GONE)
    for target, consumer in job.outfit.consumers.items():
        if which(consumer):
            reply = call(consumer, handover)
            if reply.outcome is not Outcome.OK:
                return Done(replace(reply, detail=f"{target}: {reply.detail}"))
    return Done(Reply(Outcome.OK))


def deliver_all(job: Job) -> Done:
    """Write every target of this host, reload the consumers that do not validate it, wait for other hosts."""
    handover = job.handover(forward=False) if job.rotation.state is State.UNSTAGING else job.handover()
    if handover is None:
        return Done(GONE)
    done = deliver(job.store, job.gear, job.record, job.outfit, job.now)

    def edit(record: Record) -> Record:
        return record.ack(*done.acks)

    if done.reply.outcome is not Outcome.OK:
        return Done(done.reply, edit)
    self_issued = job.outfit.tests_elsewhere
    told = _each(job, handover, lambda c: not (self_issued and c.validates), lambda c, h: c.reload(h))
    if told.reply.outcome is not Outcome.OK:
        return Done(told.reply, edit)
    absent = missing_hosts(job.record, handover.new_version, frozenset(job.outfit.injectors),
                           job.record.secret.injectors)
    if absent:
        return Done(Reply(Outcome.LATER, f"waiting for {', '.join(absent)} to deliver it", after=30.0), edit)
    return Done(done.reply, edit)


def confirm(job: Job) -> Done:
    """Prove that every consumer uses it. Nobody to ask is `delivered, not proven`, never a success."""
    handover = job.handover()
    if handover is None:
        return Done(GONE)
    proofs: list[tuple[str, str]] = []
    for target, consumer in job.outfit.consumers.items():
        reply = consumer.prove(handover)
        if reply.outcome is Outcome.LATER and reply.person:
            return _unproven(job, f"{target}: {reply.detail}")
        if reply.outcome is not Outcome.OK:
            return Done(replace(reply, detail=f"{target}: {reply.detail}"))
        proofs.append((target, reply.proof))
    absent = missing_hosts(job.record, handover.new_version, frozenset(job.outfit.consumers),
                           job.record.secret.consumers)
    if absent:
        return Done(Reply(Outcome.LATER, f"waiting for {', '.join(absent)} to prove it", after=30.0))
    if not job.record.secret.consumers:
        return _unproven(job, "no consumer is configured that could show it")
    return Done(Reply(Outcome.OK, "; ".join(proof for _, proof in proofs)), lambda record: _proven(record, job, proofs))


def _proven(record: Record, job: Job, proofs: list[tuple[str, str]]) -> Record:
    number = job.rotation.old_version if job.rotation.state in BACKWARDS else job.rotation.new_version
    record = record.change(number, lambda v: replace(v, proven_at=job.now))
    return record.ack(*(Ack(target, number, job.now, proof) for target, proof in proofs))


def _unproven(job: Job, why: str) -> Done:
    if job.rotation.revoke_unproven and job.rotation.compromised:
        return Done(Reply(Outcome.OK, why), caveat=f"not proven in use: {why}")
    if job.rotation.compromised:
        return Done(Reply(Outcome.REFUSED, f"{why}; revoking now may break it (--revoke-unproven does it)"))
    return Done(Reply(Outcome.LATER, why, person=True))


def wait(job: Job) -> Done:
    """Let the grace pass; none when the old one is compromised."""
    grace = 0.0 if job.rotation.compromised else job.outfit.policy.grace or 0.0
    left = job.rotation.entered_at + grace - job.now
    if left <= 0:
        return Done(Reply(Outcome.OK))
    return Done(Reply(Outcome.LATER, "grace: both are live", after=left))


def revoke_old(job: Job) -> Done:
    """Kill the replaced one, and every orphan that an earlier round of this rotation may have left."""
    current = job.record.current
    if current is None or current.number != job.rotation.new_version:
        return Done(Reply(Outcome.REFUSED, "the new version is not current: nothing is revoked"))
    swept = _sweep(job)
    if swept is not None:
        return Done(swept)
    old = job.record.version(job.rotation.old_version)
    if old is None or old.dead_at:
        return Done(Reply(Outcome.OK, "there is no older one"))
    return Done(job.outfit.issuer.revoke(old.handle, job.value(old.number), job.request))


def _sweep(job: Job) -> Reply | None:
    """None when nothing but the new one carries our label (or the provider cannot list)."""
    if job.rotation.rounds < 2 or not job.outfit.issuer.can("list"):
        return None
    new = job.record.version(job.rotation.new_version)
    reply, found = job.outfit.issuer.find(job.request)
    if reply.outcome is not Outcome.OK:
        return reply
    for item in found:
        if new is None or item.handle != new.handle:
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
        return probe(job)
    return _dead(job, value, "the old one")


def _dead(job: Job, value: SecretValue, which: str) -> Done:
    reply = job.outfit.issuer.test(value, job.request)
    if reply.untestable:
        return Done(Reply(Outcome.OK), caveat=f"{which} could not be tried: the provider has no test")
    if reply.outcome is Outcome.REFUSED:
        return Done(Reply(Outcome.OK, f"{which} was tried and refused"))
    return Done(STILL_ALIVE if reply.outcome is Outcome.OK else reply)


def revoke_new(job: Job) -> Done:
    """Kill the new one after a back-out, and try it until it is refused."""
    new = job.record.version(job.rotation.new_version)
    if new is None or new.dead_at:
        return Done(Reply(Outcome.OK, "there is no new one"))
    value = job.value(new.number)
    reply = job.outfit.issuer.revoke(new.handle, value, job.request)
    if reply.outcome is not Outcome.OK or value is None:
        return Done(reply)
    return _dead(job, value, "the new one")


STEPS: Mapping[Step, Callable[[Job], Done]] = {
    Step.ANNOUNCE: announce,
    Step.CREATE: create,
    Step.DISCARD: discard,
    Step.RECOVER: recover,
    Step.RECREATE: recreate,
    Step.OBTAIN: obtain,
    Step.TEST: test,
    Step.TEST_OLD: test_old,
    Step.STAGE: stage,
    Step.RELOAD: reload,
    Step.PROBE: probe,
    Step.DELIVER: deliver_all,
    Step.CONFIRM: confirm,
    Step.WAIT: wait,
    Step.REVOKE_OLD: revoke_old,
    Step.PROVE_DEAD: prove_dead,
    Step.REVOKE_NEW: revoke_new,
}
