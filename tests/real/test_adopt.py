"""`clawsecrets adopt` on a real OpenClaw: killed at every step, gone on with, proven byte by byte, used, and undone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import urllib.error
from collections.abc import Iterator

import pytest

from clawsecrets.clients.gateway import accepts
from clawsecrets.model.secret import SecretValue
from tests import canary
from tests.real.deployment import SCRIPT
from tests.real.planted import Planted
from tests.waiting import LONG, until

pytestmark = [pytest.mark.real, pytest.mark.slow]

STEPS = ("capture", "bind", "apply", "set", "profiles", "purge", "prove")
PATIENT = 3 * LONG


@pytest.fixture(scope="module")
def here() -> Iterator[Planted]:
    SCRIPT.chmod(0o755)
    with Planted() as made:
        made.age()
        claw(made, "init", "--unattended", "--recovery-file", str(made.base / "code"))
        yield made


def claw(here: Planted, *words: str, code: int = 0) -> str:
    done = subprocess.run([str(SCRIPT), *words], env=here.environment, cwd=here.base, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=PATIENT, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == code, told
    assert not [where for where, value in here.planted.items() if canary.search(told.encode(), value.encode())]
    return done.stdout


def adopt(here: Planted, *words: str, code: int = 0) -> str:
    return claw(here, "adopt", str(here.state), "--openclaw", here.openclaw, *words, code=code)


def left(here: Planted) -> list[str]:
    """Where one of the planted values stands in the state folder: plain, base64, JSON-escaped and so on."""
    contents = [(path, path.read_bytes()) for path in sorted(here.state.rglob("*")) if path.is_file()]
    return [f"{path}: {where}" for path, content in contents for where, value in here.planted.items()
            if canary.search(content, value.encode())]


def killed_at(here: Planted, step: str) -> None:
    """SIGKILL as soon as it says that it begins the step."""
    process = subprocess.Popen([str(SCRIPT), "adopt", str(here.state), "--openclaw", here.openclaw, "--apply"],
                               env=here.environment, cwd=here.base, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(f"adopt: {step} "):
            break
    else:
        raise AssertionError(f"it never came to {step}")
    os.killpg(process.pid, 9)
    process.stderr.close()
    process.wait()


def test_a_dry_run_plans_everything_and_changes_nothing(here: Planted) -> None:
    before = {path: path.read_bytes() for path in here.state.rglob("*") if path.is_file()}
    plan = json.loads(adopt(here, "--json"))
    assert len(here.planted) >= 25
    assert len(plan["moves"]) == len(here.planted)
    assert plan["applied"] is False
    ways = {move["way"] for move in plan["moves"]}
    assert ways == {"secret reference, by plan", "secret reference, by config set", "${VARIABLE}",
                    "environment variable", "secret reference, in the auth profile",
                    "secret reference, written into the file"}
    after = {path: path.read_bytes() for path in here.state.rglob("*") if path.is_file()}
    assert {path.name for path in before if before[path] != after.get(path)} <= {
        "openclaw.sqlite", "openclaw.sqlite-wal", "openclaw.sqlite-shm"}


def test_killed_at_every_step_it_is_gone_on_with_and_nothing_is_left(here: Planted) -> None:
    here.before = here.gateway.config_path.read_bytes()  # type: ignore[attr-defined]
    for step in STEPS:
        killed_at(here, step)
    adopt(here, "--apply")
    assert left(here) == []
    env = (here.state / ".env").read_text()
    assert env == "# a comment stays\nTZ=Europe/Berlin\n"
    values = {where: value for where, value in here.planted.items()}
    stored = [claw_raw(here, name) for name in names(here)]
    assert [where for where, value in values.items() if not any(value in one for one in stored)] == []


def names(here: Planted) -> list[str]:
    found = json.loads(claw(here, "list", "--json"))["secrets"]
    return [one["name"] for one in found if not one["name"].startswith("openclaw-adoption")]


def claw_raw(here: Planted, name: str) -> str:
    done = subprocess.run([str(SCRIPT), "get", name, "--raw"], env=here.environment, capture_output=True, text=True,
                          timeout=LONG, check=True)
    return done.stdout


def needed(here: Planted) -> dict[str, str]:
    """The variables that the gateway needs now."""
    shown = json.loads(claw(here, "list", "--json"))["secrets"]
    config = here.gateway.config_path.read_text()
    envs = {one["env"]: one["name"] for one in shown if one["env"]}
    return {env: claw_raw(here, name) for env, name in envs.items() if "${" + env + "}" in config}


def test_openclaws_own_audit_is_clean(here: Planted) -> None:
    done = here.gateway.cli("secrets", "audit", "--check", "--allow-exec", "--json", env=needed(here), timeout=PATIENT)
    assert (json.loads(done.stdout)["status"], done.returncode) == ("clean", 0)


def test_the_gateway_works_with_all_of_it(here: Planted) -> None:
    here.gateway.extra_env.update(needed(here))
    mark = len(here.seen.keys)
    here.gateway.start(wait=False)
    here.gateway.wait_ready(PATIENT)
    try:
        assert accepts(here.gateway.url, SecretValue(here.planted["gateway token"]), LONG)
        here.chat()
        assert here.wait_seen(here.planted["model key"], mark)
        assert here.wait_seen(here.planted["model header"], mark)
        here.chat("spare/m")
        assert here.wait_seen(here.planted["spare profile"], mark), "the key of an auth profile"
        assert here.wait_seen(here.planted["telegram"], mark)
        assert here.wait_seen(here.planted["telegram ops"], mark)
        assert here.wait_seen(here.planted["mcp header"], mark)
        until(here.mcp_token, "the tool server that it starts")
        assert here.mcp_token() == hashlib.sha256(here.planted["mcp env"].encode()).hexdigest()
        assert here.hook(here.planted["hooks token"]) == 200
        with pytest.raises(urllib.error.HTTPError):
            here._post("/hooks/wake", "another", {"text": "x"})
    finally:
        here.gateway.stop()
    assert left(here) == []


def test_undo_puts_everything_back(here: Planted) -> None:
    adopt(here, "--undo")
    config = json.loads(here.gateway.config_path.read_text())
    before = json.loads(here.before)  # type: ignore[attr-defined]
    assert config["hooks"]["token"] == before["hooks"]["token"]
    assert config["gateway"]["auth"] == before["gateway"]["auth"]
    assert config["channels"] == before["channels"]
    assert here.planted["env openai"] in (here.state / ".env").read_text()
    assert here.planted["hooks token"] in (here.state / "logs/old.log").read_text()
    holding = "".join(left(here))
    assert all(where in holding for where in here.planted)


def test_a_second_adoption_with_a_profile_in_an_agents_own_database(here: Planted) -> None:
    databases = list(here.state.glob("agents/*/agent/openclaw-agent.sqlite"))
    assert databases, "the gateway made none"
    for path in databases:
        here.profile_of_agent(path)
    assert any("agent profile" in one for one in left(here))
    adopt(here, "--apply")
    assert left(here) == []
