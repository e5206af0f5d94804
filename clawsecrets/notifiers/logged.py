"""The notifier that is always there: every notice is a line of the daemon's log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clawsecrets.model.notice import Notice
from clawsecrets.model.rotation import Outcome
from clawsecrets.ports import Reply

if TYPE_CHECKING:
    from clawsecrets.ports import Notifier


class LogNotifier:
    """Hands each notice to `write`, which may not raise."""

    def __init__(self, write: Callable[[Notice], None]) -> None:
        self._write = write

    def tell(self, notices: Sequence[Notice]) -> Reply:
        """Always OK: who reads the log has been told."""
        for notice in notices:
            self._write(notice)
        return Reply(Outcome.OK, f"{len(notices)} logged")

    def describe(self) -> str:
        """One line for the start of the daemon and `doctor`."""
        return "log"


if TYPE_CHECKING:

    def _conforms(notifier: LogNotifier) -> Notifier:
        return notifier
