"""Notes which contents could not be opened completely: they are not clean, whatever was not found in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from clawsecrets.model.finding import Content, Dropped, Match, Skipped

if TYPE_CHECKING:
    from clawsecrets.scan.ranges import Seen
    from clawsecrets.scan_ports import Notes

UNREAD = "unread"
"""First value of what the parent hears by `Notes.extra`: then the key of the content's place, and how many faults."""


class Looks(Protocol):
    """What looks at one content."""

    def look(self, content: Content, seen: Seen | None = None) -> Iterable[Match]:
        """The matches in it. `seen`: what was seen in it before."""

    @property
    def dropped(self) -> list[Dropped]:
        """Candidates that a filter dropped, when they are kept."""


class _Counting:
    """Passes on what the inspector could not open, and counts it."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self.count = 0

    def skipped(self, skipped: Skipped) -> None:
        """Something could not be looked at."""
        if not skipped.by_choice:
            self.count += 1
        self._notes.skipped(skipped)

    def looked(self, objects: int, size: int, work: int = 0) -> None:
        """As it is."""
        self._notes.looked(objects, size, work)

    def cached(self, objects: int) -> None:
        """As it is."""
        self._notes.cached(objects)

    def known(self, message: str) -> None:
        """As it is."""
        self._notes.known(message)

    def extra(self, *values: str | int | bytes) -> None:
        """As it is."""
        self._notes.extra(*values)


class Noting:
    """An inspector that also tells by `notes.extra` which contents it could not open completely."""

    def __init__(self, notes: Notes, make: Callable[[Notes], Looks]) -> None:
        self._notes, self._counting = notes, _Counting(notes)
        self._inner = make(self._counting)

    def look(self, content: Content, seen: Seen | None = None) -> Iterable[Match]:
        """The matches in it."""
        before = self._counting.count
        found = list(self._inner.look(content, seen))
        if faults := self._counting.count - before:
            self._notes.extra(UNREAD, content.place.key, faults)  # noqa: S610 - no Django here
        return found

    @property
    def dropped(self) -> list[Dropped]:
        """The inner one's."""
        return self._inner.dropped
