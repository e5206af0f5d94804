"""A container registry on loopback, over real HTTP, with the ways in which registries ask for a login."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.plants.image_plants import Layout


@dataclass
class Fake:
    """A registry: blobs and manifests by digest or tag, and how it behaves."""

    layout: Layout = field(default_factory=Layout)
    tags: dict[str, bytes] = field(default_factory=dict)
    wants: str = ""
    """"" (open to all), "bearer" or "basic"."""
    user: str = "reader"
    password: str = "invented-pass"
    redirect: str = ""
    """Where blobs are: an address without the path."""
    realm: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(host, path, Authorization) of every request."""
    host: str = ""

    def data(self, name: str) -> bytes | None:
        return self.tags.get(name) or self.layout.files.get("blobs/" + name.replace(":", "/"))

    def allowed(self, authorization: str) -> bool:
        return {"": True, "bearer": authorization == "Bearer t0ken", "basic": authorization == self.basic}[self.wants]

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class _Handler(BaseHTTPRequestHandler):
    fake: Fake

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        fake, authorization = self.fake, self.headers.get("Authorization", "")
        fake.asked.append((self.headers["Host"], self.path, authorization))
        if self.path.startswith("/token"):
            ok = authorization in ("", fake.basic) if fake.wants == "bearer" else False
            self._answer(200 if ok else 401, json.dumps({"token": "t0ken"}).encode())
            return
        if self.path.startswith("/elsewhere/"):
            self._answer(200, fake.data(self.path.removeprefix("/elsewhere/")) or b"")
            return
        if not fake.allowed(authorization):
            realm = fake.realm or f"http://{fake.host}/token"
            challenge = f'Bearer realm="{realm}",service="fake",scope="x"' if fake.wants == "bearer" else "Basic"
            self._answer(401, b"", {"WWW-Authenticate": challenge})
            return
        name = self.path.rpartition("/")[2]
        data = fake.data(name)
        if data is None:
            self._answer(404, b"{}")
        elif "/blobs/" in self.path and fake.redirect:
            self._answer(307, b"", {"Location": f"{fake.redirect}/elsewhere/{name}"})
        else:
            self._answer(200, data)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.fake.asked.append((self.headers["Host"], self.path, body))
        self._answer(200, json.dumps({"access_token": "t0ken"}).encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving() -> Iterator[Fake]:
    """A registry that answers."""
    made = Fake()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": made}))
    made.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
