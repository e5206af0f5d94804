"""Kills a rotating process at a point, runs the next ordinary command, and looks at everything that is left."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from clawsecrets.model.record import Record
from clawsecrets.model.rotation import Rotation, State
from clawsecrets.model.secret import Stage
from clawsecrets.ports import Store
from tests.canary import search
from tests.crash.parts import NAME, PROVIDERS, App, Place, faults, faults_after_a_day, lay_out, values_out
from tests.fake_provider import Controls, RemoteFake
from tests.waiting import LONG

ROOT = Path(__file__).resolve().parent.parent.parent
BOTH_LIVE = ("overlap", "assisted", "alternate")
FILLING = ("creating", "creating-again", "clearing")
"""States of strategy alternate in which the idle slot may hold a value that nobody knows."""


class Child:
    """The forking child (child.py), as a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "tests.crash.child"], cwd=ROOT, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(LONG)
        self._process.stdout.close()

    def ask(self, order: Any) -> Any:
        """One order (or several at once) and the answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the child is gone"
        return json.loads(line)


@contextmanager
def provider() -> Iterator[RemoteFake]:
    """The fake provider as a process of its own, which outlives every killed child."""
    process = subprocess.Popen([sys.executable, "-m", "tests.fake_provider"], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield RemoteFake(f"http://127.0.0.1:{int(process.stdout.readline())}", process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Scene:
    """One deployment, from its first version to the end of one rotation."""

    def __init__(self, folder: Path, way: str, fake: Controls, child: Child, **settings: Any) -> None:
        """`settings`: of Place, beyond these."""
        self.fake, self.child, self.way = fake, child, way
        self.place = Place(folder, way, fake.url, fake.admin, **settings)
        self.style = PROVIDERS[way]
        self.before = set(fake.live(self.style)) if way != "self-issued" else set()
        self.by_hand = ""
        if way == "self-issued":
            self.first, handle = "first-value-of-the-gateway", ""
        else:
            seed = fake.seed(self.style)
            self.first, handle = seed.value, "" if seed.refresh or way == "alternate" else seed.handle
        self.idle = next((item.value for item in fake.live("pairco").values() if item.label == "two"), "")
        lay_out(self.place, self.first, handle, "" if way == "self-issued" else seed.refresh)

    def served(self) -> Mapping[str, str]:
        """What every reader outside of the store has now."""
        return values_out(self.place)

    def order(self, **more: Any) -> dict[str, Any]:
        """The ordinary command, safe to give twice. A person makes one key and pastes it."""
        if self.way == "assisted" and not self.by_hand:
            self.by_hand = self.fake.seed(self.style, "made-by-hand").value
        return {"place": self.place.plain(), "command": "rotate", "from_version": 1, "supplied": self.by_hand, **more}

    def run(self, **more: Any) -> dict[str, Any]:
        """Do it in a process of its own."""
        answer: dict[str, Any] = self.child.ask(self.order(**more))
        return answer

    def live(self) -> set[str]:
        """Values that the provider accepts, of this scene."""
        if self.way == "self-issued":
            return {App(self.place).uses}
        return {item.value for handle, item in self.fake.live(self.style).items() if handle not in self.before}

    def check_between(self, where: str) -> None:
        """What must hold right after the kill: nothing lost, nobody without a working value, everything readable."""
        outside = self.served()
        store = self.place.open()
        try:
            record = store.load(NAME)
            held = _held(store, record)
            live = self.live()
            if self.way in BOTH_LIVE:
                current = record.current
                assert current is not None
                served = {**outside, "store": held[current.number]}
                assert set(served.values()) <= live, f"{where}: somebody holds a dead value"
            self._check_known(record, set(held.values()), live, where)
            self._check_refresh_token(store, record, where)
            assert not faults(store), where
        finally:
            store.close()

    def _check_known(self, record: Record, held: set[str], live: set[str], where: str) -> None:
        if self.way == "self-issued":
            assert live <= held, f"{where}: the gateway accepts what the store has lost"
            return
        if self.way.startswith(("cut-over", "refresh")):
            assert live <= held or record.rotating, f"{where}: lost"
            return
        if self.way == "alternate":
            state = record.rotation.state.value if record.rotation is not None else ""
            assert live <= held | {self.idle} or state in FILLING, f"{where}: lost"
            return
        labels = record.rotation.labels if record.rotation is not None and record.rotating else ()
        for item in self.fake.live(self.style).values():
            if item.value in live - held - {self.by_hand}:
                assert item.label in labels, f"{where}: {item.handle} lives and nobody knows it"

    def _check_refresh_token(self, store: Store, record: Record, where: str) -> None:
        """It was never used a second time where that ends everything; the store has one, and while no use of it is
        under way, it is the provider's newest."""
        if not self.way.startswith("refresh"):
            return
        assert not self.fake.calls["reused"], f"{where}: a spent refresh token was used again"
        tokens = [v for v in record.versions if v.stage is Stage.REFRESH]
        assert len(tokens) == 1, f"{where}: {len(tokens)} refresh tokens"
        doubtful = record.rotation is not None and record.rotating and may_be_spent(record.rotation)
        value = store.value(NAME, tokens[0].number).reveal().decode()
        assert doubtful or value in self.fake.unspent(self.style), f"{where}: the refresh token is lost"

    def check_end(self, where: str, state: str = "done") -> None:
        """What must hold when the rotation has ended."""
        store = self.place.open()
        try:
            record = store.load(NAME)
            rotation, current = record.rotation, record.current
            assert rotation is not None and current is not None
            assert rotation.state.value == state, f"{where}: {rotation.state}, {rotation.note}"
            held = _held(store, record)
            value = held[current.number]
            assert (value != self.first) is (state == "done"), where
            live = self.live() - ({self.by_hand} if state != "done" else set())
            if self.way.startswith("refresh"):  # what a lost answer held ends by itself, within hours
                live &= set(held.values()) | {self.first}
            self._check_refresh_token(store, record, where)
            held = {number: text for number, text in held.items()
                    if number not in [v.number for v in record.versions if v.stage is Stage.REFRESH]}
            assert live == {value}, f"{where}: {len(live)} live, current is {current.number}"
            assert set(self.served().values()) == {value}, f"{where}: {self.served()}"
            ends = (Stage.CURRENT, Stage.REFRESH)
            assert not record.debts and not [v for v in record.versions if v.stage not in ends], where
            assert list(held) == [current.number], f"{where}: a dead value is still in the store"
            assert not faults(store) and not faults_after_a_day(store), where
        finally:
            store.close()
        self._check_files(where)

    def _check_files(self, where: str) -> None:
        """No draft with a value in it stays behind."""
        left = sorted(path.name for path in (self.place.folder / "out").rglob("*") if path.is_file())
        assert left == ["acme", "app.env", "bundle", "bundle.key"], f"{where}: {left}"
        tokens = self.fake.refresh_tokens() if self.way.startswith("refresh") else []
        for path in self.place.folder.rglob("*"):  # no refresh token anywhere, the store's own files included
            held = path.read_bytes() if path.is_file() else b""
            assert not any(search(held, token.encode()) for token in tokens), f"{where}: {path.name}"

    def kill_and_go_on(self, *points: int, command: str = "rotate") -> list[str] | None:
        """Kill one process after the other at these points, then let one end. The points' names; None: none was
        killed, there are not that many."""
        names: list[str] = []
        for point in points:
            answer = self.run(kill=point)
            if answer["status"] != signal.SIGKILL:
                break
            names.append(answer["points"][-1])
            self.check_between(f"{self.way} point {points} {names}")
        if not names:
            return None
        where = f"{self.way} killed at {points[:len(names)]} {names}"
        answer = self.run()
        assert answer["status"] == 0 and "error" not in answer["result"], f"{where}: {answer}"
        if self.way == "cut-over-self" and answer["result"]["state"] == "stuck":
            self.give_by_hand(answer["result"], where)
        if self.way == "refresh-once" and answer["result"]["state"] == "stuck":
            self.authorize_anew(answer["result"], where)
        self.check_end(where)
        return names

    def give_by_hand(self, result: dict[str, Any], where: str) -> None:
        """The provider rolled, its answer is lost, and only the lost token could ask again: a person must."""
        assert result["stuck_in"] == State.RECREATING.value, f"{where}: {result}"
        (token,) = self.live()
        asked = urllib.request.Request(f"{self.fake.url}/self/roll", b"{}", {"Authorization": f"Bearer {token}"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=LONG) as reply:
            value = json.loads(reply.read())["token"]
        answer = self.child.ask({**self.order(), "supplied": value, "from_version": 0})
        assert answer["result"].get("state") == "done", f"{where}: {answer}"

    def authorize_anew(self, result: dict[str, Any], where: str) -> None:
        """The refresh token is spent and the answer lost: a person must, and is told how."""
        assert result["stuck_in"] == State.DOUBTFUL.value and "press Install" in result["note"], f"{where}: {result}"
        token = self.fake.seed(self.style, "authorized-anew")
        self.fake.end(self.style, token.value)  # its value is not what is given
        answer = self.child.ask({**self.order(), "supplied": token.refresh, "from_version": 0})
        assert answer["result"].get("state") == "done", f"{where}: {answer}"

    def close(self) -> None:
        """Clean up: what lives goes out of the way of the next scene."""
        shutil.rmtree(self.place.folder)


def may_be_spent(rotation: Rotation) -> bool:
    """Whether its refresh token may be under way, or spent."""
    return (rotation.stuck_in or rotation.state) in (State.CREATING, State.DOUBTFUL, State.AWAITING)


def _held(store: Store, record: Record) -> dict[int, str]:
    return {v.number: store.value(NAME, v.number).reveal().decode() for v in record.versions if not v.erased_at}


def of_the_targets(points: Sequence[str], everything: bool) -> Iterator[tuple[int, str]]:
    """The points, counted from 1, that are not inside of the store; without `everything`, from the first delivery on.
    Of two with nothing in between (after one call, before the next, or before a program) it is the first."""
    inside, last = False, ""
    first = 0 if everything else next(at for at, name in enumerate(points) if name.endswith(".deliver"))
    for at, name in enumerate(points):
        inside = name == "before commit" or (inside and name != "after commit")
        if name.startswith("sql") or (inside and name != "before commit"):
            continue
        same = name.startswith("starting ") or (last.startswith("after ") and name.startswith("before "))
        if at >= first and not same:
            yield at + 1, name
        last = name


def running(word: str) -> bool:
    """Whether a process runs with that in its command line."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(word) in file.read_bytes():
                return True
        except OSError:
            continue
    return False


def note(results: str, name: str, figures: dict[str, int]) -> None:
    """Add figures to bench/results/RESULTS.json; several test processes may do so at once."""
    with (ROOT / "bench" / "results" / f"{results}.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = json.loads(file.read() or "{}")
        known[name] = figures
        file.truncate(0)
        file.write(json.dumps(known, indent=1, sort_keys=True) + "\n")
