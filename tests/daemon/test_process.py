"""The real process: it rotates, tells, stands by, takes over, stops, reloads, and shows itself."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.model.rotation import State
from tests.canary import search
from tests.cli.desk import SCRIPT, Desk
from tests.cli.test_outcomes import rented
from tests.daemon.running import Running, free_port
from tests.waiting import LONG, until

pytestmark = pytest.mark.slow
KEY = "acme-api-key"
TAKEOVER = 4


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "s") as made:
        yield made


def kept(desk: Desk, port: int, more: str = "", *, every: str = "2s") -> Desk:
    """A desk whose daemon rotates acme-api-key every two seconds."""
    rented(desk)
    file = desk.home / "clawsecrets.toml"
    file.write_text(f'{file.read_text()}[schedule.secrets.{KEY}]\nevery = "{every}"\njitter = "0"\n'
                    f'[daemon]\ntick = "1s"\ntakeover = "{TAKEOVER}s"\nlog = "json"\n'
                    f'listen = "127.0.0.1:{port}"\n{more}')
    return desk


def versions(desk: Desk) -> int:
    """The number of the current version."""
    number: int = json.loads(desk.ok("show", KEY, "--json").out)["version"]
    return number


def test_it_rotates_by_itself_and_shows_it(desk: Desk) -> None:
    port = free_port()
    kept(desk, port)
    value = desk.quick("get", KEY, "--raw").out
    with Running(desk, "one", port) as daemon:
        daemon.until_said("daemon.leads")
        daemon.until(lambda: len(daemon.events("rotation.end")) >= 3, "three rotations")
        daemon.until(lambda: daemon.metrics()["clawsecrets_rotations_total", "done"] >= 3, "three counted")
        numbers = daemon.metrics()
        assert daemon.page("/healthz") == (200, "ok\n") and daemon.page("/readyz") == (200, "ready\n")
        assert daemon.page("/anything")[0] == 404 and desk.ok("daemon", "--check").out == ""
        assert numbers["clawsecrets_leading", ""] == 1.0
        assert 0 <= numbers["clawsecrets_secret_age_seconds", KEY] < LONG
        assert abs(numbers["clawsecrets_last_tick_timestamp_seconds", ""] - time.time()) < LONG
        assert ("clawsecrets_secret_due_timestamp_seconds", KEY) in numbers
        assert numbers["clawsecrets_revocations_pending", ""] == 0.0
        assert numbers["clawsecrets_rotation_duration_seconds_count", ""] >= 3
        assert daemon.end() == 0
    began = daemon.events("rotation.begin")
    ended = daemon.events("rotation.end")
    assert {event["state"] for event in ended} == {"done"}
    steps = [event for event in daemon.events() if event.get("rotation") == ended[0]["rotation"]]
    assert {"rotation.step", "rotation.result", "rotation.end"} <= {event["event"] for event in steps}
    assert len(began) >= 3 and daemon.said("notice.rotated", secret=KEY, rotation=ended[0]["rotation"])
    fake = desk.fake
    assert fake is not None
    desk.run("rotations", "resume", KEY)  # on a busy machine one is always under way, and was parked
    assert [item.value for item in fake.live("acme").values()] == [desk.quick("get", KEY, "--raw").out]
    assert not search(daemon.file.read_bytes(), value.encode()), "a value is in the log"


def test_another_stands_by_and_takes_over_from_a_killed_one(desk: Desk) -> None:
    port = free_port()
    kept(desk, port, every="1d")
    with Running(desk, "one", port) as first:
        first.until_said("daemon.leads")
        first.until_said("web.open")
        with Running(desk, "two", port) as second:
            second.until_said("daemon.stands-by")
            assert not second.said("daemon.leads")
            first.send(signal.SIGKILL)
            second.until_said("daemon.leads")
            second.until(lambda: second.page("/readyz")[0] == 200, "its page")
            assert second.end() == 0


def stop_outside_of_a_commit(desk: Desk, daemon: Running) -> None:
    """SIGSTOP. Within a commit it would keep SQLite's write lock, and nobody could write until it is continued or
    killed (README, "The daemon"): then it is let on and stopped again."""

    def stopped() -> bool:
        daemon.send(signal.SIGSTOP)
        db = sqlite3.connect(desk.database, timeout=0.5, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        except sqlite3.OperationalError:
            daemon.send(signal.SIGCONT)
            return False
        finally:
            db.close()
        return True

    daemon.until(stopped, "a moment outside of a commit")


def test_a_stopped_one_does_nothing_when_it_is_woken(desk: Desk) -> None:
    port = free_port()
    kept(desk, port)
    with Running(desk, "one", port) as first:
        first.until(lambda: first.events("rotation.end"), "a first rotation")
        stop_outside_of_a_commit(desk, first)
        with Running(desk, "two", port) as second:
            second.until_said("daemon.leads")
            second.until(lambda: len(second.events("rotation.end")) >= 2, "rotations of the second")
            before = len(first.events("rotation.end"))
            first.send(signal.SIGCONT)
            first.until_said("daemon.lost-lead")
            second.until(lambda: len(second.events("rotation.end")) >= 4, "the second goes on")
            late = [event for event in first.events("rotation.end")[before:] if event["state"] == "done"]
            assert len(late) <= 1, "it may end the step that it slept in, and begins nothing"
            assert first.said("daemon.stands-by")
            assert second.end() == 0
            first.until(lambda: len(first.events("daemon.leads")) == 2, "it leads again when the second has left")
    assert desk.ok("audit-log", "verify").code == 0
    fake = desk.fake
    assert fake is not None
    desk.run("rotations", "resume", KEY)
    assert len(fake.live("acme")) == 1, "no orphan"


def test_sigterm_parks_between_two_steps_and_the_next_start_goes_on(desk: Desk) -> None:
    port = free_port()
    kept(desk, port)
    fake = desk.fake
    assert fake is not None
    with Running(desk, "one", port) as daemon:
        daemon.until(lambda: daemon.said("rotation.step", step="create"), "a rotation under way")
        assert daemon.end() == 0
        assert daemon.said("daemon.stopped")
    record = json.loads(desk.ok("show", KEY, "--json").out)["rotation"]
    assert record["final"] or record["waits_for"] == "time" or record["state"] == State.PLANNED.value
    with Running(desk, "two", port) as again:
        again.until(lambda: again.events("rotation.end"), "it goes on")
        assert again.end() == 0
    assert len(fake.live("acme")) <= 2
    desk.run("rotations", "resume", KEY)
    assert len(fake.live("acme")) == 1


def test_a_step_that_does_not_end_is_cut_short_and_settled_by_the_next_start(desk: Desk) -> None:
    port = free_port()
    kept(desk, port, 'stop = "1s"\n')
    fake = desk.fake
    assert fake is not None
    fake.fault("create", "hang", when="after")
    with Running(desk, "one", port) as daemon:
        daemon.until(lambda: daemon.said("rotation.step", step="create"), "a creation that hangs")
        assert daemon.end() == 1
        assert daemon.said("daemon.cut-short")
    fake.control(release=True)
    fake.clear()
    with Running(desk, "two", port) as again:
        again.until_said("rotation.step", step="discard")
        again.until(lambda: again.events("rotation.end"), "it goes on")
        assert again.end() == 0
    desk.run("rotations", "resume", KEY)
    assert len(fake.live("acme")) == 1, "what the cut step made was found and discarded"


def test_sighup_takes_a_good_configuration_and_refuses_a_bad_one(desk: Desk) -> None:
    port = free_port()
    kept(desk, port, every="1d")
    file = desk.home / "clawsecrets.toml"
    good = file.read_text()
    with Running(desk, "one", port) as daemon:
        daemon.until_said("daemon.leads")
        file.write_text(good.replace('every = "1d"', 'every = "soon"'))
        daemon.send(signal.SIGHUP)
        daemon.until_said("daemon.config-refused")
        [refused] = daemon.events("daemon.config-refused")
        assert "line " in refused["error"] and f"[schedule.secrets.{KEY}]: every: 'soon'" in refused["error"]
        daemon.until_said("notice.daemon")
        assert daemon.page("/healthz")[0] == 200 and not daemon.events("rotation.end")
        file.rename(desk.home / "away")  # an editor that writes it anew, say: no reason to forget all of it
        daemon.send(signal.SIGHUP)
        daemon.until(lambda: len(daemon.events("daemon.config-refused")) == 2, "that it misses the file")
        assert daemon.events("daemon.config-refused")[1]["error"] == f"{file} is not there any more"
        file.write_text("")  # cut off by a full disk, say
        daemon.send(signal.SIGHUP)
        daemon.until(lambda: len(daemon.events("daemon.config-refused")) == 3, "that it misses what stood there")
        assert daemon.events("daemon.config-refused")[2]["error"] == f"{file} is empty"
        file.write_text(good.replace('every = "1d"', 'every = "1s"'))
        daemon.send(signal.SIGHUP)
        daemon.until_said("daemon.reloaded")
        daemon.until(lambda: daemon.events("rotation.end"), "by the new interval")
        counted = daemon.metrics()
        assert counted["clawsecrets_config_reloads_total", "ok"] == 1
        assert counted["clawsecrets_config_reloads_total", "refused"] == 3
        assert daemon.end() == 0


def test_sighup_moves_its_pages_to_another_address_or_takes_them_away(desk: Desk) -> None:
    port, other = free_port(), free_port()
    kept(desk, port, every="1d")
    file = desk.home / "clawsecrets.toml"
    good = file.read_text()
    with Running(desk, "one", port) as daemon:
        daemon.until_said("daemon.leads")
        daemon.until(lambda: daemon.page("/healthz") == (200, "ok\n"), "its page")
        file.write_text(good.replace(f'"127.0.0.1:{port}"', f'"127.0.0.1:{other}"'))
        daemon.send(signal.SIGHUP)
        daemon.until_said("daemon.reloaded")
        daemon.until(lambda: daemon.page("/healthz")[0] == 0, "that nobody answers at the former address")
        daemon.port = other
        daemon.until(lambda: daemon.page("/healthz") == (200, "ok\n"), "its page at the new one")
        file.write_text(good.replace(f'"127.0.0.1:{port}"', '"nowhere"'))
        daemon.send(signal.SIGHUP)
        daemon.until(lambda: daemon.page("/healthz")[0] == 0, "that nobody answers there either")
        assert daemon.end() == 0


def test_sighup_with_another_store_is_refused(desk: Desk) -> None:
    kept(desk, free_port(), every="1d")
    file = desk.home / "clawsecrets.toml"
    with Running(desk, "one", 0) as daemon:
        daemon.until_said("daemon.leads")
        file.write_text(f'{file.read_text()}[store]\nanchor = "{desk.root}/another"\n')
        daemon.send(signal.SIGHUP)
        daemon.until_said("daemon.config-refused")
        assert daemon.events("daemon.config-refused")[0]["error"] == "[store] cannot change while the daemon runs"
        assert daemon.end() == 0
    assert not (desk.root / "another").exists()


def test_an_empty_configuration_that_was_so_from_the_start_is_taken(desk: Desk) -> None:
    desk.init()
    (desk.home / "clawsecrets.toml").write_text("")
    with Running(desk, "one", 0) as daemon:
        daemon.until(lambda: "daemon.leads" in daemon.file.read_text(), "that it leads")
        daemon.send(signal.SIGHUP)
        daemon.until(lambda: "daemon.reloaded" in daemon.file.read_text(), "that it is taken")
        assert daemon.end() == 0


def test_a_paused_one_is_left_and_a_person_can_rotate_it_meanwhile(desk: Desk) -> None:
    port = free_port()
    kept(desk, port)
    desk.quick("pause", KEY, "--reason", "moving")
    with Running(desk, "one", port) as daemon:
        daemon.until_said("notice.due", secret=KEY, detail="paused: moving")
        assert versions(desk) == 1
        desk.ok("rotate", KEY)
        assert versions(desk) == 2 and not daemon.events("rotation.begin")
        desk.quick("resume", KEY)
        daemon.until(lambda: daemon.events("rotation.end"), "it goes on by itself")
        assert daemon.end() == 0


def test_what_cannot_be_begun_is_told_and_not_tried_without_end(desk: Desk) -> None:
    port = free_port()
    kept(desk, port)
    file = desk.home / "clawsecrets.toml"
    file.write_text(file.read_text().replace("[consumers.app]", "[consumers.gone]"))
    with Running(desk, "one", port) as daemon:
        daemon.until_said("notice.daemon", secret=KEY)
        ticks = daemon.metrics()["clawsecrets_last_tick_timestamp_seconds", ""]
        daemon.until(lambda: daemon.metrics()["clawsecrets_last_tick_timestamp_seconds", ""] > ticks + 3, "more looks")
        assert len(daemon.events("rotation.error")) == 1
        assert daemon.end() == 0


def test_systemd_is_told(desk: Desk, tmp_path: Path) -> None:
    port = free_port()
    kept(desk, port, every="1d")
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bus:
        bus.bind(str(tmp_path / "notify"))
        bus.settimeout(LONG)
        threading.Thread(target=lambda: heard.extend(_listen(bus)), daemon=True).start()
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        with Running(desk, "one", port, environ) as daemon:
            daemon.until(lambda: any("READY=1" in text for text in heard) and "WATCHDOG=1" in heard, "readiness")
            daemon.send(signal.SIGHUP)
            daemon.until(lambda: any("RELOADING=1\nMONOTONIC_USEC=" in text for text in heard), "the reload")
            assert daemon.end() == 0
            daemon.until(lambda: "STOPPING=1" in heard, "the end")


def _listen(bus: socket.socket) -> Iterator[str]:
    heard: list[str] = []
    while "STOPPING=1" not in heard:
        heard.append(bus.recv(4096).decode())
        yield heard[-1]


def test_a_store_that_is_not_there_is_said_at_the_start(desk: Desk) -> None:
    ran = desk.run("daemon")
    assert ran.code == 3 and "there is no store" in ran.err


@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_a_store_that_goes_ends_it_and_nothing_more_is_rotated(desk: Desk, what: str) -> None:
    """What it minted from then on would be in a file without a name, and the old values revoked."""
    port = free_port()
    kept(desk, port)
    folder = desk.database.parent
    shutil.copytree(folder, desk.root / "copy")
    with Running(desk, "one", port) as daemon:
        daemon.until(lambda: daemon.events("rotation.end"), "a first rotation")
        stop_outside_of_a_commit(desk, daemon)
        folder.rename(desk.root / "away")
        if what == "replaced":
            shutil.copytree(desk.root / "copy", folder)
        done = len(daemon.events("rotation.end"))
        daemon.send(signal.SIGCONT)
        assert daemon.process.wait(LONG) == 3
        assert "was removed or replaced while it was open" in daemon.events("daemon.store-gone")[0]["error"]
        assert len(daemon.events("rotation.end")) == done
    for part in (desk.root / "away").iterdir():
        shutil.copy2(part, folder) if folder.exists() else None
    if not folder.exists():
        (desk.root / "away").rename(folder)
    fake = desk.fake
    assert fake is not None
    assert desk.quick("get", KEY, "--raw").out in [item.value for item in fake.live("acme").values()]


def test_a_log_that_nobody_reads_stops_neither_the_work_nor_its_end(desk: Desk) -> None:
    kept(desk, free_port())
    fake = desk.fake
    assert fake is not None
    process = subprocess.Popen([str(SCRIPT), "daemon"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, env=desk.env, cwd=desk.root)
    try:
        assert process.stderr is not None
        fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4096)
        until(lambda: len(fake.ever("acme")) >= 5, "rotations beyond what the pipe takes")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_store_that_cannot_be_written_is_said_and_taken_up_again(desk: Desk) -> None:
    """A full disk, a writer that is stopped within its commit: nothing is rotated, and that is no secret."""
    port = free_port()
    kept(desk, port)
    with Running(desk, "one", port) as daemon:
        daemon.until(lambda: daemon.events("rotation.end"), "a first rotation")
        db = sqlite3.connect(desk.database, timeout=LONG, isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            daemon.until_said("daemon.store-trouble")
            daemon.until(lambda: any("nothing is rotated: another process is writing" in event["detail"]
                                     for event in daemon.events("notice.daemon")), "a notice")
            assert daemon.page("/readyz") == (503, "the store cannot be written\n")
            assert daemon.metrics()["clawsecrets_leading", ""] == 0.0
            done = len(daemon.events("rotation.end"))
            db.execute("ROLLBACK")
        finally:
            db.close()
        daemon.until(lambda: len(daemon.events("rotation.end")) > done + 1, "it goes on")
        daemon.until(lambda: daemon.page("/readyz")[0] == 200, "and says so")
        assert daemon.said("daemon.store-works") and daemon.metrics()["clawsecrets_leading", ""] == 1.0
        assert daemon.end() == 0


def test_a_slip_in_a_name_is_said_at_the_start_and_by_doctor(desk: Desk) -> None:
    port = free_port()
    kept(desk, port, '[schedule.secrets.acme-api-kee]\nwindows = ["Sun 03:00-05:00"]\n', every="1d")
    slip = f"[schedule.secrets.acme-api-kee]: there is no secret acme-api-kee; did you mean '{KEY}'?"
    with Running(desk, "one", port) as daemon:
        daemon.until_said("schedule.stray", detail=slip)
        daemon.send(signal.SIGHUP)  # while it still starts
        daemon.until_said("daemon.reloaded")
        assert daemon.end() == 0
    assert slip in " ".join(desk.run("doctor").out.split())


def test_a_master_key_in_another_place_ends_it_and_the_next_start_uses_it(desk: Desk) -> None:
    port = free_port()
    kept(desk, port)
    with Running(desk, "one", port) as daemon:
        daemon.until(lambda: daemon.events("rotation.end"), "a first rotation")
        desk.ok("rekey")  # in the same place: it goes on
        done = len(daemon.events("rotation.end"))
        daemon.until(lambda: len(daemon.events("rotation.end")) > done + 1, "more rotations")
        desk.ok("rekey", "--key-file", str(desk.root / "keys" / "other.key"))
        assert daemon.process.wait(LONG) == 3
        assert "a master key in another place" in daemon.events("daemon.store-gone")[0]["error"]
    with Running(desk, "two", port) as again:
        again.until(lambda: again.events("rotation.end"), "it goes on")
        assert again.end() == 0


LATE_LOOK = """
import sys, time
from clawsecrets.cli.entry import main
from clawsecrets.daemon.lead import Lead
from clawsecrets.daemon.wakeups import Wakeups
give_up = Lead.give_up
Wakeups.stop = lambda self: None
Lead.give_up = lambda self: (time.sleep(2), give_up(self))
sys.argv[1:] = ["daemon"]
main()
"""
"""A daemon in which a look begins right when it leaves: the scheduler goes on, and leaving takes a while."""


def test_a_look_that_begins_when_it_leaves_does_not_keep_it(desk: Desk) -> None:
    kept(desk, free_port(), every="1d")
    with open(desk.root / "log", "wb") as log:
        process = subprocess.Popen([sys.executable, "-c", LATE_LOOK], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=desk.env, cwd=desk.root)
    try:
        until(lambda: b"daemon.leads" in (desk.root / "log").read_bytes(), "that it leads")
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG) == 0
    finally:
        process.kill()
        process.wait(LONG)
