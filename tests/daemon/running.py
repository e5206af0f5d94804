"""A daemon as a process of its own: the real console script, its log, its pages, its signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.desk import SCRIPT, Desk
from tests.waiting import LONG, until


def free_port() -> int:
    """A loopback port that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Running:
    """One daemon of a desk. Its log is `file`, one JSON object a line."""

    def __init__(self, desk: Desk, name: str, port: int, environ: Mapping[str, str] | None = None) -> None:
        self.file: Path = desk.root / f"{name}.log"
        self.port = port
        with open(self.file, "wb") as log:
            self.process = subprocess.Popen([str(SCRIPT), "daemon"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**desk.env, **(environ or {})}, cwd=desk.root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait(LONG)

    # --- what it says ---------------------------------------------------------------------------------------------

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What it logged so far, of that kind."""
        lines = self.file.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [event for event in found if not name or event["event"] == name]

    def said(self, name: str, **fields: object) -> bool:
        """Whether it logged such an event."""
        return any(all(event.get(key) == value for key, value in fields.items()) for event in self.events(name))

    def until_said(self, name: str, **fields: object) -> None:
        """Wait for it."""
        self.until(lambda: self.said(name, **fields), f"{name} {fields}")

    def until(self, there: Callable[[], object], what: str) -> None:
        """Wait, as long as the process lives."""
        def look() -> bool:
            assert self.process.poll() is None or there(), f"it ended: {self.file.read_text()}"
            return bool(there())

        try:
            until(look, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.file.read_text()}") from None

    def page(self, path: str) -> tuple[int, str]:
        """Status and body; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=LONG) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[tuple[str, str], float]:
        """Every sample of /metrics, by its name and the secret (or outcome) that it is about, parsed by Prometheus's
        own client."""
        status, text = self.page("/metrics")
        assert status == 200
        return {(sample.name, sample.labels.get("secret", sample.labels.get("outcome", ""))): sample.value
                for family in text_string_to_metric_families(text) for sample in family.samples}

    # --- what is done to it -----------------------------------------------------------------------------------------

    def send(self, number: int) -> None:
        """A signal."""
        os.kill(self.process.pid, number)

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.send(signal.SIGTERM)
        return self.process.wait(LONG)
