"""The daemon's small parts: what was told, who leads, the log, the pages' numbers, sd_notify, the guard."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clawsecrets.daemon import logs
from clawsecrets.daemon.guard import guarded
from clawsecrets.daemon.keeper import Looked
from clawsecrets.daemon.lead import Lead
from clawsecrets.daemon.logs import Log
from clawsecrets.daemon.metrics import Metrics
from clawsecrets.daemon.sdnotify import Systemd
from clawsecrets.daemon.told import KEEP, Told
from clawsecrets.errors import Fenced, LateEffect, StoreBusy, StoreError, UsageError
from clawsecrets.model.need import Act, Need
from clawsecrets.model.notice import Notice, Severity, Topic
from clawsecrets.model.record import Record
from clawsecrets.model.secret import Kind, Secret, SecretValue, Stage, Version
from tests.fakes import FakeClock, MemoryStore

DAY = 86400.0


def notice(key: str, again: float = 0.0) -> Notice:
    return Notice(Topic.DUE, Severity.INFO, key, 0.0, "a", again=again)


# --- told -----------------------------------------------------------------------------------------------------------


def test_each_thing_is_told_once_and_again_where_it_says_so(tmp_path: Path) -> None:
    told = Told(tmp_path / "told.json", 100.0)
    every = [notice("once"), notice("daily", again=DAY), notice("once")]
    assert [one.key for one in told.news(every, 100.0)] == ["once", "daily"]
    told.remember(every, every, 100.0)
    assert told.news(every, 100.0 + DAY - 1) == []
    assert [one.key for one in told.news(every, 100.0 + DAY)] == ["daily"]


def test_a_restart_remembers_and_a_lost_file_only_repeats(tmp_path: Path) -> None:
    file = tmp_path / "state" / "told.json"
    Told(file, 100.0).remember([notice("x")], [notice("x")], 100.0)
    again = Told(file, 500.0)
    assert again.since == 100.0 and again.news([notice("x")], 500.0) == []
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("{not json")
    broken = Told(file, 900.0)
    assert broken.since == 900.0 and len(broken.news([notice("x")], 900.0)) == 1


def test_a_fifo_in_its_place_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "told.json")
    told = Told(tmp_path / "told.json", 100.0)
    told.remember([notice("x")], [], 100.0)
    assert Told(tmp_path / "told.json", 200.0).news([notice("x")], 200.0) == []


def test_what_no_longer_stands_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "told.json"
    told = Told(file, 0.0)
    told.remember([notice("old"), notice("still")], [], 0.0)
    told.remember([notice("new")], [notice("still")], KEEP + 1)
    assert set(json.loads(file.read_text())["told"]) == {"still", "new"}
    told.remember([notice("aside")], None, 3 * KEEP)
    assert set(json.loads(file.read_text())["told"]) == {"still", "new", "aside"}, "what stands is not known"


# --- lead -----------------------------------------------------------------------------------------------------------


def test_one_leads_and_another_takes_over() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one = Lead(store, "p1", 30.0, clock.now)
    two = Lead(store, "p2", 30.0, clock.now)
    assert one.take() and not two.take() and "p1" in two.other
    clock.sleep(29.0)
    assert one.confirm()
    clock.sleep(31.0)
    assert two.take(), "the first was silent for too long"
    assert not one.confirm() and not one.held
    one.give_up()
    assert two.confirm(), "giving up what was lost takes nothing from the other"
    two.give_up()
    assert one.take()


def test_a_store_that_cannot_say_is_no_lead_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    lead = Lead(store, "p1", 30.0, clock.now)
    assert lead.take()
    with monkeypatch.context() as patch:
        patch.setattr(store, "renew", _busy)
        assert lead.confirm(), "it was confirmed this very moment"
        clock.sleep(1.0)
        assert not lead.confirm() and lead.held
    assert lead.confirm()


def test_a_store_that_cannot_be_asked_who_leads_is_trouble_and_nobody_elses_lead(
        monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, two = Lead(store, "p1", 30.0, clock.now), Lead(store, "p2", 30.0, clock.now)
    with monkeypatch.context() as patch:
        patch.setattr(store, "acquire", _full)
        assert not one.take() and (one.trouble, one.other) == ("the disk is full", "")
        assert not two.take() and two.trouble
    assert one.take() and one.trouble == ""
    assert not two.take() and two.trouble == "" and "p1" in two.other


def test_a_lease_that_is_to_last_longer_does() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    one, two = Lead(store, "p1", 30.0, clock.now), Lead(store, "p2", 30.0, clock.now)
    assert one.take()
    one.last(300.0)
    assert one.confirm()
    clock.sleep(200.0)
    assert not two.take()


def _full(*args: object) -> None:
    raise StoreError("the disk is full")


def _busy(*args: object) -> None:
    raise StoreBusy("locked")


# --- log, guard -----------------------------------------------------------------------------------------------------


def test_a_log_line_is_one_line_in_both_forms() -> None:
    clock, stream = FakeClock(0.0), io.StringIO()
    Log(clock, "text", stream).write("info", "rotation.end", secret="a", note='two\nlines "x"', empty="")
    Log(clock, "json", stream).write("info", "rotation.end", secret="a", note="two\nlines", empty="")
    first, second = stream.getvalue().splitlines()
    assert first == '1970-01-01T00:00:00.000Z info rotation.end secret=a note="two\\nlines \\"x\\""'
    assert json.loads(second) == {"time": "1970-01-01T00:00:00.000Z", "level": "info", "event": "rotation.end",
                                  "secret": "a", "note": "two\nlines"}


def test_a_bug_is_logged_without_its_words() -> None:
    stream, secret = io.StringIO(), "value-that-stands-in-an-exception"

    def bug() -> None:
        raise RuntimeError(secret)

    assert "RuntimeError" in guarded(Log(FakeClock(), stream=stream), "tick", bug)
    assert "RuntimeError" in stream.getvalue() and "test_parts" in stream.getvalue()
    assert secret not in stream.getvalue()


def test_a_fault_that_is_known_is_not_logged_again() -> None:
    stream = io.StringIO()
    log = Log(FakeClock(), stream=stream)

    def fails() -> None:
        raise StoreError("the disk is full")

    first = guarded(log, "tick", fails)
    assert guarded(log, "tick", fails, known=first) == first and stream.getvalue().count("the disk is full") == 1
    guarded(log, "tick", fails, known="another")
    assert stream.getvalue().count("the disk is full") == 2


def test_what_is_expected_is_told_in_its_words() -> None:
    stream = io.StringIO()
    log = Log(FakeClock(), stream=stream)

    def refuse() -> None:
        raise UsageError("it is deleted", "undelete it")

    def busy() -> None:
        raise StoreBusy("another has it")

    def overtaken() -> None:
        raise Fenced("the lease on a was taken over")

    def late() -> None:
        raise LateEffect("a was rotated by another process", "rotate it")

    assert guarded(log, "rotation", refuse, secret="a") == "it is deleted"
    assert guarded(log, "rotation", busy) == "busy"
    assert guarded(log, "rotation", overtaken, secret="b") == "busy", "another goes on: no trouble for a person"
    assert guarded(log, "rotation", late, secret="c") == "a was rotated by another process"
    assert "info rotation.taken-over secret=b" in stream.getvalue() and "error secret=b" not in stream.getvalue()
    assert "error rotation.error secret=c" in stream.getvalue()
    assert 'rotation.error secret=a error="it is deleted" hint="undelete it"' in stream.getvalue()


# --- metrics, systemd -----------------------------------------------------------------------------------------------


def test_metrics_are_of_what_was_seen_last() -> None:
    metrics = Metrics()
    version = Version(1, Stage.CURRENT, 1000.0)
    record = Record(Secret("a", "acme", Kind.API_KEY, 0.0, paused_at=1.0), (version,))
    metrics.looked(Looked(1500.0, [record], [Need("a", Act.HELD, "paused: x", due=1400.0)]))
    metrics.ended("done", 3.0)
    found = {(sample.name, sample.labels.get("secret", "")): sample.value
             for family in text_string_to_metric_families(metrics.page().decode()) for sample in family.samples}
    assert found["clawsecrets_secret_age_seconds", "a"] == 500.0
    assert found["clawsecrets_secret_held", "a"] == 1.0
    assert found["clawsecrets_secrets_overdue", ""] == 1.0 and found["clawsecrets_secrets_paused", ""] == 1.0
    assert found["clawsecrets_rotation_duration_seconds_sum", ""] == 3.0
    metrics.looked(Looked(1600.0))
    assert b'secret="a"' not in metrics.page(), "a secret that is gone has no metrics"


def test_without_systemd_nothing_is_said() -> None:
    nobody = Systemd({})
    nobody.say("READY=1")
    assert nobody.watchdog == 0.0
    assert Systemd({"WATCHDOG_USEC": "2000000"}).watchdog == 2.0
    assert Systemd({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}).watchdog == 0.0


def test_a_notice_holds_no_value() -> None:
    assert SecretValue not in {type(getattr(notice("x"), name)) for name in Notice.__slots__}


def test_a_reader_that_does_not_read_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe takes 64 KiB and then waits for its reader: the log does not. No line comes torn, and the gap is said."""
    monkeypatch.setattr(logs, "PATIENCE", 0.01)
    out, into = os.pipe()
    with open(out, "rb") as reader, open(into, "w") as stream:
        log = Log(FakeClock(), "json", stream)
        for number in range(300):
            log.write("info", "odd", number=number, text="x" * 5000)
        os.set_blocking(out, False)
        first = reader.read()
        log.write("info", "odd", number=300)
        got = first + (reader.read() or b"")
    events = [json.loads(line) for line in got.splitlines()]
    numbers = [event["number"] for event in events if event["event"] == "odd"]
    [gap] = [event["lines"] for event in events if event["event"] == "log.left-out"]
    assert numbers[:5] == [0, 1, 2, 3, 4] and numbers[-1] == 300 and gap > 200
    assert len(numbers) + gap == 301


def test_a_full_disk_for_the_log_holds_nothing_up() -> None:
    with open("/dev/full", "w") as stream:
        Log(FakeClock(), "text", stream).write("info", "odd")


@pytest.mark.parametrize("since", ["4102444800.0", "Infinity"])
def test_a_first_start_with_a_wrong_clock_hides_nothing_for_years(tmp_path: Path, since: str) -> None:
    file = tmp_path / "told.json"
    file.write_text(f'{{"since": {since}, "told": {{}}}}')
    assert Told(file, 1000.0).since == 1000.0
    file.write_text('{"since": 10.0, "told": {}}')
    assert Told(file, 1000.0).since == 10.0
