"""Words that a person gives to be kept and shown: never a value of a secret."""

from __future__ import annotations

from clawsecrets.cli.session import Session
from clawsecrets.errors import ClawError, StoreLocked, UsageError
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Store


def require_no_value(store: Store, option: str, text: str) -> None:
    """UsageError where it holds a value of any secret, in any form in which notices are searched for them."""
    from clawsecrets.wiring.notifying import holds_value

    if holds_value(store, text):
        raise UsageError(f"{option}: it holds a value of the store; nothing was done",
                         "say it without the value, and take it out of the shell's history")


def require_none_of_ours(session: Session, option: str, text: str) -> None:
    """The same for a command that needs no store: where this host has one that opens without a question."""
    session.ask = _unasked
    try:
        file = session.config.store.file
        if file is None or not file.exists():
            return
        store = session.store
    except ClawError:
        return
    require_no_value(store, option, text)


def _unasked() -> SecretValue:
    raise StoreLocked("no passphrase was asked for")
