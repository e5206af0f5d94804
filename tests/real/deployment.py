"""A whole deployment for tests: a real OpenClaw gateway and a clawsecrets of its own, used as a person types it.

    with Deployment() as here:
        here.make_store(f"OPENCLAW_GATEWAY_TOKEN={token}")
        here.bind()
        here.gateway.start()
        here.claw("rotate", TOKEN)

Not a test file: tests and the soak run import it.
"""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clawsecrets.model.secret import SecretValue
from tests import canary
from tests.real.openclaw import Gateway, exec_provider, exec_ref, merged
from tests.waiting import LONG

TOKEN = "openclaw-gateway-token"
INJECTOR, CONSUMER = "openclaw-refs", "gateway"
SCRIPT = Path(sys.executable).with_name("clawsecrets")
"""The console script, beside the interpreter that runs the tests. OpenClaw refuses it where others may write to it,
which is what pip makes of it under umask 002."""


class Deployment:
    """One gateway (not started) and one clawsecrets home, both below one temporary folder that goes on exit.

    The gateway's token is a SecretRef to `clawsecrets resolve`; `config` is merged over that, and a `plain` token
    stands in the configuration file instead. `plugins`: the bundled ones too (memory search, for one).
    """

    def __init__(self, config: Mapping[str, Any] | None = None, plain: str = "", plugins: bool = False) -> None:
        SCRIPT.chmod(stat.S_IMODE(SCRIPT.stat().st_mode) & ~0o022)
        self.gateway = Gateway({}, plugins=plugins)
        self.base = self.gateway.base
        self.home = self.base / "clawsecrets"
        self.bundle = self.home / "data" / "bundles" / "openclaw"
        self.settings = self.home / "clawsecrets.toml"
        written = json.loads(self.gateway.config_path.read_text())
        written = merged(written, {"gateway": {"auth": {"mode": "token", "token": plain or exec_ref(TOKEN)}}})
        if not plain:
            provider = exec_provider(SCRIPT, "resolve", "--bundle", str(self.bundle))
            written["secrets"] = {"providers": {"clawsecrets": provider}}
        self.gateway.write_config(merged(written, config or {}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.gateway.close()

    # --- clawsecrets ------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What `clawsecrets` runs with: nothing of the developer's own shell."""
        return {"PATH": f"{SCRIPT.parent}:/usr/bin:/bin", "HOME": str(self.base / "home"),
                "CLAWSECRETS_HOME": str(self.home), "LC_ALL": "C.UTF-8"}

    def claw(self, *words: str, stdin: str = "", code: int | None = 0) -> str:
        """Run one command; gives its standard output. AssertionError when it does not end with `code`."""
        done = subprocess.run([str(SCRIPT), *words], env=self.environment, cwd=self.base, input=stdin,
                              capture_output=True, text=True, timeout=LONG, check=False)
        told = f"clawsecrets {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, told
        return done.stdout

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start one command, its standard error a pipe that is read line by line."""
        return subprocess.Popen([str(SCRIPT), *words], env=self.environment, cwd=self.base, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1)

    def asked(self, *words: str) -> dict[str, Any]:
        """The `--json` answer of a command."""
        answer: dict[str, Any] = json.loads(self.claw(*words, "--json"))
        return answer

    def value(self, name: str = TOKEN, version: int = 0) -> SecretValue:
        """What `clawsecrets get --raw` gives."""
        return SecretValue(self.claw("get", name, "--raw", "--version", str(version)))

    def version(self, name: str = TOKEN) -> int:
        """The number of the current version."""
        return int(self.asked("get", name)["version"])

    def make_store(self, *env: str) -> None:
        """init, then import of a .env file with these lines, then the tables of the gateway in the configuration."""
        self.claw("init", "--unattended", "--recovery-file", str(self.base / "recovery-code"))
        self.add_targets()
        if env:
            source = self.base / "source.env"
            source.touch(0o600)
            source.write_text("\n".join(env) + "\n")
            self.claw("import", str(source))
            source.unlink()

    def add_targets(self, *more: str) -> None:
        """Append the gateway's injector and consumer, and other lines, to the configuration."""
        lines = [f"[injectors.{INJECTOR}]", 'kind = "resolver-bundle"', f'path = "{self.bundle}"',
                 f"[consumers.{CONSUMER}]", 'kind = "openclaw"', f'url = "{self.gateway.url}"',
                 f'reads = ["{INJECTOR}"]', *more]
        with self.settings.open("a") as file:
            file.write("\n" + "\n".join(lines) + "\n")

    def bind(self, name: str = TOKEN) -> None:
        """Deliver a secret through the bundle, and write it."""
        self.claw("configure", name, "--inject", INJECTOR, "--consume", CONSUMER)
        self.claw("inject", name)

    # --- what is seen from outside ------------------------------------------------------------------------------------

    def audit(self) -> str:
        """The status that OpenClaw's own audit gives; AssertionError with its findings when it did not run."""
        done = self.gateway.cli("secrets", "audit", "--check", "--json", "--allow-exec")
        try:
            return f"{json.loads(done.stdout)['status']} {done.returncode}"
        except (ValueError, KeyError):
            raise AssertionError(f"no audit: {done.stdout}{done.stderr}") from None

    def files_with(self, *values: SecretValue) -> list[str]:
        """Files of OpenClaw's state folder, home and logs that hold one of these: plain, in base64, hex and so on."""
        places = (self.gateway.state_dir, self.base / "home")
        files = [file for place in places for file in place.rglob("*") if file.is_file()]
        files += [self.gateway.log_path, self.base / "openclaw.log"]
        contents = [(file.name, file.read_bytes()) for file in files if file.exists()]
        return [name for name, content in contents if any(canary.search(content, v.reveal()) for v in values)]
