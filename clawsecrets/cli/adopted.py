"""What `adopt` tells: the plan, what is left elsewhere, and how it ended."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from clawsecrets.cli.importing import NEW
from clawsecrets.cli.output import Column, clean, emit, say, table, wrapped
from clawsecrets.errors import ConfigError, NotFound, StoreMissing, WorkLeft
from clawsecrets.model.secret import Secret

if TYPE_CHECKING:
    from clawsecrets.adopting.journal import Journal
    from clawsecrets.adopting.plan import Plan
    from clawsecrets.adopting.run import Proof
    from clawsecrets.cli.session import Session
    from clawsecrets.importers import Candidate
    from clawsecrets.wiring.adopting import Survey
    from clawsecrets.wiring.around import Found


def tell_moves(survey: Survey, states: Mapping[str, str], *, done: bool) -> None:
    """What is to be moved, or was, as a table. `states`: of the store before."""
    if survey.plan.moves:
        columns = [Column("SECRET"), Column("STORE", 5), Column("BECAME" if done else "BECOMES", 10), Column("AT", 20)]
        told = {name: "stored" if done and state == NEW else state for name, state in states.items()}
        table(columns, [[move.name, told.get(move.name, ""), _becomes(move.way.value, move.variable), move.where]
                        for move in survey.plan.moves])


def tell_rest(survey: Survey) -> None:
    """What stays where it is, and what else is to be known."""
    for left in survey.plan.left:
        wrapped("stays: ", f"{left.where}: {left.why}")
    for note in survey.notes:
        wrapped("note: ", note)


def _becomes(way: str, variable: str) -> str:
    named = way.replace("${VARIABLE}", f"${{{variable}}}")
    return named if named != way else f"{way} {variable}".strip()


def as_document(plan: Plan, states: Mapping[str, str]) -> dict[str, object]:
    """The plan, for --json."""
    return {"folder": plan.folder,
            "moves": [{"secret": move.name, "where": move.where, "way": move.way.value, "variable": move.variable,
                       "state": states.get(move.name, "")} for move in plan.moves],
            "left": [{"where": left.where, "why": left.why} for left in plan.left]}


def begun(journal: Callable[[], Journal]) -> list[str]:
    """A line where an adoption is past its first step and did not end: what is open, and what goes on with it."""
    from clawsecrets.adopting.journal import Step

    with contextlib.suppress(NotFound, StoreMissing):
        step, plan = journal().step, journal().plan()
        if step not in (Step.DONE, Step.CAPTURE):
            words = shlex.join(["clawsecrets", "adopt", plan.folder, "--apply"])
            return [f"NOT finished: the adoption of {plan.folder} is open at its step `{step}`; go on with it: {words}"]
    return []


def unrotatable(session: Session, plan: Plan, candidates: Sequence[Candidate] = ()) -> list[str]:
    """A line for each secret that no rotation could replace as it is bound then. `candidates`: of one that is only
    planned, where the gateway will read what becomes a SecretRef."""
    planned = {one.name: Secret(one.name, one.provider, one.kind, session.clock.now()) for one in candidates}
    found = []
    for name in plan.names:
        if name in planned and name in plan.referred:
            continue
        secret = planned.get(name)
        with contextlib.suppress(NotFound, StoreMissing):
            secret = session.store.load(name).secret
        if secret is not None and not session.shop.is_admin(secret) \
                and session.shop.provider(secret.provider).strategy == "self-issued":
            with contextlib.suppress(ConfigError):  # of targets that are to be mended first: `doctor` tells of them
                if why := session.shop.outfit(secret).unvalidated(name):
                    found.append(f"{name} cannot be rotated as it is bound: {why}")
    return found


def places(found: Sequence[Found]) -> list[dict[str, str]]:
    """Other places, for --json."""
    return [{"secret": one.secret, "where": one.where, "change": one.change, "command": one.command} for one in found]


def tell_places(found: Sequence[Found]) -> None:
    """Other places of this host, each with what is to be changed and the command that does it."""
    for one in found:
        say(clean(f"{one.secret} stands in {one.where}: {one.change}"))
        if one.command:
            say(clean(f"  {one.command}"))


def needed(session: Session, plan: Plan, env_file: str) -> list[str]:
    """How the gateway, and what a Compose file says, are to be started from now on; empty: as before. `env_file`:
    where the gateway's variables are kept, empty: nowhere."""
    from clawsecrets.adopting.plan import Way

    told = []
    if plan.gateway_variables and env_file:
        told.append(f"start the gateway with EnvironmentFile={env_file} from now on")
    elif plan.gateway_variables:
        told.append("start the gateway like this from now on: "
                    + _run_with(session, plan.gateway_variables, "openclaw", "gateway"))
    for file in dict.fromkeys(move.file for move in plan.of(Way.COMPOSE)):
        mine = {move.name: move.variable for move in plan.of(Way.COMPOSE) if move.file == file}
        told.append(f"start what {file} says like this from now on: "
                    + _run_with(session, mine, "docker", "compose", "--file", file, "up", "--detach"))
    return told


def _run_with(session: Session, variables: Mapping[str, str], *command: str) -> str:
    envs = {name: session.store.load(name).secret.env for name in variables}
    options = [word for name, variable in variables.items()
               for word in ("--secret", name if envs[name] == variable else f"{name}={variable}")]
    return shlex.join(["clawsecrets", "run", *options, "--", *command])


def tell_end(plan: Plan, proof: Proof, needed: Sequence[str], found: Sequence[Found], *, started: bool,
             as_json: bool) -> int:
    """What was reached; the exit code."""
    if as_json:
        emit({"applied": True, "undone": False, **as_document(plan, {}), "notes": list(needed),
              "elsewhere": places(found),
              "proof": {"clean": proof.clean, "files": list(proof.files), "audit": proof.audit,
                        "findings": list(proof.findings), "trouble": list(proof.trouble)}})
    for path in proof.files:
        say(f"still holds plaintext: {path}")
    for line in (*proof.findings, *proof.trouble):
        say(clean(line))
    tell_places(found)
    if not proof.clean:
        say(f"NOT finished: OpenClaw's audit says {proof.audit}; mend what stands above, then run it again")
        return WorkLeft.exit_code
    say(f"adopted: {len(plan.names)} secret(s); no file of {plan.folder} holds one of their values, and OpenClaw's "
        "audit says clean")
    for line in needed:
        say(clean(line))
    if not started:
        say("the gateway is not running: start it")
    say("what stood there is kept sealed in the store for 7 days: clawsecrets adopt --undo")
    if found:
        say(f"NOT finished: {len(found)} other place(s) of this host still hold plaintext; do what stands above")
        return WorkLeft.exit_code
    return 0
