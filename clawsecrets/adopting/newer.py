"""What is put back in the place of a value that was moved: that value, or the one that replaced it since.

A value that was rotated is dead, or is going to be, and may have leaked: an undo never brings it back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from clawsecrets.adopting.journal import recorded
from clawsecrets.errors import Refused, WorkLeft
from clawsecrets.model.record import Record
from clawsecrets.model.value import SecretValue
from clawsecrets.ports import Store


class Newer:
    """Of the secrets that were moved. `stood`: each with its value as it stood on disk."""

    def __init__(self, store: Store, names: Collection[str], stood: Sequence[tuple[str, SecretValue]]) -> None:
        """Refused where nobody can say yet which value is the one to be put back."""
        self._store, self._names, self._stood = store, names, stood
        self._records = {name: record for name in names if (record := recorded(store, name)) is not None}
        for record in self._records.values():
            _require_settled(record)
        self._current = {name: (record.current.number, store.value(name, record.current.number))
                         for name, record in self._records.items()
                         if record.current is not None and not record.secret.deleted_at}
        self._numbers = {name: {version.fingerprint: version.number for version in store.history(name)}
                         for name in self._records}
        self.put: dict[str, tuple[int, int]] = {}
        """Secret -> the version that stood there (0: it is not known) and the one that is put there."""

    def value(self, name: str, stood: str | None, where: str) -> str:
        """What is to stand at a place where `stood` did (None: nothing that is known). Refused where the store has no
        value, and where what stood there was never one of this secret."""
        if name not in self._current:
            raise Refused(f"{where}: {name} is not in the store any more, so that nobody knows what is to stand there",
                          self._way_out(name))
        current = self._current[name][1]
        if stood is None or stood == current.reveal_text():
            return current.reveal_text()
        if not self.is_of(name, stood):
            raise Refused(f"{where}: what stood there is no value of {name}, which has another one now",
                          f"put it there by hand (clawsecrets get {name} --raw), then run this again")
        self._note(name, stood)
        return current.reveal_text()

    def met(self, name: str, stood: object, there: object) -> None:
        """Take note where the current value stands already, put there by an undo that was killed, or by a person."""
        if self.is_former(name, stood) and there == self._current[name][1].reveal_text():
            self._note(name, str(stood))

    def _note(self, name: str, stood: str) -> None:
        number = self._numbers.get(name, {}).get(self._store.fingerprint(SecretValue(stood)), 0)
        self.put[name] = (number, self._current[name][0])

    def is_of(self, name: str, text: str) -> bool:
        """Whether it is, or was, a value of this secret."""
        value = SecretValue(text)
        return (name, value) in self._stood or self._store.fingerprint(value) in self._numbers.get(name, {})

    def is_former(self, name: str, text: object) -> bool:
        """Whether it was a value of this secret, which has another one now."""
        current = self._current.get(name)
        return isinstance(text, str) and bool(text) and current is not None and current[1].reveal_text() != text \
            and self.is_of(name, text)

    def replaced(self) -> Iterator[tuple[str, SecretValue]]:
        """What stood on disk and is current nowhere any more, each with its secret."""
        current = {value.reveal() for _, value in self._current.values()}
        return ((name, value) for name, value in self._stood if value.reveal() not in current)

    def within_current(self, value: SecretValue) -> bool:
        """Whether it is a part of one that is current, so that looking for it would find that one."""
        return any(value.reveal() in one.reveal() for _, one in self._current.values())

    def words(self) -> list[str]:
        """Which secrets have another value now, a line each."""
        return [f"{name}: version {new}, the current one, stands where "
                + (f"version {old} did, which was replaced since" if old else "one did that was replaced since")
                for name, (old, new) in sorted(self.put.items())]

    def require_unchanged(self) -> None:
        """WorkLeft when one of the secrets was changed while its value was put back."""
        for name in self._names:
            record, before = recorded(self._store, name), self._records.get(name)
            now, was = (one.current.number if one is not None and one.current is not None else 0
                        for one in (record, before))
            if now != was or (record is not None and record.rotating):
                raise WorkLeft(f"{name} was changed meanwhile: the files hold its version {was}, which may not work "
                               "any more", "run adopt --undo again, before the gateway is started")

    def _way_out(self, name: str) -> str:
        record = self._records.get(name)
        if record is not None and record.secret.deleted_at:
            return f"clawsecrets undelete {name}, then run this again"
        return f"clawsecrets set {name}, or put it there by hand; then run this again"


def _require_settled(record: Record) -> None:
    name = record.secret.name
    if record.elsewhere:
        raise Refused(f"{name} is kept in another store, which alone knows its value: {record.elsewhere}",
                      "undo it with that one (--store)")
    if record.reconcile:
        raise Refused("the store was restored and waits for your confirmation: its values may be older than the real "
                      "ones", "clawsecrets restore --confirm, then run this again")
    if record.rotating:
        raise Refused(f"{name} is in the middle of a rotation: which of its values is put back is not decided yet",
                      f"clawsecrets rotations resume {name}, or abort it; then run this again")
