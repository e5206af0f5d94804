"""What a command does not do to clawsecrets' own records (model/own.py), in one line with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from clawsecrets.cli.session import Session
from clawsecrets.errors import StoreDamaged, UsageError
from clawsecrets.model.own import instead, of_adoption
from clawsecrets.model.record import Record


def require_rotatable(session: Session, names: Sequence[str]) -> None:
    """UsageError for the first that nothing rotates."""
    for record in _own(session, names):
        name = record.secret.name
        raise UsageError(f"{_words(name)}: it is not rotated", instead(name, rotating=record.rotating))


def require_indexed(session: Session, names: Sequence[str]) -> None:
    """UsageError for the first that no index holds."""
    for record in _own(session, names):
        raise UsageError(f"{_words(record.secret.name)}: it goes into no index", "leave it out")


def require_no_journal(name: str) -> None:
    """UsageError where an adoption is written down in it: whatever else stood there would end that."""
    if of_adoption(name):
        raise UsageError(f"{name} is clawsecrets' own record of an adoption: `adopt` alone changes it", instead(name))


def _own(session: Session, names: Sequence[str]) -> Iterator[Record]:
    """Those of them that are ours. One that cannot be read is left to whoever reads it."""
    for name in names:
        with suppress(StoreDamaged):
            record = session.store.load(name)
            if session.shop.own(record.secret):
                yield record


def _words(name: str) -> str:
    what = "clawsecrets' own record of an adoption" if of_adoption(name) else "an address of notices"
    return f"{name} is {what}"
