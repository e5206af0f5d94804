"""The nightly look: does everything still work, and does it stand as it was left? What does not is drift, and told.

A check is a function that yields notices; `CHECKS` is the list of them, and further ones (an audit of the deployment, a
scan for leaks) are added there. Each runs by itself: one that fails is told as drift too, and stops no other.

1. Nothing is rotated, delivered or revoked here, and no secret with an unfinished rotation is touched.
2. A value in use is tried once a night. One that was replaced is tried once a night while its value is kept, never
   again once it was refused, and never at a consumer that is its own validator: a gateway counts failed logins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from clawsecrets.adopting.journal import Journal
from clawsecrets.daemon.guard import guarded
from clawsecrets.daemon.logs import INFO, Log
from clawsecrets.errors import ClawError, NotFound, StoreBusy
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import STILL_IN, Outcome
from clawsecrets.model.secret import SecretValue, Stage, Version
from clawsecrets.model.status import shadowed
from clawsecrets.ports import Clock, Entry, Handover, Reply, Store
from clawsecrets.rotate.gear import Gear, Outfit
from clawsecrets.rotate.redeliver import edit_secret
from clawsecrets.rotate.shadowing import LookAgain, hidden

OLD = frozenset({Stage.PREVIOUS, Stage.RETIRED})


@dataclass(frozen=True)
class Watch:
    """What a check may use. `private`: one line for each file of the store or its key that others may read."""

    store: Store
    gear: Gear
    clock: Clock
    actor: str
    holder: str
    lease: float
    private: Callable[[], Sequence[str]] = tuple
    may_act: Callable[[], bool] = lambda: True


Check = Callable[[Watch], Iterator[Notice]]


def night(watch: Watch, log: Log, checks: Iterable[tuple[str, Check]]) -> list[Notice]:
    """Run the checks, one after another; what they found. Those left out because the daemon stops find nothing."""
    found: list[Notice] = []
    for name, check in checks:
        if not watch.may_act():
            break
        before = len(found)
        trouble = guarded(log, "nightly", partial(_collect, found, check, watch), check=name)
        if trouble and trouble != "busy":
            found.append(drift(watch, f"check:{name}", f"the nightly check {name} could not look: {trouble}"))
        log.write(INFO, "nightly.check", check=name, found=len(found) - before)
    return found


def _collect(found: list[Notice], check: Check, watch: Watch) -> None:
    found.extend(check(watch))


def drift(watch: Watch, mark: str, detail: str, record: Record | None = None, *, command: str = "",
          severity: Severity = Severity.ERROR) -> Notice:
    """A notice of something that is not as it was left."""
    now = watch.clock.now()
    if record is None:
        return Notice(Topic.DRIFT, severity, f"drift::{mark}", now, detail=detail, command=command, again=7 * 86400.0)
    secret, number = record.secret, record.current.number if record.current else 0
    return Notice(Topic.DRIFT, severity, f"drift:{secret.name}:{number}:{mark}", now, secret.name, secret.provider,
                  secret.kind.value, number, detail, command=command, again=7 * 86400.0)


# --- the store -------------------------------------------------------------------------------------------------------


def store_is_sound(watch: Watch) -> Iterator[Notice]:
    """Every row opens, the audit chain is whole, and nobody else may read the store or its key."""
    for fault in watch.store.check():
        yield drift(watch, f"store:{fault}", f"the store: {fault}", command="clawsecrets doctor",
                    severity=Severity.CRITICAL)
    fault = watch.store.verify_log()
    if fault:
        yield drift(watch, f"audit:{fault}", f"the audit log: {fault}", command="clawsecrets audit-log verify",
                    severity=Severity.CRITICAL)
    for fault in watch.private():
        yield drift(watch, f"private:{fault}", fault, command="clawsecrets doctor", severity=Severity.CRITICAL)


# --- the secrets -----------------------------------------------------------------------------------------------------


def value_works(watch: Watch, record: Record, outfit: Outfit) -> Iterator[Notice]:
    """The current credential still works at its provider; older ones that are kept do not."""
    current = record.current
    if current is None or outfit.tests_elsewhere or not outfit.issuer.can("test"):
        return
    reply = _tried(watch, record, outfit, current)
    if reply is not None and reply.outcome is Outcome.REFUSED and not reply.untestable:
        yield drift(watch, "refused", f"the provider refuses the current value: {reply.detail}", record,
                    command=f"clawsecrets rotate {record.secret.name}")
    elif reply is not None and reply.outcome is Outcome.OK and not reply.untestable:
        _note(watch, record, current, "secret.tested", lambda v: replace(v, tested_at=watch.clock.now()))
    for version in record.versions:
        yield from _old(watch, record, outfit, version)


def _old(watch: Watch, record: Record, outfit: Outfit, version: Version) -> Iterator[Notice]:
    """One that was replaced. Those in the ledger are tried by it."""
    owed = any(entry.version == version.number for entry in record.revocations)
    if version.stage not in OLD or version.erased_at or version.dead_at or owed:
        return
    reply = _tried(watch, record, outfit, version)
    if reply is None or reply.untestable:
        return
    if reply.outcome is Outcome.REFUSED:
        _note(watch, record, version, "secret.seen-dead", lambda v: replace(v, dead_at=watch.clock.now()))
    elif reply.outcome is Outcome.OK:
        yield drift(watch, f"alive:{version.number}", f"version {version.number}, replaced by hand, is still accepted",
                    record, severity=Severity.WARNING, command=f"clawsecrets history {record.secret.name}")


def targets_hold(watch: Watch, record: Record, outfit: Outfit) -> Iterator[Notice]:
    """Each target holds the current value, and nobody else may read it."""
    name, current = record.secret.name, record.current
    value = _value(watch, record, current) if current is not None else None
    for target, injector in outfit.injectors.items():
        entry = Entry(name, current.number, value, record.secret.env) if current is not None and value else None
        if entry is not None and injector.holds(entry) is False:
            yield drift(watch, f"holds:{target}", f"{target} does not hold the current value", record,
                        command=f"clawsecrets inject {name}")
        for fault in injector.exposed([name]):
            yield drift(watch, f"exposed:{target}", f"{target}: {fault}", record,
                        command=f"clawsecrets inject {name}")


def consumers_use(watch: Watch, record: Record, outfit: Outfit) -> Iterator[Notice]:
    """Each consumer that can show it still uses the current value."""
    current, secret = record.current, record.secret
    value = _value(watch, record, current) if current is not None else None
    if current is None or value is None or not outfit.consumers:
        return
    handover = Handover(secret.name, secret.provider, secret.kind.value, value, current.number)
    replies = {target: consumer.prove(handover) for target, consumer in outfit.consumers.items()}
    for target, reply in replies.items():
        if reply.outcome is Outcome.REFUSED or (reply.outcome is not Outcome.OK and not reply.person):
            what = "does not use" if reply.outcome is Outcome.REFUSED else "could not show that it uses"
            yield drift(watch, f"uses:{target}", f"{target} {what} the current value: {reply.detail}", record,
                        command=f"clawsecrets inject {secret.name}",
                        severity=Severity.ERROR if reply.outcome is Outcome.REFUSED else Severity.WARNING)
    if all(reply.outcome is Outcome.OK and reply.proof for reply in replies.values()):
        _note(watch, record, current, "secret.proven", lambda v: replace(v, proven_at=watch.clock.now()))


def shadows_are_gone(watch: Watch, record: Record, outfit: Outfit) -> Iterator[Notice]:
    """Where a rotation left its old value in another place that is read: whether it still stands there."""
    if record.rotation is None or not shadowed(record.rotation) or outfit.shadows is None:
        return
    again = LookAgain(watch.store, watch.clock, watch.actor, watch.holder, watch.lease)
    found = again.look(outfit.shadows, [record.secret.name])
    for shadow in found.shadows:
        if shadow.live:
            yield drift(watch, f"shadow:{shadow.where}", f"an old value still stands in {shadow.where}", record,
                        command=shadow.mend, severity=Severity.WARNING)
    for caveat in hidden(record.rotation, found):
        where, _, mend = caveat.removeprefix(STILL_IN).partition(" · ")
        yield drift(watch, f"shadow:{where}", f"an old value stood in {where}, which could not be looked at", record,
                    command=mend, severity=Severity.WARNING)


def undo_ends(watch: Watch) -> Iterator[Notice]:
    """What undoes an adoption is erased when its days are over."""
    def event(action: str, secret: str = "", version: int = 0, **detail: str) -> AuditEvent:
        return AuditEvent(watch.clock.now(), watch.actor, action, secret, version, "", detail)

    Journal(watch.store, watch.clock.now, event).expire()
    yield from ()


def each(look: Callable[[Watch, Record, Outfit], Iterator[Notice]]) -> Check:
    """A check of every secret that has a value and no unfinished rotation, each looked at anew."""

    def check(watch: Watch) -> Iterator[Notice]:
        for name in watch.store.names():
            if not watch.may_act():
                return
            try:
                record = watch.store.load(name)
                if record.current is not None and not record.rotating and not record.reconcile:
                    yield from look(watch, record, watch.gear.outfit(record.secret))
            except NotFound:
                continue  # deleted meanwhile
            except ClawError as error:
                yield drift(watch, f"look:{name}", f"{name} could not be looked at: {error.message}")

    return check


CHECKS: tuple[tuple[str, Check], ...] = (
    ("store", store_is_sound),
    ("values", each(value_works)),
    ("targets", each(targets_hold)),
    ("consumers", each(consumers_use)),
    ("shadows", each(shadows_are_gone)),
    ("adoption", undo_ends),
)
"""The nightly work, in order, by name."""


# --- parts -----------------------------------------------------------------------------------------------------------


def _value(watch: Watch, record: Record, version: Version) -> SecretValue | None:
    try:
        return watch.store.value(record.secret.name, version.number)
    except NotFound:
        return None


def _tried(watch: Watch, record: Record, outfit: Outfit, version: Version) -> Reply | None:
    """The provider's answer to one try; None without a value."""
    value = _value(watch, record, version)
    if value is None:
        return None
    return outfit.issuer.test(value, outfit.request(record.secret.name, "", old=value, old_handle=version.handle))


def _note(watch: Watch, record: Record, seen: Version, action: str, edit: Callable[[Version], Version]) -> None:
    """Record what was seen of a version, under the secret's lease, unless it was replaced meanwhile."""
    name = record.secret.name
    try:
        lease = watch.store.acquire(name, watch.holder, watch.lease)
    except StoreBusy:
        return
    try:
        now = watch.store.load(name).version(seen.number)
        if now is not None and (now.stage, now.erased_at) == (seen.stage, seen.erased_at):
            event = AuditEvent(watch.clock.now(), watch.actor, action, name, seen.number, "", {})
            edit_secret(watch.store, lease, name, lambda it: it.change(seen.number, edit), event)
    finally:
        watch.store.release(lease)
