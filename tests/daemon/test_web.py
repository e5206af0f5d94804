"""The pages under attack: slow clients, crowds of them, hosts by another name. Against a real server on loopback."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator

import pytest

from clawsecrets.daemon import web
from clawsecrets.daemon.logs import Log
from tests.daemon.running import free_port
from tests.fakes import FakeClock
from tests.waiting import LONG, until


class Server:
    """One Web, and raw clients of it."""

    def __init__(self, host: str = "127.0.0.1", page: web.Page = lambda: (200, web.PLAIN, b"ok\n")) -> None:
        self.address = (host, free_port())
        self.web = web.Web(self.address, {"/healthz": page}, Log(FakeClock()))
        assert self.web.open()

    def client(self, said: bytes) -> socket.socket:
        """Connected, and has sent that much."""
        made = socket.create_connection(self.address, LONG)
        made.sendall(said)
        return made

    def answer(self, said: bytes) -> bytes:
        """All that comes back."""
        with self.client(said) as client:
            return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.web.close()


def test_a_client_that_drips_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time, but not all of them."""
    monkeypatch.setattr(web, "SILENCE", 1.0)
    with server.client(b"GET /healthz HTTP/1.1\r\nA: ") as client:
        client.settimeout(0.2)

        def over() -> bool:
            try:
                client.sendall(b"x")
                return client.recv(100) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        until(over, "its end")
    assert server.answer(b"GET /healthz HTTP/1.0\r\n\r\n").endswith(b"ok\n")


def test_a_crowd_of_slow_clients_does_not_keep_a_health_check_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "SILENCE", 2 * LONG)  # so that it is their number that ends them
    server = Server()
    crowd = [server.client(b"GET /healthz HTTP/1.1\r\n") for _ in range(3 * web.MOST)]
    assert server.answer(b"GET /healthz HTTP/1.0\r\n\r\n").endswith(b"ok\n")
    served = server.web._server
    assert isinstance(served, web._Server)
    until(lambda: len(served._clients) <= web.MOST, "that the longest waiting give way")
    for client in crowd:
        client.close()
    until(lambda: not served._clients, "that all are forgotten")
    server.web.close()


@pytest.mark.parametrize(("host", "status"), [
    ("127.0.0.1:9779", b"200"), ("127.0.0.1", b"200"), ("localhost:9779", b"200"), ("LOCALHOST", b"200"),
    ("[::1]:9779", b"200"), ("", b"200"), ("attacker.example:9779", b"421"), ("localhost.attacker.example", b"421"),
    ("127.0.0.1.attacker.example", b"421"), ("1", b"421"),
])
def test_a_web_page_cannot_ask_by_a_domain_that_it_points_at_loopback(server: Server, host: str, status: bytes) -> None:
    said = server.answer(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert said.split()[1] == status and (b"ok\n" in said) is (status == b"200")


# --- where it listens, and who asks there -----------------------------------------------------------------------------


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_it_answers_at_every_kind_of_address(host: str) -> None:
    """As `daemon --check` asks."""
    if ":" in host and not has_ipv6():
        pytest.skip("NOT RUN: this machine has no IPv6 on loopback")
    server = Server(host)
    try:
        assert web.healthy(server.address) == ""
    finally:
        server.web.close()
    assert web.healthy(server.address).startswith("no daemon answers at ")


def test_one_that_everybody_may_ask_answers_by_any_name() -> None:
    """A scraper of the network asks by the name of the host; there is no loopback for a web page to be led to."""
    server = Server("0.0.0.0")
    with socket.create_connection(("127.0.0.1", server.address[1]), LONG) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\nHost: claw.example:9779\r\n\r\n")
        said = b"".join(iter(lambda: client.recv(65536), b""))
    assert said.split()[1] == b"200" and said.endswith(b"ok\n")
    server.web.close()


def test_who_asks_hears_why_it_is_not_well() -> None:
    server = Server(page=lambda: (503, web.PLAIN, b"it has not looked for too long\n"))
    host, port = server.address
    assert web.healthy(server.address) == f"the daemon at {host}:{port} says: it has not looked for too long"
    server.web.close()
    assert "listens nowhere" in web.healthy(None)


def test_an_address_that_is_taken_is_said_once_and_tried_again() -> None:
    said = io.StringIO()
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = ("127.0.0.1", other.getsockname()[1])
        taken = web.Web(address, {"/healthz": lambda: (200, web.PLAIN, b"ok\n")}, Log(FakeClock(), "json", said))
        assert not taken.open() and not taken.open()
        assert said.getvalue().count('"web.busy"') == 1
    assert taken.open() and web.healthy(address) == ""
    taken.close()
