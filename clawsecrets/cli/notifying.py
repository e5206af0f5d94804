"""notify: who is told besides the log; store a channel's address, and try whether it arrives."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from clawsecrets.cli.output import GREEN, RED, Column, emit, moment, say, table
from clawsecrets.cli.own import require_no_journal
from clawsecrets.cli.session import JsonOption, NameArgument, Session, command, group, read_value
from clawsecrets.errors import NotFound, UsageError
from clawsecrets.model.channel import Channel
from clawsecrets.model.notice import Topic
from clawsecrets.model.own import ADDRESS
from clawsecrets.model.policy import RotationPolicy, format_duration
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version, valid_name
from clawsecrets.ports import Change, Reply
from clawsecrets.wiring import notifying

_CODES = {Outcome.OK: 0, Outcome.REFUSED: 4, Outcome.LATER: 6, Outcome.UNKNOWN: 6}
_WORDS = {Outcome.OK: "taken", Outcome.REFUSED: "refused", Outcome.LATER: "not taken", Outcome.UNKNOWN: "no answer"}
ADDRESSES = "like tgram://TOKEN/CHAT, discord://ID/TOKEN, mailtos://USER:PASSWORD@HOST, ntfys://HOST/TOPIC"


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    notify = group(app, "notify", "Who is told besides the log: the channels of the configuration, and whether "
                   "messages arrive.", list_channels)
    command(notify, "list")(list_channels)
    command(notify, "add")(add)
    command(notify, "test")(test)


def list_channels(session: Session, as_json: JsonOption = False) -> None:
    """List the channels: what goes there, what waits, and since when one fails."""
    waiting, stored = notifying.outbox(session.config), set(session.store.names())
    every = [(channel, waiting.of(channel.name)) for channel in session.config.notify.channels.values()]
    if as_json:
        emit({"channels": [{
            "channel": channel.name, "secret": channel.secret, "stored": channel.secret in stored,
            "least": channel.least.name.lower(), "topics": sorted(topic.value for topic in _topics(channel)),
            "digest": channel.digest, "urgent": channel.urgent.name.lower(),
            "quiet": [window.text for window in channel.quiet], "waiting": len(kept.notices), "tries": kept.tries,
            "failing_since": kept.failing_since, "next_at": kept.next_at, "detail": kept.why,
        } for channel, kept in every]})
        return
    if not every:
        say("no channel: notices go into the daemon's log alone")
        say("README, \"Being told\", says how one is made")
        return
    columns = [Column("CHANNEL"), Column("ADDRESS", 12), Column("LEAST"), Column("TOPICS", 8, drop=2),
               Column("DIGEST", right=True, drop=1), Column("WAITING", right=True), Column("STATE", 12)]
    table(columns, [[
        channel.name, channel.secret, channel.least.name.lower(),
        "all" if channel.topics >= frozenset(Topic) else ", ".join(sorted(t.value for t in _topics(channel))),
        format_duration(channel.digest) if channel.digest else "-", str(len(kept.notices)),
        "its address is not in the store" if channel.secret not in stored else
        f"fails since {moment(kept.failing_since)}: {kept.why}" if kept.tries else "ok",
    ] for channel, kept in every])


def add(
    session: Session,
    name: NameArgument,
    replace_value: Annotated[bool, typer.Option("--replace", help="Replace the address that is stored.")] = False,
) -> None:
    """Store the address of a channel, read from standard input or a hidden prompt, never from the command line.

    It is a secret, for it holds a token. Nothing is sent; it is never due for rotation by itself.
    """
    if not valid_name(name):
        raise UsageError("that is not a name for a secret",
                         "use a-z 0-9 . _ / - (128 at most); the address goes on standard input")
    require_no_journal(name)
    record = _record(session, name, replace_value)
    value, now = read_value(f"address of {name}"), session.clock.now()
    service = _service(value)
    version = Version(record.last_number + 1, Stage.CURRENT, now, session.store.fingerprint(value), origin="set")
    options = dict((*record.secret.options, ADDRESS))
    record = replace(record, secret=replace(record.secret, options=tuple(sorted(options.items()))))
    change = Change(record.put_current(version), session.event("secret.set", name, version.number),
                    {version.number: value})
    session.store.commit([change])
    say(f"{name}: version {version.number} stored, an address of {service}")
    named = [channel.name for channel in session.config.notify.channels.values() if channel.secret == name]
    if named:
        say(f"next: clawsecrets notify test {named[0]}")
    else:
        say(f"no channel names it yet; add to {session.config.file or session.paths.config}:")
        say(f'  [notify.channels.{name.rpartition("/")[2]}]\n  secret = "{name}"')


def test(
    session: Session,
    channel: Annotated[str, typer.Argument(metavar="[CHANNEL]", help="One channel; left out: all.")] = "",
    as_json: JsonOption = False,
) -> int:
    """Send a test message, and say of each channel whether it was taken.

    Exit codes: 0 all took it, 4 one refused it (or its address is missing or cannot be read), 6 one could not be
    reached.
    """
    tried = [(one, notifying.try_channel(session.config, session.store, one, session.clock.now()))
             for one in _chosen(session, channel)]
    if as_json:
        emit({"tested": [{"channel": one.name, "outcome": reply.outcome.value, "detail": reply.detail,
                          "exit_code": _CODES[reply.outcome]} for one, reply in tried]})
    else:
        colours = [GREEN if reply.outcome is Outcome.OK else RED for _, reply in tried]
        table([Column("CHANNEL"), Column("MESSAGE"), Column("WHY", 10)],
              [[one.name, _WORDS[reply.outcome], reply.detail] for one, reply in tried], colours)
        for one, reply in tried:
            if reply.outcome is Outcome.REFUSED and not reply.person:
                say(f"{one.name}: a new address: clawsecrets notify add {one.secret} --replace")
    return max(_CODES[reply.outcome] for _, reply in tried)


def _topics(channel: Channel) -> frozenset[Topic]:
    return channel.topics - {Topic.TEST}


def _chosen(session: Session, name: str) -> list[Channel]:
    channels = session.config.notify.channels
    if not channels:
        raise UsageError("there is no channel in the configuration: notices go into the daemon's log alone",
                         "README, \"Being told\", says how one is made")
    if not name:
        return list(channels.values())
    if name not in channels:  # what was typed is not repeated: it could be an address
        raise NotFound("there is no channel of that name", f"there are: {', '.join(sorted(channels))}")
    return [channels[name]]


def _record(session: Session, name: str, replace_value: bool) -> Record:
    """The record that the address goes into. UsageError for one that holds something else."""
    if name not in session.store.names() and name not in session.store.names(deleted=True):
        return Record(Secret(name, "generic", Kind.OTHER, session.clock.now(), policy=RotationPolicy(enabled=False)))
    record = session.load(name)
    if record.secret.deleted_at:
        raise UsageError(f"{name} is deleted", f"clawsecrets undelete {name}, or purge it")
    if record.secret.provider != "generic" or record.secret.injectors or record.secret.consumers:
        raise UsageError(f"{name} is another secret, not the address of a channel", "choose another name")
    if record.rotating:
        raise UsageError(f"{name} is in the middle of a rotation", f"clawsecrets rotations abort {name}")
    if record.current is not None and not replace_value:
        raise UsageError(f"{name} has a value already", "--replace overwrites it")
    return record


def _service(value: SecretValue) -> str:
    """The service that the address is for. UsageError when it cannot be read; nothing is stored then."""
    reply: Reply = notifying.check_address(value)
    if reply.outcome is Outcome.OK:
        return reply.detail
    if reply.outcome is Outcome.REFUSED:
        raise UsageError("that is not an address that Apprise can read; nothing was stored", f"they are {ADDRESSES}")
    raise UsageError(f"the address could not be checked ({reply.detail}); nothing was stored", "try again")
