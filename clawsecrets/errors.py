"""Every error that reaches a person: what happened, what to do about it, and the exit code.

    ClawError                     exit  what the person is told
    ├── UsageError                  2   the command's words are wrong
    │   └── ConfigError             2   a configuration or provider file is wrong (names file, table, key)
    ├── NotFound                    2   no such secret, version or rotation
    ├── StoreError                  3   the store could not be used
    │   ├── StoreMissing            3   there is no store there yet
    │   ├── StoreGone               3   its file was replaced, or its key moved, while it was open
    │   ├── StoreUnreachable        3   the cluster that holds it does not answer
    │   ├── StoreLocked             3   the key is wrong, absent, or readable by others
    │   ├── StoreBusy               3   another process holds it, or rotates this secret
    │   ├── StoreDamaged            3   it is truncated, altered, or rows were swapped
    │   │   └── StoreOlder          3   it is older than one seen before (rollback)
    │   ├── StaleRecord             3   somebody else changed the record first (reload and decide again)
    │   └── Fenced                  3   our lease was taken over; nothing was committed, the other process goes on
    │       └── LateEffect          3   and our last effect came after theirs: a person must see to it
    ├── Refused                     4   a provider or consumer said no
    ├── Incomplete                  6   something asked for could not be looked at
    └── WorkLeft                    1   done so far, but not finished

`message` is one line: what and where. `hint` is one line: what to do. Neither ever holds a secret value.
Exit codes are a contract (README, "Exit codes"). 5 is no error but a result: a rotation is stuck (cli/answers.py).
"""

from __future__ import annotations


class ClawError(Exception):
    """The root. Adapters translate library errors into one of its children; only the CLI catches it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ClawError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration or provider file is wrong; the message names file, table and key."""


class NotFound(ClawError):
    """No such secret, version, rotation or provider."""

    exit_code = 2


class StoreError(ClawError):
    """The store is unavailable, locked or damaged."""

    exit_code = 3


class StoreMissing(StoreError):
    """No store exists at that place yet."""


class StoreGone(StoreError):
    """Its file was removed, another stands in its place (what is written now would be lost), or its master key is in
    another place now. Only opening it anew helps."""


class StoreUnreachable(StoreError):
    """The cluster that holds the store does not answer, or has no leader. One that is sealed is not this: somebody
    closed it."""


class StoreLocked(StoreError):
    """The master key cannot be had: wrong, absent, or its file is readable by others."""


class StoreBusy(StoreError):
    """Another process holds the lease or the write lock. `left`: seconds that its lease lasts, if it does not renew it;
    0.0 where that is not known."""

    def __init__(self, message: str, hint: str = "", left: float = 0.0) -> None:
        super().__init__(message, hint)
        self.left = left


class StoreDamaged(StoreError):
    """What is on disk is not what was written: truncated, altered, swapped or removed rows."""


class StoreOlder(StoreDamaged):
    """The store is older than one this machine has seen: a rollback, or a restored copy."""


class StaleRecord(StoreError):
    """A commit was built on a revision that is no longer the newest. Reload and decide again."""


class Fenced(StoreError):
    """The lease was taken over by another process; the commit did not happen, and the other one goes on."""


class LateEffect(Fenced):
    """What this process did at the provider came too late and could not be taken back; the hint says what to do."""


class Refused(ClawError):
    """A provider or a consumer refused."""

    exit_code = 4


class Incomplete(ClawError):
    """Something that was asked for could not be looked at, and nothing was found in the rest."""

    exit_code = 6


class WorkLeft(ClawError):
    """The command did its part, but the work is not finished (waiting for time or for a person)."""

    exit_code = 1
