"""The main job on the real thing: `clawsecrets rotate` of a running OpenClaw gateway's token, as a person types it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.clients.gateway import accepts
from clawsecrets.model.secret import SecretValue
from tests.fake_provider import ADMIN, FakeProvider
from tests.real.deployment import CONSUMER, INJECTOR, TOKEN, Deployment
from tests.real.openclaw import exec_ref
from tests.waiting import LONG

pytestmark = [pytest.mark.real, pytest.mark.slow]

KEY = "acme-api-key"
PROVIDERS = Path(__file__).parents[1] / "data" / "providers"
DELIVERED_BUT_NOT_COMMITTED = {"staged", "probing"}
"""States in which the gateway may hold the new token while `get` still gives the old one."""

SEEN: list[SecretValue] = []
"""Tokens that were current before and after each killed rotation."""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


@pytest.fixture(scope="module")
def here(fake: FakeProvider) -> Iterator[Deployment]:
    """A gateway whose token, a skill key and a model key all come out of the bundle."""
    model = {"baseUrl": "http://127.0.0.1:9/v1", "models": [{"id": "m", "name": "m"}], "apiKey": exec_ref(KEY)}
    config = {
        "skills": {"entries": {"goplaces": {"enabled": True, "apiKey": exec_ref(KEY)}}},
        "models": {"providers": {"other": model}},
    }
    with Deployment(config) as made:
        key = fake.seed("acme")
        settings = made.settings
        made.make_store(f"OPENCLAW_GATEWAY_TOKEN={secrets.token_hex(24)}")
        settings.write_text(f'providers_dirs = ["{PROVIDERS}"]\n' + settings.read_text()
                            + f'[providers.acme]\nbase_url = "{fake.url}"\n')
        made.claw("set", KEY, "--provider", "acme", stdin=key.value)
        made.claw("set", "acme-admin", stdin=ADMIN)
        made.claw("configure", KEY, "--handle", key.handle)
        made.bind(TOKEN)
        made.bind(KEY)
        made.gateway.start()
        yield made


def is_accepted(here: Deployment, token: SecretValue) -> bool:
    return accepts(here.gateway.url, token, LONG)


def test_the_token_of_a_running_gateway_is_rotated(here: Deployment) -> None:
    old = here.value()
    assert is_accepted(here, old)
    answer = here.asked("rotate", TOKEN)["rotations"][0]
    new = here.value()
    assert (answer["outcome"], answer["version"], answer["revocations_pending"]) == ("rotated", 2, 0)
    assert new != old
    assert is_accepted(here, new)
    assert not is_accepted(here, old)
    assert here.audit() == "clean 0"
    assert here.files_with(old, new) == []


def test_a_key_of_a_skill_and_a_model_is_minted_proven_in_the_gateway_and_the_old_one_revoked(
    here: Deployment, fake: FakeProvider
) -> None:
    old = here.value(KEY)
    told = here.asked("rotate", KEY)["rotations"][0]
    new = here.value(KEY)
    assert told["outcome"] == "rotated"
    assert [SecretValue(item.value) for item in fake.live("acme").values()] == [new]
    assert old != new
    proofs = {ack["target"]: ack["proof"] for ack in here.asked("show", KEY)["acks"]}
    assert "skills.entries.goplaces.apiKey" in proofs[CONSUMER]
    assert "models.providers.other.apiKey" in proofs[CONSUMER]
    assert INJECTOR in proofs
    assert here.files_with(old, new) == []


@pytest.mark.parametrize(
    ("step", "pause"),
    [("announce", 0.0), ("create", 0.0), ("stage", 0.0), ("reload", 0.0), ("reload", 0.06), ("deliver", 0.0),
     ("confirm", 0.1), ("prove-dead", 0.1)],
)
def test_after_a_kill_the_next_rotate_ends_it(here: Deployment, step: str, pause: float) -> None:
    for _ in range(20):
        before, old = here.version(), here.value()
        if kill_at(here, step, pause):
            break
    else:
        pytest.fail("it always ended before it was killed")
    found = here.asked("show", TOKEN)
    minted = [here.value(TOKEN, v["version"]) for v in found["versions"] if v["version"] > before]
    killed_in = found["rotation"]["state"]
    if killed_in not in DELIVERED_BUT_NOT_COMMITTED:
        assert is_accepted(here, here.value()), f"a reader of the store was locked out, killed in {killed_in}"
    here.claw("rotate", TOKEN)
    found, current = here.asked("show", TOKEN), here.value()
    assert found["rotation"]["state"] == "done"
    assert (found["version"], max(v["version"] for v in found["versions"])) == (before + 1, before + 1)
    assert minted in ([], [current]), "a minted value is used, not thrown away"
    assert is_accepted(here, current)
    assert not is_accepted(here, old)
    assert current not in SEEN
    SEEN.extend([old, current])


def kill_at(here: Deployment, step: str, pause: float) -> bool:
    """SIGKILL `clawsecrets rotate -v`, `pause` seconds after it says that it begins this step. False: it ended by
    itself before, well; a busy machine may wake us that late."""
    process = here.begin("rotate", TOKEN, "--verbose")
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.strip() == f"{TOKEN}: {step} …":
            break
    else:
        raise AssertionError(f"it never came to {step}: {''.join(said)}")
    time.sleep(pause)
    process.kill()
    process.stderr.close()
    code = process.wait()
    assert code in (0, -9)
    return code == -9


def test_afterwards_the_deployment_is_clean(here: Deployment) -> None:
    assert SEEN[-1] == here.value()
    assert here.audit() == "clean 0"
    assert here.files_with(*SEEN) == []
    here.claw("audit-log", "verify")
    here.claw("rotations", code=0)
    here.claw("revocations", code=0)


def test_a_gateway_that_is_down_is_refused_before_anything_happens() -> None:
    with Deployment() as down:
        down.make_store(f"OPENCLAW_GATEWAY_TOKEN={secrets.token_hex(24)}")
        down.bind()
        token, bundle = down.value(), down.bundle.read_bytes()
        told = down.claw("rotate", TOKEN, "--json", code=4)
        assert "connection refused" in told
        assert (down.version(), down.value(), down.bundle.read_bytes()) == (1, token, bundle)
        down.claw("rotations", code=0)
        assert [v["version"] for v in down.asked("history", TOKEN)["versions"]] == [1]
