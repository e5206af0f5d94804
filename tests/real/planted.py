"""A real OpenClaw with made-up credentials wherever it keeps some, and services on loopback that see which it uses.

Not a test file: tests import it.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import secrets
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.real.deployment import SCRIPT
from tests.real.openclaw import Gateway, merged
from tests.waiting import LONG

MCP_SERVER = """#!{python}
import hashlib, json, os, sys
with open({seen!r}, "w") as file:
    file.write(hashlib.sha256(os.environ["GITHUB_TOKEN"].encode()).hexdigest())
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        result = {{"tools": []}}
        if asked["method"] == "initialize":
            result = {{"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {{"tools": {{}}}},
                      "serverInfo": {{"name": "gh", "version": "1"}}}}
        print(json.dumps({{"jsonrpc": "2.0", "id": asked["id"], "result": result}}), flush=True)
"""
"""A tool server that OpenClaw starts; it notes which token it was given, as a digest."""


class Seen:
    """An HTTP server that plays Telegram and a model provider, and notes which credentials it is shown."""

    def __init__(self) -> None:  # noqa: C901 (one handler, a method for each kind of request)
        self.keys: list[str] = []
        seen = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if "/bot" in self.path:
                    seen.keys.append(self.path.partition("/bot")[2].partition("/")[0])
                    self._telegram()
                    return
                seen.keys += [self.headers.get("authorization", ""), self.headers.get("x-api-key", "")]
                self._model(body)

            do_GET = do_POST

            def _telegram(self) -> None:
                method = self.path.rpartition("/")[2].partition("?")[0].lower()
                result: Any = True
                if method == "getme":
                    result = {"id": 1, "is_bot": True, "first_name": "b", "username": "b_bot"}
                elif method == "getupdates":
                    seen.over.wait(1.0)
                    result = []
                elif method == "getwebhookinfo":
                    result = {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
                self._json({"ok": True, "result": result})

            def _model(self, body: bytes) -> None:
                if b'"stream":true' not in body.replace(b" ", b""):
                    self._json({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                        {"index": 0, "message": {"role": "assistant", "content": "well"}, "finish_reason": "stop"}]})
                    return
                chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
                parts = [{"index": 0, "delta": {"role": "assistant", "content": "well"}, "finish_reason": None},
                         {"index": 0, "delta": {}, "finish_reason": "stop"}]
                text = "".join(f"data: {json.dumps({**chunk, 'choices': [part]})}\n\n" for part in parts)
                self._send((text + "data: [DONE]\n\n").encode(), "text/event-stream")

            def _json(self, answer: Any) -> None:
                self._send(json.dumps(answer).encode(), "application/json")

            def _send(self, data: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.over = threading.Event()
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a gateway that was stopped

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


def value(word: str) -> str:
    return f"{word}-{secrets.token_hex(14)}"


class Planted:
    """The deployment (its gateway is not started) and a clawsecrets of its own. `planted`: what stands where."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.planted: dict[str, str] = {}
        self.gateway = Gateway({}, plugins=True)
        self.mcp_seen, self.mcp_server = self.gateway.base / "mcp-seen", self.gateway.base / "mcp-server"
        self.mcp_server.write_text(MCP_SERVER.format(python=sys.executable, seen=str(self.mcp_seen)))
        self.mcp_server.chmod(0o755)
        self.gateway.write_config(merged(json.loads(self.gateway.config_path.read_text()), self._config()))
        self.base, self.state = self.gateway.base, self.gateway.state_dir
        self.home = self.base / "clawsecrets"
        self._env()
        (self.state / "parts").mkdir(mode=0o700)
        talk = self.state / "parts/talk.json5"
        talk.touch(0o600)
        talk.write_text(f"{{ // included\n  providers: {{openai: {{apiKey: '{self.plant('talk')}'}}}},\n}}\n")

    def plant(self, where: str, word: str = "") -> str:
        return self.planted.setdefault(where, word or value("planted"))

    def _config(self) -> dict[str, Any]:
        plant = self.plant
        model = {"baseUrl": f"{self.seen.url}/v1", "api": "openai-completions",
                 "apiKey": plant("model key"), "headers": {"X-Api-Key": plant("model header")},
                 "models": [{"id": "m", "name": "m"}]}
        spare = {key: model[key] for key in ("baseUrl", "api", "models")}  # its key is in an auth profile
        bot = {"enabled": True, "botToken": plant("telegram", f"1234567890:AA{secrets.token_hex(16)}x"),
               "apiRoot": self.seen.url, "accounts": {"ops": {
                   "enabled": True, "botToken": plant("telegram ops", f"1234567891:AA{secrets.token_hex(16)}x"),
                   "webhookSecret": plant("webhook ops")}}}
        return {
            "gateway": {"auth": {"mode": "token", "token": plant("gateway token")},
                        "port": self.gateway.port,
                        "remote": {"token": plant("remote token"), "password": plant("remote password")},
                        "controlUi": {"github": {"token": plant("control ui")}},
                        "http": {"endpoints": {"chatCompletions": {"enabled": True}}}},
            "models": {"providers": {"fake": model, "spare": spare}},
            "agents": {"defaults": {"model": {"primary": "fake/m"},
                                    "sandbox": {"ssh": {"identityData": plant("identity", _key())}}}},
            "skills": {"entries": {"goplaces": {"enabled": True, "apiKey": plant("skill")}}},
            "channels": {"telegram": bot},
            "hooks": {"enabled": True, "path": "/hooks", "token": plant("hooks token")},
            "mcp": {"servers": {"gh": {"command": str(self.mcp_server), "env": {"GITHUB_TOKEN": plant("mcp env"),
                                                                        "GITHUB_HOST": "example.test"}},
                                "web": {"url": f"{self.seen.url}/mcp",
                                        "headers": {"Authorization": f"Bearer {plant('mcp header')}"}}}},
            "cron": {"webhookToken": plant("cron")},
            "memory": {"search": {"remote": {"apiKey": plant("memory")}}},
            "talk": {"$include": "./parts/talk.json5"},
            "tts": {"providers": {"openai": {"apiKey": plant("tts")}}},
            "tools": {"media": {"audio": {"request": {"auth": {"mode": "authorization-bearer",
                                                                 "token": plant("media")}}}}},
            "plugins": {"entries": {"xai": {"enabled": True, "config": {"webSearch": {"apiKey": plant("xai")}}},
                                    "google": {"enabled": True, "config": {"webSearch": {"apiKey": plant("google")}}}}},
        }

    def _env(self) -> None:
        plant = self.plant
        lines = [f"OPENAI_API_KEY={plant('env openai', 'sk-proj-' + secrets.token_hex(24))}",
                 f"ANTHROPIC_API_KEY='{plant('env anthropic', 'sk-ant-api03-' + secrets.token_hex(44) + 'AA')}'",
                 f"export MY_SERVICE_TOKEN=\"{plant('env of a tool')}\"", "# a comment stays", "TZ=Europe/Berlin",
                 f"GEMINI_API_KEY={plant('env gemini')}", f"XAI_API_KEY={plant('env xai')}"]
        path = self.state / ".env"
        path.touch(0o600)
        path.write_text("\n".join(lines) + "\n")

    def age(self) -> None:
        """What a deployment gets by being used: databases with auth profiles, backups, logs."""
        self.gateway.cli("config", "set", "logging.level", "info")
        key = self.plant("auth profile", "sk-ant-api03-" + secrets.token_hex(44) + "AA")
        profile = {"type": "api_key", "provider": "anthropic", "key": key}
        spare = {"type": "api_key", "provider": "spare", "key": self.plant("spare profile", value("sk-spare"))}
        text = json.dumps({"version": 1, "profiles": {"anthropic:manual": profile, "spare:manual": spare}})
        with contextlib.closing(sqlite3.connect(self.state / "state/openclaw.sqlite")) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO config_machine_state (state_key, value_json, updated_at_ms) "
                               "VALUES ('authProfiles.store', ?, 1)", (text,))
        for name in ("openclaw.json.bak", "openclaw.json.bak.1", "openclaw.json.last-good",
                     "openclaw.json.clobbered.2026-01-01T00-00-00Z"):
            (self.state / name).write_bytes(self.gateway.config_path.read_bytes())
        (self.state / "logs").mkdir(exist_ok=True)
        (self.state / "logs/old.log").write_text(f"started with {self.planted['hooks token']}\n")

    def profile_of_agent(self, path: Path) -> None:
        """One in an agent's own database."""
        profile = {"type": "api_key", "provider": "groq", "key": self.plant(f"agent profile {path.parent.parent.name}")}
        text = json.dumps({"version": 1, "profiles": {"groq:manual": profile}})
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO auth_profile_store (store_key, store_json, updated_at) "
                               "VALUES ('primary', ?, 1)", (text,))

    # --- used ---------------------------------------------------------------------------------------------------------

    def chat(self, model: str = "fake/m") -> str:
        """One question to the agent over HTTP, answered by the fake provider."""
        return self._post("/v1/chat/completions", self.planted["gateway token"],
                          {"model": "openclaw", "messages": [{"role": "user", "content": "how are you?"}]},
                          {"x-openclaw-model": model})

    def mcp_token(self) -> str:
        """A digest of what the tool server was last started with; empty: it was not."""
        return self.mcp_seen.read_text() if self.mcp_seen.exists() else ""

    def hook(self, token: str) -> int:
        """The status that a hook is answered with."""
        try:
            self._post("/hooks/wake", token, {"text": "hello", "mode": "next-heartbeat"})
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def _post(self, path: str, token: str, body: Any, more: Mapping[str, str] | None = None) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.gateway.port}{path}", json.dumps(body).encode(), {
            "Content-Type": "application/json", "Authorization": f"Bearer {token}", **(more or {})})
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            return answer.read().decode()

    def wait_seen(self, key: str, since: int = 0) -> bool:
        """Whether the services come to see this credential."""
        end = time.monotonic() + LONG
        while time.monotonic() < end:
            if any(key in one for one in self.seen.keys[since:]):
                return True
            time.sleep(0.1)
        return False

    # --- clawsecrets --------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        return {**self.gateway.environment(), "PATH": f"{SCRIPT.parent}:{self.gateway.environment()['PATH']}",
                "CLAWSECRETS_HOME": str(self.home), "LC_ALL": "C.UTF-8"}

    @property
    def openclaw(self) -> str:
        return " ".join(self.gateway._openclaw())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.gateway.close()
        self.seen.close()


def _key() -> str:
    body = "\n".join(secrets.token_urlsafe(48) for _ in range(5))
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"  # gitleaks:allow
