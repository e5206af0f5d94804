"""PROVE_DEAD, and then the look for shadows: places that hold the old value still. It is the last step before "rotated"
is said, and the last moment at which the old value is known.

A place that a process reads is a caveat: "replaced, but still in …". One that is only kept (a backup, a log) is a note.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from clawsecrets.errors import NotFound, StoreBusy
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.record import IN_USE, Record
from clawsecrets.model.rotation import STILL_IN, Outcome, Rotation
from clawsecrets.model.secret import Stage
from clawsecrets.model.shadow import Looked, Shadow, Sought
from clawsecrets.ports import Clock, Shadows, Store
from clawsecrets.rotate import proof
from clawsecrets.rotate.job import Done, Job
from clawsecrets.rotate.redeliver import edit_secret

MOST = 5
"""Places that are told one by one."""


def prove_dead(job: Job) -> Done:
    """Try the old one until it is refused; then see where it still stands."""
    done = proof.prove_dead(job)
    looks = job.outfit.shadows
    value = job.value(job.rotation.old_version)
    if done.reply.outcome is not Outcome.OK or looks is None or value is None:
        return done
    current = job.value(job.rotation.new_version)
    if current is not None and current == value:
        return done
    found = looks.look([Sought(job.record.secret.name, value)])
    return replace(done, more=(*done.more, *caveats(found)), note=kept(found))


def caveats(found: Looked) -> Sequence[str]:
    """A caveat for each place that a process reads, with what mends it."""
    shadows = [shadow for shadow in found.shadows if shadow.live]
    lines = [f"{STILL_IN}{_words(shadow)} · {shadow.mend}" for shadow in shadows[:MOST]]
    if len(shadows) > MOST:
        lines.append(f"{STILL_IN}{len(shadows) - MOST} more places")
    return lines


def kept(found: Looked) -> str:
    """One line for the places that only keep it, and for what could not be looked at; empty: none."""
    shadows = [shadow for shadow in found.shadows if not shadow.live]
    more = f" and {len(shadows) - MOST} more" if len(shadows) > MOST else ""
    words = "old copies of it are kept in " + ", ".join(map(_words, shadows[:MOST])) + more if shadows else ""
    mends = ", ".join(dict.fromkeys(shadow.mend for shadow in shadows[:MOST]))
    unseen = f"not looked at: {', '.join(found.unseen[:MOST])}" if found.unseen else ""
    return "; ".join(filter(None, (f"{words} · {mends}" if words else "", unseen)))


def _words(shadow: Shadow) -> str:
    return shadow.where if shadow.form == "plain" else f"{shadow.where} ({shadow.form})"


@dataclass(frozen=True)
class LookAgain:
    """Looks for everything that was ever replaced, and brings what the records say up to date."""

    store: Store
    clock: Clock
    actor: str
    holder: str
    lease: float

    def look(self, shadows: Shadows, names: Collection[str]) -> Looked:
        """What is found now of the secrets `names`. Erased values are told by their fingerprint."""
        dead = self._dead(names)
        found = shadows.known(lambda value: dead.get(self.store.fingerprint(value), ""))
        encoded = shadows.look(self._kept(names))
        seen = {(one.name, one.where) for one in found.shadows}
        both = (*found.shadows, *(one for one in encoded.shadows if (one.name, one.where) not in seen))
        looked = Looked(tuple(sorted(both, key=lambda one: not one.live)),
                        tuple(dict.fromkeys((*found.unseen, *encoded.unseen))))
        for name in names:
            self._say(name, looked)
        return looked

    def _dead(self, names: Collection[str]) -> Mapping[str, str]:
        """Fingerprint -> secret, of every version that nobody should use any more."""
        in_use = {version.fingerprint for record in self.store.records() for version in record.versions
                  if version.stage in IN_USE or version.stage is Stage.REFRESH}
        return {version.fingerprint: name for name in names for version in self.store.history(name)
                if version.stage not in IN_USE and version.stage is not Stage.REFRESH
                and version.fingerprint and version.fingerprint not in in_use}

    def _kept(self, names: Collection[str]) -> Sequence[Sought]:
        """Those whose value is still in the store."""
        dead, found = self._dead(names), []
        for name in names:
            for version in self.store.load(name).versions:
                if not version.erased_at and dead.get(version.fingerprint) == name:
                    found.append(Sought(name, self.store.value(name, version.number)))
        return found

    def _say(self, name: str, found: Looked) -> None:
        """Put what was found into the caveats of the last rotation, where that ended, unless others are at work."""
        mine = replace(found, shadows=tuple(shadow for shadow in found.shadows if shadow.name == name))
        record = self.store.load(name)
        edited = _told(record, mine)
        if edited == record:
            return
        try:
            lease = self.store.acquire(name, self.holder, self.lease)
        except StoreBusy:
            return
        try:
            number = record.current.number if record.current else 0
            event = AuditEvent(self.clock.now(), self.actor, "secret.shadows", name, number, "",
                               {"live": str(len(caveats(mine)))})
            edit_secret(self.store, lease, name, lambda newest: _told(newest, mine), event)
        except NotFound:
            return  # deleted meanwhile
        finally:
            self.store.release(lease)


def hidden(rotation: Rotation, found: Looked) -> tuple[str, ...]:
    """Caveats of a place that held the value when it was last looked at, and could not be looked at now."""
    unseen = tuple(STILL_IN + line.partition(": ")[0] for line in found.unseen)
    lines = caveats(found)
    return tuple(caveat for caveat in rotation.caveats if caveat.startswith(unseen) and caveat not in lines)


def _told(record: Record, found: Looked) -> Record:
    """The record with these places in the caveats of its last rotation. One that never ended well has none."""
    rotation = record.rotation
    if rotation is None or not rotation.done:
        return record
    others = tuple(caveat for caveat in rotation.caveats if not caveat.startswith(STILL_IN))
    return replace(record, rotation=replace(rotation, caveats=(*others, *hidden(rotation, found), *caveats(found))))
