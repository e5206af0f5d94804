"""How a rotation is told: its words, what the person does next, its JSON, and its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clawsecrets.cli.asking import how_to_give, without_paste
from clawsecrets.cli.output import GREEN, RED, YELLOW, Trouble, clean, colour, say
from clawsecrets.cli.session import Session
from clawsecrets.cli.shapes import rotation_json
from clawsecrets.errors import ClawError
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import STILL_IN, Rotation, State
from clawsecrets.model.status import outcome_words, shadowed
from clawsecrets.rotate.ledger import Tried, held_back
from clawsecrets.rotate.order import Result, may_give

DONE, WORK_LEFT, REFUSED, STUCK, INCOMPLETE = 0, 1, 4, 5, 6

@dataclass(frozen=True)
class Answer:
    """How one secret's rotation ended."""

    name: str
    result: Result | ClawError
    code: int
    troubles: Sequence[Trouble] = ()
    """What went wrong on the way."""
    unused: bool = False
    """A value was given, and not taken: another one is current already."""
    not_replaced: int = 0
    """The version that leaked and is current still: an older rotation went on that does not replace it."""


def answer_of(name: str, result: Result, troubles: Sequence[Trouble], *, supplied: bool = False) -> Answer:
    """The answer with its exit code; `supplied`: a person gave a value."""
    code, rotation = code_of(result), result.record.rotation
    if supplied and result.already:
        return Answer(name, result, WORK_LEFT, troubles, unused=True)
    refused = any(outcome == "refused" for _, outcome, _ in troubles)
    if supplied and refused and rotation is not None and rotation.state is State.AWAITING:
        code = REFUSED  # it waits again, for a value that is accepted
    return Answer(name, result, code, troubles)


def code_of(result: Result) -> int:
    """4 only where nothing is half done: a new one that must still be revoked is work left."""
    rotation = result.record.rotation
    if result.already or rotation is None:
        return DONE
    if rotation.state is State.DONE and shadowed(rotation):
        return WORK_LEFT
    codes = {State.DONE: DONE, State.STUCK: STUCK, State.ABORTED: REFUSED}
    return codes.get(rotation.state, WORK_LEFT)


def awaits(answer: Answer) -> bool:
    """Whether it waits for a person's value now."""
    rotation = None if isinstance(answer.result, ClawError) else answer.result.record.rotation
    return rotation is not None and rotation.state is State.AWAITING and rotation.strategy != "refresh"


def tell(session: Session, answer: Answer, *, asks: bool = False) -> None:
    """Say it: the outcome on stdout, what else there is to know on stderr. `asks`: a prompt for the value follows."""
    name, result, code = answer.name, answer.result, answer.code
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
        if answer.unused:
            say(f"  the value that you gave was not taken; if it is the right one: clawsecrets rotate {name} "
                "--new-value-stdin, without --from-version")
        return
    if rotation is None:
        return
    shade = {DONE: GREEN, STUCK: RED, REFUSED: RED}.get(code, YELLOW)
    print(f"{name}: {colour(outcome_words(rotation), shade)} (version {number} is current)")
    _tell_rest(session, answer, result.record, asks)


def _tell_rest(session: Session, answer: Answer, record: Record, asks: bool) -> None:
    name, rotation, troubles = answer.name, record.rotation, answer.troubles
    if rotation is None:
        return
    for step, outcome, detail in troubles if answer.code != DONE else ():
        say(f"  {step}: {outcome}{': ' + detail if detail else ''}")
    if rotation.note and not any(rotation.note in detail for _, _, detail in troubles):
        say(f"  {rotation.note}")
    for caveat in rotation.caveats:
        say(f"  {caveat}" if caveat.startswith(STILL_IN) else f"  not shown: {caveat}")
    for line in _next(session, record, asks):
        say(f"  {line}")
    if answer.not_replaced:
        say(f"{name}: version {answer.not_replaced}, the current one, was NOT replaced by this: run it again when this "
            f"rotation has ended: clawsecrets rotate {name} --compromised")


def _next(session: Session, record: Record, asks: bool) -> list[str]:
    """What the person does next."""
    rotation, name = record.rotation, record.secret.name
    if rotation is None:
        return []
    if rotation.strategy == "refresh" and (rotation.state is State.AWAITING or rotation.state is State.STUCK):
        return [] if may_give(rotation) else [f"when that is mended: clawsecrets rotations resume {name}"]
    if rotation.state is State.AWAITING:
        outfit = session.shop.outfit(record.secret, rotation.strategy)
        steps = list(outfit.issuer.explain(outfit.request(name, rotation.label)))
        return steps if asks else [*without_paste(steps), how_to_give(name)]
    if rotation.state is State.VACATING and rotation.parked:
        return [f"when you know that nobody uses the other slot: clawsecrets rotations resume {name} --done",
                f"to leave it: clawsecrets rotations abort {name}"]
    if rotation.state is State.DELIVERED and rotation.parked:
        return [f"when you have seen that it uses the new one: clawsecrets rotations resume {name} --done",
                f"to go back: clawsecrets rotations abort {name}"]
    if rotation.state in (State.RETIRING, State.PROVING_DEAD) and rotation.parked:
        return [f"when it is revoked: clawsecrets rotations resume {name} (--done if it cannot be tried)"]
    if rotation.state is State.STUCK:
        return [f"when that is mended: clawsecrets rotations resume {name}"]
    if record.debts:
        return _owing(record, rotation)
    if rotation.state is State.ABORTED and rotation.strategy == "assisted" and _ends_old(session, record):
        return ["if a new one was made at the provider all the same, that has ended the old one: give it: "
                f"clawsecrets rotate {name} --new-value-stdin"]
    return [f"it goes on with: clawsecrets rotate {name}"] if not rotation.final else []


def _owing(record: Record, rotation: Rotation) -> list[str]:
    """What brings its debts on: a rotation that is not final works off its own."""
    name, held = record.secret.name, [held_back(record, entry) for entry in record.debts]
    goes_on = [f"it goes on with: {one.command}" for one in held if one is not None]
    if not rotation.final and not goes_on:
        goes_on = [f"it goes on with: clawsecrets rotate {name}"]
    retried = [f"tried again by: clawsecrets revocations retry {name}"] if None in held else []
    return [*dict.fromkeys(goes_on), *retried]


def _ends_old(session: Session, record: Record) -> bool:
    """Whether a person who makes a new one ends the old one by that."""
    return session.shop.provider(record.secret.provider).manual.kills_old


def answer_json(answer: Answer) -> dict[str, object]:
    """The documented object `answer`, or `failure`."""
    name, result, code, troubles = answer.name, answer.result, answer.code, answer.troubles
    if isinstance(result, ClawError):
        return {"secret": name, "exit_code": code, "outcome": "error", "error": result.message, "hint": result.hint}
    rotation, current = result.record.rotation, result.record.current
    words = "already rotated" if result.already else outcome_words(rotation) if rotation else "nothing done"
    return {"secret": name, "exit_code": code, "outcome": words, "version": current.number if current else 0,
            "already": result.already, "value_unused": answer.unused,
            "not_replaced": answer.not_replaced, "rotation": rotation_json(result.record),
            "troubles": [{"step": step, "outcome": outcome, "detail": detail} for step, outcome, detail in troubles],
            "revocations_pending": len(result.record.debts)}


def tell_tried(tried: Tried) -> None:
    """Say how the try of an owed revocation ended."""
    words = f"{'dead' if tried.dead else 'not yet'}{' · ' + tried.reply.detail if tried.reply.detail else ''}"
    print(clean(f"{tried.secret} version {tried.entry.version}: {words}"))


def tried_json(tried: Tried) -> dict[str, object]:
    """The documented object `tried`."""
    return {"secret": tried.secret, "version": tried.entry.version, "dead": tried.dead, "note": tried.reply.detail}
