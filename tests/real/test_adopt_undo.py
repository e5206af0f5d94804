"""`adopt --undo` on a real gateway whose token was rotated meanwhile: it goes on with the current one."""

from __future__ import annotations

import json
import secrets
import subprocess

import pytest

from clawsecrets.clients.gateway import accepts
from clawsecrets.model.secret import SecretValue
from tests.real.deployment import SCRIPT, TOKEN, Deployment
from tests.real.openclaw import merged
from tests.waiting import LONG

pytestmark = [pytest.mark.real, pytest.mark.slow]


def adopt(here: Deployment, *words: str) -> str:
    """With what OpenClaw's own commands need around them."""
    openclaw = " ".join(here.gateway._openclaw())
    done = subprocess.run([str(SCRIPT), "adopt", str(here.gateway.state_dir), "--openclaw", openclaw, *words],
                          env={**here.gateway.environment(), **here.environment}, cwd=here.base, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=3 * LONG, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_after_a_rotation_an_undo_gives_the_gateway_the_current_token_and_not_the_dead_one() -> None:
    first = SecretValue(secrets.token_hex(24))
    with Deployment(plain=first.reveal_text()) as here:
        config = json.loads(here.gateway.config_path.read_text())
        here.gateway.write_config(merged(config, {"gateway": {"port": here.gateway.port}}))
        here.claw("init", "--unattended", "--recovery-file", str(here.base / "code"))
        adopt(here, "--apply")
        here.gateway.start()
        assert accepts(here.gateway.url, first, LONG)
        here.claw("rotate", TOKEN, "--compromised", "--yes")
        current = here.value()
        assert (here.version(), accepts(here.gateway.url, first, LONG)) == (2, False)
        here.gateway.stop()

        said = adopt(here, "--undo")
        assert f"{TOKEN}: version 2, the current one, stands where version 1 did" in said
        assert first.reveal_text() not in said and current.reveal_text() not in said
        config = json.loads(here.gateway.config_path.read_text())
        assert config["gateway"]["auth"]["token"] == current.reveal_text() and "secrets" not in config
        assert here.files_with(first) == []

        here.gateway.start()
        assert accepts(here.gateway.url, current, LONG)
        assert not accepts(here.gateway.url, first, LONG)
        assert (here.asked("show", TOKEN)["injectors"], here.asked("show", TOKEN)["consumers"]) == ([], [])
        said = here.claw("rotate", TOKEN, code=4)
        assert "not rotated; the old one is still in use (version 2 is current)" in said, "and so it is, shown next"
        assert (here.version(), accepts(here.gateway.url, current, LONG)) == (2, True)
        here.gateway.stop()

        adopt(here, "--apply")
        here.gateway.start()
        here.claw("rotate", TOKEN)
        assert accepts(here.gateway.url, here.value(), LONG) and here.value() != current
        assert not accepts(here.gateway.url, current, LONG)
