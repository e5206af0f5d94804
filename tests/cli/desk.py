"""One person's desk: a scratch home, the real console script, a fake provider and a stand-in gateway when needed.

Every command is a process of its own with a small environment. `pty=True` gives it a terminal of 80 columns as
controlling terminal, with stdout and stderr both on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.cli import ready
from tests.fake_provider import ADMIN, FakeProvider
from tests.fake_services import Services
from tests.waiting import LONG, readable, until

SCRIPT = Path(sys.executable).with_name("clawsecrets")
ROOT = Path(__file__).resolve().parents[2]
PROVIDERS = ROOT / "tests" / "data" / "providers"
LIMIT = LONG
"""Seconds after which a command counts as hanging."""
STARTS = {"daemon", "quickstart", "run", "scan"}
"""Commands that start processes: the console script runs them each time."""
_TYPED: set[tuple[str, ...]] = set()


@dataclass(frozen=True)
class Ran:
    """How a command ended. Under a pty everything is in `out`."""

    out: str
    err: str
    code: int

    @property
    def everything(self) -> str:
        return self.out + self.err


@dataclass
class Desk:
    """A scratch folder `root`; CLAWSECRETS_HOME is `root/home`."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    fake: FakeProvider | None = None
    gateway_process: subprocess.Popen[bytes] | None = None
    services: Services | None = None

    def __post_init__(self) -> None:
        (self.root / "tmp").mkdir(parents=True)
        self.env = {"PATH": f"{SCRIPT.parent}:/usr/bin:/bin", "HOME": str(self.root), "LANG": "C.UTF-8",
                    "CLAWSECRETS_HOME": str(self.home), "TMPDIR": str(self.root / "tmp"), **self.env}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.fake is not None:
            self.fake.__exit__()
        if self.services is not None:
            self.services.__exit__()
        if self.gateway_process is not None:
            self.gateway_process.terminate()
            self.gateway_process.wait(LIMIT)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def database(self) -> Path:
        return self.home / "data" / "store" / "store.db"

    # --- commands ---------------------------------------------------------------------------------------------------

    def run(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, pty: bool = False) -> Ran:
        """Run the console script. `stdin` is all that it can read (under a pty: what is typed)."""
        command = [str(SCRIPT), *words]
        environ = {**self.env, **(env or {})}
        if pty:
            return _on_terminal(command, stdin, environ, self.root)
        done = subprocess.run(command, input=stdin, env=environ, cwd=self.root, capture_output=True, timeout=LIMIT,
                              start_new_session=True, check=False)
        return Ran(done.stdout.decode(), done.stderr.decode(), done.returncode)

    def ok(self, *words: str, stdin: bytes = b"") -> Ran:
        """Run it and expect exit code 0."""
        ran = self.run(*words, stdin=stdin)
        assert ran.code == 0, (words, ran)
        return ran

    def quick(self, *words: str, stdin: bytes = b"") -> Ran:
        """As `ok`, by a process that has everything imported (ready.py): for what a test begins with, and for what it
        looks at in passing."""
        ran = self.forked(*words, stdin=stdin)
        assert ran.code == 0, (words, ran)
        return ran

    def typed(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
        """As `run`: by the console script, and what this process of tests had it run before with the same options, by
        the process that has it imported."""
        kind = (*words[:2], *sorted(word.partition("=")[0] for word in words if word.startswith("-")), *(env or {}))
        again = kind in _TYPED and words[0] not in STARTS
        _TYPED.add(kind)
        return (self.forked if again else self.run)(*words, stdin=stdin, env=env)

    def forked(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
        """As `run`, by that process."""
        environ = {**self.env, **(env or {})}
        if any(name.startswith("PYTHON") for name in environ):  # an interpreter with another clock, say
            return self.run(*words, stdin=stdin, env=env)
        code, out, err = ready.command([str(SCRIPT), *words], stdin, environ, self.root)
        return Ran(out.decode(), err.decode(), code)

    def init(self) -> None:
        """A store with a key file, and its recovery code in `root/code`."""
        self.quick("init", "--key-file", str(self.root / "keys" / "master.key"),
                   "--recovery-file", str(self.root / "code"))

    def later(self, seconds: int) -> None:
        """From now on the clock of every command stands so much ahead (by sitecustomize, in the child only)."""
        self.write("site/sitecustomize.py", f"import time\nreal = time.time\ntime.time = lambda: real() + {seconds}\n")
        self.env["PYTHONPATH"] = str(self.root / "site")

    # --- surroundings -----------------------------------------------------------------------------------------------

    def write(self, name: str, text: str | bytes, mode: int = 0o600) -> Path:
        """A file under `root`."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def config(self, text: str) -> Path:
        """The configuration file."""
        return self.write("home/clawsecrets.toml", text)

    def provider(self, more: str = "", timeout: str = "5m") -> FakeProvider:
        """Start the fake provider and write a configuration that sends all of its styles to it. A `timeout` of
        seconds is for a provider that never answers: one that does is waited for, however slow the machine is."""
        self.fake = FakeProvider().__enter__()
        overrides = "".join(f'\n[providers.{code}]\nbase_url = "{self.fake.url}"\ntimeout = "{timeout}"\n'
                            for code in ("acme", "rollco", "selfroll", "refresher", "refresher-once", "pairco"))
        self.config(f'providers_dirs = ["{PROVIDERS}"]\n[rotation]\npatience = "1s"\n'
                    f'[schedule]\nstagger = "0"\n{overrides}\n{more}')
        return self.fake

    def seeded(self, style: str = "acme", name: str = "acme-api-key") -> str:
        """A live credential of the fake in the store, with its admin; gives its value."""
        assert self.fake is not None
        made = self.fake.seed(style)
        self.quick("set", name, "--provider", style, stdin=made.value.encode())
        if style != "selfroll":
            self.forked("undelete", f"{style}-admin")
            self.forked("set", f"{style}-admin", stdin=ADMIN.encode())
        if style == "acme":
            self.quick("configure", name, "--handle", made.handle)
        return made.value

    def gateway(self, token: str) -> str:
        """A stand-in gateway that holds `token`, and the configuration of its injector and consumer."""
        folder = self.root / "gateway"
        folder.mkdir()
        self.write("gateway/.env", f"OPENCLAW_GATEWAY_TOKEN={token}\n")
        script = f'#!/bin/sh\nexec "{sys.executable}" -m clawsecrets.cli.demo_gateway "$1" "{folder}"\n'
        helper = str(self.write("bin/gw", script, 0o700))
        self.gateway_process = subprocess.Popen([helper, "serve"], stdin=subprocess.DEVNULL,
                                                stdout=subprocess.DEVNULL, env=self.env, cwd=self.root)
        until((folder / "gateway.pid").exists, "the stand-in gateway")
        return (f'[injectors.gw-env]\nkind = "env-file"\npath = "{folder}/.env"\ndialect = "compose"\n'
                f'[consumers.gw]\nkind = "command"\nvalidates = true\nreload = ["{helper}", "reload"]\n'
                f'probe = ["{helper}", "probe"]\n')


def _on_terminal(command: Sequence[str], typed: bytes, env: Mapping[str, str], cwd: Path) -> Ran:
    """The command in a session of its own, on a pseudo-terminal of 80 columns and 24 lines."""
    pid, number = pty.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.chdir(cwd)
            os.execve(command[0], list(command), {**env, "TERM": "xterm"})
        os._exit(127)
    output, end, lines = b"", time.monotonic() + LIMIT, typed.splitlines(keepends=True)
    while time.monotonic() < end:
        if readable(number, 0.4 if lines else 5.0):
            try:
                part = os.read(number, 65536)
            except OSError:
                part = b""
            if not part:
                break
            output += part
        elif lines and _asks(pid, output):
            os.write(number, lines.pop(0))
    os.close(number)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Ran(output.decode().replace("\r\n", "\n"), "", code)


def _asks(pid: int, output: bytes) -> bool:
    """Whether it is quiet because it waits for an answer, behind a prompt: not because the machine is slow."""
    with contextlib.suppress(OSError):
        sleeps = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
        return sleeps and not output.endswith(b"\n") and output != b""
    return False


def forget(folder: Path) -> None:
    """Remove a folder whatever its modes are."""
    shutil.rmtree(folder, ignore_errors=True)
