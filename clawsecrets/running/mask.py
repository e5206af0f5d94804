"""Takes values out of a stream, however it is cut into pieces.

What may be the beginning of a value is kept back until more comes. When nothing comes for a while, `pause` gives it
out: as it is where it has fewer than LEAST bytes (a prompt, or what somebody types), masked from there on. What was
given out is remembered, so that the rest of the value is masked when it follows. So are the last few characters of a
line with which an encoded value may begin that goes on in the next line: they are given out at once.
"""

from __future__ import annotations

from clawsecrets.model.forms import LEAST
from clawsecrets.running.needles import Needles, Span

MASK = b"********"


class Mask:
    """One stream."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._kept = b""
        """From the first byte that may belong to a value that is not whole yet."""
        self._shown = 0
        """So many of them were given out already."""
        self._hidden = False
        """The last of those as a mask."""

    @property
    def waiting(self) -> bool:
        """Whether something is kept back."""
        return len(self._kept) > self._shown

    def feed(self, data: bytes) -> bytes:
        """What may be shown now."""
        if self._kept:
            data = self._kept + data
        spans, opens, noted = self._needles.look(data)
        if not self._kept and not spans and noted == len(data):
            return data
        return self._give(data, spans, _whole(spans, noted), _whole(spans, opens))

    def pause(self) -> bytes:
        """Nothing comes for a while, or nothing comes any more: what is kept back."""
        if not self.waiting:
            return b""
        data, size = self._kept, len(self._kept)
        spans, opens, noted = self._needles.look(data)
        keep = _whole(spans, noted)
        if size - opens >= LEAST:
            spans = [span for span in spans if span[1] <= opens] + [(_whole(spans, opens), size)]
        return self._give(data, spans, keep, size)

    def _give(self, data: bytes, spans: list[Span], keep: int, until: int) -> bytes:
        """Everything up to `until`; `keep` and what follows is remembered."""
        parts, at = [], self._shown
        for start, end in spans:
            if end > until or end <= at:
                continue
            parts.append(data[at:max(at, start)])
            if start >= self._shown or not self._hidden:
                parts.append(MASK)
            at = end
        parts.append(data[at:max(at, until)])
        if until > self._shown:
            self._hidden = bool(spans) and spans[-1][1] == until
        self._kept = data[keep:]
        self._shown = max(0, max(until, self._shown) - keep)
        return b"".join(parts)


def _whole(spans: list[Span], opens: int) -> int:
    """Where to keep from: `opens`, or the beginning of a place that reaches over it."""
    return next((start for start, end in spans if start < opens < end), opens)
