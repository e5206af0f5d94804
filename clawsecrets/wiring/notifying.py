"""Who is told of what the daemon notices. Without further channels: its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clawsecrets.config import Config
from clawsecrets.model.notice import Notice

if TYPE_CHECKING:
    from clawsecrets.ports import Notifier, Store


def notifier(config: Config, store: Store, write: Callable[[Notice], None]) -> Notifier:
    """The notifier that the configuration asks for. `write` puts a notice into the log; `store` holds the addresses
    of channels, which are secrets."""
    from clawsecrets.notifiers.logged import LogNotifier

    return LogNotifier(write)
