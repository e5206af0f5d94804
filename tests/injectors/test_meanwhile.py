"""An env file that somebody without our lock writes while we do: theirs is neither lost nor called an I/O error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clawsecrets.injectors import atomic
from clawsecrets.injectors.atomic import Folder
from clawsecrets.injectors.envfile import EnvFile
from clawsecrets.model.rotation import Outcome
from clawsecrets.model.secret import SecretValue
from clawsecrets.ports import Entry

TOKEN = Entry("token", 1, SecretValue(b"new"))


def before_renaming(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """The act happens after the draft is written and before it takes the file's place."""
    real = Folder._draft

    def drafted(self: Folder, *args: object) -> str:
        draft = real(self, *args)  # type: ignore[arg-type]
        act()
        return draft

    monkeypatch.setattr(Folder, "_draft", drafted)


@pytest.mark.parametrize("there", [True, False])
def test_what_another_wrote_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    file = tmp_path / "app.env"
    if there:
        file.write_text("OTHER=1\nTOKEN=old\n")
    edits = ["OTHER=two\nMORE=3\n"]
    before_renaming(monkeypatch, lambda: file.write_text(edits.pop()) and None if edits else None)
    assert EnvFile("e", file, "docker").deliver([TOKEN]).outcome is Outcome.OK
    assert file.read_text() == "OTHER=two\nMORE=3\nTOKEN=new\n"


def test_a_removal_begins_again_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "app.env"
    file.write_text("TOKEN=old\nOTHER=1\n")
    edits = ["TOKEN=old\nOTHER=two\n"]
    before_renaming(monkeypatch, lambda: file.write_text(edits.pop()) and None if edits else None)
    assert EnvFile("e", file, "docker").remove({"token": ""}).outcome is Outcome.OK
    assert file.read_text() == "OTHER=two\n"


def test_who_keeps_changing_it_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, turns = tmp_path / "app.env", []

    def write() -> None:
        turns.append(1)
        file.write_text("X" * len(turns) + "=1\n")

    before_renaming(monkeypatch, write)
    reply = EnvFile("e", file, "docker").deliver([TOKEN])
    assert reply.outcome is Outcome.UNKNOWN and "somebody else changed it" in reply.detail
    assert len(turns) == atomic.TURNS and [path.name for path in tmp_path.iterdir()] == ["app.env"]


def test_a_write_right_after_ours_is_no_input_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "app.env"
    real = atomic.os.rename

    def rename(*args: str, **named: int) -> None:
        real(*args, **named)
        file.write_text("OTHER=1\n")

    monkeypatch.setattr(atomic.os, "rename", rename)
    monkeypatch.setattr(atomic, "TURNS", 1)
    reply = EnvFile("e", file, "docker").deliver([TOKEN])
    assert reply.outcome is Outcome.UNKNOWN and "somebody else changed it" in reply.detail
    assert "nput/output" not in reply.detail
