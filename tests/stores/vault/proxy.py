"""An HTTP proxy in front of a real server that does what networks and clusters do: see `Fault`."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.waiting import LONG


class Fault(Enum):
    """What happens to one request."""

    NONE = "it is passed on, and so is its answer"
    LOST = "it is passed on; the connection is closed without an answer"
    CUT = "it is not passed on; the connection is closed"
    CHANGED = "it is passed on; the answer is a 503"
    SEALED = "it is not passed on: 503, sealed"
    BUSY = "it is not passed on: 429, to be sent again after 0.01 s"
    STANDBY = "it is not passed on: 473"
    BROKEN = "it is passed on; the answer is a 500"
    AWAY = "it is not passed on: 307 to another host"


_ANSWERS = {
    Fault.CHANGED: (503, b'{"errors":["local node not active but active cluster node not found"]}'),
    Fault.SEALED: (503, b'{"errors":["Vault is sealed"]}'),
    Fault.BUSY: (429, b'{"errors":["rate limit quota exceeded"]}'),
    Fault.STANDBY: (473, b"{}"),
    Fault.BROKEN: (500, b'{"errors":["leadership lost while committing log"]}'),
    Fault.AWAY: (307, b""),
}
_PASSED = frozenset({Fault.NONE, Fault.LOST, Fault.CHANGED, Fault.BROKEN})


@dataclass
class Proxy:
    """`decide(method, path)` says what happens to each request; `seen` are those that came."""

    upstream: str
    decide: Callable[[str, str], Fault] = lambda method, path: Fault.NONE
    seen: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    _server: ThreadingHTTPServer | None = None

    def script(self, *faults: Fault, method: str = "") -> None:
        """These, one for each request (of that method), in order; then none."""
        left, turn = list(faults), threading.Lock()

        def decide(asked: str, path: str) -> Fault:
            with turn:
                return left.pop(0) if left and asked in (method or asked) else Fault.NONE

        self.decide = decide

    def start(self) -> Proxy:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append((self.command, self.path))
                fault = proxy.decide(self.command, self.path)
                status, content = 0, b""
                if fault in _PASSED:
                    status, content = proxy._pass_on(self, body)
                if fault in (Fault.LOST, Fault.CUT):
                    self.close_connection = True
                    self.connection.close()
                    return
                status, content = _ANSWERS.get(fault, (status, content))
                self.send_response(status)
                if fault is Fault.BUSY:
                    self.send_header("Retry-After", "0.01")
                if fault is Fault.AWAY:
                    self.send_header("Location", "http://127.0.0.1:9/v1/elsewhere")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = handle_one

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _pass_on(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        host = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=LONG)
        try:
            headers = {name: text for name, text in handler.headers.items() if name.lower().startswith("x-")}
            connection.request(handler.command, handler.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
