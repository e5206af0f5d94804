"""The hooks token of a real OpenClaw, rotated as the README says: by a file of variables, and by its probe."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.desk import ROOT, Desk
from tests.real.openclaw import Gateway
from tests.waiting import LONG, until

FIRST = "5e" * 32
VARIABLE = "OPENCLAW_HOOKS_TOKEN"


def documented_probe(port: int) -> str:
    """The script of the README, for a gateway on this port."""
    script = re.search(r"```sh\n(#!/bin/sh\n# \S+hooks-probe.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert script is not None and ":18789/" in script[1]
    return script[1].replace(":18789/", f":{port}/")


def variables(file: Path) -> dict[str, str]:
    """What `env-file` wrote: a hooks token is hex, so that no quoting can change it."""
    found = (line.partition("=") for line in file.read_text().splitlines())
    return {name: value.strip("'\"") for name, equals, value in found if equals}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "s")


def test_it_is_rotated_and_the_old_one_is_refused(desk: Desk) -> None:
    config = {"gateway": {"auth": {"mode": "token", "token": "b7" * 24}},
              "hooks": {"enabled": True, "token": f"${{{VARIABLE}}}"}}
    env, wanted = desk.root / "gw.env", desk.root / "restart"
    with desk, Gateway(config, env={VARIABLE: FIRST}) as gateway:
        probe = desk.write("bin/hooks-probe", documented_probe(int(gateway.url.rpartition(":")[2])), 0o700)
        order = f"#!/bin/sh\n: > {wanted}\nwhile [ -e {wanted} ]; do sleep 0.1; done\n"
        reload = desk.write("bin/reload", order, 0o700)
        desk.config(f'[injectors.openclaw-env]\nkind = "env-file"\npath = "{env}"\ndialect = "compose"\n'
                    f'[consumers.gateway-hooks]\nkind = "command"\nreload = ["{reload}"]\nprobe = ["{probe}"]\n'
                    f'validates = true\nreads = ["openclaw-env"]\ntimeout = "{LONG:g}s"\n')
        desk.init()
        desk.quick("set", "openclaw-hooks-token", "--provider", "openclaw-hooks", stdin=FIRST.encode())
        desk.quick("configure", "openclaw-hooks-token", "--inject", "openclaw-env", "--consume", "gateway-hooks")
        desk.quick("inject", "openclaw-hooks-token")
        desk.ok("rotate", "openclaw-hooks-token", "--dry-run")
        with ThreadPoolExecutor(1) as beside:  # a gateway dies with the thread that started it: that is this one
            rotating = beside.submit(desk.run, "rotate", "openclaw-hooks-token")
            until(lambda: wanted.exists() or rotating.done(), "the order to restart")
            if wanted.exists():
                gateway.stop()
                gateway.extra_env |= variables(env)
                gateway.start()
                wanted.unlink()
            ran = rotating.result(LONG)
        assert "openclaw-hooks-token: rotated" in ran.out, ran
        new = desk.quick("get", "openclaw-hooks-token", "--raw").out
        assert [tried(probe, value) for value in (new, FIRST)] == [0, 1]


def tried(probe: Path, value: str) -> int:
    return subprocess.run([str(probe)], input=value.encode(), timeout=LONG, check=False).returncode
