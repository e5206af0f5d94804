"""A service by its URLs: health shows that it is well, a probe which value it accepts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clawsecrets.consumers.http import HttpConsumer
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover
from tests import canary as canaries

OLD, NEW = (f"{canaries.fresh().decode().split()[0]}-{n}" for n in "on")


class Service(ThreadingHTTPServer):
    """Accepts what is in `accepted`; /health answers `health`; a POST to /reload answers `reloads`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.accepted = {OLD}
        self.health, self.reloads = 200, 204
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Asked(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        given = {self.headers.get("Authorization", "").removeprefix("Bearer "), self.headers.get("X-Key", "")}
        status = self.server.health if self.path == "/health" else 200 if given & self.server.accepted else 401
        self.answer(self.server.health if self.path == "/odd" else status)

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        self.answer(self.server.reloads)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as it:
        thread = threading.Thread(target=it.serve_forever)
        thread.start()
        yield it
        it.shutdown()
        thread.join()


def consumer(service: Service) -> HttpConsumer:
    return HttpConsumer("h", f"{service.url}/health", f"{service.url}/probe", "bearer", f"{service.url}/reload",
                        timeout=0.5)


def handover(new: str = NEW, old: str | None = OLD) -> Handover:
    return Handover("acme/key", "generic", "other", SecretValue(new), 2, None if old is None else SecretValue(old))


@pytest.mark.parametrize("auth", ["bearer", "X-Key"])
def test_which_value_it_accepts(service: Service, auth: str) -> None:
    one = replace(consumer(service), auth=auth, validates=True)
    assert one.preflight(handover(OLD, None)).outcome is Outcome.OK
    reply = one.preflight(handover(NEW, None))
    assert reply.outcome is Outcome.REFUSED and "restart or reload it once" in reply.detail
    assert one.probe(handover()).outcome is Outcome.REFUSED
    service.accepted = {OLD, NEW}
    assert one.probe(handover()).outcome is Outcome.LATER
    assert replace(one, validates=False).prove(handover()).proof
    service.accepted = {NEW}
    assert one.reload(handover()).outcome is Outcome.OK and "POST /reload" in service.asked
    assert "version 2 only" in one.prove(handover()).proof
    service.accepted = set()
    assert one.probe(handover()).outcome is Outcome.LATER
    assert not any(OLD in path or NEW in path for path in service.asked)


def test_health_alone_proves_no_value(service: Service) -> None:
    one = HttpConsumer("h", f"{service.url}/health", timeout=0.3)
    reply = one.prove(handover())
    assert reply.outcome is Outcome.OK and not reply.proof and "does not show which value" in reply.detail
    service.health = 503
    for reply in (one.prove(handover()), one.reload(handover()), one.preflight(handover())):
        assert reply.outcome is Outcome.REFUSED and "503" in reply.detail
    assert one.probe(handover()).outcome is Outcome.UNKNOWN


def test_what_cannot_be_told_is_said_so(service: Service) -> None:
    one = consumer(service)
    service.health = 418
    odd = replace(one, health="", probe_url=f"{service.url}/odd", reload_url="")
    assert odd.prove(handover()).outcome is Outcome.LATER
    gone = HttpConsumer("h", "", "http://127.0.0.1:9/", "bearer", "http://127.0.0.1:9/", timeout=0.2)
    assert gone.prove(handover()).outcome is Outcome.LATER
    assert gone.reload(handover()).outcome is Outcome.LATER
    service.reloads = 500
    assert one.reload(handover()).outcome is Outcome.REFUSED
    binary = Handover("k", "generic", "other", SecretValue(b"\xff"), 2)
    assert odd.prove(binary).outcome is Outcome.LATER
