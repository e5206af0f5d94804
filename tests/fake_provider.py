"""A stateful provider of credentials over real HTTP on 127.0.0.1, which can be told to misbehave.

Six styles in one server, each with a matching file in tests/data/providers/:

    acme      overlap    POST /v1/keys {"name"}       admin   201 {"id", "secret", "name"}
                         GET /v1/keys?after=          admin   200 {"keys": [{"id", "name"}], "next": cursor or null}
                         DELETE /v1/keys/{id}         admin   204, 404 when gone
                         GET /v1/whoami               key     200 {"id", "account": {"name"}}, 401 when dead
    rollco    cut-over   POST /roll {"name"}          admin   200 {"token", "id"}; the former token is dead
                         GET /token                   admin   200 {"token", "id"} (404 with `readback = False`)
                         GET /me                      token   200 {"id", "name"}, 401 when dead
    selfroll  cut-over   POST /self/roll {"name"}     token   200 {"token", "id"}; the former token is dead
                         GET /self/me                 token   200 {"id", "name"}, 401 when dead
    refresher  refresh   POST /oauth/token            form refresh_token, client_secret, client_id "refresher"
                                                      200 {"access_token", "refresh_token", "expires_in"}, 400 when the
                                                      refresh token is dead; used ones work a few times more
                         POST /oauth/revoke           form token, client_id: 200 {"ok": true}
                         GET /oauth/check             token   200 {"client_id", "login"}, 401 when dead
    refresher-once       the same with client_id "refresher-once" and no secret: a refresh ends the former value, and a
                         second use of a refresh token ends everything that was made from its authorization

    pairco    alternate  POST /slots/{one, two}       admin   200 {"one", "two"}: that slot holds a new value
                         DELETE /slots/{one, two}     admin   204: its value is dead
                         GET /slots                   admin   200 {"one", "two"}
                         GET /slots/me                key     200 {"id", "name"}, 401 when dead

In a test's own process:

    with FakeProvider() as fake:
        first = fake.seed("acme")                          # a live credential, as if made in the dashboard
        fake.fault("create", how="reset", when="after")    # the next create acts, then cuts the connection
        fake.live("acme")                                  # {handle: Credential}
        fake.calls["create"]                               # requests seen, refused ones too

As a process of its own, for tests that kill things: `with spawn(path) as fake:` has the same methods, and
`python -m tests.fake_provider --port 0 --state FILE` prints its port and keeps its state in FILE over restarts.
POST /_control takes {"fault": {…}}, {"clear": true}, {"release": true}, {"seed": {"style", "label"}} or
{"set": {"readback": false, "page_size": 2, "grace_uses": 0}}; GET /_state tells everything. Operations that
faults name: create, list, revoke, whoami, roll, token, me, selfroll, selfme, refresh, end, check, fill, empty, slots,
slotme, or `*`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.fake_bank import ADMIN, SLOTS, Bank, Credential, Fault
from tests.waiting import LONG

__all__ = ["ADMIN", "Controls", "Credential", "FakeProvider", "Fault", "RemoteFake", "spawn"]
ROUTES = {
    ("POST", "/v1/keys"): "create",
    ("GET", "/v1/keys"): "list",
    ("GET", "/v1/whoami"): "whoami",
    ("POST", "/roll"): "roll",
    ("GET", "/token"): "token",
    ("GET", "/me"): "me",
    ("POST", "/self/roll"): "selfroll",
    ("GET", "/self/me"): "selfme",
    ("POST", "/oauth/token"): "refresh",
    ("POST", "/oauth/revoke"): "end",
    ("GET", "/oauth/check"): "check",
    ("GET", "/slots"): "slots",
    ("GET", "/slots/me"): "slotme",
    **{("POST", f"/slots/{slot}"): "fill" for slot in SLOTS},
    **{("DELETE", f"/slots/{slot}"): "empty" for slot in SLOTS},
}


@dataclass
class Answer:
    """An HTTP answer to be."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, document: object = None) -> Answer:
        return cls(status, b"" if document is None else json.dumps(document).encode())


class Handler(BaseHTTPRequestHandler):
    """Routes, authenticates, acts, and fails as told."""

    protocol_version = "HTTP/1.1"
    bank: Bank

    def log_message(self, *args: object) -> None:
        """Silent: tests read the counts instead."""

    def do_GET(self) -> None:
        self.handle_any()

    do_POST = do_DELETE = do_GET

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/_state":
            return self.answer(Answer.of(200, self.bank.snapshot()))
        if url.path == "/_control":
            return self.answer(Answer.of(200, self.bank.control(json.loads(body))))
        operation = ROUTES.get((self.command, url.path), "")
        if self.command == "DELETE" and url.path.startswith("/v1/keys/"):
            operation = "revoke"
        self.bank.count(operation or "unknown")
        fault = self.bank.take_fault(operation)
        if fault is not None and fault.when == "before" and not self.misbehave(fault, None):
            return
        answer = self.act(operation, url, body)
        if fault is not None and fault.when == "after" and not self.misbehave(fault, answer):
            return
        self.answer(answer)

    def bearer(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def holder(self, style: str) -> Credential | None:
        return next((item for item in self.bank.alive(style) if item.value == self.bearer()), None)

    def act(self, operation: str, url: urllib.parse.SplitResult, body: bytes) -> Answer:
        if operation in ("whoami", "me", "selfme", "slotme"):
            return self.who({"whoami": "acme", "me": "rollco", "selfme": "selfroll", "slotme": "pairco"}[operation])
        if operation == "selfroll":
            return self.roll("selfroll", body) if self.holder("selfroll") else Answer.of(401, {"error": "dead"})
        if operation in ("refresh", "end", "check"):
            return self.oauth(operation, dict(urllib.parse.parse_qsl(body.decode())))
        if not operation:
            return Answer.of(404, {"error": "no such route"})
        if self.bearer() != self.bank.admin:
            return Answer.of(401, {"error": "not the admin"})
        return self.by_admin(operation, url, body)

    def by_admin(self, operation: str, url: urllib.parse.SplitResult, body: bytes) -> Answer:
        if operation in ("fill", "empty", "slots"):
            return self.slots(operation, url.path.rsplit("/", 1)[1])
        if operation == "create":
            made = self.bank.make("acme", str(json.loads(body)["name"]))
            return Answer.of(201, {"id": made.handle, "secret": made.value, "name": made.label})
        if operation == "list":
            return self.page(urllib.parse.parse_qs(url.query))
        if operation == "revoke":
            gone = self.bank.kill(urllib.parse.unquote(url.path.rsplit("/", 1)[1]))
            return Answer(204) if gone else Answer.of(404, {"error": "no such key"})
        if operation == "roll":
            return self.roll("rollco", body)
        return self.read_back()

    def roll(self, style: str, body: bytes) -> Answer:
        made = self.bank.roll(style, str(json.loads(body or b"{}").get("name", "")))
        return Answer.of(200, {"token": made.value, "id": made.handle})

    def slots(self, operation: str, slot: str) -> Answer:
        if operation == "empty":
            self.bank.empty(slot)
            return Answer(204)
        if operation == "fill":
            self.bank.fill(slot)
        held = {item.label: item.value for item in self.bank.alive("pairco")}
        return Answer.of(200, {slot: held.get(slot, "emptied") for slot in SLOTS})

    def oauth(self, operation: str, form: Mapping[str, str]) -> Answer:
        if operation == "check":
            holder = self.holder("refresher") or self.holder("refresher-once")
            found = {"client_id": holder.style, "login": "bot"} if holder else {"error": "invalid_token"}
            return Answer.of(200 if holder else 401, found)
        style = form.get("client_id", "")
        if style == "refresher" and operation == "refresh" and form.get("client_secret") != self.bank.admin:
            return Answer.of(403, {"error": "bad_client_secret"})
        if operation == "end":
            self.bank.kill_value(style, form.get("token", ""))
            return Answer.of(200, {"ok": True})
        made = self.bank.exchange(style, form.get("refresh_token", ""))
        if made is None:
            return Answer.of(400, {"error": "invalid_refresh_token"})
        return Answer.of(200, {"access_token": made.value, "refresh_token": made.refresh, "expires_in": 43200})

    def read_back(self) -> Answer:
        live = self.bank.alive("rollco")
        if not live or not self.bank.settings["readback"]:
            return Answer.of(404, {"error": "not found"})
        return Answer.of(200, {"token": live[-1].value, "id": live[-1].handle})

    def who(self, style: str) -> Answer:
        holder = self.holder(style)
        if holder is None:
            return Answer.of(401, {"error": "unauthorized"})
        return Answer.of(200, {"id": holder.handle, "name": f"{style} bot", "account": {"name": "Acme Ltd"}})

    def page(self, query: Mapping[str, list[str]]) -> Answer:
        live = self.bank.alive("acme")
        start, size = int(query.get("after", ["0"])[0]), int(self.bank.settings["page_size"])
        keys = [{"id": item.handle, "name": item.label} for item in live[start:start + size]]
        more = start + size < len(live)
        return Answer.of(200, {"keys": keys, "next": str(start + size) if more else None})

    def answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def misbehave(self, fault: Fault, real: Answer | None) -> bool:
        """Do what the fault says; True: go on and answer as usual."""
        if fault.how == "exit":
            os._exit(9)
        if fault.how == "slow":
            self.hold(fault.seconds)
            return True
        if fault.how in ("status", "garbage"):
            garbage = b"\x00<html>not json" if fault.how == "garbage" else b'{"error":"by order"}'
            status = 200 if fault.how == "garbage" else fault.status
            self.answer(Answer(status, fault.body.encode() or garbage, fault.headers))
            return False
        if fault.how == "drip":
            self.drip(fault.seconds)
        if fault.how == "hang":
            self.hold(fault.seconds)
        if fault.how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR) if fault.how != "reset" else self.connection.close()
        return False

    def drip(self, seconds: float) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{")
            for _ in range(int(seconds / 0.2)):
                self.wfile.write(b" ")
                self.wfile.flush()
                if self.hold(0.2):
                    break

    def hold(self, seconds: float) -> bool:
        bank = self.bank
        with bank.lock:
            bank.holding += 1
            release = bank.release
        try:
            return release.wait(seconds)
        finally:
            with bank.lock:
                bank.holding -= 1


class Server(ThreadingHTTPServer):
    """Quiet when a client goes away in the middle, which is what these tests do."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Controls:
    """What a test may ask of the fake, in this process or in another."""

    url: str
    admin: str

    def control(self, **order: Any) -> dict[str, Any]:
        raise NotImplementedError

    def snapshot(self) -> dict[str, Any]:
        raise NotImplementedError

    def fault(self, operation: str, how: str, **rest: Any) -> None:
        """Arm a fault (see Fault)."""
        self.control(fault={"operation": operation, "how": how, **rest})

    def clear(self) -> None:
        """Forget faults and counts, keep credentials."""
        self.control(clear=True)

    def let_go(self) -> None:
        """Wake every request that hangs now."""
        self.control(release=True)

    def configure(self, **settings: Any) -> None:
        """Change `readback` or `page_size`."""
        self.control(set=settings)

    def seed(self, style: str = "acme", label: str = "by-hand") -> Credential:
        """A live credential that was made outside of clawsecrets."""
        return Credential(**self.control(seed={"style": style, "label": label}))

    def live(self, style: str = "acme") -> dict[str, Credential]:
        """What the provider accepts now, by handle."""
        every = (Credential(**item) for item in self.snapshot()["credentials"])
        return {item.handle: item for item in every if item.style == style and item.alive}

    def unspent(self, style: str) -> set[str]:
        """Refresh tokens that were never used and are not dead."""
        return {item["value"] for item in self.snapshot()["tokens"]
                if item["style"] == style and item["alive"] and not item["uses"]}

    def refresh_tokens(self) -> list[str]:
        """Every refresh token of the newest family."""
        every = self.snapshot()["tokens"]
        return [item["value"] for item in every if item["family"] == every[-1]["family"]]

    def end(self, style: str, value: str) -> None:
        """End one value, as if revoked in the dashboard."""
        self.control(end={"style": style, "value": value})

    def ever(self, style: str = "acme") -> list[Credential]:
        """Every credential ever made, oldest first."""
        return [Credential(**item) for item in self.snapshot()["credentials"] if item["style"] == style]

    @property
    def calls(self) -> Counter[str]:
        """Requests seen, by operation."""
        return Counter(self.snapshot()["calls"])

    @property
    def holding(self) -> int:
        """Requests that are being held now."""
        return int(self.snapshot()["holding"])


class FakeProvider(Controls):
    """The fake in this process, on a free port. A `certificate` and its key make it speak TLS, beyond loopback too."""

    def __init__(self, state: Path | None = None, port: int = 0, admin: str = ADMIN, host: str = "127.0.0.1",
                 certificate: tuple[Path, Path] | None = None) -> None:
        self.bank, self.admin = Bank(state, admin), admin
        handler = type("BoundHandler", (Handler,), {"bank": self.bank})
        self.server = Server((host, port), handler)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if certificate else ''}://{host}:{self.port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # the handshake in the thread of its own connection: one that is cut off holds up no other
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.bank.release.set()
        self.server.shutdown()
        self.server.server_close()

    def control(self, **order: Any) -> dict[str, Any]:
        return self.bank.control(order)

    def snapshot(self) -> dict[str, Any]:
        return self.bank.snapshot()


class RemoteFake(Controls):
    """The fake as a process, steered over its control endpoint."""

    def __init__(self, url: str, process: subprocess.Popen[str], admin: str = ADMIN) -> None:
        self.url, self.process, self.admin = url, process, admin
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def control(self, **order: Any) -> dict[str, Any]:
        return self._call("/_control", json.dumps(order).encode())

    def snapshot(self) -> dict[str, Any]:
        return self._call("/_state", None)

    def _call(self, path: str, body: bytes | None) -> dict[str, Any]:
        with self._opener.open(urllib.request.Request(self.url + path, body), timeout=LONG) as answer:
            document: dict[str, Any] = json.loads(answer.read())
            return document


@contextlib.contextmanager
def spawn(state: Path, port: int = 0) -> Iterator[RemoteFake]:
    """Run the fake as its own process for the length of a `with` block; its state outlives it in `state`."""
    command = [sys.executable, "-m", "tests.fake_provider", "--port", str(port), "--state", str(state)]
    root = Path(__file__).resolve().parent.parent
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield RemoteFake(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--admin", default=ADMIN)
    words = parser.parse_args()
    fake = FakeProvider(words.state, words.port, words.admin)
    print(fake.port, flush=True)
    fake.server.serve_forever(0.05)


if __name__ == "__main__":
    main()
