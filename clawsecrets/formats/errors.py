"""What a reader of a format raises, whatever the bytes are: nothing else escapes a reader on hostile input."""

from __future__ import annotations


class Unreadable(Exception):
    """Some of it could not be read. `reason` is for people, and holds nothing of the content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Damaged(Unreadable):
    """It is not what its format asks for, or ends too early."""


class TooLarge(Unreadable):
    """It is larger, deeper or more compressed than what is read."""


class Encrypted(Unreadable):
    """It needs a password or a key."""

    def __init__(self, reason: str = "it is encrypted") -> None:
        super().__init__(reason)
