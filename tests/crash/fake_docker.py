"""A small container engine at a unix socket: the requests that clawsecrets makes of Docker, answered as Docker does.

Containers are folders (`containers/ID/` with `service`, `env`, `mounts`, `files/`), so that the stand-in for Compose
(stands.py) makes and removes them as the real one does, by itself. What a container holds is what the kernel gives a
real one: its environment is of the moment when it was made, a single mounted file of when it was last started, a
mounted folder is looked through. Swarm: secrets are immutable and are not removed while a service refers to them; a
service takes an update only at the version that it has, and replaces its task some looks later; the task that was
replaced serves for some looks more, as under `--update-order start-first`.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import socketserver
import struct
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NODE = "node-1"
LOOKS = 2
"""Looks at a service that is being updated until its task is replaced."""
SERVES = 5
"""Looks at the tasks in which one that was replaced still serves: more than a rotation makes that does not wait."""


@dataclass
class Service:
    """A service of one task."""

    name: str
    spec: dict[str, Any]
    index: int = 1
    previous: dict[str, Any] | None = None
    looks: int = 0
    container: str = ""
    leaving: str = ""
    """The container of a task that was replaced and has not ended."""
    ends: int = 0
    """Looks at the tasks until it has."""


@dataclass
class FakeDocker:
    """`folder` holds its socket (`docker.sock`) and its containers."""

    folder: Path
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    commands: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _server: socketserver.ThreadingUnixStreamServer | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'docker.sock'}"

    def __enter__(self) -> Self:
        for name in ("containers", "making", "gone"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        it = self

        class Handler(_Handler):
            engine = it

        self._server = _Server(str(self.folder / "docker.sock"), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    # --- containers -------------------------------------------------------------------------------------------------

    def add(self, name: str, env: bytes = b"", mounts: Mapping[str, Path] | None = None) -> str:
        """A container that runs: `mounts` are folders or single files, by their place inside."""
        ident = secrets.token_hex(16)
        home = self.folder / "containers" / ident
        (home / "files").mkdir(parents=True)
        (home / "service").write_text(name)
        (home / "env").write_bytes(env)
        (home / "mounts").write_text("".join(f"{there} {here}\n" for there, here in (mounts or {}).items()))
        self._start(home)
        return ident

    def of(self, name: str) -> list[Path]:
        """The containers of a service, or of that name."""
        homes = (self.folder / "containers").iterdir()
        return [home for home in homes if (home / "service").read_text().strip() == name]

    def all(self) -> list[str]:
        """The services of all containers, half made ones too."""
        return sorted((home / "service").read_text().strip() for kind in ("containers", "making")
                      for home in (self.folder / kind).iterdir() if (home / "service").exists())

    def read(self, home: Path, path: str) -> bytes | None:
        """What a process in it reads there. None: no such file."""
        if path == "/proc/1/environ":
            lines = (home / "env").read_bytes().splitlines()
            return b"\0".join(line for line in lines if line and not line.startswith(b"#"))
        for there, here in self._mounts(home).items():
            if path.startswith(f"{there}/") and (here / path[len(there) + 1:]).is_file():
                return (here / path[len(there) + 1:]).read_bytes()
        copy = home / "files" / path.replace("/", "_")
        return copy.read_bytes() if copy.is_file() else None

    def _mounts(self, home: Path) -> dict[str, Path]:
        file = home / "mounts"
        pairs = (line.split(" ", 1) for line in file.read_text().splitlines()) if file.exists() else ()
        return {there: Path(here) for there, here in pairs}

    def _start(self, home: Path) -> None:
        """Mounts are made anew: from now on it sees the single files that stand there now."""
        for there, here in self._mounts(home).items():
            if here.is_file():
                shutil.copyfile(here, home / "files" / there.replace("/", "_"))

    # --- Swarm ------------------------------------------------------------------------------------------------------

    def make_service(self, name: str) -> None:
        """A service of one task without secrets."""
        spec = {"Name": name, "Mode": {"Replicated": {"Replicas": 1}}, "Labels": {"kept": "yes"},
                "TaskTemplate": {"ContainerSpec": {"Image": "base:1"}}}
        self.services[name] = Service(name, spec)
        self._replace(self.services[name])

    def _replace(self, service: Service) -> None:
        """A task with the present secrets begins, and the one before is told to end."""
        self._end(service)
        service.leaving, service.looks, service.ends = service.container, 0, SERVES
        service.container = self.add(f"task of {service.name}")
        home = self.folder / "containers" / service.container
        for ref in refs(service.spec):
            (home / "files" / f"_run_secrets_{ref['File']['Name']}").write_bytes(
                base64.b64decode(self.secrets[ref["SecretID"]]["Data"]))

    def _end(self, service: Service) -> None:
        if service.leaving:
            shutil.rmtree(self.folder / "containers" / service.leaving)
        service.leaving = ""

    def look(self, service: Service) -> dict[str, Any]:
        """The service as Docker shows it; each look brings an update on."""
        state = "completed"
        if service.looks:
            service.looks -= 1
            state = "updating"
            if not service.looks:
                self._replace(service)
        return {"ID": service.name, "Version": {"Index": service.index}, "Spec": service.spec,
                "UpdateStatus": {"State": state}}

    def update(self, service: Service, spec: dict[str, Any]) -> None:
        """Another specification; its task is replaced some looks later."""
        service.previous, service.spec = service.spec, spec
        service.index += 1
        service.looks = LOOKS

    def tasks(self, service: Service) -> list[dict[str, Any]]:
        """Its task, with the secrets of the specification that it was made for, and the one that is ending."""
        spec = service.previous if service.looks and service.previous else service.spec
        found = [_task(service, service.container, "running", spec)]
        if service.leaving and service.previous:
            found.append(_task(service, service.leaving, "shutdown", service.previous))
            service.ends -= 1
            if not service.ends:
                self._end(service)
        return found


def _task(service: Service, container: str, wanted: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"ID": f"{service.name}-{container}", "NodeID": NODE, "DesiredState": wanted, "Spec": spec["TaskTemplate"],
            "Status": {"State": "running", "ContainerStatus": {"ContainerID": container}}}


def refs(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The secrets that a service's specification refers to."""
    return spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or []


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no fault of ours."""


class _Handler(BaseHTTPRequestHandler):
    engine: FakeDocker
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._act()

    def do_POST(self) -> None:
        self._act()

    def do_DELETE(self) -> None:
        self._act()

    def _act(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        words = [urllib.parse.unquote(word) for word in url.path.strip("/").split("/")]
        query = {key: text[0] for key, text in urllib.parse.parse_qs(url.query).items()}
        with self.engine.lock:
            try:
                self._answer(*_Acts(self.engine, query, json.loads(body or b"null")).act(self.command, words))
            except LookupError:
                self._answer(404, {"message": "no such thing"})

    def _answer(self, status: int, content: object) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True


@dataclass
class _Acts:
    """One request."""

    engine: FakeDocker
    query: dict[str, str]
    body: Any

    def act(self, method: str, words: list[str]) -> tuple[int, object]:
        """Status and content. LookupError: there is no such thing."""
        match method, words:
            case "GET", ["_ping"]:
                return 200, b"OK"
            case "GET", ["info"]:
                return 200, {"Swarm": {"LocalNodeState": "active", "NodeID": NODE}}
            case _, ["containers", ident, what]:
                return self._container(ident, what)
            case _, ["exec", ident, what]:
                return self._exec(ident, what)
            case _, ["secrets", *rest]:
                return self._secret(method, rest)
            case "GET", ["services", name]:
                return 200, self.engine.look(self.engine.services[name])
            case "POST", ["services", name, "update"]:
                return self._update(self.engine.services[name])
            case "GET", ["tasks"]:
                (name,) = json.loads(self.query["filters"])["service"]
                return 200, self.engine.tasks(self.engine.services[name])
        raise LookupError(words)

    def _home(self, ident: str) -> Path:
        home = self.engine.folder / "containers" / ident
        found = [home] if home.is_dir() else self.engine.of(ident)
        return found[0]

    def _container(self, ident: str, what: str) -> tuple[int, object]:
        home = self._home(ident)
        if what == "json":
            mounts = [{"Type": "bind", "Source": str(here), "Destination": there}
                      for there, here in self.engine._mounts(home).items()]
            state = {"Running": True, "Pid": 0, "StartedAt": "2026-01-01T00:00:00Z"}
            return 200, {"Id": home.name, "Name": f"/{(home / 'service').read_text().strip()}", "State": state,
                         "Mounts": mounts, "Config": {"Env": []}}
        if what == "restart":
            self.engine._start(home)
            return 204, b""
        if what == "kill":
            return 204, b""
        if what == "exec":
            made = secrets.token_hex(8)
            self.engine.commands[made] = (home.name, self.body["Cmd"])
            return 201, {"Id": made}
        raise LookupError(what)

    def _exec(self, ident: str, what: str) -> tuple[int, object]:
        container, words = self.engine.commands[ident]
        found = self.engine.read(self._home(container), words[-1])
        if what == "json":
            return 200, {"ExitCode": 1 if found is None else 0}
        data = found or b""
        return 200, struct.pack(">B3xI", 1, len(data)) + data

    def _secret(self, method: str, rest: list[str]) -> tuple[int, object]:
        held = self.engine.secrets
        if method == "GET":
            (label,) = json.loads(self.query["filters"])["label"]
            name, _, text = label.partition("=")
            return 200, [{"ID": ident, "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {
                "Name": one["Name"], "Labels": one["Labels"]}} for ident, one in held.items()
                if one["Labels"].get(name) == text]
        if method == "POST":
            if any(one["Name"] == self.body["Name"] for one in held.values()):
                return 409, {"message": "taken"}
            ident = secrets.token_hex(12)
            held[ident] = self.body
            return 201, {"ID": ident}
        used = {ref["SecretID"] for service in self.engine.services.values() for spec in (service.spec,)
                for ref in refs(spec)}
        if rest[0] in used:
            return 400, {"message": "in use"}
        del held[rest[0]]
        return 204, b""

    def _update(self, service: Service) -> tuple[int, object]:
        if int(self.query["version"]) != service.index:
            return 400, {"message": "update out of sequence"}
        back = self.query.get("rollback") == "previous"
        self.engine.update(service, service.previous if back and service.previous else self.body)
        return 200, {"Warnings": None}
