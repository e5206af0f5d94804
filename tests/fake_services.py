"""Services that take messages, on loopback: HTTP ones (what they do is in the path) and a mail server."""

from __future__ import annotations

import http.server
import socketserver
import threading
from dataclasses import dataclass
from typing import Any, Self

from tests.waiting import LONG


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


class Services:
    """An HTTP server. A path that holds `status-N` is answered so; `hang` not at all until the end, `drip` a byte now
    and then without end, `away` with a redirect to `/elsewhere`; every other one with 200 and JSON."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.broken = ""
        """What every path does, as if it held that word; empty: what it says."""
        self.over = threading.Event()
        services = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                services.got.append(Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                services.answer(self)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        how = self.broken or handler.path
        if "hang" in how:
            self.over.wait(LONG)
            return
        code = int(how.partition("status-")[2][:3] or 200) if "away" not in how else 307
        handler.send_response(code)
        if code == 307:
            handler.send_header("Location", f"http://localhost:{self.port}/elsewhere")
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        while "drip" in how and not self.over.wait(0.2):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
        slack = handler.path.startswith("/services/")  # https://api.slack.com/messaging/webhooks
        handler.wfile.write(b"ok" if slack else b'{"ok": true, "id": "m1", "result": {}}')

    def texts(self) -> list[str]:
        """The bodies so far."""
        return [got.body.decode() for got in self.got]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


class Mail:
    """A mail server (RFC 5321, as much of it as a client needs). `code`: what it says to a message."""

    def __init__(self, code: int = 250) -> None:
        self.mails: list[str] = []
        mail = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 sink")
                while line := self.rfile.readline().decode(errors="replace").strip():
                    word = line.partition(" ")[0].upper()
                    if word == "DATA":
                        self._say("354 go on")
                        mail.mails.append(self._data())
                        self._say(f"{code} {'taken' if code == 250 else 'not wanted'}")
                    elif word == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 sink")

            def _data(self) -> str:
                lines: list[str] = []
                while (line := self.rfile.readline().decode(errors="replace").rstrip("\r\n")) != ".":
                    lines.append(line)
                return "\n".join(lines)

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
