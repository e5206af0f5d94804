"""`store copy` of 2,000 secrets of five versions, killed with SIGKILL at twenty random moments and run again: identical
at the end, by value and by history. The figures go to bench/results/copy.json.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import figures
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from clawsecrets.ports import Change, Store
from clawsecrets.stores import sqlite
from clawsecrets.stores.keys import KeyFile
from tests.cli.desk import SCRIPT, Desk
from tests.contract.store import event
from tests.waiting import LONG

pytestmark = pytest.mark.soak

SECRETS, VERSIONS, KILLS, BATCH = 2000, 5, 20, 200


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        made.init()
        key = KeyFile(made.root / "keys" / "master.key")
        store = sqlite.open_store(made.database, made.home / "state" / "anchor.json", [key])
        for start in range(0, SECRETS, BATCH):
            _fill(store, [f"s/{number:05}" for number in range(start, start + BATCH)])
        store.close()
        yield made


def _fill(store: Store, names: list[str]) -> None:
    """Secrets of five versions, of which the first two are dead and erased, and the third is kept."""
    records = [Record(Secret(name, "generic", Kind.API_KEY, 1.0)) for name in names]
    for number in range(1, VERSIONS + 1):
        values = {record.secret.name: SecretValue(f"{record.secret.name} {number} {os.urandom(8).hex()}")
                  for record in records}
        records = [record.put_current(Version(number, Stage.CURRENT, float(number),
                                              store.fingerprint(values[record.secret.name]), f"h{number}"))
                   for record in records]
        if number > 3:
            records = [record.change(number - 3, lambda v: replace(v, stage=Stage.REVOKED, dead_at=9.0, erased_at=9.0))
                       for record in records]
        records = list(store.commit([Change(record, event(secret=record.secret.name),
                                            {number: values[record.secret.name]}) for record in records]))


def test_killed_twenty_times_it_is_the_same_at_the_end(desk: Desk) -> None:
    other = f"sqlite://{desk.root}/other/store.db"
    desk.ok("init", "--store", other, "--key-file", str(desk.root / "other-key"), "--no-recovery")
    dice = random.Random(int(os.environ.get("SEED", "1")))
    whole = _timed(desk, "store", "copy", "--to", f"sqlite://{desk.root}/first/store.db", init=True)
    reached = []
    for _ in range(KILLS):
        words = [str(SCRIPT), "store", "copy", "--to", other]
        with subprocess.Popen(words, env=desk.env, cwd=desk.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            time.sleep(dice.uniform(0.3, 0.3 + whole / 6))
            process.send_signal(signal.SIGKILL)
            process.wait(LONG)
        reached.append(len(json.loads(desk.ok("list", "--store", other, "--json").out)["secrets"]))
    last = _timed(desk, "store", "copy", "--to", other)
    checked = _timed(desk, "store", "check", f"sqlite://{desk.database}", "--against", other)
    moved = _timed(desk, "store", "copy", "--to", other, "--retire-source")
    desk.ok("store", "check", f"sqlite://{desk.database}", "--against", other)
    assert reached == sorted(reached) and any(0 < count < SECRETS for count in reached), reached
    figures.write("copy", figures.machine(), {
        "secrets": SECRETS, "versions": VERSIONS, "kills": KILLS, "reached": reached, "whole_s": round(whole, 1),
        "last_s": round(last, 1), "compare_s": round(checked, 1), "move_s": round(moved, 1), "differences": 0})


def _timed(desk: Desk, *words: str, init: bool = False) -> float:
    """Seconds of a command that must end with 0."""
    if init:
        desk.ok("init", "--store", words[-1], "--key-file", str(desk.root / "first-key"), "--no-recovery")
    began = time.monotonic()
    done = subprocess.run([str(SCRIPT), *words], env=desk.env, cwd=desk.root, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=3600, check=False)
    assert done.returncode == 0, done
    return time.monotonic() - began
