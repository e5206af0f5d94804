"""/healthz, /readyz and /metrics by HTTP, GET only. On loopback unless the configuration says otherwise; it says names
of secrets, never values, and can change nothing.

A client has SILENCE seconds in all, and of more than MOST at once the longest waiting give way: no crowd of slow ones
takes the daemon's threads or file descriptors, or keeps a health check out.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clawsecrets.daemon.logs import WARNING, Log

Page = Callable[[], tuple[int, str, bytes]]
"""Status, content type, body."""
SILENCE = 10.0
"""Seconds that one client may take, from its connection to the end of the answer."""
MOST = 32
"""Clients at once."""
PLAIN = "text/plain; charset=utf-8"


class Web:
    """Serves `pages` by path at an address, from a thread of its own. Tries again where the address is taken."""

    def __init__(self, address: tuple[str, int] | None, pages: Mapping[str, Page], log: Log) -> None:
        self.address = address
        self._pages = pages
        self._log = log
        self._server: ThreadingHTTPServer | None = None
        self._told = False

    def open(self) -> bool:
        """Begin to serve, unless that is so already or not wanted; whether it is as it was wanted."""
        if self._server is not None or self.address is None:
            return True
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        try:
            self._server = _server(self.address, family, self._pages)
        except OSError as error:
            if not self._told:
                self._log.write(WARNING, "web.busy", address=_shown(self.address), detail=error.strerror or "refused")
                self._told = True
            return False
        self._told = False
        threading.Thread(target=self._server.serve_forever, args=(1.0,), daemon=True, name="web").start()
        self._log.write("info", "web.open", address=_shown(self._server.server_address))
        return True

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            server, self._server = self._server, None
            threading.Thread(target=server.shutdown, daemon=True).start()
            server.server_close()


class _Server(ThreadingHTTPServer):
    """Threads that answer, and a watch over how long they take."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], family: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = family
        self._clients: dict[object, float] = {}
        """Since when each is here, on the monotonic clock; the longest first."""
        self._turn = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer it in a thread; of too many the longest waiting are cut off."""
        with self._turn:
            self._clients[request] = time.monotonic()
            crowd = list(self._clients)[:-MOST]
        for client in crowd:
            _cut(client)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """It has its answer, or left."""
        with self._turn:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off who takes too long: a byte now and then would keep a thread for ever."""
        with self._turn:
            late = [client for client, since in self._clients.items() if time.monotonic() - since > SILENCE]
        for client in late:
            _cut(client)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of ours, and its traceback nobody's business."""


def _cut(client: Any) -> None:
    """Whoever reads from it, or writes to it, is told that it is over."""
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)


def _server(address: tuple[str, int], family: int, pages: Mapping[str, Page]) -> _Server:
    at_home = ipaddress.ip_address(address[0]).is_loopback

    class Handler(BaseHTTPRequestHandler):
        timeout = SILENCE
        server_version = "clawsecrets"
        sys_version = ""

        def do_GET(self) -> None:
            if at_home and not _by_address(self.headers.get("Host", "")):
                self._answer(421, PLAIN, b"ask by address, or as localhost\n")
                return
            page = pages.get(self.path.partition("?")[0])
            self._answer(*(page() if page is not None else (404, PLAIN, b"not found\n")))

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """What clients ask for is not logged: it may be anything."""

    return _Server(address, family, Handler)


def _by_address(host: str) -> bool:
    """Whether a Host header names no domain. Else a web page whose domain was pointed at loopback (DNS rebinding)
    could read the answer."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() in ("", "localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def healthy(address: tuple[str, int] | None) -> str:
    """Ask a running daemon's /healthz. Empty when it is well, else one line of why not."""
    if address is None:
        return "the daemon listens nowhere, so it cannot be asked"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])  # noqa: S104 - asked, not bound
    connection = HTTPConnection(host, address[1], timeout=SILENCE)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        said = answer.read(200).decode("ascii", "replace").strip()
        return "" if answer.status == 200 else f"the daemon at {_shown(address)} says: {said}"
    except (OSError, HTTPException):
        return f"no daemon answers at {_shown(address)}"
    finally:
        connection.close()


def _shown(address: object) -> str:
    host, port = address[0], address[1]  # type: ignore[index]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
