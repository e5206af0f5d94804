"""A small deployment: an openclaw.json with a backup, a .env and a database, and a stand-in for OpenClaw's commands."""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import string
import sys
from pathlib import Path

from tests import canary
from tests.cli.desk import Desk, Ran


def made(alphabet: str, count: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(count))


HEX, WORD = "0123456789abcdef", string.ascii_letters + string.digits
VALUES = {
    "gateway": made(HEX, 48),
    "model": "sk-proj-" + made(WORD, 32),
    "hooks": "hook-" + made(HEX, 32),
    "identity": "id-" + made(HEX, 32),
    "groq": "gsk_" + made(WORD, 52),
    "variable": "tool-" + made(HEX, 32),
    "profile": "sk-ant-api03-" + made(WORD, 93) + "AA",
}
"""Others in each process: adopting looks at the environments of this host's processes, those of other tests too."""
FAKE = [sys.executable, str(Path(__file__).with_name("fake_openclaw.py"))]
STEPS = ("capture", "bind", "apply", "set", "profiles", "purge", "prove")


class Small:
    """In a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.state = desk.root / "state"
        (self.state / "state").mkdir(parents=True)
        config = {
            "gateway": {"auth": {"mode": "token", "token": VALUES["gateway"]}, "port": 59},
            "models": {"providers": {"openai": {"apiKey": VALUES["model"], "baseUrl": "http://127.0.0.1:9/v1"}}},
            "hooks": {"enabled": True, "token": VALUES["hooks"]},
            "agents": {"defaults": {"sandbox": {"ssh": {"identityData": VALUES["identity"]}}}},
            "env": {"vars": {"GROQ_API_KEY": VALUES["groq"]}},
        }
        self.config = self.state / "openclaw.json"
        self.config.write_text(json.dumps(config))
        (self.state / "openclaw.json.bak.2").write_text(json.dumps(config))
        (self.state / "gateway.log").write_text(f"token {VALUES['gateway']} in use\n")
        (self.state / ".env").write_text(f"# kept\nMY_TOOL_TOKEN=\"{VALUES['variable']}\"\nTZ=UTC\n")
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE config_machine_state (state_key TEXT PRIMARY KEY, value_json TEXT)")
            connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT)")
            profile = {"type": "api_key", "provider": "anthropic", "key": VALUES["profile"]}
            connection.execute("INSERT INTO config_machine_state VALUES ('authProfiles.store', ?)",
                               (json.dumps({"version": 1, "profiles": {"anthropic:manual": profile}}),))
            connection.execute("INSERT INTO messages (body) VALUES (?)", (f"my key is {VALUES['model']}, keep it",))
        desk.init()

    @property
    def database(self) -> Path:
        return self.state / "state/openclaw.sqlite"

    def words(self, *more: str) -> list[str]:
        return ["adopt", str(self.state), "--openclaw", " ".join(FAKE), *more]

    def adopt(self, *more: str) -> Ran:
        return self.desk.run(*self.words(*more))

    def left(self) -> list[str]:
        """Files with one of the values, in any form."""
        files = [path for path in sorted(self.state.rglob("*")) if path.is_file()]
        return [f"{path.name}: {word}" for path in files for word, value in VALUES.items()
                if canary.search(path.read_bytes(), value.encode())]

    def contents(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.state)): path.read_bytes() for path in self.state.rglob("*")
                if path.is_file() and ".sqlite" not in path.name}

    def rows(self) -> list[tuple[str, ...]]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return [*connection.execute("SELECT value_json FROM config_machine_state"),
                    *connection.execute("SELECT body FROM messages")]
