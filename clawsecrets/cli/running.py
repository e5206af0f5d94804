"""run: a command with secrets, and nothing of them elsewhere."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated, NamedTuple

import typer

from clawsecrets.cli.delivering import to_use
from clawsecrets.cli.output import clean, say, say_if_possible
from clawsecrets.cli.session import Session, ask_passphrase, command
from clawsecrets.config.shape import EnvFileTarget, RunTarget
from clawsecrets.errors import ClawError, ConfigError, Incomplete, StaleRecord, StoreBusy, UsageError
from clawsecrets.injectors import mapping
from clawsecrets.model.hosts import own_name
from clawsecrets.model.policy import parse_duration
from clawsecrets.model.secret import SecretValue
from clawsecrets.running.given import Given, unmasked
from clawsecrets.running.needles import Search
from clawsecrets.running.noted import Noted
from clawsecrets.running.run import Ended, How, Look, NotStarted
from clawsecrets.running.run import run as run_command
from clawsecrets.wiring.targets import note_of

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
EVERY = 1.0
"""Seconds between two looks at the store's files under --watch."""


class Wanted(NamedTuple):
    """A secret that was named; the variable that it shall be, empty for the usual one."""

    name: str
    variable: str = ""


def register(app: typer.Typer) -> None:
    """Add this file's command."""
    command(app, "run", context_settings={"allow_interspersed_args": False})(run)


def run(
    session: Session,
    words: Annotated[list[str] | None, typer.Argument(metavar="-- CMD…", help="The command and its arguments.")] = None,
    secret: Annotated[list[str] | None, typer.Option(metavar="NAME[=VARIABLE]", help="Give it this secret, as its "
                                                     "usual variable or as that one.")] = None,
    target: Annotated[list[str] | None, typer.Option(help="Give it all that is bound to this target.")] = None,
    files: Annotated[bool, typer.Option("--files", help="As files in memory (0400) instead of variables; "
                                        "CLAWSECRETS_FILES is their folder, VARIABLE the path of one.")] = False,
    no_mask: Annotated[bool, typer.Option("--no-mask", help="Do not take the values out of what it prints.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Start it anew when one of them was rotated.")] = False,
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="With --watch: it is this consumer of the "
                                      "configuration (kind run), so that a rotation can prove what it uses.")] = "",
    grace: Annotated[str, typer.Option(help="With --watch: how long it has to end (SIGTERM) before it is "
                                       "killed.")] = "10s",
) -> int:
    """Run a command that has the named secrets in its environment, or in files, and no others.

    Signals and the exit code are passed through (128 + n when signal n ended it; 127 no such command, 126 not
    runnable; 6 when it ended with 0, but not all that it printed could be written). What it prints is masked, on a
    terminal too; values shorter than 8 characters are not.
    """
    if not words:
        raise UsageError("no command is given", "clawsecrets run --secret NAME -- CMD…")
    how, noted = _how(files, watch, grace), _noted(session, name, watch)
    wanted = _wanted(session, secret or [], target or [])
    given = _given(session, wanted, files=files)
    dropped = _dropped(session, {each.name for each in given}, {each.variable for each in given})
    _read(session, given)
    session.close()
    short = [] if no_mask else unmasked(given)
    if short:
        say(f"{', '.join(short)}: shorter than 8 characters, so it is not masked")
    if not no_mask:
        how = how._replace(search=_search())
    if watch:
        session.ask = functools.cache(ask_passphrase)
        how = how._replace(look=_looking(session, wanted, files=files))
    try:
        return _told(run_command(words, given, how._replace(dropped=dropped), noted.write if noted else _not_noted))
    except NotStarted as error:
        say(f"clawsecrets: error: the command cannot be run: {error.why}" if error.found else
            "clawsecrets: error: there is no such command")
        return error.code
    finally:
        if noted is not None:
            noted.remove()


def _told(ended: Ended) -> int:
    """The exit code: the command's, but never 0 where not all that it printed was written; that is said."""
    if ended.lost:
        say_if_possible(f"clawsecrets: error: not all that the command printed could be written: {ended.lost}")
    return ended.code or (Incomplete.exit_code if ended.lost else 0)


# --- what was asked for ---------------------------------------------------------------------------------------------


def _not_noted(given: Sequence[Given], pid: int, folder: str) -> None:
    """Nobody asks about it."""


def _noted(session: Session, name: str, watch: bool) -> Noted | None:
    """The note of `--as`. ConfigError where the configuration has no such consumer; UsageError where it runs."""
    if not name:
        return None
    if not watch:
        raise UsageError("--as needs --watch", "a rotation asks whether it was started anew")
    known = [each for each, config in session.config.consumers.items() if isinstance(config, RunTarget)]
    if name not in known:
        raise ConfigError('--as: there is no such consumer of kind "run" in the configuration',
                          f"it has {', '.join(known) or 'none'}; add it to {session.paths.config}")
    noted = Noted(note_of(session.paths.state, name))
    noted.require_free()
    return noted


def _how(files: bool, watch: bool, grace: str) -> How:
    with suppress(ValueError):
        return How(files=files, every=EVERY, grace=parse_duration(grace))
    raise UsageError("--grace: that is not a duration", "write for example 10s or 1m")


def _search() -> Search:
    from clawsecrets.wiring.running import search

    return search()


def _wanted(session: Session, secrets: Sequence[str], targets: Sequence[str]) -> list[Wanted]:
    """What the options name, each secret once. Names are known ones; what is not is not repeated."""
    found: dict[str, Wanted] = {}
    for each in targets:
        for wanted in _bound(session, each):
            found.setdefault(wanted.name, wanted)
    for each in secrets:
        name, equals, variable = each.partition("=")
        if equals and not _VARIABLE.fullmatch(variable):
            raise UsageError("--secret: what stands behind = is not a name for a variable",
                             "letters, digits and _: NAME=SERVICE_API_KEY")
        session.load(name)
        found[name] = Wanted(name, variable)
    if not found:
        raise UsageError("no secret is named", "give --secret NAME, or --target for all that is bound to a target")
    return list(found.values())


def _bound(session: Session, target: str) -> Iterator[Wanted]:
    known = (*session.config.injectors, *session.config.consumers)
    if own_name(target) not in known:
        raise ConfigError("--target: there is no such target in the configuration",
                          f"it has {', '.join(known) or 'none'}; add it to {session.paths.config}")
    config = session.config.injectors.get(own_name(target))
    names = config.names if isinstance(config, EnvFileTarget) else {}
    bound = [record.secret for record in session.store.records()
             if target in (*record.secret.injectors, *record.secret.consumers)]
    if not bound:
        raise UsageError(f"nothing is bound to {target}", f"clawsecrets configure NAME --inject {target}")
    yield from (Wanted(secret.name, names.get(secret.name, "")) for secret in bound)


# --- what it is given -----------------------------------------------------------------------------------------------


def _given(session: Session, wanted: Sequence[Wanted], *, files: bool) -> list[Given]:
    """The current value of each. UsageError for what no command may have, and where two would be one variable."""
    found = [_one(session, each, files=files) for each in wanted]
    for pairs in ([(each.name, each.variable) for each in found if each.variable],
                  [(each.name, each.file) for each in found]):
        for target, names in mapping.collisions(pairs).items():
            raise UsageError(f"{' and '.join(names)} would both be written as {target}",
                             f"--secret {names[0]}=VARIABLE gives one of them another name")
    return found


def _one(session: Session, wanted: Wanted, *, files: bool) -> Given:
    secret, current = to_use(session, wanted.name)
    variable = wanted.variable if files else wanted.variable or secret.env or mapping.env_name(secret.name)
    return Given(secret.name, current.number, session.store.value(secret.name, current.number), variable,
                 mapping.file_name(secret.name))


def _read(session: Session, given: Sequence[Given]) -> None:
    """Into the audit log, before anything runs."""
    for each in given:
        session.store.log(session.event("value.read", each.name, each.version, by="run"))


def _dropped(session: Session, named: set[str], variables: set[str]) -> list[bytes]:
    """Variables of our own environment that hold a value of a secret that was not named; these are said. And the one
    with which we log in at the store."""
    others = {version.fingerprint: record.secret.name for record in session.store.records()
              for version in record.versions if record.secret.name not in named and version.fingerprint}
    signed = session.config.store.vault.jwt_env
    found = [signed.encode()] if signed and signed not in variables else []
    for variable, value in os.environb.items():
        if variable.decode(errors="replace") in variables or not value:
            continue
        name = others.get(session.store.fingerprint(SecretValue(value)))
        if name is not None:
            say(f"{clean(variable.decode(errors='replace'))} is not passed on: it holds a value of {name}, which was "
                "not named")
            found.append(variable)
    return found


# --- --watch --------------------------------------------------------------------------------------------------------


def _looking(session: Session, wanted: Sequence[Wanted], *, files: bool) -> Look:
    """Looks whether one of them has another version. The store is opened only where its files have changed, and closed
    again; what stands in the way (another process, a lock) is tried again, and said once where it does not end by
    itself."""
    from clawsecrets.wiring.running import mark

    seen, told = mark(session.config), ""

    def look(given: Sequence[Given]) -> Sequence[Given] | None:
        nonlocal seen, told
        now = mark(session.config)
        if now == seen:
            return None
        try:
            if not _newer(session, given):
                seen, told = now, ""
                return None
            found = _given(session, wanted, files=files)
            _read(session, found)
        except ClawError as error:
            if error.message != told and not isinstance(error, StoreBusy | StaleRecord):
                told = error.message
                say(f"not watched meanwhile: {clean(told)}")
            return None
        finally:
            session.close()
        seen = mark(session.config)
        return found

    return look


def _newer(session: Session, given: Sequence[Given]) -> bool:
    for each in given:
        current = session.load(each.name).current
        if current is not None and current.number != each.version:
            say(f"{each.name}: version {current.number} instead of {each.version}: the command is started anew")
            return True
    return False
