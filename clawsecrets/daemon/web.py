"""/healthz, /readyz and /metrics by HTTP, GET only. On loopback unless the configuration says otherwise; it says names
of secrets, never values, and can change nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from clawsecrets.daemon.logs import WARNING, Log

Page = Callable[[], tuple[int, str, bytes]]
"""Status, content type, body."""
SILENCE = 10.0
"""Seconds that one client may take."""


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
        threading.Thread(target=self._server.serve_forever, args=(5.0,), daemon=True, name="web").start()
        self._log.write("info", "web.open", address=_shown(self._server.server_address))
        return True

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            server, self._server = self._server, None
            threading.Thread(target=server.shutdown, daemon=True).start()
            server.server_close()


def _server(address: tuple[str, int], family: int, pages: Mapping[str, Page]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = SILENCE
        server_version = "clawsecrets"
        sys_version = ""

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            status, kind, body = page() if page is not None else (404, "text/plain; charset=utf-8", b"not found\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """What clients ask for is not logged: it may be anything."""

    class Server(ThreadingHTTPServer):
        address_family = family
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no error of ours, and its traceback nobody's business."""

    return Server(address, Handler)


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
