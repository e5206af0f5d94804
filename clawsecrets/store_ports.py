"""What only some stores can: asked with isinstance, for a store that cannot has nothing to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class KeepsLogin(Protocol):
    """A store that is reached under a login which ends. The daemon calls it often; the embedded store has no such."""

    def keep_login(self) -> str:
        """Renew the login in good time; cheap before that. One line for people where it cannot be, else empty."""


@runtime_checkable
class Identified(Protocol):
    """A store that can be told from every other, by whatever address it was opened."""

    @property
    def identity(self) -> str:
        """The same for two handles on one store, and for no others."""


@runtime_checkable
class Mending(Protocol):
    """A store that can bring in order what `check` finds and a crash may leave."""

    def mend(self) -> Sequence[str]:
        """Do it; one line for each thing that was done."""


class Fault(str):
    """A line of `check` that knows what mends it."""

    __slots__ = ("mend",)
    mend: str
    """One line; empty: it is as with any other damage."""

    def __new__(cls, line: str, mend: str = "") -> Fault:
        """The line, and what mends it."""
        made = super().__new__(cls, line)
        made.mend = mend
        return made


def mend_of(line: str, usual: str = "") -> str:
    """What mends a fault; `usual` where it does not say."""
    return (line.mend if isinstance(line, Fault) else "") or usual
