"""The systemd consumer in a machine with its own systemd: environments, credentials, and what shadows them."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry
from tests import canary as canaries
from tests.real import machine as machines
from tests.real.machine import Machine

pytestmark = pytest.mark.real("systemd")

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = (canaries.fresh().decode() for _ in range(2))
DRIVER = """
import json, sys
from clawsecrets.consumers.systemd import SystemdConsumer
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover
asked = json.load(sys.stdin)
old = None if asked["old"] is None else SecretValue(asked["old"])
handover = Handover("acme/key", "generic", "other", SecretValue(asked["new"]), 2, old)
reply = getattr(SystemdConsumer("c", **asked["settings"]), asked["method"])(handover)
print(json.dumps([reply.outcome.value, reply.detail, reply.proof, reply.person]))
"""
"""Runs in the machine: what is in /proc there is what the consumer looks at."""
LOOP = "trap 'exit 0' TERM; trap : HUP; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if reason := machines.missing():
        pytest.skip(reason)
    with Machine({ROOT / "clawsecrets": "/opt/claw/clawsecrets", Path(sys.base_prefix): "/opt/python"}) as it:
        it.path("/opt/driver.py").write_text(DRIVER)
        yield it


def asked(machine: Machine, method: str, old: str | None = OLD, new: str = NEW, **settings: Any) -> list[Any]:
    """Outcome, detail, proof, whether a person is needed."""
    question = {"method": method, "old": old, "new": new,
                "settings": {"unit": "gateway.service", "settle": 0.2, "timeout": 20.0, **settings}}
    printed = machine.run("env", "PYTHONPATH=/opt/claw", "/opt/python/bin/python3", "/opt/driver.py",
                          data=json.dumps(question).encode())
    assert canaries.search(printed.encode(), NEW.encode()) == canaries.search(printed.encode(), OLD.encode()) == []
    found: list[Any] = json.loads(printed)
    return found


def unit(machine: Machine, *lines: str) -> None:
    """`gateway.service` with these lines, started anew."""
    text = "\n".join(["[Service]", f"ExecStart=/bin/sh -c {shlex.quote(LOOP)}", "ExecReload=/bin/kill -HUP $MAINPID",
                      "RestartSec=50ms", *lines, ""])
    machine.path("/etc/systemd/system/gateway.service").write_text(text)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "gateway.service")


def write(machine: Machine, path: str, value: str) -> None:
    """As the env-file injector writes it, in the machine's file."""
    file = machine.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    reply = EnvFile("e", file, "systemd").deliver([Entry("acme/key", 1, SecretValue(value), "KEY")])
    assert reply.proof, reply.detail


def test_a_variable_of_an_environment_file(machine: Machine) -> None:
    write(machine, "/srv/a.env", OLD)
    unit(machine, "EnvironmentFile=/srv/a.env")
    assert asked(machine, "preflight", None, OLD)[0] == "ok"
    write(machine, "/srv/a.env", NEW)
    outcome, detail, _, _ = asked(machine, "prove")
    assert outcome == "refused" and "KEY" in detail
    assert asked(machine, "reload", action="reload")[0] == "ok"
    assert asked(machine, "prove")[0] == "refused", "a reload does not change an environment"
    assert asked(machine, "reload")[0] == "ok"
    outcome, _, proof, _ = asked(machine, "prove")
    assert outcome == "ok" and "KEY (process" in proof and "version 2" in proof
    assert asked(machine, "probe")[0] == "ok"


def test_what_is_baked_into_the_unit_is_named(machine: Machine) -> None:
    """OpenClaw issue 19410: the token in Environment= shadows what is rotated."""
    write(machine, "/srv/a.env", NEW)
    quoted = NEW, OLD.replace("%", "%%").replace('"', '\\"')
    unit(machine, f'Environment="KEY={quoted[1]}"')
    outcome, detail, _, _ = asked(machine, "prove")
    assert outcome == "refused" and "KEY" in detail
    unit(machine, f'Environment="KEY={quoted[1]}"', "EnvironmentFile=/srv/a.env")
    outcome, detail, _, person = asked(machine, "prove")
    assert outcome == "later" and person
    assert "Environment= of" in detail and "systemctl edit --full gateway.service" in detail
    write(machine, "/srv/old.env", OLD)
    unit(machine, "EnvironmentFile=/srv/old.env", "EnvironmentFile=/srv/a.env")
    outcome, detail, _, person = asked(machine, "prove")
    assert outcome == "later" and person and "EnvironmentFile=/srv/old.env" in detail
    write(machine, "/srv/old.env", NEW)
    assert asked(machine, "prove")[0] == "ok"


@pytest.mark.parametrize("line", ["LoadCredential=key:/srv/secrets/key",
                                  "LoadCredentialEncrypted=key:/srv/secrets/key.sealed"])
def test_a_credential(machine: Machine, line: str) -> None:
    def deliver(value: str) -> None:
        machine.run("mkdir", "-p", "/srv/secrets")
        machine.run("sh", "-c", "cat > /srv/secrets/key", data=value.encode())
        machine.run("sh", "-c", "rm -f /srv/secrets/key.sealed; systemd-creds encrypt --with-key=host --name=key - "
                    "/srv/secrets/key.sealed", data=value.encode())

    deliver(OLD)
    unit(machine, line)
    told = asked(machine, "preflight", None, OLD)
    assert told[0] == "ok" and "/credentials/" in told[1], told
    deliver(NEW)
    outcome, detail, _, _ = asked(machine, "prove")
    assert outcome == "refused" and "/credentials/gateway.service/key" in detail
    assert asked(machine, "reload")[0] == "ok"
    outcome, _, proof, _ = asked(machine, "prove")
    assert outcome == "ok" and "/credentials/gateway.service/key" in proof


def test_a_file_needs_a_restart_or_a_word(machine: Machine) -> None:
    machine.path("/srv/key").write_text(OLD)
    unit(machine)
    machine.path("/srv/key").write_text(NEW)
    files = {"files": ["/srv/key"]}
    assert asked(machine, "reload", action="reload", **files)[0] == "ok"
    outcome, detail, _, person = asked(machine, "prove", **files)
    assert outcome == "later" and person and "rereads" in detail
    assert asked(machine, "prove", rereads=True, **files)[0] == "ok"
    assert asked(machine, "reload", **files)[0] == "ok"
    assert asked(machine, "prove", **files)[0] == "ok"


def test_a_unit_that_does_not_come_up(machine: Machine) -> None:
    unit(machine, f"ExecStartPre=/bin/sh -c '! grep -qF {shlex.quote(NEW.split()[-1])} /srv/b.env'",
         "EnvironmentFile=-/srv/b.env")
    write(machine, "/srv/b.env", NEW)
    outcome, detail, _, _ = asked(machine, "reload")
    assert outcome == "refused" and "systemctl status gateway.service" in detail
    write(machine, "/srv/b.env", OLD)
    assert asked(machine, "reload")[0] == "ok" and asked(machine, "prove", NEW, OLD)[0] == "ok"


def test_a_unit_that_ends_again_and_again(machine: Machine) -> None:
    unit(machine)
    machine.path("/etc/systemd/system/gateway.service.d").mkdir(exist_ok=True)
    machine.path("/etc/systemd/system/gateway.service.d/x.conf").write_text(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=\nExecStart=/bin/false\nRestart=always\n")
    machine.run("systemctl", "daemon-reload")
    for timeout in (2.0, 8.0, 32.0):  # systemctl itself may take more than the first, on a busy machine
        outcome, detail, _, _ = asked(machine, "reload", timeout=timeout)
        if outcome == "refused":
            break
    machine.run("rm", "-r", "/etc/systemd/system/gateway.service.d")
    assert outcome == "refused" and "did not come up" in detail


def test_no_such_unit(machine: Machine) -> None:
    for method in ("preflight", "reload", "prove"):
        outcome, detail, _, _ = asked(machine, method, unit="nothing-here.service")
        assert outcome == "refused" and "there is no unit" in detail
