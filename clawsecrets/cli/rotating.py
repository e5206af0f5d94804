"""rotate: which secrets, what of them, and the dry run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from clawsecrets.cli import asking, due_now, rehearsing
from clawsecrets.cli.answers import (
    DONE,
    WORK_LEFT,
    Answer,
    answer_json,
    answer_of,
    awaits,
    tell,
    tell_tried,
    tried_json,
)
from clawsecrets.cli.output import emit, heard, say
from clawsecrets.cli.own import require_rotatable
from clawsecrets.cli.session import JsonOption, Session, command, confirm, read_value
from clawsecrets.errors import ClawError, StoreBusy, UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.secret import SecretValue
from clawsecrets.rotate.ledger import Tried
from clawsecrets.rotate.order import Order, Result


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "rotate")(rotate)


def rotate(
    session: Session,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Secrets to rotate.")] = None,
    due: Annotated[bool, typer.Option("--due", help="All that are due or unfinished, and due revocations.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All that have a value, but clawsecrets' own "
                                         "(adoptions, addresses of notices).")] = False,
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
    as_it_is: Annotated[bool, typer.Option("--as-it-is", help="Take the new value although it does not look like the "
                                           "provider's.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Rotate: mint, test, deliver, reload, prove, and only then revoke the old one and try that it is dead.

    Safe to interrupt and to run again. Exit codes: 0 rotated, 1 work left, 4 refused and backed out, 5 stuck, 3 with
    --due and --all: a record cannot be read (it is named, and left alone; the others are rotated).
    """
    chosen, left = _chosen(session, names or [], due, every)
    if revoke_unproven and not compromised:
        raise UsageError("--revoke-unproven goes with --compromised", "prove the consumers instead")
    if (from_version or new_value_stdin) and len(chosen) != 1:
        raise UsageError("--from-version and --new-value-stdin go with exactly one NAME")
    if not dry_run and (len(chosen) > 1 or compromised):
        confirm(f"Rotate {len(chosen)} secret(s){' as compromised' if compromised else ''}?", yes)
    supplied = _supplied(session, chosen[0], from_version, as_it_is) if new_value_stdin else None
    order, results = Order(from_version, compromised, revoke_unproven, supplied), []
    if dry_run:
        return rehearsing.rehearse(session, chosen, order, as_json)
    asks = bool(names) and not as_json and asking.can_ask()
    tried = _work_off(session, as_json) if due else []
    for name in chosen:
        turn = due_now.turn(session, name) if due else due_now.Turn(True)
        left |= turn.left
        if turn.now:
            results.append(_rotate_one(session, name, order, told=not as_json, asks=asks, as_it_is=as_it_is))
    heard(lambda: _tell_all(session, results, tried, left, due, as_json))
    rest = WORK_LEFT if left or not all(item.dead for item in tried) else DONE
    return max([rest, session.unreadable.code, *(answer.code for answer in results)])


def _tell_all(session: Session, results: Sequence[Answer], tried: Sequence[Tried], left: dict[str, str], due: bool,
              as_json: bool) -> None:
    broken = session.unreadable
    if as_json:
        emit({"rotations": [answer_json(answer) for answer in results], "tried": [tried_json(item) for item in tried],
              "left": [{"secret": name, "reason": reason} for name, reason in left.items()],
              "unreadable": broken.plain()})
    nothing = "nothing is due" if due else "no secret has a value"
    _tell_left(left, "" if results or left or tried or broken.found else nothing)


def _tell_left(left: dict[str, str], nothing: str) -> None:
    for name, reason in left.items():
        say(f"{name}: left for another run: {reason}")
    if nothing:
        say(nothing)


def _supplied(session: Session, name: str, from_version: int, as_it_is: bool) -> SecretValue:
    """The value that a person gives, looked at where it would be taken."""
    value, record = read_value(f"new value of {name}"), session.load(name)
    unfinished = record.rotation if record.rotating else None
    stale = not unfinished and from_version and (record.current is None or record.current.number != from_version)
    strategy = unfinished.strategy if unfinished else session.shop.strategy(record.secret)
    if not as_it_is and not stale and strategy in ("assisted", "cut-over"):
        asking.require_look(session, name, value)
    return value


def _rotate_one(session: Session, name: str, order: Order, *, told: bool, asks: bool, as_it_is: bool) -> Answer:
    """Rotate it, and say at once how it ended. Where it waits for a value and a person sits there, ask for it."""
    answer = _one(session, name, order)
    if told:
        heard(lambda: tell(session, answer, asks=asks))
    while asks and awaits(answer):
        value = asking.ask_new(session, name, as_it_is=as_it_is)
        if value is None:
            break
        answer = _one(session, name, replace(order, supplied=value))
        tell(session, answer, asks=asks)
    return answer


def _work_off(session: Session, as_json: bool) -> list[Tried]:
    """Try the revocations that are due. One that another process is working on is left to it."""
    ledger, tried = session.ledger(), []
    for name in ledger.due(session.clock.now(), session.unreadable):
        with contextlib.suppress(StoreBusy):
            tried += ledger.work(name)
    if not as_json:
        for item in tried:
            heard(partial(tell_tried, item))
    return tried


def _chosen(session: Session, names: list[str], due: bool, every: bool) -> tuple[Sequence[str], dict[str, str]]:
    """What to rotate now; and what is left for another run, with the reason."""
    if (bool(names) + due + every) != 1:
        raise UsageError("say what to rotate: NAME…, --due or --all", "clawsecrets status shows what is due")
    if names:
        known = session.known(list(dict.fromkeys(names)))
        require_rotatable(session, known)
        return known, {}
    if due:
        return due_now.chosen(session)
    found = [record for record in session.store.records(broken=session.unreadable)
             if record.current and not session.shop.own(record.secret)]
    left = _one_of_each_group(session, found)
    return [record.secret.name for record in found if record.secret.name not in left], left


def _one_of_each_group(session: Session, found: Sequence[Record]) -> dict[str, str]:
    """Those that must wait because another of their group is in the middle of its rotation, or comes first."""
    records = list(session.store.records(broken=session.unreadable))
    taken = {record.secret.group: record.secret.name for record in reversed(records)
             if record.secret.group and record.rotating}
    left: dict[str, str] = {}
    for record in found:
        name, group = record.secret.name, record.secret.group
        if group and not record.rotating and taken.setdefault(group, name) != name:
            left[name] = f"{taken[group]} of its group {group} comes first"
    return left


def _one(session: Session, name: str, order: Order) -> Answer:
    session.steps.troubles.clear()
    try:
        before = session.load(name)
        result = session.engine().rotate(name, order)
    except ClawError as error:
        return Answer(name, error, error.exit_code)
    answer = answer_of(name, result, tuple(session.steps.troubles), supplied=order.supplied is not None)
    leaked = _not_replaced(before, result, order)
    return replace(answer, not_replaced=leaked, code=max(answer.code, WORK_LEFT)) if leaked else answer


def _not_replaced(before: Record, result: Result, order: Order) -> int:
    """The version that leaked, where an older unfinished rotation went on that does not replace it; else 0."""
    current, now = before.current, result.record.current
    rotation = result.record.rotation
    if not (order.compromised and before.rotating and before.rotation and rotation and current and now):
        return 0
    if now.number != current.number or order.from_version not in (0, current.number):
        return 0
    same = rotation.id == before.rotation.id and not before.rotation.compromised  # else it goes on with that order
    return now.number if same and (rotation.new_version == now.number or not rotation.compromised) else 0
