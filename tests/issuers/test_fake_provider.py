"""The fake itself: what the crash tests stand on must be true."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests

from tests.fake_provider import Controls, FakeProvider, spawn
from tests.waiting import LONG, until


def admin(fake: Controls) -> dict[str, str]:
    return {"Authorization": f"Bearer {fake.admin}"}


def make(fake: Controls, label: str = "l1") -> requests.Response:
    return requests.post(fake.url + "/v1/keys", json={"name": label}, headers=admin(fake), timeout=LONG)


def who(fake: Controls, value: str, path: str = "/v1/whoami") -> int:
    return requests.get(fake.url + path, headers={"Authorization": f"Bearer {value}"}, timeout=LONG).status_code


def test_overlap_life() -> None:
    with FakeProvider() as fake:
        made = make(fake).json()
        assert who(fake, made["secret"]) == 200
        assert {c.label for c in fake.live().values()} == {"l1"}
        gone = requests.delete(f"{fake.url}/v1/keys/{made['id']}", headers=admin(fake), timeout=LONG)
        again = requests.delete(f"{fake.url}/v1/keys/{made['id']}", headers=admin(fake), timeout=LONG)
        assert (gone.status_code, again.status_code) == (204, 404)
        assert who(fake, made["secret"]) == 401
        assert not fake.live()
        assert requests.get(fake.url + "/v1/keys", timeout=LONG).status_code == 401


def test_pages() -> None:
    with FakeProvider() as fake:
        fake.configure(page_size=2)
        for number in range(3):
            fake.seed(label=str(number))
        first = requests.get(fake.url + "/v1/keys", headers=admin(fake), timeout=LONG).json()
        assert (len(first["keys"]), first["next"]) == (2, "2")
        rest = requests.get(fake.url + "/v1/keys?after=2", headers=admin(fake), timeout=LONG).json()
        assert (len(rest["keys"]), rest["next"]) == (1, None)


@pytest.mark.parametrize(("style", "roll", "me"), [("rollco", "/roll", "/me"), ("selfroll", "/self/roll", "/self/me")])
def test_cut_over_kills_the_old(style: str, roll: str, me: str) -> None:
    with FakeProvider() as fake:
        old = fake.seed(style).value
        token = fake.admin if style == "rollco" else old
        new = requests.post(fake.url + roll, json={}, headers={"Authorization": f"Bearer {token}"}, timeout=LONG).json()
        assert (who(fake, old, me), who(fake, new["token"], me)) == (401, 200)


@pytest.mark.parametrize(("when", "acted"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("how", ["reset", "close", "hang"])
def test_faults(how: str, when: str, acted: int) -> None:
    with FakeProvider() as fake:
        fake.fault("create", how, when=when, seconds=0.1)
        with pytest.raises(requests.RequestException):
            make(fake)
        assert len(fake.live()) == acted
        assert make(fake).status_code == 201  # a fault counts down
        assert fake.calls["create"] == 2


def test_status_and_garbage() -> None:
    with FakeProvider() as fake:
        fake.fault("create", "status", status=429, headers={"Retry-After": "7"})
        limited = make(fake)
        assert (limited.status_code, limited.headers["Retry-After"], fake.live()) == (429, "7", {})
        fake.fault("create", "garbage", when="after")
        assert make(fake).status_code == 200
        assert len(fake.live()) == 1


def test_a_held_request_can_be_seen_and_let_go() -> None:
    with FakeProvider() as fake:
        fake.fault("create", "slow", when="after", seconds=LONG)
        thread = threading.Thread(target=make, args=(fake,))
        thread.start()
        until(lambda: fake.holding, "the request")
        assert (fake.holding, len(fake.live())) == (1, 1)
        fake.let_go()
        thread.join(LONG)
        assert not thread.is_alive()


def test_own_process_keeps_its_state(tmp_path: Path) -> None:
    with spawn(tmp_path / "state.json") as fake:
        seeded = fake.seed()
        fake.fault("create", "exit", when="after")
        with pytest.raises(requests.RequestException):
            make(fake)
        assert fake.process.wait(LONG) == 9
    with spawn(tmp_path / "state.json") as fake:
        assert len(fake.live()) == 2
        assert who(fake, seeded.value) == 200
        assert fake.calls["create"] == 1
