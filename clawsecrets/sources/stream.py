"""Standard input, or any stream that can be read once."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawsecrets.formats.pieces import cut
from clawsecrets.model.finding import Content, Coverage, Kind, Place, Provenance, Skipped

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes


AT_ONCE = 1 << 18
"""Bytes read at once."""


class Interruptible:
    """Reads a descriptor to its end, which Ctrl-C is, too: a scan only remembers the signal, and Python then goes on
    with a wait. For as long as the process lives; to be made in its main thread."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._signals, into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(into, warn_on_full_buffer=False)
        self._poll = select.poll()
        for each in (number, self._signals):
            self._poll.register(each, select.POLLIN)
        self._ended = False

    def read(self, size: int) -> bytes:
        """At most so many bytes; empty at the end. OSError."""
        while not self._ended:
            ready = {each for each, _ in self._poll.poll()}
            if self._signals in ready and signal.SIGINT in os.read(self._signals, 4096):
                self._ended = True
            elif self._number in ready:
                try:
                    return os.read(self._number, min(size, AT_ONCE))
                except BlockingIOError:
                    continue
        return b""


@dataclass(frozen=True)
class StreamSource:
    """What `read(n)` gives, at most n bytes a call, empty at its end."""

    read: Callable[[int], bytes]
    name: str = "<stdin>"
    kind: Kind = Kind.STDIN

    def parts(self, workers: int) -> Sequence[StreamSource]:
        """It can be read by one only."""
        return [self]

    def contents(self, notes: Notes) -> Iterable[Content]:
        """Its pieces."""
        place = Place(self.kind, self.name, self.name)
        try:
            for number, piece in enumerate(cut(self.read)):
                notes.looked(0 if number else 1, len(piece.data) - piece.overlap)
                yield Content(piece.data, place, offset=piece.offset, line=piece.line, column=piece.column,
                              overlap=piece.overlap)
        except OSError as error:
            notes.skipped(Skipped(self.name, error.strerror or "it could not be read"))

    def work(self) -> None:
        """It is over when it is."""

    def locate(self, places: Collection[Place]) -> Mapping[Place, Sequence[Provenance]]:
        """It stands there."""
        return {place: (Provenance(self.kind, path=place.path),) for place in places}

    def coverage(self) -> Coverage:
        """What it is."""
        return Coverage((self.name,))
