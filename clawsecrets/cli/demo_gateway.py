"""A stand-in for a gateway, for `quickstart --demo`: one process that accepts one token and rereads it on SIGHUP.

    python -m clawsecrets.cli.demo_gateway serve FOLDER       until SIGTERM; writes FOLDER/gateway.pid and .port
    python -m clawsecrets.cli.demo_gateway reload FOLDER      SIGHUP, and wait until it has reread
    python -m clawsecrets.cli.demo_gateway probe FOLDER       is the token on standard input accepted? 0 yes, 1 no
"""

from __future__ import annotations

import hmac
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VARIABLE = "OPENCLAW_GATEWAY_TOKEN"
WAIT = 5.0
"""Seconds that `reload` waits for the process to have reread its file."""


def main(argv: list[str]) -> int:
    """Run one of the three commands."""
    verb, folder = argv[0], Path(argv[1])
    return {"serve": _serve, "reload": _reload, "probe": _probe}[verb](folder)


def _token(folder: Path) -> bytes:
    for line in (folder / ".env").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == VARIABLE:
            return value.encode()
    return b""


def _serve(folder: Path) -> int:
    held = {"token": _token(folder), "reloads": b"0"}

    class Handler(BaseHTTPRequestHandler):
        """Answers 200 to the token that was read last, 401 to all others."""

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ").encode()
            self.send_response(200 if held["token"] and hmac.compare_digest(given, held["token"]) else 401)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    count = 0

    def reread(signum: int, frame: object) -> None:
        nonlocal count
        held["token"] = _token(folder)
        count += 1
        _note(folder / "gateway.reloads", str(count))

    signal.signal(signal.SIGHUP, reread)
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))
    _note(folder / "gateway.reloads", "0")
    _note(folder / "gateway.port", str(server.server_address[1]))
    _note(folder / "gateway.pid", str(os.getpid()))
    server.serve_forever()
    return 0


def _note(path: Path, text: str) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)


def _reload(folder: Path) -> int:
    before = (folder / "gateway.reloads").read_text()
    os.kill(int((folder / "gateway.pid").read_text()), signal.SIGHUP)
    end = time.monotonic() + WAIT
    while (folder / "gateway.reloads").read_text() == before:
        if time.monotonic() > end:
            return 2
        time.sleep(0.01)
    return 0


def _probe(folder: Path) -> int:
    token = sys.stdin.read()
    port = (folder / "gateway.port").read_text()
    request = urllib.request.Request(f"http://127.0.0.1:{int(port)}/", headers={"Authorization": f"Bearer {token}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a proxy
    try:
        with opener.open(request, timeout=5):
            return 0
    except urllib.error.HTTPError as error:
        return 1 if error.code == 401 else 2
    except OSError:
        return 75


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
