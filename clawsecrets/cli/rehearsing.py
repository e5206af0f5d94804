"""rotate --dry-run: what the rotation would do, or why it would do nothing, in its own words and with its exit code."""

from __future__ import annotations

from collections.abc import Sequence

from clawsecrets.cli.answers import DONE, REFUSED, Answer, answer_of, tell
from clawsecrets.cli.output import emit, wrapped
from clawsecrets.cli.session import Session
from clawsecrets.errors import ClawError
from clawsecrets.model.rotation import State
from clawsecrets.model.status import outcome_words
from clawsecrets.rotate import preflight
from clawsecrets.rotate.admission import Foreseen, foresee
from clawsecrets.rotate.gear import Outfit
from clawsecrets.rotate.order import Order

Plan = dict[str, object]


def rehearse(session: Session, names: Sequence[str], order: Order, as_json: bool) -> int:
    """Each of the secrets. Changes nothing."""
    plans, worst = [], DONE
    for name in names:
        plan, code = _one(session, name, order, told=not as_json)
        plans.append(plan)
        worst = max(worst, code)
    if as_json:
        emit({"plans": plans})
    return worst or session.unreadable.code


def _one(session: Session, name: str, order: Order, *, told: bool) -> tuple[Plan, int]:
    try:
        foreseen = foresee(name, order, session.store, session.shop, session.clock.now())
        if foreseen.ends is not None:
            return _ended(session, name, order, foreseen, told=told)
        return _planned(session, foreseen, order, told=told)
    except ClawError as error:
        if told:
            tell(session, Answer(name, error, error.exit_code))
        why = "; ".join(filter(None, (error.message, error.hint)))
        return _plan(name, "", order, checks=[("refused", why)]), error.exit_code


def _ended(session: Session, name: str, order: Order, foreseen: Foreseen, *, told: bool) -> tuple[Plan, int]:
    """It would do nothing, and say this."""
    assert foreseen.ends is not None
    answer = answer_of(name, foreseen.ends, (), supplied=order.supplied is not None)
    if told:
        tell(session, answer)
    rotation = foreseen.ends.record.rotation
    stuck = rotation is not None and rotation.state is State.STUCK
    return _plan(name, session.shop.strategy(foreseen.record.secret), order, already=foreseen.ends.already,
                 unfinished="" if foreseen.ends.already or rotation is None else outcome_words(rotation),
                 checks=[("refused", rotation.note)] if rotation is not None and stuck else ()), answer.code


def _planned(session: Session, foreseen: Foreseen, order: Order, *, told: bool) -> tuple[Plan, int]:
    record, rotation = foreseen.record, foreseen.rotation
    name = record.secret.name
    outfit = session.shop.outfit(record.secret, rotation.strategy if rotation is not None else "")
    steps: list[tuple[str, str]] = []
    if rotation is not None:
        steps += preflight.effects(record, outfit, compromised=rotation.compromised, begun=rotation.state)
    if foreseen.anew:
        fresh = session.shop.outfit(record.secret)
        steps += preflight.effects(record, fresh, compromised=order.compromised)
    checks = _checks(session, foreseen, order, outfit)
    targets = [*((target, i.describe()) for target, i in outfit.injectors.items()),
               *((target, c.describe()) for target, c in outfit.consumers.items())]
    unfinished = outcome_words(rotation) if rotation is not None else ""
    if told:
        print(f"{name} ({outfit.strategy}):")
        if unfinished:
            then = "; then one is begun for the compromised value" if foreseen.anew else ""
            wrapped("  unfinished  ", f"goes on with the rotation that was begun: {unfinished}{then}")
        _tell(steps, targets, checks)
    code = REFUSED if any(outcome == "refused" for outcome, _ in checks) else DONE
    return _plan(name, outfit.strategy, order, unfinished=unfinished, steps=steps, targets=targets,
                 checks=checks), code


def _checks(session: Session, foreseen: Foreseen, order: Order, outfit: Outfit) -> list[tuple[str, str]]:
    """What a rotation that begins would look at first; one that goes on is past that."""
    record, rotation, checks = foreseen.record, foreseen.rotation, []
    if rotation is None or rotation.state is State.PLANNED:
        urgent = rotation.compromised if rotation is not None else order.compromised
        checks = [(reply.outcome.value, reply.detail) for reply in preflight.checks(
            record, outfit, session.store, session.shop, compromised=urgent)]
    unwritable = session.shop.unwritable()
    return [*checks, ("refused", f"store: {unwritable}") if unwritable else ("ok", "store: writable")]


def _tell(steps: Sequence[tuple[str, str]], targets: Sequence[tuple[str, str]],
          checks: Sequence[tuple[str, str]]) -> None:
    for step, effect in steps:
        wrapped(f"  {step:<11} ", effect)
    for target, what in targets:
        wrapped(f"  {target}: ", what)
    for outcome, detail in checks:
        wrapped(f"  [{outcome}] ", detail)


def _plan(name: str, strategy: str, order: Order, *, already: bool = False, unfinished: str = "",
          steps: Sequence[tuple[str, str]] = (), targets: Sequence[tuple[str, str]] = (),
          checks: Sequence[tuple[str, str]] = ()) -> Plan:
    """The documented object `plan`."""
    return {"secret": name, "strategy": strategy, "compromised": order.compromised, "already": already,
            "unfinished": unfinished,
            "steps": [{"step": step, "effect": effect} for step, effect in steps],
            "targets": [{"target": target, "what": what} for target, what in targets],
            "checks": [{"outcome": outcome, "detail": detail} for outcome, detail in checks]}
