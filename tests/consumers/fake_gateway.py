"""A small OpenClaw gateway in this process: the frames of the real one (tests/real), and levers for what may go wrong.

What it answers was recorded from openclaw@2026.9.6.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

REDACTED = "__OPENCLAW_REDACTED__"
Lever = Callable[[], dict[str, Any] | None]


@dataclass
class FakeGateway:
    """`bundle` is what its resolver would give now; `held` the active snapshot, field by field."""

    refs: dict[str, str] = field(default_factory=dict)
    """Configuration field -> secret name."""
    bundle: dict[str, str] = field(default_factory=dict)
    token: str = "token-old"
    token_ref: str = "openclaw-gateway-token"
    unreadable: set[str] = field(default_factory=set)
    """Fields that secrets.resolve does not know."""
    owners: list[dict[str, Any]] = field(default_factory=list)
    channels: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    memory_provider: str = ""
    """Of the default agent's memory search; empty: nothing searches."""
    memory: dict[str, Any] | None = None
    """`memory.search` of its configuration; None: it names `memory_provider`."""
    scopes: list[str] = field(default_factory=lambda: ["operator.admin"])
    open_door: bool = False
    """gateway.auth.mode none: everybody is let in."""
    starting: bool = False
    stale_reloads: int = 0
    """So many reloads answer OK without reading anew (they joined one that was under way)."""
    on_reload: Lever | None = None
    """Called before a reload: an error to answer; None goes on; `Drop` raised ends the connection."""
    from_environment: set[str] = field(default_factory=set)
    """Fields whose ref is to the environment: a reload does not change them."""
    restart_mark: Path | None = None
    """Where a file that somebody made starts it anew (before the next one enters)."""
    began: float = field(default_factory=time.time)
    reloads: int = 0
    held: dict[str, str] = field(default_factory=dict)
    seen_tokens: list[str] = field(default_factory=list)
    _server: Server | None = None

    def __enter__(self) -> Self:
        self.held = {path: self.bundle[name] for path, name in self.refs.items() if name in self.bundle}
        self._server = serve(self._serve, "127.0.0.1", 0, compression=None)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self._server is not None
        self._server.shutdown()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def _serve(self, socket: ServerConnection) -> None:
        try:
            socket.send(json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}}))
            entered = ""
            for text in socket:
                frame = json.loads(text)
                if frame["method"] == "connect":
                    entered = self._connect(socket, frame)
                    if not entered:
                        return
                    continue
                self._reply(socket, frame, self._call(frame["method"], frame["params"]))
                if entered != self.token and not self.open_door:
                    socket.close(4001, "gateway auth changed")
                    return
        except (ConnectionClosed, Drop):
            socket.close(1012, "service restart")

    def _connect(self, socket: ServerConnection, frame: dict[str, Any]) -> str:
        if self.restart_mark is not None and self.restart_mark.exists():
            self.restart_mark.unlink()
            self.began = time.time()
            self._read(self.refs)
        auth = frame["params"]["auth"]
        given = str(auth.get("token") or auth.get("password") or "")
        self.seen_tokens.append(given)
        if self.starting:
            self._reply(socket, frame, _error("UNAVAILABLE", "gateway starting; retry shortly", retry=500,
                                              details={"reason": "startup-sidecars"}))
            socket.close(1013, "gateway starting")
            return ""
        if given != self.token and not self.open_door:
            message = "unauthorized: gateway token mismatch (provide gateway auth token)"
            self._reply(socket, frame, _error("INVALID_REQUEST", message, details={"code": "AUTH_TOKEN_MISMATCH"}))
            socket.close(1008, message)
            return ""
        hello = {"type": "hello-ok", "protocol": 4, "auth": {"role": "operator", "scopes": self.scopes},
                 "snapshot": {"uptimeMs": round((time.time() - self.began) * 1000)}}
        self._reply(socket, frame, {"ok": True, "payload": hello})
        return given

    @staticmethod
    def _reply(socket: ServerConnection, frame: dict[str, Any], answer: dict[str, Any]) -> None:
        socket.send(json.dumps({"type": "event", "event": "tick", "payload": {}}))
        socket.send(json.dumps({"type": "res", "id": frame["id"], **answer}))

    def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if "operator.admin" not in self.scopes:
            return _error("FORBIDDEN", "missing scope: operator.admin")
        if method == "secrets.reload":
            return self._reload()
        if method == "secrets.resolve":
            return self._resolve(params)
        answers: dict[str, dict[str, Any]] = {
            "config.get": {"sourceConfig": self._config()},
            "status": {"degradedSecretOwners": self.owners},
            "channels.status": {
                "channelAccounts": self.channels,
                "channelDefaultAccountId": {name: "default" for name in self.channels},
            },
            "doctor.memory.status": {"agentId": "main", "provider": self.memory_provider} if self.memory_provider else
            {"agentId": "main", "embedding": {"ok": False, "error": "memory plugin unavailable"}},
        }
        if method not in answers:
            return _error("INVALID_REQUEST", f"unknown method: {method}")
        return {"ok": True, "payload": answers[method]}

    def _reload(self) -> dict[str, Any]:
        self.reloads += 1
        error = self.on_reload() if self.on_reload else None
        if error is not None:
            return error
        if self.stale_reloads:
            self.stale_reloads -= 1
        else:
            self._read(set(self.refs) - self.from_environment)
            self.token = self.bundle.get(self.token_ref, self.token)
        return {"ok": True, "payload": {"ok": True, "warningCount": 0}}

    def _read(self, paths: Iterable[str]) -> None:
        self.held.update({path: self.bundle[self.refs[path]] for path in paths if self.refs[path] in self.bundle})

    def _resolve(self, params: dict[str, Any]) -> dict[str, Any]:
        (path,), (target,) = params["allowedPaths"], params["targetIds"]
        if path in self.unreadable or target != self._target(path):
            return _error("INVALID_REQUEST", f'invalid secrets.resolve params: unknown target id "{target}"')
        rows = [{"path": path, "pathSegments": path.split("."), "value": self.held[path]}] if path in self.held else []
        return {"ok": True, "payload": {"ok": True, "assignments": rows, "diagnostics": [], "inactiveRefPaths": []}}

    @staticmethod
    def _target(path: str) -> str:
        """The registry's id of a field: names that people choose become `*`."""
        parts = path.split(".")
        for container in (["models", "providers"], ["skills", "entries"]):
            if parts[:2] == container:
                parts[2] = "*"
        if parts[0] == "channels" and "accounts" in parts:
            parts[parts.index("accounts") + 1] = "*"
        return ".".join(parts)

    def _config(self) -> dict[str, Any]:
        ref = {"source": "exec", "provider": "clawsecrets", "id": REDACTED}
        config: dict[str, Any] = {"secrets": {"providers": {"clawsecrets": {"source": REDACTED, "args": []}}}}
        for path in self.refs:
            node, (*way, last) = config, path.split(".")
            for name in way:
                node = node.setdefault(name, {})
            node[last] = {**ref, "source": "env" if path in self.from_environment else "exec"}
        if self.memory_provider:
            search = {"provider": self.memory_provider} if self.memory is None else self.memory
            config.setdefault("memory", {}).setdefault("search", {}).update(search)
        return config


class Drop(Exception):
    """Raised by a lever: the connection ends without a reply."""


def _error(code: str, message: str, *, retry: int = 0, details: dict[str, Any] | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message, "details": details or {}}
    if retry:
        error.update(retryable=True, retryAfterMs=retry)
    return {"ok": False, "error": error}


def failed_reload() -> dict[str, Any]:
    """What the real one answers when the resolver fails."""
    return _error("UNAVAILABLE", "secrets.reload failed")


def drop() -> dict[str, Any]:
    """A lever: no reply comes."""
    raise Drop
