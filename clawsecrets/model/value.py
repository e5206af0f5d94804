"""The value of a secret."""

from __future__ import annotations

from typing import NoReturn


class SecretValue:
    """Bytes that never print themselves. The ways out, `reveal()` and `reveal_text()`, are easy to grep for.

    Equality is constant-time (`hmac.compare_digest`). Not hashable, not picklable, not iterable, so that a value
    cannot end up in a set, a snapshot or a traceback by accident.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves. Every call site is a place to review."""
        return self._value

    def reveal_text(self) -> str:
        """The value as UTF-8 text; a `ValueError` without the value in it if it is not."""
        try:
            return self._value.decode()
        except UnicodeDecodeError:
            pass
        raise ValueError("the value is not UTF-8 text")  # raised outside `except`: no context that holds the bytes

    def __repr__(self) -> str:
        return "<SecretValue>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        import hmac  # with OpenSSL: only where values are compared

        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a SecretValue cannot be pickled or copied")
