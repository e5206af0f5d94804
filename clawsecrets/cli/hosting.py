"""sync, hosts: what this host does for those that share its store, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from clawsecrets import wiring
from clawsecrets.cli.answers import DONE, INCOMPLETE, REFUSED, WORK_LEFT
from clawsecrets.cli.output import Column, clean, emit, moment, say, table
from clawsecrets.cli.session import JsonOption, Session, command, confirm, group
from clawsecrets.errors import ConfigError, StaleRecord, UsageError
from clawsecrets.model.hosts import Behind, Host, host_of, hosts, on_host, own_name, without_host
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Change
from clawsecrets.rotate.sync import Synced

TURNS = 5
"""Commits tried while others edit the same record."""
_CODES = {Outcome.OK: DONE, Outcome.LATER: WORK_LEFT, Outcome.REFUSED: REFUSED, Outcome.UNKNOWN: INCOMPLETE}
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    command(app, "sync")(sync)
    every = group(app, "hosts", "The hosts that share this store: what each is behind with.", list_hosts)
    command(every, "list")(list_hosts)
    command(every, "adopt")(adopt)
    command(every, "forget")(forget)


def sync(session: Session, as_json: JsonOption = False) -> int:
    """Deliver what this host's targets are to hold, reload and prove their consumers, and acknowledge it in the store.

    What a daemon does at every look, done once: for a timer, or after an outage. Rotates nothing but self-issued values
    whose consumer is here. Exit codes: 0 all is as it is to be, 1 not yet, 3 another process of this host is at it, 4 a
    target or consumer refused, 6 one could not be written.
    """
    found = wiring.sync(session.config, session.store, session.shop, session.clock, session.engine(),
                        session.actor).run(broken=session.unreadable)
    if as_json:
        emit({"host": session.shop.host, "synced": [_synced_json(item) for item in found]})
    else:
        for item in found:
            done = item.reply.outcome is Outcome.OK
            print(clean(f"{item.secret}: {'delivered' if done else item.reply.detail} (version {item.version})"))
        if not found:
            say(f"nothing to do for {session.shop.host}")
    return max((_CODES[item.reply.outcome] for item in found), default=session.unreadable.code)


def _synced_json(item: Synced) -> dict[str, object]:
    return {"secret": item.secret, "version": item.version, "outcome": item.reply.outcome.value,
            "detail": item.reply.detail,
            "targets": [{"target": ack.target, "version": ack.version, "outcome": ack.outcome.value,
                         "proof": ack.proof, "note": ack.note} for ack in item.acks]}


def list_hosts(session: Session, as_json: JsonOption = False) -> int:
    """List the hosts that targets name, and what each is behind with. Exit code 1 when one is."""
    found = hosts(session.store.records(broken=session.unreadable), session.shop.owner)
    if as_json:
        emit({"host": session.shop.host, "hosts": [_host_json(host) for host in found]})
    elif found:
        columns = [Column("HOST"), Column("SECRETS", right=True), Column("TARGETS", 10), Column("LAST WORD"),
                   Column("BEHIND", 10)]
        table(columns, [[f"{host.name} (this one)" if host.name == session.shop.host else host.name, str(host.secrets),
                         ", ".join(map(own_name, host.targets)), moment(host.last_word),
                         "; ".join(f"{item.secret}: {item.words}" for item in host.behind) or "-"] for host in found])
    else:
        say("no target names a host: they are all this one's")
    return WORK_LEFT if any(host.behind for host in found) else session.unreadable.code


def _host_json(host: Host) -> dict[str, object]:
    return {"host": host.name, "secrets": host.secrets, "targets": list(host.targets), "last_word_at": host.last_word,
            "behind": [behind_json(item) for item in host.behind]}


def behind_json(item: Behind) -> dict[str, object]:
    """The documented object `behind`."""
    ack = item.ack
    return {"secret": item.secret, "host": item.host, "target": item.target, "version": item.version,
            "has": ack.version if ack is not None else 0, "at": ack.at if ack is not None else 0,
            "note": ack.note if ack is not None else ""}


def adopt(session: Session) -> None:
    """Name this host on the targets that name none, and that its configuration has: once, when a second host is to use
    the store."""
    if not session.shop.shared:
        raise ConfigError("this store has one host",
                          f"first give this one a name: host = \"…\" in {session.paths.config}")
    host = session.shop.host
    changed = _each(session, lambda record: on_host(record, host, lambda target: session.shop.knows(target)
                                                    and not session.shop.owner(target)), "host.adopted", host)
    say(f"{changed} secret(s) have their targets on {host} now" if changed else "no target was without a host")


def forget(
    session: Session,
    host: Annotated[str, typer.Argument(metavar="HOST", help="The host that is gone for good.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Say that a host is gone for good: its targets are taken off every secret, and nobody waits for it any more.

    What was delivered there stays there: rotate what that host knew, if others may have it now.
    """
    found = {target for record in _every(session) for target in (*record.secret.injectors, *record.secret.consumers)
             if host_of(target) == host}
    if not found:
        raise UsageError("no target names that host", "clawsecrets hosts lists them")
    confirm(f"Take {len(found)} target(s) of {clean(host)} off every secret for good?", yes)
    changed = _each(session, lambda record: without_host(record, host), "host.forgotten", host)
    say(f"{host}: forgotten by {changed} secret(s); what was delivered there was not taken out")


def _every(session: Session) -> Iterable[Record]:
    for deleted in (False, True):
        for name in session.store.names(deleted=deleted):
            yield session.store.load(name)


def _each(session: Session, edit: Callable[[Record], Record], action: str, host: str) -> int:
    """Edit every record that the edit changes, each in its own commit; how many. Run again, it goes on."""
    count = 0
    for record in _every(session):
        count += _edited(session, record.secret.name, edit, action, host)
    return count


def _edited(session: Session, name: str, edit: Callable[[Record], Record], action: str, host: str) -> bool:
    for _ in range(TURNS):
        record = session.store.load(name)
        edited = edit(record)
        if edited == record:
            return False
        try:
            session.store.commit([Change(edited, session.event(action, name, 0, host=host))])
            return True
        except StaleRecord as error:
            stale = error
    raise StaleRecord(stale.message, "run the command again")
