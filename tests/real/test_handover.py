"""The way in: a gateway whose token stands in openclaw.json, and the commands that quickstart prints for it."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from clawsecrets.cli.quickstart import handover_commands
from clawsecrets.clients.gateway import accepts
from clawsecrets.model.secret import SecretValue
from tests.real.deployment import SCRIPT, TOKEN, Deployment
from tests.waiting import LONG, until

OPENCLAWS_COPIES = ("openclaw.json.bak", "openclaw.json.last-good")

pytestmark = [pytest.mark.real, pytest.mark.slow]


def loose_script(here: Deployment) -> Path:
    """A copy of the console script as pip makes it under umask 002, which OpenClaw would refuse as a resolver."""
    copy = here.base / "clawsecrets-script"
    shutil.copy(SCRIPT, copy)
    copy.chmod(0o775)
    return copy


def typed(here: Deployment, words: list[str]) -> None:
    """Run one printed command."""
    if words[0] == "clawsecrets":
        here.claw(*words[1:])
        return
    if words[0] == "openclaw":
        done = here.gateway.cli(*words[1:])
    else:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def elsewhere(here: Deployment, value: SecretValue) -> list[str]:
    """The files that hold this value and are no copies that OpenClaw keeps of its configuration."""
    return [name for name in here.files_with(value) if not name.startswith(OPENCLAWS_COPIES)]


def test_import_then_the_printed_commands_then_the_first_rotation() -> None:
    plain = secrets.token_hex(24)
    with Deployment(plain=plain) as here:
        here.gateway.start()
        here.make_store()
        here.claw("import", str(here.gateway.config_path))
        here.bind()
        old = here.value()
        assert old == SecretValue(plain)
        here.claw("rotate", TOKEN, "--dry-run", code=4)
        for words in handover_commands(loose_script(here), here.bundle):
            typed(here, words)
        new = here.value()
        assert accepts(here.gateway.url, new, LONG)
        assert not accepts(here.gateway.url, old, LONG)
        assert here.audit() == "clean 0"
        assert here.files_with(new) == []
        # a gateway that is still starting promotes the configuration it started with last of all, after the one that
        # it has read since: .last-good may hold the former one until the next change (README and SECURITY say so)
        until(lambda: not elsewhere(here, old), lambda: f"the end of the old token in {elsewhere(here, old)}")
        assert here.files_with(old)


def test_a_script_that_nobody_else_may_write_needs_no_mending() -> None:
    assert handover_commands(SCRIPT, Path("/b"))[0][0] == "openclaw"
