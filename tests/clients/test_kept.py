"""Kept connections send what `requests` would send, and an error says whether the server may have acted."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from clawsecrets.clients import kept
from tests.daemon.running import free_port


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], bytes]]
    ports: set[int]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.command, self.path, dict(self.headers), body))
        self.ports.add(self.client_address[1])
        if self.path.startswith("/break"):
            self.close_connection = True
            return
        status = 307 if self.path.startswith("/elsewhere") else 404 if self.path.startswith("/none") else 200
        content = b'{"there": true}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Location", "/other")
        self.send_header("Set-Cookie", "a=b")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_LIST = answer

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    kind = type("Own", (Handler,), {"seen": [], "ports": set()})
    made = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}", kind
    made.shutdown()
    made.server_close()


def test_what_is_sent_and_what_comes_back(server: tuple[str, type[Handler]]) -> None:
    url, kind = server
    session = kept.session(url, 4)
    answer = session.request("post", f"{url}/v1/a%20b", headers={"X-Vault-Token": "t"}, json={"é": [1]})
    assert (answer.status_code, answer.ok, json.loads(answer.content)) == (200, True, {"there": True})
    assert "there" not in repr(answer)
    listed = session.request("GET", f"{url}/v1/c", headers={}, params={"list": "true"})
    assert listed.headers["content-length"] == listed.headers["Content-Length"] == "15"
    (method, path, headers, body), (_, second, others, _) = kind.seen
    assert (method, path, json.loads(body)) == ("POST", "/v1/a%20b", {"é": [1]})
    assert headers["Content-Type"] == "application/json" and headers["X-Vault-Token"] == "t"
    assert second == "/v1/c?list=true" and "X-Vault-Token" not in others and "Cookie" not in others
    session.close()


def test_connections_are_kept_and_no_redirect_is_followed(server: tuple[str, type[Handler]]) -> None:
    url, kind = server
    session = kept.session(url, 4)
    found = [session.request("GET", f"{url}{path}", headers={}).status_code for path in ("/a", "/elsewhere", "/none")]
    assert found == [200, 307, 404]
    assert [path for _, path, _, _ in kind.seen] == ["/a", "/elsewhere", "/none"] and len(kind.ports) == 1
    session.close()


def test_an_error_says_whether_it_was_sent(server: tuple[str, type[Handler]]) -> None:
    url, kind = server
    session = kept.session(url, 4)
    with pytest.raises(kept.BROKEN) as broke:
        session.request("POST", f"{url}/break", headers={}, json={})
    assert kept.lost(broke.value).sent
    assert len(kind.seen) == 1, "nothing is sent twice"
    with pytest.raises(kept.BROKEN) as refused:
        session.request("POST", f"http://127.0.0.1:{free_port()}/a", headers={}, json={})
    assert not kept.lost(refused.value).sent and kept.lost(refused.value).why == "connection refused"
    with pytest.raises(kept.BROKEN):
        session.request("GET", f"{url}/a", headers={"X-Vault-Token": "a\r\nb: c"})
    session.close()


def test_a_server_that_says_nothing_is_given_up(server: tuple[str, type[Handler]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        session = kept.session(url, 1)
        with pytest.raises(kept.BROKEN) as late:
            session.request("GET", f"{url}/a", headers={}, timeout=(5.0, 0.05))
        assert kept.lost(late.value).sent and kept.lost(late.value).why == "no answer in time"
        session.close()


def test_through_a_proxy_it_is_sent_as_requests_does(
        server: tuple[str, type[Handler]], monkeypatch: pytest.MonkeyPatch) -> None:
    url, kind = server
    monkeypatch.setenv("http_proxy", url)
    session = kept.session("http://bao.example:8200", 1)
    answer = session.request("GET", "http://bao.example:8200/v1/a", headers={}, timeout=(5.0, 60.0),
                             allow_redirects=False)
    assert isinstance(answer, requests.Response) and answer.ok
    assert kind.seen[0][1] == "http://bao.example:8200/v1/a"
    session.close()


def test_a_certificate_is_verified_against_the_given_authority() -> None:
    session = kept.session("https://127.0.0.1:1", 1, ca_file="/nowhere/ca.pem")
    with pytest.raises(kept.BROKEN) as gone:
        session.request("GET", "https://127.0.0.1:1/a", headers={})
    assert isinstance(gone.value, OSError)
