"""The steps around a single-use refresh token: it is never lost, and never used twice on a guess.

The token is used in one step only, whose state is durable before the request. Whatever refresh token an answer holds
is committed with the next state, at any outcome: it may be the only one that works from then on.
"""

from __future__ import annotations

from dataclasses import replace

from clawsecrets.model.rotation import Outcome, State
from clawsecrets.ports import Reply
from clawsecrets.rotate.job import Done, Job

NONE_HERE = Reply(Outcome.REFUSED, "its provider exchanges no refresh token")
SETTLING = 30.0
"""Seconds after which a request whose answer was lost is no longer expected to take effect at the provider."""
LONGEST_END = 80000.0
"""Seconds that an old value may still live for its end to be waited for: less than the row's deadline."""
LOST = "an answer of the provider was lost: the token in it, if there was one, ends by itself"


def refresh(job: Job) -> Done:
    """Exchange the refresh token for the next value. The lease is looked at right before: who was asleep since the
    step began, and was taken over, must not use the token a second time."""
    refresher = job.outfit.refresher
    if refresher is None:
        return Done(NONE_HERE)
    request = job.request
    if request.refresh is None:
        return Done(Reply(Outcome.REFUSED, "there is no refresh token in the store"))
    job.renew()
    reply = refresher.refresh(request)
    if reply.refresh is not None and job.known_as(reply.refresh):
        reply = replace(reply, refresh=None)  # the provider lets it be used again: it stands in the store
    if reply.outcome is not Outcome.OK:
        return Done(reply)
    if not reply.value:
        return Done(Reply(Outcome.UNKNOWN, "the provider answered without a value", refresh=reply.refresh))
    known = job.known_as(reply.value) or job.revoked_as(reply.value)
    if known:
        why = f"the provider gave the value of version {known} again"
        return Done(Reply(Outcome.LATER, why, after=60.0, refresh=reply.refresh))
    return Done(reply)


def ask_again(job: Job) -> Done:
    """The answer is lost: may the refresh token be used once more?"""
    refresher = job.outfit.refresher
    if refresher is None:
        return Done(NONE_HERE)
    reply = refresher.ask_again(job.request)
    left = job.rotation.entered_at + SETTLING - job.now
    if reply.outcome is Outcome.OK and reply.proof and left > 0:
        return Done(Reply(Outcome.LATER, f"{reply.detail} so far; the lost request may still arrive", after=left))
    return Done(reply, caveat=LOST if reply.outcome is Outcome.OK and not reply.proof else "")


def reauthorize(job: Job) -> Done:
    """Take the refresh token that a person got by authorizing anew, or ask for it. One that stands in the store, or
    was spent before, is not taken."""
    refresher = job.outfit.refresher
    if refresher is None:
        return Done(NONE_HERE)
    known = 0 if job.supplied is None else job.known_as(job.supplied) or job.revoked_as(job.supplied)
    if known:
        why = f"what was given is version {known}, which was used before; give the new refresh token"
        return Done(Reply(Outcome.LATER, why, person=True))
    return Done(refresher.reauthorize(job.request))


def ends_by_itself(job: Job, unproven: str) -> Done | None:
    """Where nobody can show that the new value is in use: tokens that live for hours cannot wait for a person's word
    each time. The old one is not revoked, it is let end by itself; when it is refused, there is nothing left that a
    revocation could break. None: not so, a person's word is needed."""
    rotation, old = job.rotation, job.value(job.rotation.old_version)
    if rotation.strategy != "refresh" or rotation.state is not State.DELIVERED:
        return None
    caveat = f"not proven in use: {unproven}"
    if old is None:
        return Done(Reply(Outcome.OK, unproven), caveat=caveat)
    seen = job.outfit.issuer.test(old, job.request)
    if seen.untestable:
        return None
    if seen.outcome is Outcome.REFUSED:
        return Done(Reply(Outcome.OK, unproven), lambda record: record.seen_dead(rotation.old_version, job.now), caveat)
    version = job.record.version(rotation.old_version)
    left = version.expires_at - job.now if version is not None and version.expires_at else LONGEST_END
    if left >= LONGEST_END or rotation.compromised:
        return None
    return Done(Reply(Outcome.LATER, f"{unproven}; the old one is let end by itself", after=max(60.0, left + 1.0)))
