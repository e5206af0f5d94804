"""Could a rotation work? Asked before anything happens, by ANNOUNCE and by `rotate --dry-run`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from clawsecrets.errors import NotFound
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome, State
from clawsecrets.model.strategies import table_for
from clawsecrets.ports import Handover, Injector, Reply, Request, Store
from clawsecrets.rotate.delivery import TURNS, entries_for
from clawsecrets.rotate.elsewhere import carriers, elsewhere, heard
from clawsecrets.rotate.gear import Gear, Outfit

OF_COMPROMISED = "does not stop the replacement of a compromised one"
OF_DEAD = "does not stop the replacement of one that its provider refuses"


def checks(record: Record, outfit: Outfit, store: Store, gear: Gear | None = None, *,
           compromised: bool = False) -> Iterator[Reply]:
    """One reply for each thing that a rotation would look at, lazily; changes nothing. `detail` names what was looked
    at. REFUSED is what a rotation would refuse; all else is OK."""
    others = carriers(outfit, record.secret)
    if others:
        yield Reply(Outcome.OK, f"host {' or '.join(others)} carries it out, and looks there whether it can")
        return
    for reply, passed_over in looked(record, outfit, store, gear, compromised=compromised):
        yield replace(reply, detail=f"{reply.detail} ({passed_over})") if passed_over else reply


def looked(record: Record, outfit: Outfit, store: Store, gear: Gear | None, *,
           compromised: bool) -> Iterator[tuple[Reply, str]]:
    """The same with what ANNOUNCE asks: OK or REFUSED, and, where something is not well, why it stops nothing.

    What is unsure now is refused now, for nothing was done yet. Hosts and consumers that are not well stop neither the
    replacement of a compromised value nor that of a dead one.
    """
    for reply in essential(record, outfit, store, gear):
        yield _firm(reply), ""
    passed_over = OF_COMPROMISED if compromised else ""
    for reply in of_others(record, outfit, store):
        if reply.outcome is Outcome.OK:
            yield reply, ""
            continue
        if not passed_over and _current_is_dead(record, outfit, store):
            passed_over = OF_DEAD
        yield (Reply(Outcome.OK, reply.detail), passed_over) if passed_over else (_firm(reply), "")


def _firm(reply: Reply) -> Reply:
    """OK, or REFUSED: what could not be asked is not waited for."""
    if reply.outcome in (Outcome.OK, Outcome.REFUSED):
        return reply
    return Reply(Outcome.REFUSED, f"{reply.detail} (that could not be looked at, so nothing begins)")


def _current_is_dead(record: Record, outfit: Outfit, store: Store) -> bool:
    """Whether the provider itself refuses the current value: no wonder then that a consumer is not well with it."""
    handover, current = _as_it_is(record, store), record.current
    if handover is None or current is None or outfit.tests_elsewhere:
        return False
    request = outfit.request(record.secret.name, "", old=handover.new, old_handle=current.handle)
    reply = outfit.issuer.test(handover.new, request)
    return reply.outcome is Outcome.REFUSED and not reply.untestable


def essential(record: Record, outfit: Outfit, store: Store, gear: Gear | None) -> Iterator[Reply]:
    """Without these nothing can be done: what says where the provider is, the admin credential, somebody who can say
    which value is in effect, and places that can be written to and can carry everything that they are to hold."""
    if outfit.lacking:
        yield Reply(Outcome.REFUSED, outfit.lacking)
    yield named("admin credential", outfit.admin_test())
    if why := outfit.unvalidated(record.secret.name):
        yield Reply(Outcome.REFUSED, why)
    if outfit.refresher is not None:
        token, name = record.refresh_token, record.secret.name
        yield Reply(Outcome.OK, "refresh token: ready") if token is not None else Reply(
            Outcome.REFUSED, f"refresh token: none is in the store: clawsecrets set {name} --refresh-token")
    for target, injector in outfit.injectors.items():
        reply = injector.preflight()
        whole = _whole(record, target, injector, store, gear) if reply.outcome is Outcome.OK else reply
        yield named(f"injector {target}", reply if whole.outcome is Outcome.OK else whole)


def _whole(record: Record, target: str, injector: Injector, store: Store, gear: Gear | None) -> Reply:
    """Could the target carry what it is to hold as a whole? The new value is not known yet: the current one stands
    in for it."""
    for _ in range(TURNS):
        try:
            entries = entries_for(store, gear, target, record, injector)
        except NotFound:  # erased between the look at its record and at its value, or a sleeper's record
            continue
        return injector.could(entries)
    return Reply(Outcome.OK)


def of_others(record: Record, outfit: Outfit, store: Store) -> Iterator[Reply]:
    """What stops an ordinary rotation, but no urgent one: other hosts, and consumers that are not well."""
    yield from of_hosts(record, outfit)
    yield from of_consumers(record, outfit, store)


def of_consumers(record: Record, outfit: Outfit, store: Store) -> Iterator[Reply]:
    """Is each consumer well with the value it holds now?"""
    handover = _as_it_is(record, store)
    for target, consumer in outfit.consumers.items():
        if handover is None:
            continue
        yield named(f"consumer {target}", consumer.preflight(handover))


def of_hosts(record: Record, outfit: Outfit) -> Iterator[Reply]:
    """Has every other host shown that it holds and uses the current value? One that has not would not have the next
    one in time either."""
    hosts = elsewhere(outfit, record.secret)
    if record.current is None or not hosts:
        return
    for targets, proven in ((record.secret.injectors, False), (record.secret.consumers, True)):
        found = heard(record, record.current.number, targets, hosts, proven=proven)
        for words in found.absent:
            yield Reply(Outcome.REFUSED, f"host {words} has not shown that it has the current version")
        if found.refused:
            yield Reply(Outcome.REFUSED, found.refused)


def named(what: str, reply: Reply) -> Reply:
    """The reply with what it is about in front."""
    fallback = "ready" if reply.outcome is Outcome.OK else reply.outcome.value
    return replace(reply, detail=f"{what}: {reply.detail or fallback}")


def _as_it_is(record: Record, store: Store) -> Handover | None:
    current = record.current
    if current is None:
        return None
    secret = record.secret
    try:
        value = store.value(secret.name, current.number)
    except NotFound:  # a sleeper's record: another process has rotated it meanwhile, and the commit will say so
        return None
    return Handover(secret.name, secret.provider, secret.kind.value, value, current.number, value)


def effects(record: Record, outfit: Outfit, *, compromised: bool = False,
            begun: State | None = None) -> list[tuple[str, str]]:
    """The steps of the straight way, each with the exact effects, for `--dry-run`; of one that was begun, from where it
    stands. Holds no value."""
    table = table_for(outfit.strategy, compromised=compromised)
    handle = record.current.handle if record.current is not None else ""
    request = outfit.request(record.secret.name, "(rotation id)", old_handle=handle)
    state = next(iter(table)) if begun is None else begun
    found: list[tuple[str, str]] = []
    seen = set()
    while state in table and state not in seen:
        seen.add(state)
        step = table[state].step
        found.append((step.value, _effect(step.value, record, outfit, request)))
        state = table[state].ok
    return found


def _effect(step: str, record: Record, outfit: Outfit, request: Request) -> str:
    issuer, version = outfit.issuer, record.current
    operations = {"create": "create", "obtain": "create", "refresh": "refresh", "test": "test", "revoke-old": "revoke",
                  "prove-dead": "test"}
    injectors = ", ".join(outfit.injectors) or "no target"
    consumers = ", ".join(outfit.consumers) or "nobody: delivered, not proven"
    validators = ", ".join(name for name, c in outfit.consumers.items() if c.validates) or "nobody"
    if step in operations and not (outfit.tests_elsewhere and step == "prove-dead"):
        return issuer.describe(operations[step], request)
    words = {
        "announce": f"check targets; record the intent (version {version.number if version else 0} is current)",
        "vacate": "see that nobody uses what stands in the idle slot",
        "stage": f"write the new value to {', '.join(sorted(outfit.staged)) or 'no target'}",
        "reload": f"reload {validators}; then the new one is current",
        "deliver": f"write the new value to {injectors}",
        "confirm": f"prove at {consumers}",
        "test-old": "try whether the old one still works",
        "revoke-new": "revoke the new one; the old one stays",
        "discard": "look for what was made and not heard of, and revoke it",
        "wait": f"grace of {int(outfit.policy.grace or 0)} s",
        "prove-dead": f"try the old one at {validators}",
    }
    return words.get(step, step)
