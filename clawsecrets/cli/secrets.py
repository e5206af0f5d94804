"""set, get, list, show, history, configure."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from clawsecrets.cli.asking import remarks
from clawsecrets.cli.delivering import withdraw
from clawsecrets.cli.output import MASK, Column, emit, moment, require_stdout, say, table, wrapped
from clawsecrets.cli.own import require_no_journal
from clawsecrets.cli.refreshing import store_refresh_token
from clawsecrets.cli.session import JsonOption, NameArgument, Session, command, read_value
from clawsecrets.cli.shapes import rotation_json, secret_json, version_json
from clawsecrets.errors import ConfigError, NotFound, StoreDamaged, UsageError
from clawsecrets.model.hosts import own_name
from clawsecrets.model.policy import RotationPolicy, format_duration, parse_duration
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, Stage, Version, valid_name
from clawsecrets.model.strategies import STRATEGIES
from clawsecrets.ports import Change

LONGEST_TEXT = 500
"""Characters of a group, a handle, an option."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "set")(set_)
    command(app, "get")(get)
    command(app, "list")(list_)
    command(app, "show")(show)
    command(app, "history")(history)
    command(app, "configure")(configure)


def set_(
    session: Session,
    name: NameArgument,
    provider: Annotated[str, typer.Option(help="Provider code, for a new secret (`clawsecrets providers`).")] = "",
    env: Annotated[str, typer.Option(help="Environment variable that it is known by.")] = "",
    replace_value: Annotated[bool, typer.Option("--replace", help="Replace the value of an existing secret.")] = False,
    refresh_token: Annotated[bool, typer.Option("--refresh-token", help="What is read is the refresh token that new "
                                                "values are made with (strategy refresh).")] = False,
) -> None:
    """Store a value, read from standard input or a hidden prompt, never from the command line.

    Replacing a value by hand delivers nothing and revokes nothing: `rotate` does that. --replace also mends a secret
    whose value was lost.
    """
    _check_name(name)
    require_no_journal(name)
    _check_typed(session, (), env)
    record = _find(session, name)
    if record is None:
        record = Record(_new_secret(session, name, provider, env))
    elif provider or env:
        raise UsageError(f"{name} is in the store already: --provider and --env are for a new one",
                         f"clawsecrets configure {name} changes them")
    elif record.rotating:
        raise UsageError(f"{name} is in the middle of a rotation", f"clawsecrets rotations resume {name}")
    held = record.refresh_token if refresh_token else record.current
    if held is not None and not replace_value:
        what = "refresh token" if refresh_token else "value"
        raise UsageError(f"{name} has a {what} already", "`rotate` replaces it safely; --replace overwrites it")
    if refresh_token:
        store_refresh_token(session, record)
        return
    value, now = read_value(f"value of {name}"), session.clock.now()
    lost = _lost(session, record)
    version = Version(record.last_number + 1, Stage.CURRENT, now, session.store.fingerprint(value), origin="set")
    changed = record.put_current(version)
    if lost:
        changed = changed.change(lost, lambda v: replace(v, erased_at=now))
    session.store.commit([Change(changed, session.event("secret.set", name, version.number), {version.number: value})])
    say(f"{name}: version {version.number} stored")
    if lost:
        say(f"{name}: the value of version {lost} was lost: that version is kept as erased")
    for remark in remarks(session, record, value):
        say(remark)


def _lost(session: Session, record: Record) -> int:
    """The current version, where its value is not there any more, or not the one that was stored; else 0."""
    if record.current is None:
        return 0
    try:
        session.store.value(record.secret.name, record.current.number)
    except StoreDamaged:
        return record.current.number
    return 0


def get(
    session: Session,
    name: NameArgument,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the value on a terminal.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print the value into a pipe, without a newline.")] = False,
    version: Annotated[int, typer.Option(help="A version number; 0 is the current one.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Give a value. Masked, unless --reveal is given on a terminal or --raw into a pipe."""
    session.only_reads()
    found = _to_give(session.load(name), version)
    terminal = sys.stdout.isatty()
    if raw and (reveal or as_json):
        raise UsageError("--raw stands alone: it writes nothing but the value")
    if raw:
        require_stdout()
    if raw and terminal:
        raise UsageError("--raw writes into a pipe, and this is a terminal", "use --reveal to see it here")
    if reveal and not terminal and not as_json:
        raise UsageError("--reveal shows it on a terminal, and this is a pipe", "use --raw")
    text = MASK
    if reveal or raw:
        value = session.store.value(name, found.number)
        session.store.log(session.event("value.read", name, found.number))
        if raw:
            sys.stdout.buffer.write(value.reveal())
            return
        text = value.reveal().decode(errors="backslashreplace")
    if as_json:
        emit({"name": name, "version": found.number, "value": text if reveal else None, "masked": not reveal,
              "fingerprint": found.fingerprint})
        return
    print(text)
    if not reveal:
        say("masked; --reveal shows it on a terminal, --raw gives it to a pipe")


def _to_give(record: Record, version: int) -> Version:
    """The version that `get` may give; 0 is the current one. NotFound; UsageError for a refresh token."""
    name, found = record.secret.name, record.version(version) if version else record.current
    if record.secret.deleted_at:
        raise NotFound(f"{name} is deleted", f"clawsecrets undelete {name} brings it back")
    if found is None:
        raise NotFound(f"{name} has no such version", f"clawsecrets history {name}")
    if found.stage is Stage.REFRESH:
        raise UsageError(f"{name}: version {found.number} is its refresh token, which is given to nobody",
                         "clawsecrets rotate uses it; its provider can make another")
    return found


def list_(
    session: Session,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that were deleted and not purged.")] = False,
    as_json: JsonOption = False,
) -> int:
    """List the secrets, without values. Exit code 3 where a record cannot be read (it is named; the others are
    listed)."""
    session.only_reads()
    broken = session.unreadable
    records = [session.store.load(name) for name in session.store.names(deleted=True, broken=broken)] if deleted \
        else list(session.store.records(broken=broken))
    if as_json:
        emit({"secrets": [secret_json(record) for record in records], "unreadable": broken.plain()})
        return broken.code
    columns = [Column("SECRET"), Column("KIND", drop=1), Column("PROVIDER", 8, drop=2),
               Column("VERSION", right=True), Column("VARIABLE", 10)]
    table(columns, [[r.secret.name, r.secret.kind.value, r.secret.provider,
                     str(r.current.number if r.current else 0), r.secret.env] for r in records])
    return broken.code


def show(session: Session, name: NameArgument, as_json: JsonOption = False) -> None:
    """Say everything about one secret, without its value."""
    record = session.load(name)
    policy = session.shop.policy(record.secret)
    data = secret_json(record) | {
        "interval": policy.interval, "grace": policy.grace, "injectors": list(record.secret.injectors),
        "consumers": list(record.secret.consumers), "options": dict(record.secret.options),
        "strategy": session.shop.strategy(record.secret),
        "versions": [version_json(v) for v in record.versions],
        "revocations": [{"version": e.version, "handle": e.handle, "reason": e.reason, "tries": e.tries,
                         "next_at": e.next_at, "note": e.note} for e in record.debts],
        "acks": [{"target": a.target, "version": a.version, "at": a.at, "proof": a.proof, "outcome": a.outcome.value,
                  "note": a.note} for a in record.acks],
        "rotation": rotation_json(record),
    }
    if as_json:
        emit(data)
        return
    for key, value in data.items():
        if key not in ("versions", "acks", "revocations", "rotation"):
            wrapped(f"{key:<12} ", _words(key, value))
    print()
    _versions(record.versions)
    for ack in record.acks:
        shown = ack.proof or ack.note or "not proven"
        wrapped(f"{ack.target}: ", f"version {ack.version or '?'}, {moment(ack.at)}, {shown}")
    for caveat in record.rotation.caveats if record.rotation is not None else ():
        wrapped("caveat: ", caveat)
    for entry in record.debts:
        wrapped("to revoke: ", f"version {entry.version} {entry.handle} "
                f"({entry.reason}, {entry.tries} tries) {entry.note}")


def history(session: Session, name: NameArgument, as_json: JsonOption = False) -> None:
    """List every version there ever was, without values."""
    session.only_reads()
    session.load(name)
    versions = session.store.history(name)
    if as_json:
        emit({"name": name, "versions": [version_json(v) for v in versions]})
        return
    _versions(versions)


def configure(
    session: Session,
    name: NameArgument,
    interval: Annotated[str, typer.Option(help="Rotate at this age: 90d, 12h…; `default`; `never`.")] = "",
    grace: Annotated[str, typer.Option(help="Keep the replaced one alive so long: 0, 1h, 2d; `default`.")] = "",
    inject: Annotated[list[str] | None, typer.Option(help="Deliver to this injector of the configuration.")] = None,
    no_inject: Annotated[list[str] | None, typer.Option(help="No longer deliver there.")] = None,
    consume: Annotated[list[str] | None, typer.Option(help="This consumer uses it.")] = None,
    no_consume: Annotated[list[str] | None, typer.Option(help="It no longer does.")] = None,
    option: Annotated[list[str] | None, typer.Option(metavar="KEY=TEXT", help="A provider option.")] = None,
    handle: Annotated[str, typer.Option(help="The provider's id of the current credential (to revoke it).")] = "",
    provider: Annotated[str, typer.Option(help="Another provider code.")] = "",
    env: Annotated[str, typer.Option(help="The environment variable that it is known by.")] = "",
    group: Annotated[str, typer.Option(help="Redundancy group: --due and --all rotate one of it at a time.")] = "",
    strategy: Annotated[str, typer.Option(help="Force a strategy, for example `assisted`; `default`.")] = "",
) -> int:
    """Change how one secret is kept: its interval, targets, provider options. Values in the store are not touched.

    The value is taken out of the targets that it is no longer delivered to; exit code 1 where that failed.
    """
    record = session.load(name)
    require_no_journal(name)
    before = record.secret
    inject, no_inject, consume, no_consume = ([*map(session.shop.bound, names or [])]
                                              for names in (inject, no_inject, consume, no_consume))
    _check_typed(session, (*inject, *consume), env, strategy)
    _check_lines({"--group": [group], "--handle": [handle], "--option": option or []})
    secret = replace(
        before,
        policy=_policy(before.policy, interval, grace),
        injectors=_names(before.injectors, inject, no_inject),
        consumers=_names(before.consumers, consume, no_consume),
        options=_options(before.options, option or []),
        env=env or before.env,
        group=group or before.group,
        strategy={"": before.strategy, "default": ""}.get(strategy, strategy),
    )
    if provider:
        known = session.provider(provider)
        secret = replace(secret, provider=known.code, kind=known.kind)
    _stays_here(secret)
    session.shop.check(secret)
    if handle:
        if record.current is None:
            raise UsageError(f"{name} has no value yet, so there is nothing that the handle could belong to")
        record = record.change(record.current.number, lambda v: replace(v, handle=handle))
    session.store.commit([Change(replace(record, secret=secret), session.event("secret.configured", name))])
    say(f"{name}: configured")
    return 0 if withdraw(session, before, [t for t in before.injectors if t not in secret.injectors]) else 1


def _stays_here(secret: Secret) -> None:
    if secret.kind is Kind.ADMIN and (secret.injectors or secret.consumers):
        raise ConfigError(f"{secret.name} is an admin credential: it cannot be bound to a target",
                          "deliver only what a process uses; the admin credential stays in the store")


# --- parts of `show` -----------------------------------------------------------------------------------------------


def _versions(versions: Sequence[Version]) -> None:
    columns = [Column("VERSION", right=True), Column("STAGE"), Column("CREATED"), Column("SEEN DEAD"),
               Column("ERASED"), Column("FINGERPRINT", 10)]
    table(columns, [[str(v.number), v.stage.value, moment(v.created_at), moment(v.dead_at)[:10],
                     moment(v.erased_at)[:10], v.fingerprint] for v in versions])


def _words(key: str, value: object) -> str:
    if key in ("interval", "grace"):
        return format_duration(float(value)) if isinstance(value, int | float) else "never"
    if key in ("created_at", "deleted_at"):
        return moment(float(value)) if isinstance(value, int | float) else "-"
    if key == "paused" and isinstance(value, dict):
        until = f" until {moment(value['until'])}" if value["until"] else ""
        return f"since {moment(value['since'])}{until}: {value['reason']}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "-"
    return str(value) if value not in ("", None) else "-"


# --- parts ----------------------------------------------------------------------------------------------------------


def _check_name(name: str) -> None:
    if not valid_name(name):
        raise UsageError("that is not a name for a secret",
                         "use a-z 0-9 . _ / - (128 at most), beginning with a letter or digit")


def _check_typed(session: Session, targets: Sequence[str], env: str, strategy: str = "") -> None:
    """Refuse what the configuration does not have, without repeating it: it could be a value."""
    known = (*session.config.injectors, *session.config.consumers)
    if any(own_name(target) not in known for target in targets):
        raise ConfigError("--inject, --consume: there is no such target in the configuration",
                          f"it has {', '.join(known) or 'none'}; add it to {session.paths.config}")
    if env and not _VARIABLE.fullmatch(env):
        raise UsageError("--env: that is not a name for a variable", "letters, digits and _: SERVICE_API_KEY")
    if strategy not in ("", "default", *STRATEGIES):
        raise UsageError("--strategy: there is no such strategy", f"choose one of {', '.join(STRATEGIES)}, default")


def _find(session: Session, name: str) -> Record | None:
    try:
        record = session.store.load(name)
    except NotFound:
        return None
    if record.secret.deleted_at:
        raise UsageError(f"{name} is deleted", f"clawsecrets undelete {name}, or purge it")
    if record.elsewhere:
        raise UsageError(f"{name} is kept in another store: {record.elsewhere}", "work with that one (--store)")
    return record


def _new_secret(session: Session, name: str, provider: str, env: str) -> Secret:
    known = session.provider(provider or "generic")
    chosen = env or (known.env[0] if known.env and provider else "")
    return Secret(name, known.code, known.kind, session.clock.now(), env=chosen)


def _policy(policy: RotationPolicy, interval: str, grace: str) -> RotationPolicy:
    try:
        if interval == "never":
            policy = replace(policy, enabled=False)
        elif interval:
            seconds = None if interval == "default" else parse_duration(interval)
            policy = replace(policy, enabled=True, interval=seconds)
        if grace:
            policy = replace(policy, grace=None if grace == "default" else parse_duration(grace))
    except ValueError:
        pass  # its words repeat what was typed
    else:
        return policy
    raise UsageError("--interval, --grace: that is not a duration", "write for example 90d, 12h, 30m or 1d12h")


def _check_lines(given: Mapping[str, Sequence[str]]) -> None:
    """Free texts are shown in tables, logs and calendars: each is one line that shows all that it holds."""
    for option, texts in given.items():
        if any(not text.isprintable() or len(text) > LONGEST_TEXT for text in texts):
            raise UsageError(f"{option}: one line of at most {LONGEST_TEXT} visible characters is needed",
                             "leave control characters and line breaks out")


def _names(now: tuple[str, ...], more: list[str] | None, less: list[str] | None) -> tuple[str, ...]:
    kept = [name for name in now if name not in (less or [])]
    return tuple(dict.fromkeys([*kept, *(more or [])]))


def _options(now: tuple[tuple[str, str], ...], given: list[str]) -> tuple[tuple[str, str], ...]:
    options = dict(now)
    for item in given:
        key, equals, text = item.partition("=")
        if not equals:
            raise UsageError("--option: write KEY=TEXT", "an empty TEXT removes it")
        options[key] = text
    return tuple(sorted((key, text) for key, text in options.items() if text))
