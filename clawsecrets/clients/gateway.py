"""The OpenClaw gateway's WebSocket RPC: connect, authenticate with the shared token or password, call methods.

    with GatewayClient("ws://127.0.0.1:18789", token) as gateway:
        gateway.call("secrets.reload")          # {"ok": True, "warningCount": 0}

Source: `openclaw@2026.9.6`, docs/gateway/protocol/{handshake,auth}.md, and what the real gateway answered
(tests/real/test_gateway_client.py). Protocol 4: the gateway sends the event `connect.challenge`; the client answers
with a `connect` request whose client is `gateway-client`/`backend`. Without a device identity that client keeps the
scope it asks for only on a direct loopback connection; from elsewhere the token is still judged, but `admin` is
False and methods answer FORBIDDEN. A wrong token takes 0.25 s on loopback, doubling with each wrong one up to 5 s
until a right one comes; from elsewhere ten wrong ones in a minute lock the address out for five.

Times are seconds. No error of this module holds a token, a password or an answer's payload; every error is raised
outside `except` blocks, so that no chained exception carries a frame.
"""

from __future__ import annotations

import json
import logging
import socket as socketlib
import time
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from clawsecrets.errors import ConfigError
from clawsecrets.model.provider import gateway_fault
from clawsecrets.model.secret import SecretValue

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

PROTOCOL = 4
MAX_FRAME = 25 * 1024 * 1024
"""Bytes; the gateway's own `policy.maxPayload`."""

_SILENT = logging.Logger("clawsecrets.clients.gateway.wire", logging.CRITICAL)
"""Detached from every handler: at DEBUG the library would log frames, and the first one holds the token."""

_REFUSALS = frozenset(
    {
        "AUTH_REQUIRED",
        "AUTH_UNAUTHORIZED",
        "AUTH_TOKEN_MISSING",
        "AUTH_TOKEN_MISMATCH",
        "AUTH_TOKEN_NOT_CONFIGURED",
        "AUTH_PASSWORD_MISSING",
        "AUTH_PASSWORD_MISMATCH",
        "AUTH_PASSWORD_NOT_CONFIGURED",
    }
)
"""`error.details.code` of an answer to `connect` that says: this credential is wrong. Everything else (starting,
rate limited, no paired device, other protocol) says nothing about the credential."""


class GatewayError(Exception):
    """The root. `detail` is one line without any secret."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class GatewayUnreachable(GatewayError):
    """Nothing of ours can have had an effect: nobody listened, it was starting, or it would not talk to us now.

    `after`: seconds the gateway asked us to wait; 0.0 when it did not say.
    """

    def __init__(self, detail: str, after: float = 0.0) -> None:
        super().__init__(detail)
        self.after = after


class GatewayRefused(GatewayError):
    """The gateway refused the credential itself."""


class GatewayLost(GatewayError):
    """A request was sent and no reply arrived: it may have happened."""


class GatewayRpcError(GatewayError):
    """The gateway answered a request with an error. `retryable`: it says that a later try may work."""

    def __init__(self, method: str, error: Mapping[str, object]) -> None:
        self.method = method
        self.code = _word(error.get("code")) or "UNKNOWN"
        self.message = _word(error.get("message"))
        self.retryable = error.get("retryable") is True
        self.after = _seconds(error.get("retryAfterMs"))
        super().__init__(f"{method}: {self.code} {self.message}".rstrip())


class GatewayClient:
    """One authenticated connection. Not for several threads at once.

    `timeout` bounds connecting and authenticating together, and each call that names none of its own.
    """

    def __init__(
        self, url: str, token: SecretValue | None, password: SecretValue | None = None, timeout: float = 10.0
    ) -> None:
        """ConfigError when `url` would send the credential in the clear to another host, or holds one itself."""
        check_url(url)
        self._url = url
        self._token = token
        self._password = password
        self._timeout = timeout
        self._ids = count(1)
        self._stack = ExitStack()
        self._socket: ClientConnection | None = None
        self.hello: dict[str, object] = {}
        self.began = 0.0
        """When the gateway's process began, Unix seconds by this host's clock; 0 = it does not say."""
        """The gateway's greeting: `server.version`, `features.methods`, `auth.scopes`..."""

    def __repr__(self) -> str:
        return f"<GatewayClient {self._url}>"

    def __enter__(self) -> Self:
        """Connect and authenticate. GatewayUnreachable, GatewayRefused."""
        end = time.monotonic() + self._timeout
        try:
            self._socket = self._open(end)
            self.hello = self._authenticate(self._socket, end)
            uptime = _mapping(self.hello.get("snapshot")).get("uptimeMs")
            self.began = time.time() - uptime / 1000 if isinstance(uptime, int | float) else 0.0
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._socket = None
        self._stack.close()

    @property
    def admin(self) -> bool:
        """Whether this connection may do what an operator may (`operator.admin` was granted)."""
        scopes = _mapping(self.hello.get("auth")).get("scopes")
        return isinstance(scopes, list) and "operator.admin" in scopes

    def call(
        self, method: str, params: Mapping[str, object] | None = None, timeout: float | None = None
    ) -> dict[str, object]:
        """The payload that the gateway answers.

        GatewayRpcError: it answered with an error. GatewayLost: it was asked, and did not answer within `timeout`
        or closed. GatewayUnreachable: the connection had ended before we asked.
        """
        socket = self._socket
        if socket is None or socket.protocol.close_code is not None:
            raise GatewayUnreachable(f"{method}: the connection to {self._url} had ended")
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        try:
            answer = self._ask(socket, method, dict(params or {}), end)
        except _troubles() as error:
            answer, trouble = None, _describe(error)
        if answer is None:
            raise GatewayLost(f"{method}: sent to {self._url}, no reply ({trouble})")
        if answer.get("ok") is True:
            return _mapping(answer.get("payload"))
        raise GatewayRpcError(method, _mapping(answer.get("error")))

    def _open(self, end: float) -> ClientConnection:
        from websockets.sync.client import connect

        try:
            # our own socket: no proxy, and no redirect to another host is followed with it
            plain = self._stack.enter_context(_dial(self._url, _left(end)))
            opening = connect(
                self._url,
                sock=plain,
                open_timeout=_left(end),
                close_timeout=1.0,
                ping_interval=None,  # our own deadlines; a gateway that is busy reloading is not dead
                compression=None,
                max_size=MAX_FRAME,
                logger=_SILENT,
            )
            return self._stack.enter_context(opening)
        except _troubles() as error:
            trouble = _describe(error)
        raise GatewayUnreachable(f"cannot connect to {self._url}: {trouble}")

    def _authenticate(self, socket: ClientConnection, end: float) -> dict[str, object]:
        try:
            _receive(socket, end, "event", "connect.challenge")
            answer = self._ask(socket, "connect", self._introduction(), end)
        except _troubles() as error:
            answer, trouble = None, _describe(error)
        if answer is None:
            raise GatewayUnreachable(f"{self._url} did not finish the handshake: {trouble}")
        if answer.get("ok") is True:
            return _mapping(answer.get("payload"))
        raise _rejection(self._url, _mapping(answer.get("error")))

    def _introduction(self) -> dict[str, object]:
        auth: dict[str, object] = {}
        if self._token is not None:
            auth["token"] = _text(self._token)
        if self._password is not None:
            auth["password"] = _text(self._password)
        return {
            "minProtocol": PROTOCOL,
            "maxProtocol": PROTOCOL,
            "client": {"id": "gateway-client", "version": "clawsecrets", "platform": "python", "mode": "backend"},
            "role": "operator",
            "scopes": ["operator.admin"],
            "caps": [],
            "auth": auth,
        }

    def _ask(
        self, socket: ClientConnection, method: str, params: Mapping[str, object], end: float
    ) -> dict[str, object]:
        number = str(next(self._ids))
        socket.send(json.dumps({"type": "req", "id": number, "method": method, "params": params}))
        return _receive(socket, end, "id", number)


def accepts(url: str, token: SecretValue | None, timeout: float) -> bool:
    """Whether the gateway lets this token in: True yes, False it refused it (that takes the gateway 0.25 s).

    A password can be given as well: the gateway takes its one shared secret in either field. GatewayUnreachable
    when it cannot be told.
    """
    try:
        with GatewayClient(url, token, timeout=timeout):
            return True
    except GatewayRefused:
        return False


def check_url(url: str) -> None:
    """ConfigError unless it is `wss://`, or `ws://` to this machine itself, without credentials in it."""
    if fault := gateway_fault(url):
        raise ConfigError(f"a gateway's url {fault}", "write ws://127.0.0.1:18789, or wss:// for another host")


def _dial(url: str, timeout: float) -> socketlib.socket:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    plain = socketlib.create_connection((parts.hostname or "", port), timeout)
    plain.settimeout(None)  # from here on the library keeps the time
    return plain


def _receive(socket: ClientConnection, end: float, key: str, wanted: str) -> dict[str, object]:
    """The next frame whose `key` is `wanted`; others (events) are passed over."""
    while True:
        frame = _mapping(json.loads(socket.recv(timeout=_left(end))))
        if frame.get(key) == wanted:
            return frame


def _rejection(url: str, error: Mapping[str, object]) -> GatewayError:
    code = _word(_mapping(error.get("details")).get("code")) or _word(error.get("code"))
    words = f"{code}: {_word(error.get('message'))}"
    if code in _REFUSALS:
        return GatewayRefused(f"{url} refused the credential ({words})")
    return GatewayUnreachable(f"{url} does not let us in now ({words})", _seconds(error.get("retryAfterMs")))


def _troubles() -> tuple[type[Exception], ...]:
    """What the library, the socket, TLS and JSON raise (imported late: `websockets` takes 60 ms)."""
    from websockets.exceptions import WebSocketException

    return (WebSocketException, OSError, EOFError, ValueError)


def _describe(error: Exception) -> str:
    """One line that holds nothing of what was sent."""
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    if isinstance(error, ConnectionClosed):
        return f"closed {error.rcvd.code} {error.rcvd.reason[:80]}".rstrip() if error.rcvd else "connection dropped"
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _text(credential: SecretValue) -> str:
    try:
        return credential.reveal_text()
    except ValueError:
        pass
    raise GatewayRefused("a credential that is not UTF-8 text cannot be a gateway's")


def _left(end: float) -> float:
    return max(0.001, end - time.monotonic())


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    """Text of the gateway as one short line."""
    return " ".join(value.split())[:300] if isinstance(value, str) else ""


def _seconds(milliseconds: object) -> float:
    return float(milliseconds) / 1000 if isinstance(milliseconds, int | float) else 0.0
