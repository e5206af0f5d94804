"""What still has to be told to whom: a small file in the state folder, one list for each channel.

A notice stands in the list of a channel from when it came up until that channel has taken it, so that a restart loses
none, and a channel that fails is tried again by itself. It holds notices (no values) and times, never an address.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from clawsecrets.data import read_regular
from clawsecrets.model.notice import Notice, Severity, Topic

MOST = 200
"""Notices that wait for one channel; then the oldest, quietest ones give way."""
BACKOFF = (60.0, 3600.0)
"""Seconds before a channel that failed is tried again: the first time, doubled from then on, and at most."""
_LARGEST = 16 << 20


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for one channel, and how that goes. Unix times."""

    notices: tuple[tuple[Notice, float], ...] = ()
    """Each with the time since when it waits, oldest first."""
    left_out: int = 0
    """So many gave way since it was last told something."""
    tries: int = 0
    """How often in a row it failed."""
    next_at: float = 0.0
    """Not tried again before."""
    failing_since: float = 0.0
    why: str = ""
    """What it said last, in our words."""

    def with_more(self, notices: Iterable[Notice], now: float) -> Waiting:
        """With further ones; one that is about the same thing takes the place of the former."""
        kept = {notice.key: (notice, since) for notice, since in self.notices}
        for notice in notices:
            kept[notice.key] = (notice, kept[notice.key][1] if notice.key in kept else now)
        every = list(kept.values())
        spare = max(0, len(every) - MOST)
        gone = {id(entry) for entry in sorted(every, key=lambda entry: (entry[0].severity, entry[1]))[:spare]}
        return replace(self, notices=tuple(entry for entry in every if id(entry) not in gone),
                       left_out=self.left_out + spare)

    def taken(self, notices: Iterable[Notice]) -> Waiting:
        """After the channel took these."""
        gone = {notice.key for notice in notices}
        return Waiting(tuple(entry for entry in self.notices if entry[0].key not in gone))

    def failed(self, why: str, now: float) -> Waiting:
        """After it did not."""
        wait = min(BACKOFF[1], BACKOFF[0] * 2 ** min(self.tries, 10))
        return replace(self, tries=self.tries + 1, next_at=now + wait, failing_since=self.failing_since or now, why=why)

    def rests(self, now: float) -> bool:
        """Whether it is left alone for now. A time far ahead is one of a clock that was put back."""
        return 0.0 < self.next_at - now <= BACKOFF[1]


@dataclass
class Outbox:
    """The lists of one store's channels. `file` None: none that lasts."""

    file: Path | None
    _lists: dict[str, Waiting] = field(default_factory=dict)
    _stamp: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Read the file where another process has written it: who stood by goes on from what the other one left."""
        if self.file is not None and _stamp(self.file) not in (self._stamp, (0, 0)):
            self._stamp = _stamp(self.file)
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                plain = json.loads(read_regular(self.file, _LARGEST))  # of a FIFO there would be no end
                self._lists = {str(name): _read(item) for name, item in plain["channels"].items()}

    def of(self, channel: str) -> Waiting:
        """What waits for a channel."""
        return self._lists.get(channel, Waiting())

    def put(self, lists: Mapping[str, Waiting]) -> bool:
        """All lists from now on; whether they are durable. Not: they hold as long as the process."""
        if dict(lists) == self._lists:
            return True
        self._lists = dict(lists)
        return self.file is None or self._save(self.file)

    def _save(self, file: Path) -> bool:
        text = json.dumps({"channels": {name: asdict(item) for name, item in sorted(self._lists.items())}})
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open(handle, "w") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.replace(draft, file)
            self._stamp = _stamp(file)
        except OSError:
            return False
        finally:
            with suppress(OSError):
                draft.unlink()
        return True


def _stamp(file: Path) -> tuple[int, int]:
    """Which file stands there, and of when; zeros: none."""
    with suppress(OSError):
        found = file.stat()
        return found.st_ino, found.st_mtime_ns
    return 0, 0


def _read(plain: Mapping[str, Any]) -> Waiting:
    notices = tuple((_notice(item), float(since)) for item, since in plain["notices"])
    return Waiting(notices, int(plain["left_out"]), int(plain["tries"]), float(plain["next_at"]),
                   float(plain["failing_since"]), str(plain["why"]))


def _notice(plain: Mapping[str, Any]) -> Notice:
    return Notice(**{**plain, "topic": Topic(plain["topic"]), "severity": Severity(plain["severity"]),
                     "steps": tuple(map(str, plain["steps"]))})
