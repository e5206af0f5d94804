"""The real command, as a person runs it: a process of its own, with a home of its own. Not a test file."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import canary, warm
from tests.cli.desk import SCRIPT
from tests.waiting import LONG


def token(place: str) -> str:
    """An invented credential that a shipped rule knows (OpenRouter's form); the same one for the same place."""
    return "sk-or-v1-" + hashlib.sha256(b"e2e " + place.encode()).hexdigest()


@dataclass(frozen=True)
class Said:
    """How a scan ended."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report."""
        value = json.loads(self.out)
        assert value["schema"] == 1
        return value  # type: ignore[no-any-return]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Its findings."""
        return self.report["findings"]  # type: ignore[no-any-return]

    @property
    def faults(self) -> list[dict[str, Any]]:
        """What was not looked at, and not by choice."""
        return [item for item in self.report["skipped"] if not item["by_choice"]]

    @property
    def complete(self) -> bool:
        """What the coverage says."""
        return bool(self.report["coverage"]["complete"])

    def holds(self, value: str) -> list[str]:
        """In which forms the value stands in anything that was said: none is right."""
        return canary.search((self.out + self.err).encode(), value.encode())


@dataclass
class Shell:
    """Where commands run. `root/home` is CLAWSECRETS_HOME, made anew, with compiled rules in its cache; HOME is
    `root/person`."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("person", "tmp"):
            (self.root / name).mkdir(parents=True)
        self.env = {
            "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}", "HOME": str(self.root / "person"), "LANG": "C.UTF-8",
            "CLAWSECRETS_HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp"),
            "DOCKER_HOST": "", **self.env,
        }
        warm.put(self.root / "home" / "cache")

    def command(self, *words: str | Path) -> list[str]:
        """What is run."""
        return [str(SCRIPT), "scan", *map(str, words)]

    def scan(self, *words: str | Path, cwd: Path | None = None, stdin: bytes = b"",
             env: Mapping[str, str] | None = None) -> Said:
        """`clawsecrets scan …`; all of it must end within LONG."""
        done = subprocess.run(self.command(*words), cwd=cwd or self.root, env={**self.env, **(env or {})}, input=stdin,
                              capture_output=True, timeout=LONG, check=False)
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def json(self, *words: str | Path, **more: Any) -> Said:
        """The same with `--format json`."""
        return self.scan(*words, "--format", "json", **more)
