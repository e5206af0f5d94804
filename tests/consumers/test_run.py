"""The consumer `run`: what it takes for a proof, and what not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawsecrets.consumers.run import RunConsumer
from clawsecrets.errors import UsageError
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Handover, Reply
from clawsecrets.running.given import Given
from clawsecrets.running.noted import Noted
from tests import canary as canaries
from tests.waiting import until

OLD, NEW = b"old-value-0123", b"new-value-0123"


def handover(value: bytes = NEW, name: str = "key") -> Handover:
    return Handover(name, "generic", "other", SecretValue(value), 2, SecretValue(OLD))


def given(value: bytes = NEW) -> list[Given]:
    return [Given("key", 2, SecretValue(value), "KEY", "key")]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], env={"KEY": NEW.decode(), "OTHER": OLD.decode()}) as made:
        until(lambda: b"KEY=" in Path(f"/proc/{made.pid}/environ").read_bytes(), "its environment")
        yield made
        made.kill()


def consumer(folder: Path) -> RunConsumer:
    return RunConsumer("bot", folder / "run" / "bot.json", timeout=0.0)


def asked(folder: Path, value: bytes = NEW, name: str = "key") -> Reply:
    return consumer(folder).prove(handover(value, name))


def test_the_value_in_the_process_is_the_proof(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    Noted(tmp_path / "run" / "bot.json").write(given(), process.pid, "")
    assert asked(tmp_path).proof == f"process {process.pid} has version 2 in its environment"
    assert consumer(tmp_path).preflight(handover()).outcome is Outcome.OK
    other = asked(tmp_path, b"another-value")
    assert other.outcome is Outcome.LATER and "another value" in other.detail
    assert consumer(tmp_path).probe(handover(b"another-value")).outcome is Outcome.REFUSED
    assert asked(tmp_path, name="other").person  # it was never given that one


def test_a_note_alone_proves_nothing(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    """It says version 2, and the process has another value, or none."""
    Noted(tmp_path / "run" / "bot.json").write(
        [Given("key", 2, SecretValue(NEW), "OTHER", "key")], process.pid, "")
    assert asked(tmp_path).outcome is Outcome.LATER
    Noted(tmp_path / "run" / "bot.json").write([Given("key", 2, SecretValue(NEW), "NONE", "key")], process.pid, "")
    assert asked(tmp_path).outcome is Outcome.LATER


def test_files(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    Noted(tmp_path / "run" / "bot.json").write(given(), process.pid, str(tmp_path))
    (tmp_path / "key").write_bytes(NEW)
    assert asked(tmp_path).proof.endswith("in its file")
    (tmp_path / "key").write_bytes(OLD)
    assert asked(tmp_path).outcome is Outcome.LATER
    (tmp_path / "key").unlink()
    assert asked(tmp_path).outcome is Outcome.LATER


def test_a_process_that_ended_or_another_of_its_number(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    note = Noted(tmp_path / "run" / "bot.json")
    assert "no `clawsecrets run --watch --as bot` runs" in asked(tmp_path).detail
    note.write(given(), process.pid, "")
    with pytest.raises(UsageError):
        note.require_free()
    path = tmp_path / "run" / "bot.json"
    path.write_text(path.read_text().replace('"start": "', '"start": "9'))
    assert asked(tmp_path).outcome is Outcome.LATER
    note.require_free()
    note.write(given(), process.pid, "")
    process.kill()
    until(lambda: "Z" in Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2], "its end")
    assert asked(tmp_path).outcome is Outcome.LATER
    process.wait()
    note.require_free()
    note.remove()
    note.remove()
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"pid": "x"}', '{"pid": 1, "start": "0"}',
                                  '{"pid": 1, "start": "1", "secrets": []}', "\xff"])
def test_a_note_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "bot.json").write_bytes(text.encode("latin-1"))
    assert asked(tmp_path).outcome is Outcome.LATER
    Noted(tmp_path / "run" / "bot.json").require_free()


def test_it_waits_for_the_new_process(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    note, slept = Noted(tmp_path / "run" / "bot.json"), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            note.write(given(), process.pid, "")

    one = RunConsumer("bot", tmp_path / "run" / "bot.json", timeout=3600.0, sleep=sleep)
    assert one.prove(handover()).outcome is Outcome.OK and len(slept) == 3


def test_nothing_said_or_noted_holds_a_value(tmp_path: Path, canary: bytes) -> None:
    with subprocess.Popen(["sleep", "600"], env={b"KEY": canary}) as made:
        Noted(tmp_path / "run" / "bot.json").write(given(canary), made.pid, "")
        said = [asked(tmp_path, canary), asked(tmp_path), consumer(tmp_path).describe(), given(canary)]
        made.kill()
    assert canaries.search(repr(said).encode(), canary) == []
    assert canaries.search((tmp_path / "run" / "bot.json").read_bytes(), canary) == []
    assert os.stat(tmp_path / "run" / "bot.json").st_mode & 0o777 == 0o600
