"""Many byte strings, looked for in one pass. `run` masks with it; it is here because Hyperscan is."""

from __future__ import annotations

from collections.abc import Sequence

import hyperscan


class Literals:
    """Finds each of `texts` (not empty, none twice) wherever it stands, overlapping or not."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._events: list[tuple[int, int]] = []
        self._database = hyperscan.Database()
        expressions = ["".join(f"\\x{byte:02x}" for byte in text).encode() for text in texts]
        self._database.compile(expressions=expressions, ids=list(range(len(expressions))),
                               elements=len(expressions), flags=hyperscan.HS_FLAG_DOTALL)
        self._scratch = hyperscan.Scratch(self._database)

    def _note(self, number: int, start: int, end: int, flags: int, context: object) -> None:
        self._events.append((number, end))

    def __call__(self, data: bytes) -> Sequence[tuple[int, int]]:
        """(number of the text, where it ends) for every place. Use it before the next call."""
        self._events.clear()
        self._database.scan(data, self._note, scratch=self._scratch)
        return self._events
