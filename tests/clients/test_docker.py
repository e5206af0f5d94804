"""The engine's API as a client sees it: where engines are looked for, and every way in which an answer can fail."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from clawsecrets.clients.docker import Engine, engines
from clawsecrets.clients.docker_address import Address, candidates
from clawsecrets.errors import Incomplete, NotFound, UsageError


def http_answer(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body


Serve = Callable[..., Engine]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server on a unix socket that gives one answer by the path that is asked for."""
    server = socket.socket(socket.AF_UNIX)
    path = tmp_path / "s"
    answers: dict[str, bytes] = {}

    def run() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                asked = client.recv(65536).split(b" ")
                if len(asked) > 1:
                    client.sendall(answers.get(asked[1].decode(), http_answer(b"{}", "404 Not Found")))

    server.bind(str(path))
    server.listen()
    thread = threading.Thread(target=run)
    thread.start()

    def make(**given: bytes) -> Engine:
        answers.update({"/" + name.replace("__", "/"): data for name, data in given.items()})
        return Engine.of(f"unix://{path}")

    yield make
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxI", kind, len(data)) + data


@pytest.mark.parametrize(("url", "certificates", "fault"), [
    ("unix:///run/docker.sock", "", ""), ("tcp://127.0.0.1:2375", "", ""), ("tcp://[::1]:2375", "", ""),
    ("tcp://engine.example.org:2376", "/certs", ""), ("tcp://engine.example.org:2375", "", "without TLS"),
    ("tcp://127.0.0.1", "", "no host and port"), ("tcp://127.0.0.1:99999", "", "no valid port"),
    ("unix://relative", "", "no absolute path"), ("ssh://me@host", "", "no unix://"), ("", "", "no unix://"),
])
def test_addresses(url: str, certificates: str, fault: str) -> None:
    said = Address(url, certificates).fault()
    assert fault in said if fault else said == ""
    if fault:
        with pytest.raises(UsageError):
            Engine.of(url, certificates=certificates)


def test_where_engines_are_looked_for(tmp_path: Path) -> None:
    def urls(environ: dict[str, str], engine: str = "") -> list[str]:
        return [one.address.url for one in candidates({"HOME": str(tmp_path), **environ}, engine)]

    assert urls({}) == ["unix:///var/run/docker.sock", "unix:///run/podman/podman.sock"]
    assert urls({"XDG_RUNTIME_DIR": "/run/user/7"}, "docker")[1] == "unix:///run/user/7/docker.sock"
    assert urls({"XDG_RUNTIME_DIR": "/run/user/7"}, "podman")[0] == "unix:///run/user/7/podman/podman.sock"
    assert urls({"DOCKER_HOST": "unix:///x"}) == ["unix:///x"]
    assert urls({"CONTAINER_HOST": "unix:///y"}, "podman") == ["unix:///y"]
    tls = candidates({"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"})[0]
    assert (tls.address.certificates, tls.named) == ("/c", True)


def test_the_context_that_was_chosen(tmp_path: Path) -> None:
    meta = tmp_path / "contexts" / "meta" / sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///mine.sock"}}}))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    found = candidates({"DOCKER_CONFIG": str(tmp_path)}, "docker")
    assert [one.address.url for one in found] == ["unix:///mine.sock"]
    (meta / "meta.json").write_text("{")
    assert candidates({"DOCKER_CONFIG": str(tmp_path)}, "docker")[0].named is False


def test_engines_that_answer(serve: Serve, tmp_path: Path) -> None:
    engine = serve(_ping=http_answer(b"OK"))
    assert engine.answers()
    found = engines({"DOCKER_HOST": engine.address.url, "HOME": str(tmp_path)})
    assert list(found) == ["docker"]
    gone = engines({"DOCKER_HOST": "unix:///nonexistent", "HOME": str(tmp_path)})
    assert list(gone) == ["docker"]  # named: its silence must be told, not passed over
    with pytest.raises(Incomplete, match="no engine listens there") as caught:
        gone["docker"].images()
    assert "DOCKER_HOST" in caught.value.hint


@pytest.mark.parametrize("answer", [
    b"", b"nonsense\r\n\r\n", http_answer(b"{"), http_answer(b"{}"), http_answer(b"[1]"), http_answer(b"[" * 9000),
    http_answer(b"[]", length=500), http_answer(b"oh no", "500 Internal Server Error"),
], ids=["nothing", "nonsense", "cut json", "no list", "numbers", "deep", "cut", "fault"])
def test_answers_that_make_no_sense(serve: Serve, answer: bytes) -> None:
    engine = serve(images__json=answer)
    with pytest.raises(Incomplete) as caught:
        engine.images()
    assert caught.value.hint
    assert "oh no" not in caught.value.message


def test_what_is_not_there(serve: Serve) -> None:
    engine = serve()
    for ask in (lambda: engine.image("a/b:1"), lambda: engine.inspect("x"), lambda: engine.save(["x"])):
        with pytest.raises(NotFound):
            ask()


def test_logs_are_put_together(serve: Serve) -> None:
    path = "containers/c/logs?"
    engine = serve(**{
        "containers__c__json": http_answer(b'{"Config": {"Tty": false}}'),
        path + "stdout=1": http_answer(frame(1, b"one ") + frame(1, b"") + frame(1, b"two")),
        path + "stderr=1": http_answer(frame(2, b"err"))})
    log = engine.logs("c")
    assert b"".join(iter(lambda: log.read(2), b"")) == b"one twoerr"
    for limit in range(1, 11):
        log = engine.logs("c", limit)
        assert b"".join(iter(lambda log=log: log.read(3), b"")) == b"one twoerr"[:limit]  # type: ignore[misc]
        assert log.cut == (limit < 10)


def test_a_log_that_breaks(serve: Serve) -> None:
    engine = serve(**{"containers__c__json": http_answer(b"{}"),
                      "containers/c/logs?stdout=1": http_answer(frame(1, b"whole") + frame(1, b"cut off")[:-3])})
    log = engine.logs("c")
    with pytest.raises(OSError, match="ends inside"):
        while log.read(100):
            pass


def test_a_saved_image_that_breaks_off(serve: Serve) -> None:
    engine = serve(**{"images/get?names=a": http_answer(b"begun", length=5000)})
    with engine.save(["a"]) as stream, pytest.raises(OSError, match="broke off"):
        while stream.read(100):
            pass
