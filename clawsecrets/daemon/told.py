"""Who was told what: a small file in the state folder, so that a restart does not tell everything again.

It holds keys of notices and times. Losing it costs repeated notices, nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from clawsecrets.data import read_regular
from clawsecrets.model.notice import Notice
from clawsecrets.model.policy import DAY

KEEP = 7 * DAY
"""Seconds for which it is remembered what no longer stands."""
_MOST = 1 << 22


class Told:
    """The memory of one store. `file` None: none that lasts."""

    def __init__(self, file: Path | None, now: float) -> None:
        self._file = file
        self.since = now
        """What ended before is no news: the first start of a daemon on this store."""
        self._at: dict[str, float] = {}
        self._load()

    def news(self, standing: Sequence[Notice], now: float) -> list[Notice]:
        """Those that are to be told now: never told, or again after a while. Each key once."""
        found: dict[str, Notice] = {}
        for notice in standing:
            at = self._at.get(notice.key)
            # `at > now`: the clock was put back
            if at is None or at > now + DAY or (notice.again and now - at >= notice.again):
                found.setdefault(notice.key, notice)
        return list(found.values())

    def remember(self, notices: Collection[Notice], standing: Sequence[Notice] | None, now: float) -> None:
        """These were told. What stands no longer is forgotten after a while; None: it is not known what stands."""
        stands = self._at.keys() if standing is None else {notice.key for notice in standing}
        kept = {key: at for key, at in self._at.items() if key in stands or now - at < KEEP}
        after = kept | {notice.key: now for notice in notices}
        if after != self._at or notices:
            self._at = after
            self._save()

    def _load(self) -> None:
        if self._file is None:
            return
        try:
            plain = json.loads(read_regular(self._file, _MOST))  # of a FIFO there would be no end
            # not later than now: the clock may have been wrong at the first start, and what ends is news all the same
            self.since = min(float(plain["since"]), self.since)
            self._at = {str(key): float(at) for key, at in plain["told"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._save()

    def _save(self) -> None:
        if self._file is None:
            return
        text = json.dumps({"since": self.since, "told": self._at}, sort_keys=True)
        draft = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        with suppress(OSError):  # then it is told again: better than not at all
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open(handle, "w") as file:
                file.write(text)
            os.replace(draft, self._file)
        with suppress(OSError):
            draft.unlink()
