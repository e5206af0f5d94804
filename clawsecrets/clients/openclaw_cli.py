"""Runs the `openclaw` command line. What it prints is read, never shown: it could hold anything."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawsecrets.errors import ConfigError, Refused


@dataclass(frozen=True)
class OpenClaw:
    """One command line, and the environment that it runs in."""

    command: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)
    timeout: float = 300.0
    """Seconds: of an official plugin that is not installed it may look for in the npm registry."""

    def run(self, *words: str, more: Mapping[str, str] | None = None, fine: Sequence[int] = (0,)) -> str:
        """Its standard output. `more`: further variables. Refused when it ends otherwise than `fine`; ConfigError when
        there is no such command."""
        shown = f"openclaw {' '.join(words[:2])}"
        try:
            done = subprocess.run([*self.command, *words], env={**self.environ, **(more or {})}, capture_output=True,
                                  text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=self.timeout,
                                  check=False)
        except subprocess.TimeoutExpired:
            raise Refused(f"{shown}: no answer within {self.timeout:g} s", "run it by hand to see why") from None
        except OSError as error:
            raise ConfigError(f"{self.command[0]} cannot be run: {error.strerror}",
                              "name it with --openclaw COMMAND") from None
        if done.returncode not in fine:
            raise Refused(f"{shown} ended with {done.returncode}", "run it by hand to see why: its words are not shown "
                                                                    "here, they could hold a value")
        return done.stdout

    def answer(self, *words: str, more: Mapping[str, str] | None = None, fine: Sequence[int] = (0,)) -> dict[str, Any]:
        """The JSON object that it prints. Refused when it prints none."""
        text = self.run(*words, more=more, fine=fine)
        start = text.find("{")
        try:
            found = json.loads(text[start:]) if start >= 0 else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refused(f"openclaw {' '.join(words[:2])} did not answer with JSON", "run it by hand to see why")
        return found
