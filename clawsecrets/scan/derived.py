"""Text that was decoded from content, and where each byte of it comes from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

_NEAR = 80
"""Bytes before a value in which a change may have made it what it is."""


class Derived(NamedTuple):
    """Decoded text. The byte at `k` comes from `origins[i] + (k - starts[i]) * step` of the content, where i is the
    part that k lies in: `step` is 1 where bytes were only moved, 2 or 4 for UTF-16 and UTF-32, 0 where all of a part
    stands for the place at which its encoded form begins."""

    data: bytes
    encoding: str
    """Outermost first, joined with `+`."""
    starts: Sequence[int] = (0,)
    origins: Sequence[int] = (0,)
    step: int = 0
    context: int = 0
    """So many bytes at the beginning are what stood before the encoded text: its name, no part of it."""
    mixed: bool = False
    """The decoded bytes are not all text: only what cannot be there by chance is worth a report."""

    def origin(self, at: int) -> int:
        """Where in the content the byte `at` of the text comes from."""
        part = max(0, bisect_right(self.starts, at) - 1)
        return self.origins[part] + (at - self.starts[part]) * self.step

    def rewritten(self, start: int, end: int) -> bool:
        """Whether anything was changed in these bytes or close to them: else they stand in the content as well, and
        were judged there."""
        low, high = max(0, start - _NEAR), min(len(self.data) - 1, end + 4)
        return self.step != 1 or self.origin(high) - self.origin(low) != high - low

    def through(self, outer: Derived) -> Derived:
        """The same, when this was decoded from `outer`'s text: seen from the content."""
        if not self.step:
            origins = [outer.origin(at) for at in self.origins]
        else:  # every place of ours that begins a part of either
            return self._merged(outer)
        return Derived(self.data, f"{outer.encoding}+{self.encoding}", self.starts, origins, 0,
                       self.context, self.mixed or outer.mixed)

    def _merged(self, outer: Derived) -> Derived:
        starts, origins = [], []
        for i, start in enumerate(self.starts):
            end = self.starts[i + 1] if i + 1 < len(self.starts) else len(self.data)
            low = self.origins[i]
            high = low + (end - start) * self.step
            inside = outer.starts[bisect_right(outer.starts, low): bisect_right(outer.starts, max(low, high - 1))]
            for at in (low, *inside):
                starts.append(start + (at - low) // self.step)
                origins.append(outer.origin(at))
        return Derived(self.data, f"{outer.encoding}+{self.encoding}", starts, origins, outer.step * self.step,
                       self.context, self.mixed or outer.mixed)


class Builder:
    """Puts text together from parts that stand elsewhere."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.starts: list[int] = []
        self.origins: list[int] = []
        self.size = 0

    def add(self, part: bytes, origin: int) -> None:
        """A part that stands, or whose encoded form begins, at `origin`."""
        if part:
            self.starts.append(self.size)
            self.origins.append(origin)
            self._parts.append(part)
            self.size += len(part)

    def derived(self, encoding: str) -> Derived:
        """All of it."""
        return Derived(b"".join(self._parts), encoding, self.starts or (0,), self.origins or (0,), 1)


def rewritten(data: bytes, windows: Sequence[tuple[int, int]], pattern: re.Pattern[bytes],
              write: Callable[[re.Match[bytes]], bytes], encoding: str) -> Derived:
    """The windows of the data with everything that matches replaced; blank lines between windows."""
    built = Builder()
    for low, high in windows:
        at = low
        for found in pattern.finditer(data, low, high):
            built.add(data[at:found.start()], at)
            built.add(write(found), found.start())
            at = found.end()
        built.add(data[at:high], at)
        built.add(b"\n\n\n", high)
    return built.derived(encoding)


def windows(ends: Sequence[int], size: int, reach: int) -> list[tuple[int, int]]:
    """Ranges of `reach` bytes around each of the places (ascending), those that touch joined."""
    found: list[tuple[int, int]] = []
    for end in ends:
        low, high = max(0, end - reach), min(size, end + reach)
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found
