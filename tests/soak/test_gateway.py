"""20 rotations of a real gateway's token in a row, under a client that connects every 100 ms: who was locked out, when,
for how long, and what a rotation costs. The figures go to bench/results/gateway.json.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from bench import figures
from clawsecrets.clients.gateway import GatewayClient, accepts
from tests.real.deployment import TOKEN, Deployment
from tests.soak.client import EVERY, Attempt
from tests.waiting import LONG

pytestmark = [pytest.mark.real, pytest.mark.soak]

ROTATIONS = 20
STEPS = ["announce", "create", "stage", "reload", "deliver", "confirm", "prove-dead"]
PAUSE = 0.5
"""Seconds of quiet between two rotations, so that every change of hands stands alone."""


@dataclass
class Rotated:
    """One `clawsecrets rotate` process, in CLOCK_MONOTONIC seconds, as it told it with --verbose."""

    began: float
    steps: dict[str, float]
    """When it said that a step begins. What stands before it is committed by then."""
    ended: float = 0.0

    @property
    def reloading(self) -> float:
        """The reload begins."""
        return self.steps["reload"]

    @property
    def committed(self) -> float:
        """The commit after its reply has happened, and the next step begins."""
        return self.steps["deliver"]

    def durations(self) -> dict[str, float]:
        """Seconds of each part: starting up, each step with its commit, and the last step with going away."""
        names, times = ["start", *self.steps], [self.began, *self.steps.values(), self.ended]
        return {name: after - before for name, before, after in zip(names, times[:-1], times[1:], strict=True)}

    @property
    def span(self) -> float:
        """The only time in which a client may be refused."""
        return self.committed - self.reloading


def rotate(here: Deployment) -> Rotated:
    """Rotate, and note when it said what."""
    process = here.begin("rotate", TOKEN, "--verbose")
    told = Rotated(time.monotonic(), {})
    assert process.stderr is not None
    for line in process.stderr:
        now = time.monotonic()
        name, _, rest = line.strip().partition(": ")
        if name == TOKEN and rest.endswith(" …"):
            told.steps[rest.removesuffix(" …")] = now
    assert process.wait() == 0
    told.ended = time.monotonic()
    process.stderr.close()
    assert list(told.steps) == STEPS
    return told


@contextmanager
def busy_client(here: Deployment) -> Iterator[list[Attempt]]:
    """The client, as long as the block runs; its attempts are there afterwards."""
    attempts: list[Attempt] = []
    process = subprocess.Popen([sys.executable, "-m", "tests.soak.client", here.gateway.url], env=here.environment,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    try:
        yield attempts
    finally:
        out, _ = process.communicate(timeout=LONG)
    assert process.returncode == 0
    attempts.extend(Attempt(**json.loads(line)) for line in out.splitlines())


def own_reload(here: Deployment) -> float:
    """Seconds of OpenClaw's own `openclaw secrets reload --json`, whole process."""
    env = {"OPENCLAW_GATEWAY_URL": here.gateway.url, "OPENCLAW_GATEWAY_TOKEN": here.value().reveal_text()}
    began = time.monotonic()
    done = here.gateway.cli("secrets", "reload", "--json", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - began


def bare_reload(here: Deployment) -> float:
    """Seconds of the RPC `secrets.reload` alone."""
    with GatewayClient(here.gateway.url, here.value()) as client:
        began = time.monotonic()
        client.call("secrets.reload")
        return time.monotonic() - began


def inside(attempt: Attempt, rotations: Sequence[Rotated]) -> bool:
    """Whether the attempt ran, at least in part, between the start of a reload and the commit after its reply."""
    return any(attempt.start <= r.committed and attempt.end >= r.reloading for r in rotations)


def test_twenty_rotations_under_a_client_that_connects_all_the_time() -> None:
    with Deployment() as here:
        here.make_store(f"OPENCLAW_GATEWAY_TOKEN={secrets.token_hex(24)}")
        here.bind()
        here.gateway.start()
        rotate(here)  # warms what is warm ever after
        machine = figures.machine()
        quiet = [rotate(here) for _ in range(ROTATIONS)]
        with busy_client(here) as attempts:
            time.sleep(1.0)
            rotations, began = [], time.monotonic()
            for _ in range(ROTATIONS):
                rotations.append(rotate(here))
                assert accepts(here.gateway.url, here.value(), LONG), "what `get --raw` gives must work at once"
                time.sleep(PAUSE)
            took = time.monotonic() - began
        own, bare = [own_reload(here) for _ in range(ROTATIONS)], [bare_reload(here) for _ in range(ROTATIONS)]
        assert here.version() == 2 + 2 * ROTATIONS
    failed = [a for a in attempts if not a.ok]
    outside = [a for a in failed if not inside(a, rotations)]
    figures.write("gateway", machine, told(attempts, failed, rotations, quiet, own, bare))
    assert len(attempts) > 0.5 * took / EVERY, "the client was not there"
    assert outside == []


def told(attempts: Sequence[Attempt], failed: Sequence[Attempt], rotations: Sequence[Rotated],
         quiet: Sequence[Rotated], own: Sequence[float], bare: Sequence[float]) -> dict[str, object]:
    """What is kept."""
    walls = [r.ended - r.began for r in quiet]
    return {
        "client": {
            "every_ms": 100, "attempts": len(attempts), "failed": len(failed),
            "failed_outside_the_span": len([a for a in failed if not inside(a, rotations)]),
            "rotations": len(rotations),
            "rotations_with_a_failure": sum(any(inside(a, [r]) for a in failed) for r in rotations),
        },
        "span_from_reload_to_commit": figures.spread([r.span for r in quiet]),
        "span_under_the_client": figures.spread([r.span for r in rotations]),
        "rotation_wall": figures.spread(walls),
        "rotation_parts_p50_ms": {part: round(1000 * figures.percentile([r.durations()[part] for r in quiet], 0.5), 1)
                                  for part in ("start", *STEPS)},
        "rotation_wall_under_the_client": figures.spread([r.ended - r.began for r in rotations]),
        "openclaw_secrets_reload_cli": figures.spread(own),
        "secrets_reload_rpc": figures.spread(bare),
        "share_that_openclaws_cli_alone_would_be": round(
            figures.percentile(own, 0.5) / figures.percentile(walls, 0.5), 2),
    }
