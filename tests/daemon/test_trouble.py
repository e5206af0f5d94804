"""A daemon in trouble: a store that cannot be written at its start, one that is closed under it, a template without an
end. It says so to people, does the rest, and goes on by itself when it is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import canary as canaries
from tests.cli.desk import Desk
from tests.cli.test_outcomes import APP
from tests.cli.test_vault import configured, url_of
from tests.daemon.running import Running, free_port
from tests.daemon.test_process import KEY, kept
from tests.fake_services import Services
from tests.real.openbao import Dev
from tests.waiting import LONG, until

pytestmark = pytest.mark.slow
TOKEN = "canary0123456789abcdefcanary"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        yield made


@pytest.fixture
def services() -> Iterator[Services]:
    with Services() as made:
        yield made


@pytest.fixture
def disk(desk: Desk) -> Iterator[Path]:
    """The desk's home, a small disk of its own."""
    desk.home.mkdir(mode=0o700)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "none", str(desk.home)],
                          capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"NOT RUN: a tmpfs cannot be mounted here ({done.stderr.decode().strip()}); run as root")
    yield desk.home
    subprocess.run(["umount", "-l", str(desk.home)], check=True)


def told(services: Services) -> list[str]:
    """Title and text of every message."""
    return [f"{found['title']}\n{found['message']}" for found in map(json.loads, services.texts())]


def channel(desk: Desk, services: Services) -> None:
    """One that hears of errors alone."""
    desk.quick("notify", "add", "notify-hook", stdin=f"json://{services.host}/{TOKEN}".encode())
    file = desk.home / "clawsecrets.toml"
    file.write_text(f'{file.read_text()}[notify.channels.hook]\nsecret = "notify-hook"\nleast = "error"\n')


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="space"):
        while True:
            filler.write(b"x" * 4096)


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_one_that_starts_on_a_disk_without_space_says_so_and_goes_on_when_there_is(
        desk: Desk, disk: Path, services: Services, how: str) -> None:
    port = free_port()
    kept(desk, port)
    channel(desk, services)
    if how == "full":
        fill(disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with Running(desk, "one", port) as daemon:
        daemon.until_said("daemon.store-trouble")
        daemon.until(lambda: any("nothing is rotated: " in text for text in told(services)), "the notice")
        assert daemon.page("/readyz") == (503, "the store cannot be written\n")
        looks = daemon.metrics()
        assert looks["clawsecrets_leading", ""] == 0.0 and not daemon.said("daemon.stands-by")
        if how == "full":
            (disk / "filler").unlink()
        else:
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        daemon.until(lambda: len(daemon.events("rotation.end")) >= 2, "it rotates")
        daemon.until(lambda: any("the daemon works again" in text for text in told(services)), "that it is over")
        assert daemon.page("/readyz") == (200, "ready\n") and daemon.said("daemon.store-works")
        assert len(daemon.events("daemon.store-trouble")) == 1 and not daemon.said("daemon.error")
        assert len(daemon.events("sync.error")) <= 1
        assert sum("nothing is rotated: " in text for text in told(services)) == 1
        assert daemon.end() == 0


@pytest.mark.real("openbao")
@pytest.mark.parametrize("what", ["sealed", "revoked"])
def test_a_store_that_is_closed_under_it_is_told_to_the_channels_that_it_knew(
        desk: Desk, services: Services, what: str) -> None:
    port = free_port()
    with Dev() as bao:
        configured(desk, bao, url_of(bao), '[store.vault]\npatience = "2s"\n[injectors.out]\nkind = "directory"\n'
                   f'path = "{desk.root}/out"\n{APP.format(probe="true")}'
                   f'[schedule.secrets.{KEY}]\nevery = "1d"\njitter = "0"\n'
                   f'[daemon]\nlog = "json"\ntick = "1s"\ntakeover = "4s"\nlisten = "127.0.0.1:{port}"\n')
        desk.seeded()
        channel(desk, services)
        with Running(desk, "one", port) as daemon:
            daemon.until_said("daemon.leads")
            if what == "sealed":
                bao.seal()
            else:
                bao.api("POST", "auth/token/revoke", {"token": desk.env["VAULT_TOKEN"]})
            daemon.until(lambda: any("nothing is rotated: " in text for text in told(services)), "the notice")
            assert daemon.page("/readyz")[0] == 503
            if what == "sealed":
                assert any("sealed" in text for text in told(services))
                bao.unseal()
                daemon.until(lambda: any("the daemon works again" in text for text in told(services)), "its end")
                daemon.until(lambda: daemon.page("/readyz")[0] == 200, "it goes on")
            assert daemon.end() == 0
            assert len(daemon.events("tick.error")) <= 2, "the same is not logged at every look"
        kept_there = [daemon.file.read_bytes(), *(path.read_bytes() for path in desk.home.rglob("*.json"))]
        assert not any(canaries.search(data, TOKEN.encode()) for data in kept_there)


BROKEN_LOOK = """
import sys
from clawsecrets.cli.entry import main
from clawsecrets.daemon.keeper import Keeper
from clawsecrets.errors import StoreDamaged
def look(self):
    raise KIND("the list of secrets cannot be read")
Keeper.look = look
sys.argv[1:] = ["daemon"]
main()
"""
"""A daemon whose store can say who leads, and not what is in it; or that has a bug there."""


@pytest.mark.parametrize(("kind", "said"), [("StoreDamaged", "nothing is rotated: the list of secrets cannot be read"),
                                            ("TypeError", "nothing is rotated: a bug in clawsecrets (TypeError)")])
def test_looks_that_fail_are_told(desk: Desk, services: Services, kind: str, said: str) -> None:
    kept(desk, free_port())
    channel(desk, services)
    with open(desk.root / "log", "wb") as log:
        process = subprocess.Popen([sys.executable, "-c", BROKEN_LOOK.replace("KIND", kind)], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, env=desk.env, cwd=desk.root)
    try:
        until(lambda: any(said in text for text in told(services)), "the notice")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
    finally:
        process.kill()
        process.wait(LONG)
    assert (desk.root / "log").read_bytes().count(b'"tick.error"') <= 1
    assert len(told(services)) == 1


def test_a_template_without_an_end_stops_no_other_secret(desk: Desk) -> None:
    port = free_port()
    loop = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    desk.write("t.j2", loop + "{{ secret('endless') }}")
    kept(desk, port, f'[schedule.secrets.endless]\nevery = "2s"\njitter = "0"\n[injectors.conf]\nkind = "template"\n'
         f'template = "{desk.root}/t.j2"\npath = "{desk.root}/app.conf"\n')
    desk.seeded(name="endless")
    desk.quick("configure", "endless", "--inject", "conf", "--consume", "app")
    assert desk.fake is not None
    with Running(desk, "one", port) as daemon:
        daemon.until(lambda: any("t.j2: it takes longer than 10 s" in json.dumps(event) for event in daemon.events()),
                     "that it is said")
        done = len(daemon.events("rotation.end"))
        daemon.until(lambda: len([event for event in daemon.events("rotation.end")[done:]
                                  if event["secret"] == KEY]) >= 2, "the other goes on")
        assert daemon.end() == 0
    assert not (desk.root / "app.conf").exists()
    assert not daemon.said("rotation.end", secret="endless", state="done")


def test_fifos_in_the_state_folder_hold_nothing_up(desk: Desk, services: Services) -> None:
    port = free_port()
    kept(desk, port)
    channel(desk, services)
    [anchor] = desk.home.rglob("anchor.json")
    for name in ("anchor-notify.json", "anchor-told.json"):
        anchor.with_name(name).unlink(missing_ok=True)
        os.mkfifo(anchor.with_name(name))
    with Running(desk, "one", port) as daemon:
        daemon.until_said("daemon.leads")
        daemon.send(signal.SIGTERM)
        assert daemon.process.wait(LONG) == 0
