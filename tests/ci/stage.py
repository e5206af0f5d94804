"""A person's repositories: git with a fixed identity and nothing of this machine's configuration."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests import warm
from tests.cli.desk import ROOT, SCRIPT
from tests.waiting import LONG


def token() -> str:
    """An invented credential of a format that nothing else has."""
    return f"sk-or-v1-{secrets.token_hex(32)}"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        return self.out + self.err


@dataclass
class Stage:
    """A scratch folder with a home of its own, and compiled rules in its cache."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "home").mkdir(parents=True)
        (self.root / "tmp").mkdir()
        warm.put(self.root / "cache" / "clawsecrets")
        self.env = {
            "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}", "HOME": str(self.root / "home"), "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.root / "config"), "XDG_DATA_HOME": str(self.root / "data"),
            "XDG_STATE_HOME": str(self.root / "state"), "XDG_CACHE_HOME": str(self.root / "cache"),
            "TMPDIR": str(self.root / "tmp"), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Eve", "GIT_AUTHOR_EMAIL": "eve@example.org", "GIT_COMMITTER_NAME": "Eve",
            "GIT_COMMITTER_EMAIL": "eve@example.org", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "init.defaultBranch",
            "GIT_CONFIG_VALUE_0": "main", **self.env,
        }

    def run(self, *words: str, cwd: str = ".", stdin: str = "", env: dict[str, str] | None = None) -> Ran:
        done = subprocess.run(words, cwd=self.root / cwd, env={**self.env, **(env or {})}, input=stdin, text=True,
                              capture_output=True, timeout=LONG, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    def git(self, *words: str, cwd: str = "work") -> str:
        ran = self.run("git", *words, cwd=cwd)
        assert ran.code == 0, (words, ran)
        return ran.out.strip()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, name: str, text: str, message: str = "a change", *options: str) -> str:
        self.write(f"work/{name}", text)
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message, *options)
        return self.git("rev-parse", "HEAD")

    def repository(self) -> None:
        self.git("init", "-q", "work", cwd=".")
        self.commit("README", "nothing to see\n", "first")


def server(stage: Stage) -> Path:
    """A bare repository with the hook, which `work` pushes to as `origin`."""
    stage.git("init", "-q", "--bare", "server.git", cwd=".")
    path = stage.root / "server.git"
    hook = path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes((ROOT / "config" / "ci" / "pre-receive").read_bytes())
    hook.chmod(0o755)
    stage.git("remote", "add", "origin", str(path))
    return path
