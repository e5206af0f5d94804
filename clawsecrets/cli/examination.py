"""What `doctor` looks at: the store, its key and anchor, the targets, the resolver, the trust between them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clawsecrets.cli.session import Session, ask_passphrase
from clawsecrets.errors import ClawError, ConfigError
from clawsecrets.model.hosts import own_name
from clawsecrets.model.need import WAITS_FOR_WINDOW, Act, Need
from clawsecrets.model.policy import HOUR, format_duration
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, Wait
from clawsecrets.model.status import outcome_words
from clawsecrets.ports import Entry, Handover
from clawsecrets.rotate.ledger import held_back
from clawsecrets.wiring import notifying, reading, vault
from clawsecrets.wiring import stores as store_wiring

if TYPE_CHECKING:
    from clawsecrets.config import InjectorConfig
    from clawsecrets.rotate.gear import Outfit

OK, WARN, FAIL = "ok", "warn", "fail"
NOBODY = 2 * HOUR
"""Seconds after which what is due and was not begun shows that nobody keeps the schedule: cron looks every hour."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: level ok, warn or fail; `mend` says how to mend it."""

    level: str
    what: str
    mend: str = ""


def examine(session: Session) -> Iterator[Finding]:
    """Everything, lazily; what cannot be looked at is a finding, too."""
    yield from _guard("configuration", lambda: _configuration(session))
    opened = list(_guard("store", lambda: _store(session)))
    yield from opened
    if any(finding.level == FAIL for finding in opened):
        return  # nothing below can be judged without the store
    yield from _guard("schedule", lambda: _names_in_schedule(session))
    yield from _guard("secrets", lambda: _secrets(session))
    yield from _guard("schedule", lambda: _schedule(session))
    yield from _guard("channels", lambda: _channels(session))
    yield from _guard("targets", lambda: _targets(session))
    yield from _guard("trust", lambda: _trust(session))


def _guard(part: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except ClawError as error:
        yield Finding(FAIL, f"{part}: {error.message}", error.hint)


def _configuration(session: Session) -> Iterator[Finding]:
    config = session.config
    yield Finding(OK, f"configuration: {config.file or 'defaults (no file)'}")
    if login := vault.login_words(config, session.paths):
        yield Finding(OK, f"login at the store: {login}")
    for code in config.providers:
        if code not in session.shop.providers:
            raise ConfigError(f"[providers.{code}]: there is no such provider", "clawsecrets providers lists them")


def _names_in_schedule(session: Session) -> Iterator[Finding]:
    records = list(session.store.records())
    session.timetable.check(records)
    for stray in session.timetable.strays(records):
        yield Finding(WARN, f"schedule: {stray}", f"mend the name in {session.config.file or session.paths.config}")


def _store(session: Session) -> Iterator[Finding]:
    found = store_wiring.health(session.config, session.paths, ask_passphrase, accept_older=session.accept_older)
    for fault in found.faults:
        yield Finding(FAIL, f"store: {fault}", found.mend_of(fault))
    if found.log_fault:
        yield Finding(FAIL, f"audit log: {found.log_fault}", "compare with a backup: somebody changed it")
    if not found.faults and not found.log_fault:
        yield Finding(OK, f"store: {found.where}, every row and the audit log are sound")
    if found.unwritable is not None:
        yield Finding(FAIL, f"store: nothing can be rotated: {found.unwritable.message}", found.unwritable.hint)
    for note in found.notes:
        yield Finding(WARN, f"store: {note}")


def _secrets(session: Session) -> Iterator[Finding]:
    count, nowhere = 0, []
    away: dict[str, int] = {}
    for record in session.store.records():
        count += 1
        name = record.secret.name
        if record.elsewhere:
            away[record.elsewhere] = away.get(record.elsewhere, 0) + 1
            continue  # the other store answers for it
        yield from _unfinished(record)
        if session.shop.is_admin(record.secret) or record.current is None or session.shop.own(record.secret):
            continue
        if not record.secret.injectors and not _handed_over(session, record):
            nowhere.append(name)
        elif not record.secret.consumers:
            yield Finding(WARN, f"{name}: no consumer can be proven to use it, so its old value will not be revoked "
                          "unless you confirm", f"clawsecrets configure {name} --consume TARGET")
    if nowhere:
        yield Finding(WARN, f"delivered nowhere: {', '.join(nowhere)}",
                      f"clawsecrets configure {nowhere[0]} --inject TARGET (README, \"Your own service\"); what "
                      "`clawsecrets run` hands over: --consume a consumer of kind run")
    for url, number in away.items():
        yield Finding(WARN, f"{number} of {count} secrets are kept in another store: {url}",
                      f"put url = \"{url}\" under [store] in {session.paths.config}, or give --store each time")
    yield Finding(OK, f"secrets: {count}")


def _unfinished(record: Record) -> Iterator[Finding]:
    """What of it does not end by itself."""
    name = record.secret.name
    if record.rotation is not None and record.rotation.stuck_in is not None:
        yield Finding(FAIL, f"{name}: stuck: {record.rotation.note}", f"clawsecrets rotations resume {name}")
    elif record.rotation is not None and record.rotating and record.rotation.waits_for is Wait.PERSON:
        yield Finding(WARN, f"{name}: its rotation waits for you: {outcome_words(record.rotation)}",
                      f"clawsecrets rotate {name} says what is to be done")
    if record.debts:
        held = [held_back(record, entry) for entry in record.debts]
        retry = f"clawsecrets revocations retry {name}"
        mend = dict.fromkeys(retry if one is None else one.command for one in held)
        yield Finding(WARN, f"{name}: {len(record.debts)} revocation(s) pending", "; ".join(mend))


def _handed_over(session: Session, record: Record) -> bool:
    """Whether a command under `clawsecrets run` gets it."""
    from clawsecrets.config.shape import RunTarget

    targets = session.config.consumers
    return any(isinstance(targets.get(own_name(target)), RunTarget) for target in record.secret.consumers)


def _schedule(session: Session) -> Iterator[Finding]:
    """Whether somebody keeps the rotation table. What a failure, a pause or a person holds back is told elsewhere."""
    from clawsecrets.daemon.web import healthy

    records, now = list(session.store.records()), session.clock.now()
    failed = {r.secret.name for r in records if r.rotation is not None and r.rotation.failures}
    left = [need for need in session.timetable.needs(records, now)[0] if need.secret not in failed and _left(need, now)]
    if not left:
        return
    names, since = ", ".join(sorted(need.secret for need in left)), min(need.due or now for need in left)
    if healthy(session.config.daemon.listen):
        yield Finding(WARN, f"schedule: due and begun by nobody: {names}, since {format_duration(now - since)}: no "
                      "daemon answers here, and nothing else rotates what is due",
                      "start `clawsecrets daemon`, or `rotate --due` from cron (README, \"Running it for years\")")
    else:
        yield Finding(WARN, f"schedule: due and not begun, though a daemon answers here: {names}, since "
                      f"{format_duration(now - since)}", "look at its log; is it the daemon of this store?")


def _left(need: Need, now: float) -> bool:
    """Whether it should have been begun before now: it could for hours, or a window went by."""
    if need.slot is None or need.due is None or need.due > now:
        return False
    if need.act is Act.WAIT:
        return need.slot.missed and need.why == WAITS_FOR_WINDOW
    return need.act is Act.BEGIN and (need.slot.missed or now - need.at > NOBODY)


def _channels(session: Session) -> Iterator[Finding]:
    """Whether everybody who is to be told can be."""
    notify = session.config.notify
    waiting = notifying.outbox(session.config)
    for name, channel in notify.channels.items():
        address, kept = notifying.address_of(session.store, channel.secret), waiting.of(name)
        if isinstance(address, str):
            yield Finding(FAIL, f"channel {name}: {address}", f"clawsecrets notify add {channel.secret}")
        elif kept.tries:
            yield Finding(FAIL, f"channel {name}: {len(kept.notices)} notice(s) wait for it: {kept.why}",
                          f"clawsecrets notify test {name}")
        else:
            yield Finding(OK, f"channel {name}: its address is {channel.secret}")


def _targets(session: Session) -> Iterator[Finding]:
    seen: set[str] = set()
    for record in session.store.records():
        if not record.elsewhere:
            yield from _guard(f"targets of {record.secret.name}", partial(_targets_of, session, record, seen))


def _targets_of(session: Session, record: Record, seen: set[str]) -> Iterator[Finding]:
    outfit = session.shop.outfit(record.secret)
    if record.current is not None and (why := outfit.unvalidated(record.secret.name)):
        yield Finding(WARN, f"{record.secret.name}: it cannot be rotated as it is bound", why)
    for target, injector in outfit.injectors.items():
        if target not in seen:
            seen.add(target)
            reply = injector.preflight()
            level = OK if reply.outcome is Outcome.OK else FAIL
            yield Finding(level, f"injector {target}: {reply.detail or injector.describe()}")
        if not record.rotating:
            yield from _held(session, record.secret.name, target)
    yield from _consumers(session, record, outfit, seen)


def _consumers(session: Session, record: Record, outfit: Outfit, seen: set[str]) -> Iterator[Finding]:
    """Each consumer once, asked with the value that it holds now."""
    fresh = {target: consumer for target, consumer in outfit.consumers.items() if f"consumer {target}" not in seen}
    if not fresh or record.current is None:
        return
    secret, number = record.secret, record.current.number
    value = session.store.value(secret.name, number)
    handover = Handover(secret.name, secret.provider, secret.kind.value, value, number, value)
    for target, consumer in fresh.items():
        seen.add(f"consumer {target}")
        reply = consumer.preflight(handover)
        words = "NOT well" if reply.outcome is Outcome.REFUSED else "not reachable"
        told = reply.detail or "reachable" if reply.outcome is Outcome.OK else f"{words}: {reply.detail}"
        yield Finding({Outcome.OK: OK, Outcome.REFUSED: FAIL}.get(reply.outcome, WARN),
                      f"consumer {target}: {told}",
                      "" if reply.outcome is Outcome.OK else "a rotation would not begin before that is mended")


def _held(session: Session, name: str, target: str) -> Iterator[Finding]:
    record = session.store.load(name)
    current = record.current
    if current is None:
        return
    injector = session.shop.outfit(record.secret).injectors[target]
    entry = Entry(name, current.number, session.store.value(name, current.number), record.secret.env)
    if injector.holds(entry) is False:
        yield Finding(FAIL, f"{name}: {target} does not hold the current value", f"clawsecrets inject {name}")


def _trust(session: Session) -> Iterator[Finding]:
    """The resolver bundle and the gateway's user (SECURITY.md, "One user")."""
    program = Path(sys.argv[0]) if os.path.basename(sys.argv[0]) == "clawsecrets" else None
    for name, config in session.config.injectors.items():
        bundle = reading.bundle_path(config)
        if bundle is None:
            continue
        owner = _owner(config, bundle)
        if owner == os.geteuid():
            yield Finding(WARN, f"{name}: the gateway's user can read this store's key, so an agent that runs as "
                          "that user can, too",
                          "run clawsecrets as another user, and set `owner` of the bundle to the gateway's")
        for fault in reading.command_faults(program, owner) if program else ():
            yield Finding(WARN, f"{name}: OpenClaw will refuse {program} as a resolver: {fault}",
                          "install clawsecrets in a virtual environment of the gateway's user, for `resolve` only")


def _owner(config: InjectorConfig, bundle: Path) -> int | None:
    try:
        return bundle.stat().st_uid
    except OSError:
        return None
