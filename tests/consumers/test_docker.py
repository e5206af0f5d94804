"""A container or a Compose service that is not there: said by its name, and nothing counts as done. One that runs on is
not healthy by what was found before it had the new value."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clawsecrets.consumers.docker import NOTHING, RESTART, DockerConsumer
from clawsecrets.errors import NotFound
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover


class Nothing:
    """An engine without any container."""

    local = True

    def inspect(self, name: str) -> Any:
        raise NotFound(f"there is no container {name}")


COMPOSE = SimpleNamespace(file=Path("/srv/compose.yaml"), service="gateway", containers=list)


@pytest.mark.parametrize(("named", "told"), [
    ({"container": "bot"}, "container bot is not there"),
    ({"compose": COMPOSE}, "service gateway of /srv/compose.yaml is not there"),
])
def test_what_is_gone_is_named_and_refused(named: dict[str, Any], told: str) -> None:
    consumer = DockerConsumer("it", Nothing(), action=RESTART, **named)  # type: ignore[arg-type]
    handover = Handover("key", "generic", "other", SecretValue("new-value-0123"), 2, SecretValue("old-value-0123"))
    for reply in (consumer.reload(handover), consumer.probe(handover), consumer.prove(handover)):
        assert (reply.outcome, reply.detail) == (Outcome.REFUSED, told)


class Running:
    """An engine with one container, whose health is checked at each look that is given; the last one stays."""

    local = True

    def __init__(self, *checks: tuple[int, str, int]) -> None:
        """Number of the last check, status, failed checks in a row."""
        self.checks = list(checks)

    def kill(self, ident: str, name: str) -> None:
        """It has the signal."""

    def inspect(self, name: str) -> Any:
        number, status, streak = self.checks.pop(0) if len(self.checks) > 1 else self.checks[0]
        health = {"Status": status, "FailingStreak": streak, "Log": [{"Start": f"check {number}"}]}
        return {"Id": "1", "Name": "/bot", "State": {"Running": True, "Health": health}}


OLD = (1, "healthy", 0)


@pytest.mark.parametrize("action", ["HUP", NOTHING])
@pytest.mark.parametrize(("checks", "outcome"), [
    ([OLD] * 9 + [(2, "healthy", 0)], Outcome.OK),
    ([OLD] * 9 + [(2, "healthy", 1)] * 3 + [(3, "unhealthy", 2)], Outcome.REFUSED),
    ([OLD] * 9 + [(2, "healthy", 1)] * 3 + [(3, "healthy", 0)], Outcome.OK),
], ids=["a later check", "it fails later", "it fails once"])
def test_the_health_of_one_that_runs_on_is_found_anew(
        checks: list[tuple[int, str, int]], outcome: Outcome, action: str) -> None:
    slept: list[float] = []
    engine = Running(*checks)
    consumer = DockerConsumer("it", engine, container="bot", action=action, rereads=True,  # type: ignore[arg-type]
                              settle=7.0, sleep=slept.append)
    handover = Handover("key", "generic", "other", SecretValue("new-value-0123"), 2, SecretValue("old-value-0123"))
    assert consumer.reload(handover).outcome is outcome
    assert slept[0] == 7.0 and len(engine.checks) == 1, "a check that was made before is not waited past"


def test_where_checks_are_rare_the_last_one_counts() -> None:
    consumer = DockerConsumer("it", Running(OLD), container="bot", action=NOTHING, rereads=True,  # type: ignore[arg-type]
                              timeout=0.0, settle=0.0)
    handover = Handover("key", "generic", "other", SecretValue("new-value-0123"), 2, SecretValue("old-value-0123"))
    assert consumer.reload(handover).outcome is Outcome.OK
