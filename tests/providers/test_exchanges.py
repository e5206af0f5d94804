"""Each provider file, executed against a real HTTP server that plays its recorded exchanges.

tests/providers/exchanges/<code>.json holds, for each operation, the request that the provider's documentation
describes and answers to it. A request that differs from the recorded one is answered 599 and fails the test.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.clients.http import Limits
from clawsecrets.issuers.http import HttpIssuer
from clawsecrets.issuers.loader import load_providers
from clawsecrets.issuers.refresh import RefreshIssuer
from clawsecrets.issuers.slots import SlotIssuer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Listed, Reply, Request
from tests.waiting import LONG

EXCHANGES = Path(__file__).parent / "exchanges"
FILES = load_providers()
LIMITS = Limits(connect=LONG, read=LONG, total=LONG)
NEW_YEAR = 1767225600.0  # 2026-01-01
READS = {"login", "test", "list", "recover"}


def recorded() -> list[Any]:
    found = []
    for code in FILES:
        book = json.loads((EXCHANGES / f"{code}.json").read_text()) if FILES[code].operations else {"exchanges": []}
        for number, exchange in enumerate(book["exchanges"]):
            exchange["inputs"] = {**book["inputs"], **exchange.get("inputs", {})}
            found.append(pytest.param(code, exchange, id=f"{code}-{exchange['operation']}-{number}"))
    return found


class Player(BaseHTTPRequestHandler):
    """Answers the recorded steps in order, and notes what differs."""

    steps: list[dict[str, Any]]
    wrong: list[str]
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Silent."""

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.steps:
            self.wrong.append(f"one request too many: {self.command} {self.path}")
            return self.answer(599, b"{}")
        step = self.steps.pop(0)
        self.wrong.extend(self.differences(step["request"], body))
        response = step["response"]
        text = json.dumps(response["json"]).encode() if "json" in response else response.get("text", "").encode()
        return self.answer(599 if self.wrong else response["status"], text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_LIST = handle_any

    def differences(self, wanted: dict[str, Any], body: bytes) -> Iterator[str]:
        url = urllib.parse.urlsplit(self.path)
        if (self.command, url.path) != (wanted["method"], wanted["path"]):
            yield f"{self.command} {url.path} instead of {wanted['method']} {wanted['path']}"
        if dict(urllib.parse.parse_qsl(url.query)) != wanted.get("query", {}):
            yield f"query {url.query}"
        headers = wanted.get("headers", {})
        for name in {*headers, "authorization", "x-api-key", "private-token", "x-vault-token"}:
            if self.headers.get(name) != headers.get(name):
                yield f"header {name}: {self.headers.get(name)}"
        got = json.loads(body) if "json" in wanted and body else dict(urllib.parse.parse_qsl(body.decode()))
        if got != wanted.get("json", wanted.get("form", {})):
            yield f"body {body!r}"

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


@contextmanager
def played(steps: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    wrong: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Player,), {"steps": steps, "wrong": wrong}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", wrong
    finally:
        server.shutdown()
        server.server_close()


def run(code: str, operation: str, inputs: dict[str, Any], url: str,
        limits: Limits = LIMITS) -> tuple[Reply, list[Listed]]:
    made = {"refresh": RefreshIssuer, "alternate": SlotIssuer}.get(FILES[code].strategy, HttpIssuer)
    issuer = made(FILES[code], limits, clock=lambda: NEW_YEAR)
    value = SecretValue(inputs["value"])
    request = Request("s", inputs["label"], old=SecretValue(inputs["old"]), old_handle=inputs["handle"],
                      admin=SecretValue(inputs["admin"]), options={**inputs["options"], "base_url": url},
                      refresh=SecretValue(inputs["refresh"]) if "refresh" in inputs else None)
    if operation == "list":
        reply, listed = issuer.find(request)
        return reply, list(listed)
    calls: dict[str, Callable[[Request], Reply]] = {
        "create": issuer.create, "recover": issuer.recover, "test": lambda r: issuer.test(value, r),
        "revoke": lambda r: issuer.revoke(inputs["handle"], value, r),
    }
    calls["login"] = issuer.login
    if isinstance(issuer, SlotIssuer):
        calls["recover"] = issuer.locate  # what reading the slots is for
    if isinstance(issuer, RefreshIssuer):
        calls["refresh"] = issuer.refresh
    return calls[operation](request), []


@pytest.mark.parametrize(("code", "exchange"), recorded())
def test_exchange(code: str, exchange: dict[str, Any]) -> None:
    steps = list(exchange.get("steps") or [{"request": exchange["request"], "response": exchange["response"]}])
    with played(steps) as (url, wrong):
        reply, listed = run(code, exchange["operation"], exchange["inputs"], url)
    expect = exchange["expect"]
    assert not wrong
    assert not steps, "a recorded request was not made"
    assert reply.outcome.value == expect["outcome"], reply.detail
    if "value" in expect:
        assert reply.value == SecretValue(expect["value"])
    if "handles" in expect:
        assert [item.handle for item in listed] == expect["handles"]
    for key in {"handle", "identity", "expires_at"} & set(expect):
        assert getattr(reply, key) == expect[key]
    if "refresh" in expect:
        assert reply.refresh == (SecretValue(expect["refresh"]) if expect["refresh"] else None)
    for hidden in (exchange["inputs"][name] for name in ("value", "old", "admin", "refresh")
                   if name in exchange["inputs"]):
        assert hidden not in repr(reply)


def test_every_operation_is_recorded_with_a_yes_and_a_no() -> None:
    for code in FILES:
        for operation in FILES[code].operations:
            book = json.loads((EXCHANGES / f"{code}.json").read_text())
            outcomes = {e["expect"]["outcome"] for e in book["exchanges"] if e["operation"] == operation}
            assert "ok" in outcomes, f"{code} {operation}"
            assert len(outcomes) > 1 or operation == "revoke", f"{code} {operation}"  # vault-token: dead is revoked


def test_no_exchange_without_a_provider() -> None:
    assert {path.stem for path in EXCHANGES.glob("*.json")} <= set(FILES)


OPERATIONS = [pytest.param(code, name, id=f"{code}-{name}") for code in FILES for name in FILES[code].operations]


@contextmanager
def trouble(kind: str) -> Iterator[str]:
    """A server that behaves badly, with the request read before."""
    if kind == "nobody":
        with socket.socket() as taken:  # nobody listens, and nobody else is given the port
            taken.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        return
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer, suppress(OSError):  # the client may be gone already
                    misbehave(peer, kind)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def misbehave(peer: socket.socket, kind: str) -> None:
    peer.recv(65536)
    if kind == "reset":
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif kind == "drip":
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(20):
            time.sleep(0.05)
            peer.sendall(b" ")
    elif kind == "500":
        peer.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}")
    elif kind == "garbage":
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\xff\x00not json")
    elif kind == "empty":
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
    else:
        peer.sendall(b"\x16\x03\x01garbage\r\n\r\n")


@pytest.mark.parametrize("kind", ["reset", "drip", "500", "garbage", "empty", "noise", "nobody"])
@pytest.mark.parametrize(("code", "operation"), OPERATIONS)
def test_trouble_is_never_a_yes_or_a_no(code: str, operation: str, kind: str) -> None:
    inputs = json.loads((EXCHANGES / f"{code}.json").read_text())["inputs"]
    with trouble(kind) as url:
        reply, listed = run(code, operation, inputs, url, Limits(LONG, LONG, 0.15 if kind == "drip" else LONG))
    asked = FILES[code].operations[operation].request.names()
    logs_in = operation == "login" or ("login" in FILES[code].operations and "admin" in asked)  # that fails first
    harmless = logs_in or (operation in READS and kind != "garbage")
    assert reply.outcome is (Outcome.LATER if harmless or kind == "nobody" else Outcome.UNKNOWN), reply.detail
    assert not reply.person
    assert reply.value is None
    assert reply.refresh is None
    assert listed == []
