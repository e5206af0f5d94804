"""One connection to PostgreSQL, bounded in time, that says what became of a statement. No policy.

- TLS is verified; a server on another machine is never spoken to without it. Nothing of the environment counts.
- Passwords go over the wire by SCRAM-SHA-256 only, so that no server is ever told one; what a new one is set to is its
  verifier (`verifier`), so that neither the server's log nor its statistics can hold the password.
- No exception of the driver leaves here: what went wrong is `Trouble`, whose words hold no value.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pg8000.exceptions import DatabaseError, Error, InterfaceError
from pg8000.native import Connection

from clawsecrets.model.database import Database

ITERATIONS = 4096
"""PostgreSQL's own default (scram_iterations). Passwords that are set here have 256 bits: more would gain nothing."""
TIMEOUT = 15.0
"""Seconds that the server may be silent."""
_NOT_SCRAM = {3, 5}


class Trouble(Exception):
    """What went wrong. `code` is the server's SQLSTATE, empty when no answer of it came."""

    def __init__(self, words: str, code: str = "", routine: str = "") -> None:
        super().__init__(words)
        self.words, self.code, self.routine = words, code, routine

    @property
    def wrong_password(self) -> bool:
        """Whether the server refuses this password, or has none for the role."""
        return self.code == "28P01"

    @property
    def no_login(self) -> bool:
        """Whether the role may not log in (NOLOGIN), or is not there."""
        return self.code == "28000" and self.routine == "InitializeSessionUserId"


class _Scram(Connection):  # type: ignore[misc]  # the driver has no types
    """Answers nothing but SCRAM."""

    def handle_AUTHENTICATION_REQUEST(self, data: bytes, context: Any) -> None:
        """Code 3 asks for the password in the clear, 5 for its MD5 hash."""
        if int.from_bytes(data[:4], "big") in _NOT_SCRAM:
            raise InterfaceError("the server asks for the password by another method than scram-sha-256")
        super().handle_AUTHENTICATION_REQUEST(data, context)


class Session:
    """A logged-in connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def asked(self) -> bool:
        """Whether the server looked at the password at all (`trust` does not)."""
        return getattr(self._connection, "auth", None) is not None

    def rows(self, statement: str, **values: Any) -> Sequence[Sequence[Any]]:
        """Run one statement, in a transaction of its own. Trouble with a `code`: it did not happen; without: it may
        have."""
        try:
            return self._connection.run(statement, **values) or []
        except (Error, OSError) as error:
            raise _trouble(error) from None


@contextmanager
def session(at: Database, role: str, password: str, ca_bundle: str = "", timeout: float = TIMEOUT) -> Iterator[Session]:
    """Log in and out again. Trouble when that cannot be."""
    try:
        context: ssl.SSLContext | bool = False
        if ca_bundle or not at.local:
            context = ssl.create_default_context(cafile=ca_bundle or None)
        connection = _Scram(role, host=at.host, port=at.port, database=at.name, password=password,
                            ssl_context=context, timeout=timeout, application_name="clawsecrets")
    except (Error, OSError, ValueError) as error:
        raise _trouble(error) from None
    try:
        yield Session(connection)
    finally:
        with suppress(Error, OSError):
            connection.close()


def verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (SCRAM-SHA-256, RFC 5803). `password` is plain ASCII."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    texts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{texts[0]}${texts[1]}:{texts[2]}"


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text constant; for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def _trouble(error: Exception) -> Trouble:
    """The server's own message where there is one; never what was sent."""
    told = error.args[0] if isinstance(error, DatabaseError) and error.args else None
    if isinstance(told, dict):
        return Trouble(str(told.get("M", "an error")), str(told.get("C", "")), str(told.get("R", "")))
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, ssl.SSLError):
        return Trouble(f"no TLS with it: {cause.reason or 'the connection failed'}")
    if isinstance(cause, TimeoutError):
        return Trouble("it does not answer")
    if isinstance(cause, OSError):
        return Trouble(cause.strerror or "the connection failed")
    return Trouble(str(error.args[0]) if isinstance(error, InterfaceError) and error.args else "the connection failed")
