"""One HTTP exchange, bounded in time and size, that says whether the request can have been seen. No policy.

- Redirects are never followed, nothing is retried, TLS is verified, cookies are not kept.
- Proxies (HTTPS_PROXY, NO_PROXY) and CA bundles (REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE) of the environment count;
  `.netrc` does not: it would replace our Authorization header. Loopback is never reached through a proxy.
- `total` seconds bound the whole exchange once connected: a server that sends a byte now and then is cut off.
- No exception leaves `send`, and urllib3's loggers are muted: both would show the URL, which holds the token of
  providers that authenticate by path (Telegram).
"""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import logging
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from clawsecrets import __version__
from clawsecrets.clients.addresses import is_public
from clawsecrets.model.provider import is_loopback

MAX_BODY = 1 << 20
_TALKATIVE = ("urllib3", "urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.response",
              "urllib3.util.retry", "requests")


class _Mute(logging.Filter):
    """Drops everything: these loggers write URLs and headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        return False


for _name in _TALKATIVE:  # a filter holds against any later setLevel; a level would not
    logging.getLogger(_name).addFilter(_Mute())


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent. URL, headers and body may hold secrets and are not in its repr."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and bytes."""

    connect: float = 5.0
    read: float = 20.0
    """Silence that is tolerated."""
    total: float = 30.0
    """From the connection to the last byte."""
    body: int = MAX_BODY


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lost:
    """No whole answer. `sent` False: the server cannot have acted on it."""

    sent: bool
    why: str


class NotPublic(OSError):
    """The server's address is not one of the public internet."""


class _Watch:
    """Knows the sockets of one exchange: whether one ever stood, and how to cut it off."""

    def __init__(self, total: float, public: bool = False) -> None:
        self.connected = self.late = False
        self.public = public
        self._total = total
        self._sockets: list[socket.socket] = []
        self._timer: threading.Timer | None = None

    def up(self, sock: socket.socket | None) -> None:
        """A connection stands, and nothing was sent. OSError when nothing may be."""
        if self.public and (sock is None or not is_public(str(sock.getpeername()[0]))):
            raise NotPublic("not a public address")
        self.connected = True
        if sock is not None and self._timer is None:
            self._sockets.append(sock)
            self._timer = threading.Timer(self._total, self._cut)
            self._timer.daemon = True
            self._timer.start()

    def _cut(self) -> None:
        self.late = True
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS: the reader wakes up with an error

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Adapter(HTTPAdapter):
    """An adapter whose connections report to a watch."""

    def __init__(self, watch: _Watch) -> None:
        class Plain(urllib3.connection.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                watch.up(self.sock)

        class Secure(urllib3.connection.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                watch.up(self.sock)

        class PlainPool(urllib3.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.HTTPSConnectionPool):
            ConnectionCls = Secure

        self._pools = {"http": PlainPool, "https": SecurePool}
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager


_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError,
           AttributeError)
"""AttributeError: urllib3 when the watch cuts a TLS socket in the middle of a read."""


def send(call: Call, limits: Limits | None = None, ca_bundle: str = "", *, public_only: bool = False
         ) -> Answered | Lost:
    """Send once. `ca_bundle`: a PEM file to verify against instead of the usual authorities. `public_only`: nothing is
    sent over a connection to an address that is not public (a proxy of the environment excepted)."""
    limits = limits or Limits()
    watch = _Watch(limits.total, public_only)
    session = requests.Session()
    session.trust_env = False  # .netrc; what we do want from the environment is passed below
    session.cookies.set_policy(NoCookies())
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(watch))
    try:
        answer = _exchange(session, call, limits, ca_bundle, watch)
        return Lost(True, "the answer took too long") if watch.late else answer  # a cut can look like a clean end
    except _BROKEN as error:
        why = _why(error, watch)
    finally:
        watch.stop()
        session.close()
    return Lost(watch.connected, why)


def _exchange(session: requests.Session, call: Call, limits: Limits, ca_bundle: str, watch: _Watch) -> Answered | Lost:
    headers = {"User-Agent": f"clawsecrets/{__version__}", "Accept": "application/json", "Accept-Encoding": "identity",
               **call.headers}
    host = urlsplit(call.url).hostname or ""
    proxies = {} if is_loopback(host) else requests.utils.get_environ_proxies(call.url)
    if requests.utils.select_proxy(call.url, proxies):
        watch.public = False  # the proxy resolves the name
    verify = ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    if isinstance(verify, str) and not os.path.exists(verify):
        return Lost(False, "the CA bundle that is configured does not exist")
    with session.request(
        call.method, call.url, headers=headers, data=call.body, timeout=(limits.connect, limits.read),
        allow_redirects=False, stream=True, proxies=proxies, verify=verify,
    ) as response:
        body = b""
        for chunk in response.iter_content(16384):
            body += chunk
            if len(body) > limits.body:
                return Lost(True, f"the answer is longer than {limits.body} bytes")
        received = {name.lower(): text for name, text in response.headers.items()}
        framed = "content-length" in received or "transfer-encoding" in received or response.status_code == 204
        if not body and not framed:
            return Lost(True, "the answer was cut off")  # in the middle of its headers, for all that can be known
        return Answered(response.status_code, received, body)


class NoCookies(http.cookiejar.DefaultCookiePolicy):
    """Keeps and sends none."""

    def set_ok(self, cookie: object, request: object) -> bool:
        return False


def _why(error: BaseException, watch: _Watch) -> str:
    """A few fixed words: the library's own text may hold the URL."""
    if watch.late:
        return "the answer took too long"
    return reason(error) or ("the connection broke" if watch.connected else "no connection")


def causes(error: BaseException) -> list[BaseException]:
    """The exception and what it wraps, by whatever way the libraries wrap it."""
    chain: list[BaseException] = []
    item: BaseException | None = error
    while item is not None and item not in chain and len(chain) < 10:
        chain.append(item)
        inner = item.args[0] if item.args and isinstance(item.args[0], BaseException) else None
        item = getattr(item, "reason", None) or inner or item.__cause__ or item.__context__
        item = item if isinstance(item, BaseException) else None
    return chain


def reason(error: BaseException) -> str:
    """What went wrong with an exchange, in a few fixed words; empty when it is not known."""
    chain = causes(error)
    return next((words for kind, words in _WORDS if any(isinstance(found, kind) for found in chain)), "")


_WORDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (NotPublic, "the host's address is not public"),
    (urllib3.exceptions.NameResolutionError, "the host name is not known"),
    (ConnectionRefusedError, "connection refused"),
    (urllib3.exceptions.NewConnectionError, "no connection"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
    (urllib3.exceptions.ProxyError, "the proxy failed"),
    (ssl.SSLCertVerificationError, "the server's certificate is not trusted"),
    ((ssl.SSLError, urllib3.exceptions.SSLError, requests.exceptions.SSLError), "TLS failed"),
    ((urllib3.exceptions.ReadTimeoutError, requests.exceptions.ReadTimeout, TimeoutError), "no answer in time"),
    (ConnectionResetError, "the connection was reset"),
)
