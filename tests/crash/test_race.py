"""Two at once: eight processes that all rotate, and one that sleeps while another takes over."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.crash.harness import ROOT, Child, Scene
from tests.crash.parts import NAME, faults, values_out
from tests.fake_provider import RemoteFake
from tests.real.openbao import Dev

PROCESSES = 8
RESULTS = ROOT / "bench" / "results" / "race.json"
SLEEPS = {
    "overlap": ("before issuer.create", "sent", "answered", "after issuer.create", "before commit", "after commit",
                "before env.deliver", "before bundle.deliver", "after bundle.deliver", "before app.reload",
                "before app.prove", "before issuer.revoke", "after issuer.revoke"),
    "alternate": ("before slots.locate", "after issuer.create", "before commit", "before bundle.deliver",
                  "before app.reload", "before app.prove", "before issuer.revoke", "after issuer.revoke"),
    "cut-over-self": ("before issuer.create", "after issuer.create", "before bundle.deliver", "before app.reload"),
    "refresh": ("before refresher.refresh", "sent", "answered", "after refresher.refresh", "before commit",
                "before bundle.deliver", "before app.reload", "after issuer.revoke"),
    "refresh-once": ("after refresher.refresh", "before bundle.deliver", "before app.reload"),
    "self-issued": ("before issuer.create", "before bundle.deliver", "before app.reload", "after app.reload",
                    "before env.deliver", "before app.probe"),
}

ONLY_THE_SLEEPER_KNOWS = {("cut-over-self", "after issuer.create"), ("refresh-once", "after refresher.refresh")}
"""The provider rolled, and the only token that works is in the memory of the sleeper. The other one ends stuck, says
so, and the sleeper hands the value in under a lease of its own: nothing else could bring it back."""


def on(bao: Dev, name: str) -> dict[str, str]:
    """Settings of a scene whose store is on that server."""
    return {"server": bao.url, "token": bao.token, "prefix": f"race/{os.getpid()}/{name}"}


def race(folder: Path, fake: RemoteFake, child: Child, rounds: int, **settings: str) -> list[float]:
    """Rounds of eight processes at a barrier; seconds of each round."""
    scene, took = Scene(folder / "scene", "overlap", fake, child, **settings), []
    for version in range(1, rounds + 1):
        barrier = str(folder / f"go{version}")
        order = {**scene.order(), "from_version": version, "barrier": barrier, "longest": 1.0}
        made, began = len(fake.ever("acme")), time.time()
        answers = child.ask([order] * PROCESSES)
        took.append(time.time() - began)
        results = [answer["result"] for answer in answers]
        assert all("error" not in result for result in results), results
        assert [result["already"] for result in results].count(False) == 1, results
        store = scene.place.open()
        record = store.load(NAME)
        assert record.current is not None and record.current.number == version + 1 == record.last_number
        value = store.value(NAME, version + 1).reveal().decode()
        assert not faults(store)
        store.close()
        assert scene.live() == {value}
        assert set(values_out(scene.place).values()) == {value}
        assert len(fake.ever("acme")) == made + 1
    return took


def test_eight_at_once(folder: Path, child: Child, fake: RemoteFake) -> None:
    race(folder, fake, child, 5)


@pytest.mark.real("openbao")
def test_eight_at_once_on_a_server(folder: Path, child: Child, fake: RemoteFake, bao: Dev) -> None:
    race(folder, fake, child, 2, **on(bao, "eight"))


@pytest.mark.soak
def test_eight_at_once_fifty_times(folder: Path, child: Child, fake: RemoteFake) -> None:
    took = sorted(race(folder, fake, child, 50))
    figures = {"processes": PROCESSES, "rounds": len(took), "new versions": len(took), "extra credentials": 0,
               "seconds a round, median": round(took[len(took) // 2], 2), "longest": round(took[-1], 2)}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")


@pytest.mark.parametrize("way", SLEEPS)
def test_a_sleeper_commits_nothing(way: str, folder: Path, child: Child, fake: RemoteFake) -> None:
    sleep_everywhere(way, folder, child, fake, lambda name: {})


@pytest.mark.slow
@pytest.mark.real("openbao")
@pytest.mark.parametrize("way", ["overlap", "refresh-once"])
def test_a_sleeper_commits_nothing_on_a_server(way: str, folder: Path, child: Child, fake: RemoteFake,
                                               bao: Dev) -> None:
    sleep_everywhere(way, folder, child, fake, lambda name: on(bao, f"{way}/{name}"), ("writing", "wrote"))


def sleep_everywhere(way: str, folder: Path, child: Child, fake: RemoteFake,
                     settings: Callable[[str], dict[str, str]], more: Sequence[str] = ()) -> None:
    """One life for each point: asleep there, overtaken, woken."""
    counted = Scene(folder / "counted", way, fake, child, **settings("counted"))
    names = counted.run()["points"]
    counted.close()
    for where in (*SLEEPS[way], *more):
        if where not in names:
            continue
        place = where.replace(" ", "-")
        scene = Scene(folder / place, way, fake, child, lease=0.4, queue=2000.0, **settings(place))
        asleep = scene.run(stop=names.index(where) + 1)
        assert asleep["status"] == "stopped" and asleep["points"][-1] == where, (where, asleep)
        other = scene.run(longest=1.0)
        lost = (way, where) in ONLY_THE_SLEEPER_KNOWS
        assert other["result"].get("state") == ("stuck" if lost else "done"), f"{way} {where}: {other}"
        revision, events = revision_of(scene)
        woken = child.ask({"wait": asleep["stopped"]})
        assert os.WIFEXITED(woken["status"]), (where, woken)
        told = woken["result"]
        assert told.get("error") in ("Fenced", "LateEffect") or told.get("already"), f"{way} {where}: {woken}"
        assert lost or revision_of(scene) == (revision, events), f"{way} {where}: the sleeper wrote"
        scene.check_end(f"{way}, asleep at {where}")
        scene.close()


def revision_of(scene: Scene) -> tuple[int, int]:
    """What every commit raises: the record's revision, and the number of audit events."""
    store = scene.place.open()
    try:
        return store.load(NAME).revision, len(list(store.events()))
    finally:
        store.close()


def test_a_killed_process_is_killed(folder: Path, child: Child, fake: RemoteFake) -> None:
    """The harness itself: a kill is a kill, and the point's name is told."""
    scene = Scene(folder / "scene", "overlap", fake, child)
    answer = scene.run(kill=1)
    assert answer["status"] == signal.SIGKILL and len(answer["points"]) == 1
