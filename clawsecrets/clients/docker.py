"""A container engine's API (Docker, Podman's compatible one) over its socket. Mechanism, no policy; `Engine` only
reads (what changes something is in docker_control, over the same `ask`).

    engine = Engine.of("unix:///run/docker.sock")
    engine.images(), engine.containers(), engine.inspect(id), engine.logs(id, limit), engine.save([name])

Where the engine is: `docker_address.candidates(environ)`. Reached over a unix socket, over TCP on loopback, or over
TCP with TLS and the client certificate that Docker's own variables name; nothing is ever sent in the clear to another
machine.
Every failure is Incomplete (nobody answers, the answer makes no sense) or NotFound, without what the engine wrote.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from clawsecrets.clients.docker_address import Address, candidates
from clawsecrets.errors import ClawError, Incomplete, NotFound, UsageError

CONNECT, SILENCE = 5.0, 900.0
"""Seconds. An engine that saves a large image is silent while it gathers its layers."""
MAX_JSON = 64 << 20
MAX_LOG = 256 << 20
"""Bytes of a container's log."""
_CHUNK = 1 << 20
_BROKEN = (OSError, http.client.HTTPException, ssl.SSLError)


def engines(environ: Mapping[str, str] = os.environ, engine: str = "") -> dict[str, Engine]:
    """The engines that answer, by a name for people; one that is reached by two addresses stands there once. An engine
    that the operator's configuration names stands there whether it answers or not: it was asked for."""
    found: dict[str, Engine] = {}
    for candidate in candidates(environ, engine):
        if candidate.engine in found:
            continue
        there = Engine.of(candidate.address.url, candidate.engine, candidate.address.certificates) \
            if candidate.named or os.path.exists(urlsplit(candidate.address.url).path) else None
        if there is not None and (candidate.named or there.answers()):
            found[candidate.engine] = there
    return found


class Answered(Incomplete):
    """It answered with a status that is no success. What it wrote is not kept: it could repeat what it was sent."""

    def __init__(self, message: str, hint: str, status: int) -> None:
        super().__init__(message, hint)
        self.status = status


class _Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT)
        self.sock.connect(self._path)


class Stream:
    """The body of an answer, read once. OSError when it breaks before its end."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self._connection, self._answer = connection, answer

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; empty at the end."""
        try:
            data = self._answer.read(size if size >= 0 else None)
        except _BROKEN as error:
            raise OSError("the engine's answer broke off") from error
        if size and not data and self._answer.length:  # it is silent about a body that is cut (CPython, HTTPResponse)
            raise OSError("the engine's answer broke off")
        return data

    def close(self) -> None:
        """Hang up."""
        self._answer.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Log:
    """A container's output as one stream, what it wrote to stdout before what it wrote to stderr. Read it, or call it:
    `log(n)` is `log.read(n)`. Look at `cut` at its end."""

    def __init__(self, streams: Iterator[Stream], framed: bool, limit: int) -> None:
        self._streams, self._framed, self._left = streams, framed, limit
        self._stream: Stream | None = None
        self._frame = 0
        self.cut = False
        """Whether there was more than the limit."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; empty at its end, or at the limit. OSError when it breaks."""
        while True:
            if self._stream is None:
                self._stream = next(self._streams, None)
                if self._stream is None:
                    return b""
            data = self._some(self._stream, size)
            if data and not self._left:
                self.cut = True
                self.close()
                return b""
            if data:
                self.cut = len(data) > self._left
                data = data[:self._left]
                self._left -= len(data)
                return data
            self._stream.close()
            self._stream = None

    __call__ = read

    def _some(self, stream: Stream, size: int) -> bytes:
        if not self._framed:
            return stream.read(size)
        while not self._frame:
            header = _exactly(stream, 8)
            if not header:
                return b""
            if len(header) < 8:
                raise OSError("the engine's log ends inside of an entry")
            self._frame = struct.unpack(">4xI", header)[0]
        data = stream.read(min(size, self._frame))
        if not data:
            raise OSError("the engine's log ends inside of an entry")
        self._frame -= len(data)
        return data

    def close(self) -> None:
        """Hang up."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._streams = iter(())


def _exactly(stream: Stream, size: int) -> bytes:
    data = b""
    while len(data) < size and (got := stream.read(size - len(data))):
        data += got
    return data


@dataclass(frozen=True)
class Engine:
    """One engine. Nothing is kept open between calls."""

    address: Address
    name: str = "docker"

    @classmethod
    def of(cls, url: str, name: str = "docker", certificates: str = "") -> Engine:
        """The engine at an address. UsageError when that may not be spoken to."""
        address = Address(url, certificates)
        if fault := address.fault():
            raise UsageError(f"the engine's address {fault}", "use unix:///path/of/the.sock")
        return cls(address, name)

    def answers(self) -> bool:
        """Whether an engine is there."""
        try:
            with self._get("/_ping") as stream:
                stream.read(64)
        except (ClawError, OSError):
            return False
        return True

    def images(self) -> list[dict[str, Any]]:
        """Every image with a name, as `GET /images/json` lists them."""
        return self._list("/images/json")

    def containers(self) -> list[dict[str, Any]]:
        """Every container, running or not, as `GET /containers/json` lists them."""
        return self._list("/containers/json", all="1")

    def inspect(self, container: str) -> dict[str, Any]:
        """All about one container. NotFound."""
        return self._one(f"/containers/{quote(container, safe='')}/json")

    def image(self, name: str) -> dict[str, Any]:
        """All about one image. NotFound."""
        return self._one(f"/images/{quote(name, safe='/:@')}/json")

    def history(self, name: str) -> list[dict[str, Any]]:
        """How an image was made, the newest step first. NotFound."""
        return self._list(f"/images/{quote(name, safe='/:@')}/history")

    def save(self, names: Sequence[str]) -> Stream:
        """Images as one tar stream (`docker save`). NotFound."""
        if self.name == "podman" and len(names) == 1:  # its compatible API knows this form for short names, too
            return self._get(f"/images/{quote(names[0], safe='/:@')}/get")
        return self._get("/images/get", [("names", name) for name in names])

    def logs(self, container: str, limit: int = MAX_LOG) -> Log:
        """At most `limit` bytes of what it wrote. NotFound."""
        config = self.inspect(container).get("Config")
        terminal = isinstance(config, dict) and config.get("Tty") is True
        path = f"/containers/{quote(container, safe='')}/logs"
        wanted = [{"stdout": "1", "stderr": "1"}] if terminal else [{"stdout": "1"}, {"stderr": "1"}]
        return Log((self._get(path, list(query.items())) for query in wanted), not terminal, limit)

    def _list(self, path: str, **query: str) -> list[dict[str, Any]]:
        value = self._json(path, **query)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._strange()
        return value

    def _one(self, path: str) -> dict[str, Any]:
        value = self._json(path)
        if not isinstance(value, dict):
            raise self._strange()
        return value

    def _json(self, path: str, **query: str) -> Any:
        with self._get(path, list(query.items())) as stream:
            return self.parsed(stream)

    def parsed(self, stream: Stream) -> Any:
        """The JSON of an answer. Incomplete."""
        parts, size = [], 0
        try:
            while data := stream.read(_CHUNK):
                parts.append(data)
                size += len(data)
                if size > MAX_JSON:
                    raise self._strange()
            return json.loads(b"".join(parts))
        except (ValueError, RecursionError):
            raise self._strange() from None
        except OSError as error:
            raise Incomplete(f"{self.name}: {error}", "try again") from None

    def _strange(self) -> Incomplete:
        return Incomplete(f"{self.name}: the engine's answer makes no sense", "check what listens at its address")

    def _get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Stream:
        return self.ask("GET", path, query)

    def ask(self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: bytes | None = None,
            silence: float = SILENCE) -> Stream:
        """One request; its answer. `body` is JSON. NotFound; Answered for another status; Incomplete."""
        connection = self._connection()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, f"{path}?{urlencode(query)}" if query else path, body, headers)
            if connection.sock is not None:
                connection.sock.settimeout(silence)
            answer = connection.getresponse()
        except _BROKEN as error:
            connection.close()
            raise Incomplete(f"{self.name}: {_why(error)}", _what_to_do(error, self.name)) from None
        if answer.status < http.client.MULTIPLE_CHOICES:
            return Stream(connection, answer)
        connection.close()
        if answer.status == http.client.NOT_FOUND:
            raise NotFound(f"{self.name} has no such image or container", f"see `{self.name} images`")
        raise Answered(f"{self.name}: the engine answered with status {answer.status}", "see the engine's own log",
                       answer.status)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.address.url)
        if parts.scheme == "unix":
            return _Unix(parts.path)
        assert parts.hostname and parts.port
        if not self.address.certificates:
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=CONNECT)
        folder = self.address.certificates
        try:
            context = ssl.create_default_context(cafile=os.path.join(folder, "ca.pem"))
            context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
        except OSError:
            raise UsageError("the engine's TLS certificates cannot be read", "check DOCKER_CERT_PATH") from None
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=CONNECT, context=context)


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return "no engine listens there"
    if isinstance(error, PermissionError):
        return "its socket may not be opened by this user"
    if isinstance(error, TimeoutError):
        return "the engine does not answer"
    return "the connection to the engine broke"


def _what_to_do(error: Exception, name: str) -> str:
    if isinstance(error, PermissionError):
        return f"run as a user who may use {name}, or give the image as a file: {name} save NAME -o image.tar"
    return f"start {name}, or set {'CONTAINER_HOST' if name == 'podman' else 'DOCKER_HOST'} to its socket"
