"""What changes something at a container engine: restart, signal, exec; Swarm's secrets and services.

Over the Engine's own small HTTP client and not the `docker` SDK: the SDK builds a service's specification anew from the
fields that it knows and drops the others, and its errors carry the engine's words. Here a specification is sent back as
it was read, with one list in it replaced. A value is sent in a request's body and nowhere else.

Errors as Engine's: Incomplete (Answered with the status), NotFound.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from clawsecrets.clients.docker import Engine, Stream
from clawsecrets.clients.docker_address import candidates
from clawsecrets.errors import Incomplete
from clawsecrets.model.secret import SecretValue

SILENCE = 120.0
"""Seconds in which the engine may say nothing."""
MAX_OUTPUT = 1 << 20
"""Bytes of what a command in a container prints."""
GONE = (404, 304)


@dataclass(frozen=True)
class Control:
    """One engine, to act on. `silence`: seconds."""

    engine: Engine
    silence: float = SILENCE

    @classmethod
    def of(cls, url: str = "", environ: Mapping[str, str] = os.environ) -> Control:
        """The engine at an address; without one, the one that Docker's own variables and context name, else the usual
        socket. UsageError when it may not be spoken to."""
        if url:
            return cls(Engine.of(url, "podman" if "podman" in url else "docker"))
        first = candidates(environ, "docker")[0]
        return cls(Engine.of(first.address.url, first.engine, first.address.certificates))

    @property
    def local(self) -> bool:
        """Whether it is reached by a socket of this host, so that its processes may be this host's."""
        return self.engine.address.url.startswith("unix:")

    # --- containers -------------------------------------------------------------------------------------------------

    def inspect(self, container: str) -> dict[str, Any]:
        """All about one container. NotFound."""
        return self.engine.inspect(container)

    def restart(self, container: str, patience: int) -> None:
        """Stop it (killed after `patience` seconds) and start it."""
        self._post(f"/containers/{_word(container)}/restart", {"t": str(patience)}, silence=self.silence + patience)

    def kill(self, container: str, signal: str) -> None:
        """Send its main process a signal, by name (`HUP`)."""
        self._post(f"/containers/{_word(container)}/kill", {"signal": signal})

    def run_inside(self, container: str, words: Sequence[str]) -> tuple[int, bytes]:
        """Run a command in it; its exit code, and what it wrote to standard output."""
        asked = {"AttachStdout": True, "Cmd": list(words)}
        made = self._object(self._ask("POST", f"/containers/{_word(container)}/exec", body=asked))
        path = f"/exec/{_word(str(made.get('Id')))}"
        with self._ask("POST", f"{path}/start", body={"Detach": False, "Tty": False}) as stream:
            output = _unframed(stream)
        code = self._object(self._ask("GET", f"{path}/json")).get("ExitCode")
        return (code if isinstance(code, int) else -1), output

    # --- Swarm ------------------------------------------------------------------------------------------------------

    def node(self) -> str:
        """The id of this node in its swarm; empty when the engine is no active member."""
        swarm = self._object(self._ask("GET", "/info")).get("Swarm")
        if not isinstance(swarm, dict) or swarm.get("LocalNodeState") != "active":
            return ""
        return str(swarm.get("NodeID", ""))

    def secrets(self, label: str) -> list[dict[str, Any]]:
        """The secrets that carry `label` (name=value); the values themselves are never given out."""
        return self._list("/secrets", {"filters": json.dumps({"label": [label]})})

    def create_secret(self, name: str, value: SecretValue, labels: Mapping[str, str]) -> str:
        """Its id. Answered with 409 when the name is taken."""
        data = base64.b64encode(value.reveal()).decode()
        made = self._ask("POST", "/secrets/create", body={"Name": name, "Data": data, "Labels": dict(labels)})
        return str(self._object(made).get("ID", ""))

    def remove_secret(self, ident: str) -> bool:
        """Whether it is gone; False while something uses it."""
        try:
            self._ask("DELETE", f"/secrets/{_word(ident)}").close()
        except Incomplete as error:
            if getattr(error, "status", 0) in (400, 409):
                return False
            raise
        return True

    def service(self, name: str) -> dict[str, Any]:
        """All about one service. NotFound."""
        return self._object(self._ask("GET", f"/services/{_word(name)}"))

    def services(self) -> list[dict[str, Any]]:
        """Every service."""
        return self._list("/services", {})

    def update_service(self, ident: str, index: int, spec: Mapping[str, Any], *, back: bool = False) -> None:
        """Replace its specification. Answered when another did so since `index`. `back`: to its previous one."""
        query = {"version": str(index), **({"rollback": "previous"} if back else {})}
        self._post(f"/services/{_word(ident)}/update", query, dict(spec))

    def tasks(self, service: str) -> list[dict[str, Any]]:
        """The tasks of a service, ended ones too."""
        return self._list("/tasks", {"filters": json.dumps({"service": [service]})})

    # --- requests ---------------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None,
             silence: float = 0.0) -> Stream:
        data = json.dumps(body).encode() if body is not None else None
        return self.engine.ask(method, path, list((query or {}).items()), data, silence or self.silence)

    def _post(self, path: str, query: Mapping[str, str], body: object = None, silence: float = 0.0) -> None:
        with self._ask("POST", path, query, body, silence) as stream:
            stream.read(MAX_OUTPUT)

    def _object(self, stream: Stream) -> dict[str, Any]:
        with stream:
            value = self.engine.parsed(stream)
        if not isinstance(value, dict):
            raise Incomplete(f"{self.engine.name}: the engine's answer makes no sense", "check what listens there")
        return value

    def _list(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        with self._ask("GET", path, query) as stream:
            value = self.engine.parsed(stream)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise Incomplete(f"{self.engine.name}: the engine's answer makes no sense", "check what listens there")
        return value


def _word(text: str) -> str:
    return quote(text, safe="")


def _unframed(stream: Stream) -> bytes:
    """Standard output out of the engine's frames. Incomplete when it is cut, or longer than MAX_OUTPUT."""
    data = b""
    try:
        while chunk := stream.read(1 << 16):
            data += chunk
            if len(data) > 2 * MAX_OUTPUT:
                raise OSError("too long")
    except OSError:
        raise Incomplete("the container's answer broke off, or is too long", "try again") from None
    output, at = b"", 0
    while at + 8 <= len(data):
        kind, size = struct.unpack(">B3xI", data[at:at + 8])
        output += data[at + 8:at + 8 + size] if kind == 1 else b""
        at += 8 + size
    return output
