"""Does each target still hold what it was given? Asked before anything is concluded or revoked: a reload command or
another program may have written it since, and the next restart of its reader would read that.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Entry, Injector
from clawsecrets.rotate.delivery import deliver_one
from clawsecrets.rotate.elsewhere import Voice, owner
from clawsecrets.rotate.job import Job


@dataclass(frozen=True)
class Held:
    """What the targets of this host hold. `trouble`: one that does not hold the served version, in one line."""

    trouble: str = ""
    caveat: str = ""
    """Targets that could not be looked at."""


def held(job: Job) -> Held:
    """Whether each target of this host holds its served version; one that does not is written once more."""
    unseen: list[str] = []
    for target, injector in job.outfit.injectors.items():
        entry = _served(job, target)
        if entry is None:
            continue
        holds, why = injector.holds(entry), ""
        if holds is False:
            holds, why = _again(job, target, injector, entry)
        if holds is False:
            return Held(f"something else writes it: {target}" + (f" ({why})" if why else ""))
        if holds is None:
            unseen.append(target)
    return Held(caveat=f"could not look at what is in {', '.join(unseen)}" if unseen else "")


def holds_all(job: Job) -> bool:
    """Whether no target of this host is seen to hold another version than it is to. Writes nothing."""
    served = ((injector, _served(job, target)) for target, injector in job.outfit.injectors.items())
    return all(entry is None or injector.holds(entry) is not False for injector, entry in served)


def _served(job: Job, target: str) -> Entry | None:
    version = job.record.serving(staged=target in job.outfit.staged)
    value = job.value(version.number) if version is not None else None
    if version is None or value is None:
        return None
    secret = job.record.secret
    return Entry(secret.name, version.number, value, secret.env)


def _again(job: Job, target: str, injector: Injector, entry: Entry) -> tuple[bool | None, str]:
    """Write it once more and look again. Fenced when another process has taken over: its value may stand there."""
    job.renew()
    voice = Voice(job.store, job.now, job.actor)
    named = owner(job.outfit, target)
    reply = deliver_one(job.store, job.gear, job.record, target, injector, *([voice.about_to] if named else []))
    if reply.outcome is not Outcome.OK:
        return False, reply.detail
    return injector.holds(entry), ""
