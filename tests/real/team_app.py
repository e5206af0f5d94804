"""A service that uses keys: what a host of tests/real/team.py runs, so that an outage is seen by whoever suffers it.

`python -m tests.real.team_app ENV_FILE PORT PROVIDER CA NOTED`: it reads KEY=value lines when it starts and when it
is told to (POST /reload), and holds them in memory. GET /probe with a bearer is 200 when it holds that value, 401
otherwise. All the time it uses each value at the provider, and writes to the file NOTED how often that was accepted,
refused, and not answered. Refused while it holds the value still: an outage.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAUSE = 0.25
"""Seconds between two uses."""


class App:
    """The values that it holds, and how they fared."""

    def __init__(self, file: Path, provider: str, ca: str, noted: Path) -> None:
        self.file, self.provider, self.noted = file, provider, noted
        self.held: dict[str, str] = {}
        self.fared = {"accepted": 0, "refused": 0, "unanswered": 0}
        context = ssl.create_default_context(cafile=ca) if ca else None
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                                  urllib.request.HTTPSHandler(context=context))

    def reload(self) -> None:
        """Take what the file says now."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.held = dict(line.split("=", 1) for line in lines if "=" in line)

    def use(self, name: str) -> None:
        """One use of a key."""
        value = self.held.get(name, "")
        asked = urllib.request.Request(f"{self.provider}/v1/whoami", headers={"Authorization": f"Bearer {value}"})
        try:
            self.opener.open(asked, timeout=20.0).close()
            how = "accepted"
        except urllib.error.HTTPError as error:
            how = "refused" if error.code == 401 else "unanswered"
        except OSError:
            how = "unanswered"
        if how == "refused" and self.held.get(name) != value:
            return  # it was replaced while it was on its way
        self.fared[how] += 1

    def work(self) -> None:
        """Use them all, for ever."""
        while True:
            for name in list(self.held):
                self.use(name)
                time.sleep(PAUSE)
            draft = self.noted.with_suffix(".new")
            draft.write_text(json.dumps(self.fared))
            draft.replace(self.noted)
            time.sleep(PAUSE)


class Handler(BaseHTTPRequestHandler):
    app: App

    def do_GET(self) -> None:
        value = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.answer(200 if self.path == "/health" or value in self.app.held.values() else 401)

    def do_POST(self) -> None:
        self.app.reload()
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


def main() -> None:
    file, port, provider, ca, noted = sys.argv[1:]
    app = App(Path(file), provider, ca, Path(noted))
    app.reload()
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), type("Bound", (Handler,), {"app": app}))
    threading.Thread(target=app.work, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
