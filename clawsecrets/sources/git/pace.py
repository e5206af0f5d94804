"""How much of a part's bytes, as they stand in the repository, is behind it. Exact where a file or a group of a pack's
objects ends; in between by the number of contents that were given, so that it costs nothing for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawsecrets.scan_ports import Notes


class Pace:
    """Only ascends, and ends at the sum of what was begun."""

    def __init__(self, notes: Notes, counted: bool = True) -> None:
        """`counted`: whether `Source.work` has told of it; if not, nothing is told here."""
        self._notes, self._counted = notes, counted
        self._at = self._step = 0.0
        self._size = self._end = self._told = 0

    @property
    def end(self) -> int:
        """Where what was begun ends."""
        return self._end

    def begin(self, size: int, contents: int = 0) -> None:
        """What came before is done; the next `size` bytes give about so many contents (0: `within` tells)."""
        self.reach(self._end)
        self._end += size
        self._size, self._step = size, size / contents if contents else 0.0
        self._notes.looked(0, 0, self.moved(0))

    def reach(self, end: int) -> None:
        """All before `end` is done, whatever came of it."""
        self._end = max(self._end, end)
        self._at, self._step = self._end, 0.0

    def within(self, share: float) -> None:
        """So much (0 to 1) of what was begun last is done."""
        self._at = max(self._at, self._end - self._size * (1 - min(1.0, share)))
        self._notes.looked(0, 0, self.moved(0))

    def moved(self, contents: int) -> int:
        """So many contents were given since the last call: the bytes to be told."""
        self._at = min(float(self._end), self._at + contents * self._step)
        told, self._told = self._told, int(self._at)
        return self._told - told if self._counted else 0

    def rest(self) -> int:
        """All that was begun is done: the bytes to be told."""
        self.reach(self._end)
        return self.moved(0)
