"""rotate, rotations, revocations, inject."""

from __future__ import annotations

from typing import Annotated

import typer

from clawsecrets.cli.output import GREEN, RED, YELLOW, Column, Trouble, colour, emit, moment, say, table, wrapped
from clawsecrets.cli.session import JsonOption, NameArgument, Session, command, confirm, group, read_value
from clawsecrets.cli.shapes import rotation_json
from clawsecrets.errors import ClawError, NotFound, UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import State
from clawsecrets.model.secret import Kind
from clawsecrets.model.status import outcome_words, status
from clawsecrets.ports import Change
from clawsecrets.rotate import preflight
from clawsecrets.rotate.delivery import deliver
from clawsecrets.rotate.engine import Order, Result

DONE, WORK_LEFT, REFUSED, STUCK, INCOMPLETE = 0, 1, 4, 5, 6


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "rotate")(rotate)
    command(app, "inject")(inject)
    rotations = group(app, "rotations", "Unfinished rotations: list them, go on with one, or back out.",
                      list_rotations)
    command(rotations, "list")(list_rotations)
    command(rotations, "resume")(resume)
    command(rotations, "abort")(abort)
    revocations = group(app, "revocations", "Credentials that must die and are not proven dead yet.",
                        list_revocations)
    command(revocations, "list")(list_revocations)
    command(revocations, "retry")(retry)
    command(revocations, "resolve")(resolve_revocation)


# --- rotate ---------------------------------------------------------------------------------------------------------


def rotate(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Secrets to rotate.")] = None,
    due: Annotated[bool, typer.Option("--due", help="All that are due, and all that are unfinished.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All that have a value.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the exact effects and check that they could "
                                          "work; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before rotating several.")] = False,
    compromised: Annotated[bool, typer.Option("--compromised", help="It leaked: no grace, revoke at once, never back "
                                              "to the old one.")] = False,
    revoke_unproven: Annotated[bool, typer.Option("--revoke-unproven", help="With --compromised: revoke even where "
                                                  "no consumer could be proven.")] = False,
    from_version: Annotated[int, typer.Option(metavar="N", help="Only if version N is current; else `already "
                                              "rotated`.")] = 0,
    new_value_stdin: Annotated[bool, typer.Option("--new-value-stdin", help="Assisted: the new value comes on standard "
                                                  "input (or a hidden prompt).")] = False,
    as_json: JsonOption = False,
) -> int:
    """Rotate: mint, test, deliver, reload, prove, and only then revoke the old one and try that it is dead.

    Safe to interrupt and to run again: it goes on where it was. Exit codes: 0 rotated, 1 work left (waiting for
    time or a person, revocation pending), 4 refused and backed out, 5 stuck.
    """
    chosen = _chosen(session, names or [], due, every)
    if revoke_unproven and not compromised:
        raise UsageError("--revoke-unproven goes with --compromised", "prove the consumers instead")
    if (from_version or new_value_stdin) and len(chosen) != 1:
        raise UsageError("--from-version and --new-value-stdin go with exactly one NAME")
    if dry_run:
        return _dry_run(session, chosen, compromised, as_json)
    if len(chosen) > 1 or compromised:
        confirm(f"Rotate {len(chosen)} secret(s){' as compromised' if compromised else ''}?", yes)
    supplied = read_value(f"new value of {chosen[0]}") if new_value_stdin else None
    order = Order(from_version, compromised, revoke_unproven, supplied)
    results = []
    for name in chosen:
        results.append(_one(session, name, order))
        if not as_json:
            _tell(session, results[-1])
    if as_json:
        emit({"rotations": [_answer_json(answer) for answer in results]})
    if not results:
        say("nothing is due" if due else "no secret has a value")
    return max((code for _, _, code, _ in results), default=DONE)


Answer = tuple[str, Result | ClawError, int, list[Trouble]]
"""Name, how it ended, exit code, what went wrong on the way."""


def _chosen(session: Session, names: list[str], due: bool, every: bool) -> list[str]:
    if (bool(names) + due + every) != 1:
        raise UsageError("say what to rotate: NAME…, --due or --all", "clawsecrets status shows what is due")
    if names:
        return _known(session, list(dict.fromkeys(names)))
    now, found = session.clock.now(), []
    for record in session.store.records():
        row = status(record, session.shop.policy(record.secret), now)
        overdue = row.due is not None and row.due <= now
        if (every and record.current) or (due and (overdue or record.rotating)):
            found.append(record.secret.name)
    return found


def _known(session: Session, names: list[str]) -> list[str]:
    """Every name, or NotFound before anything is done. What is no name is not repeated: it could be a value."""
    known = set(session.store.names())
    for place, name in enumerate(names, 1):
        if name not in known:
            if len(names) == 1:
                session.load(name)
            raise NotFound(f"argument {place} is not the name of a secret; nothing was done",
                           "clawsecrets list shows the names; a new value goes on standard input")
    return names


def _one(session: Session, name: str, order: Order) -> Answer:
    session.steps.troubles.clear()
    try:
        result = session.engine().rotate(name, order)
    except ClawError as error:
        return name, error, error.exit_code, []
    code, troubles = _code(result), list(session.steps.troubles)
    if order.supplied is not None and code == WORK_LEFT and any(outcome == "refused" for _, outcome, _ in troubles):
        code = REFUSED  # it waits again, for a value that is accepted
    return name, result, code, troubles


def _code(result: Result) -> int:
    rotation = result.record.rotation
    if result.already or rotation is None:
        return DONE
    codes = {State.DONE: DONE, State.STUCK: STUCK, State.ABORTED: REFUSED, State.ABORTED_OWED: REFUSED}
    return codes.get(rotation.state, WORK_LEFT)


def _tell(session: Session, answer: Answer) -> None:
    name, result, code, troubles = answer
    if isinstance(result, ClawError):
        where = "" if name in result.message else f"{name}: "
        say(f"clawsecrets: error: {where}{result.message}")
        if result.hint:
            say(f"hint: {result.hint}")
        return
    rotation, current = result.record.rotation, result.record.current
    number = current.number if current else 0
    if result.already:
        print(f"{name}: already rotated (version {number} is current)")
        return
    if rotation is None:
        return
    shade = {DONE: GREEN, STUCK: RED, REFUSED: RED}.get(code, YELLOW)
    print(f"{name}: {colour(outcome_words(rotation), shade)} (version {number} is current)")
    for step, outcome, detail in troubles if code != DONE else ():
        say(f"  {step}: {outcome}{': ' + detail if detail else ''}")
    if rotation.note and not any(rotation.note in detail for _, _, detail in troubles):
        say(f"  {rotation.note}")
    for caveat in rotation.caveats:
        say(f"  not shown: {caveat}")
    for line in _next(session, result.record):
        say(f"  {line}")


def _next(session: Session, record: Record) -> list[str]:
    """What the person does next."""
    rotation, name = record.rotation, record.secret.name
    if rotation is None:
        return []
    if rotation.state is State.AWAITING:
        outfit = session.shop.outfit(record.secret, rotation.strategy)
        steps = list(outfit.issuer.explain(outfit.request(name, rotation.id)))
        return [*steps, f"then: clawsecrets rotate {name} --new-value-stdin"]
    if rotation.state is State.DELIVERED and rotation.parked:
        return [f"when you have seen that it uses the new one: clawsecrets rotations resume {name} --done",
                f"to go back: clawsecrets rotations abort {name}"]
    if rotation.state in (State.RETIRING, State.PROVING_DEAD) and rotation.parked:
        return [f"when it is revoked: clawsecrets rotations resume {name} (--done if it cannot be tried)"]
    if rotation.state is State.STUCK:
        return [f"when that is mended: clawsecrets rotations resume {name}"]
    if record.revocations:
        return [f"tried again by: clawsecrets revocations retry {name}"]
    return [f"it goes on with: clawsecrets rotate {name}"] if not rotation.final else []


def _answer_json(answer: Answer) -> dict[str, object]:
    name, result, code, troubles = answer
    if isinstance(result, ClawError):
        return {"secret": name, "exit_code": code, "outcome": "error", "error": result.message, "hint": result.hint}
    rotation, current = result.record.rotation, result.record.current
    words = "already rotated" if result.already else outcome_words(rotation) if rotation else "nothing done"
    return {"secret": name, "exit_code": code, "outcome": words, "version": current.number if current else 0,
            "already": result.already, "rotation": rotation_json(result.record),
            "troubles": [{"step": step, "outcome": outcome, "detail": detail} for step, outcome, detail in troubles],
            "revocations_pending": len(result.record.revocations)}


def _dry_run(session: Session, names: list[str], compromised: bool, as_json: bool) -> int:
    plans, worst = [], DONE
    for name in names:
        record = session.load(name)
        outfit = session.shop.outfit(record.secret)
        steps = preflight.effects(record, outfit, compromised=compromised)
        targets = [*((target, i.describe()) for target, i in outfit.injectors.items()),
                   *((target, c.describe()) for target, c in outfit.consumers.items())]
        checks = [(reply.outcome.value, reply.detail) for reply in preflight.checks(record, outfit, session.store)]
        checks.append(("ok", "store: writable") if session.shop.writable() else ("refused", "store: read-only"))
        worst = max(worst, _verdict({outcome for outcome, _ in checks}), key=(DONE, INCOMPLETE, REFUSED).index)
        plans.append({"secret": name, "strategy": outfit.strategy, "compromised": compromised,
                      "steps": [{"step": s, "effect": e} for s, e in steps],
                      "targets": [{"target": target, "what": what} for target, what in targets],
                      "checks": [{"outcome": o, "detail": d} for o, d in checks]})
        if not as_json:
            print(f"{name} ({outfit.strategy}):")
            for step, effect in steps:
                wrapped(f"  {step:<11} ", effect)
            for target, what in targets:
                wrapped(f"  {target}: ", what)
            for outcome, detail in checks:
                wrapped(f"  [{outcome}] ", detail)
    if as_json:
        emit({"plans": plans})
    return worst


def _verdict(outcomes: set[str]) -> int:
    """The exit code of the checks: refused, or could not be looked at, or fine."""
    return REFUSED if "refused" in outcomes else INCOMPLETE if outcomes - {"ok"} else DONE


# --- rotations ------------------------------------------------------------------------------------------------------


def list_rotations(session: Session, as_json: JsonOption = False) -> int:
    """List the unfinished rotations. Exit code 1 when there are any, 5 when one is stuck."""
    found = [record for record in session.store.records() if record.rotating]
    if as_json:
        emit({"rotations": [rotation_json(record) for record in found]})
    else:
        columns = [Column("SECRET", 10), Column("STATE"), Column("SINCE"), Column("WAITS FOR"),
                   Column("WHY", 10)]
        rows = [[r.secret, r.state.value, moment(r.entered_at), r.waits_for.value or "-", r.note]
                for r in (record.rotation for record in found) if r is not None]
        if rows:
            table(columns, rows)
        else:
            say("no unfinished rotation")
    stuck = any(record.rotation is not None and record.rotation.state is State.STUCK for record in found)
    return STUCK if stuck else WORK_LEFT if found else DONE


def resume(
    session: Session,
    name: NameArgument,
    done: Annotated[bool, typer.Option("--done", help="You vouch that what it waits for has been done.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Go on with an unfinished or stuck rotation."""
    session.load(name)
    result = session.engine().resume(name, vouched=done)
    return _answer(session, name, result, as_json)


def abort(session: Session, name: NameArgument, as_json: JsonOption = False) -> int:
    """Back out: the old value is put back everywhere and proven before the new one is revoked."""
    session.load(name)
    result = session.engine().abort(name)
    code = _answer(session, name, result, as_json)
    rotation = result.record.rotation
    return DONE if rotation is not None and rotation.state is State.ABORTED else code


def _answer(session: Session, name: str, result: Result, as_json: bool) -> int:
    answer = (name, result, _code(result), list(session.steps.troubles))
    if as_json:
        emit({"rotations": [_answer_json(answer)]})
    else:
        _tell(session, answer)
    return answer[2]


# --- revocations ----------------------------------------------------------------------------------------------------


def list_revocations(session: Session, as_json: JsonOption = False) -> int:
    """List credentials that must die and are not proven dead. Exit code 1 when there are any."""
    owed = list(session.ledger().owed())
    if as_json:
        emit({"revocations": [{"secret": n, "version": e.version, "handle": e.handle, "reason": e.reason,
                               "since": e.since, "tries": e.tries, "next_at": e.next_at, "note": e.note,
                               "needs_person": e.needs_person} for n, e in owed]})
    elif owed:
        columns = [Column("SECRET", 10), Column("VERSION", right=True), Column("REASON"), Column("SINCE"),
                   Column("TRIES", right=True), Column("NEXT"), Column("WHY", 10)]
        table(columns, [[n, str(e.version), e.reason, moment(e.since), str(e.tries), moment(e.next_at), e.note]
                        for n, e in owed])
    else:
        say("nothing is owed")
    return WORK_LEFT if owed else DONE


def retry(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="All, when none is named.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Try the pending revocations now."""
    ledger = session.ledger()
    chosen = _known(session, names) if names else sorted({name for name, _ in ledger.owed()})
    tried = [item for name in chosen for item in ledger.work(name, force=True)]
    if as_json:
        emit({"tried": [{"secret": t.secret, "version": t.entry.version, "dead": t.dead, "note": t.reply.detail}
                        for t in tried]})
    else:
        for item in tried:
            print(f"{item.secret} version {item.entry.version}: {'dead' if item.dead else 'not yet'}"
                  f"{' · ' + item.reply.detail if item.reply.detail else ''}")
    return DONE if all(item.dead for item in tried) else WORK_LEFT


def resolve_revocation(
    session: Session,
    name: NameArgument,
    version: Annotated[int, typer.Argument(help="The version, 0 for an orphan.")],
    handle: Annotated[str, typer.Option(help="The orphan's handle.")] = "",
) -> None:
    """Close an entry on your word: you have seen that the credential is dead."""
    session.load(name)
    if not session.ledger().vouch(name, version, handle):
        raise UsageError(f"{name} owes no such revocation", "clawsecrets revocations lists them")
    say(f"{name} version {version}: closed on your word")


# --- inject ---------------------------------------------------------------------------------------------------------


def inject(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="All, when none is named.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Write the current values to their targets again (after a restore, or a new target). Rotates nothing."""
    worst, told = DONE, []
    records = [session.load(name) for name in _known(session, names)] if names else list(session.store.records())
    for record in records:
        if record.reconcile:
            raise UsageError("the store was restored and waits for your confirmation", "clawsecrets restore --confirm")
        if not record.secret.injectors or record.secret.kind is Kind.ADMIN or record.current is None:
            continue
        outfit = session.shop.outfit(record.secret)
        done = deliver(session.store, session.shop, record, outfit, session.clock.now())
        acked = record.ack(*done.acks)
        session.store.commit([Change(acked, session.event("secret.delivered", record.secret.name,
                                                          record.current.number, outcome=done.reply.outcome.value))])
        ok = done.reply.outcome.value == "ok"
        worst = worst if ok else REFUSED
        told.append({"secret": record.secret.name, "delivered": ok, "detail": done.reply.detail})
        if not as_json:
            print(f"{record.secret.name}: {'delivered' if ok else done.reply.detail}")
    if as_json:
        emit({"injected": told})
    return worst
