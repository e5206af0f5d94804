"""set --refresh-token, and what a restored backup's refresh token is still good for."""

from __future__ import annotations

from clawsecrets.cli.output import say
from clawsecrets.cli.session import Session, read_value
from clawsecrets.errors import UsageError
from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import Stage, Version
from clawsecrets.ports import Change


def store_refresh_token(session: Session, record: Record) -> None:
    """Read the refresh token and store it. UsageError where the secret's provider has no use for one, or where it is
    a value that the store knows for another thing."""
    secret = record.secret
    if session.shop.strategy(secret) != "refresh":
        raise UsageError(f"{secret.name}: its provider, {secret.provider}, has no use for a refresh token",
                         f"clawsecrets configure {secret.name} --provider CODE; `clawsecrets providers` lists them")
    token, now, number = read_value(f"refresh token of {secret.name}"), session.clock.now(), record.last_number + 1
    mark = session.store.fingerprint(token)
    known = next((v.number for v in record.versions if v.fingerprint == mark), 0)
    if known:
        raise UsageError(f"{secret.name}: that is version {known}; nothing was stored",
                         "give the refresh token, not the access token")
    version = Version(number, Stage.REFRESH, now, mark, origin="set")
    event = session.event("secret.refresh-token", secret.name, number)
    session.store.commit([Change(record.put_refresh_token(version, now), event, {number: token})])
    say(f"{secret.name}: refresh token stored (version {number})")
    if record.current is None:
        say(f"  its first value is made by: clawsecrets rotate {secret.name}")


def after_restore(session: Session, record: Record) -> Record:
    """The record of a restored backup. Its refresh token may have been spent since the backup was made, as after a
    lost answer; where it may not be used on that doubt, it is given up, and a person is told."""
    token, current, secret = record.refresh_token, record.current, record.secret
    if token is None or session.shop.strategy(secret) != "refresh":
        return record
    outfit = session.shop.outfit(secret, targets=False)
    old = session.store.value(secret.name, current.number) if current else None
    request = outfit.request(secret.name, "", old=old, refresh=session.store.value(secret.name, token.number))
    reply = outfit.refresher.ask_again(request) if outfit.refresher is not None else None
    if reply is None or reply.outcome is Outcome.OK:
        return record
    say(f"{secret.name}: its refresh token may have been spent since the backup, and is given up. Authorize anew, "
        f"then: clawsecrets set {secret.name} --refresh-token")
    return record.drop_refresh_token(session.clock.now())
