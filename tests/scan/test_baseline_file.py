"""The baseline on disk: where it stands, changed whole or not at all, by one at a time."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawsecrets.errors import ConfigError
from clawsecrets.scan import earlier
from clawsecrets.scan.baseline import Baseline, Entry
from clawsecrets.scan.baseline_file import editing, load
from clawsecrets.scan.baseline_place import NAME, usual_place
from tests.waiting import LONG

DAY = datetime.date(2027, 2, 19)


def entry(number: int) -> Entry:
    return Entry(f"{number:032x}", "acme.key", DAY, "eve", "docs")


def add(path: Path, number: int) -> None:
    with editing(path) as change:
        change.new = (change.old or Baseline()).plus([entry(number)])


def test_it_stands_at_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "a" / "b").mkdir(parents=True)
    assert usual_place(tmp_path / "repo" / "a" / "b") == tmp_path / "repo" / NAME
    assert usual_place(tmp_path) == tmp_path / NAME


def test_it_is_made_changed_and_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    assert load(path) is None
    add(path, 1)
    path.chmod(0o664)
    add(path, 2)
    found = load(path)
    assert found is not None and len(found.entries) == 2
    assert path.stat().st_mode & 0o777 == 0o664  # as it was
    assert os.listdir(tmp_path) == [NAME]


def test_nothing_is_written_where_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / NAME
    add(path, 1)
    before = path.stat().st_ino
    add(path, 1)
    with editing(path):
        pass
    assert path.stat().st_ino == before


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    add(tmp_path / "link", 1)
    assert (tmp_path / "link").is_symlink() and load(tmp_path / "real") is not None


def test_what_cannot_be_written_leaves_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / NAME
    add(path, 1)
    before = path.read_bytes()

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "rename", broken)
    with pytest.raises(OSError, match="no space"):
        add(path, 2)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [NAME]


def test_what_is_no_file_or_no_baseline_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "x").write_text("hello\n")
    with pytest.raises(ConfigError, match="line 1"), editing(tmp_path / "x"):
        raise AssertionError("it must not come here")
    assert (tmp_path / "x").read_text() == "hello\n"


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    code = ("import sys; from pathlib import Path; from tests.scan.test_baseline_file import add\n"
            "for n in range(20): add(Path(sys.argv[1]), int(sys.argv[2]) * 100 + n)")
    root = Path(__file__).resolve().parents[2]
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / NAME), str(n)], cwd=root) for n in (1, 2)]
    assert [one.wait(LONG) for one in both] == [0, 0]
    found = load(tmp_path / NAME)
    assert found is not None and len(found.entries) == 40


@pytest.mark.parametrize("text", [
    "", "{", "[]", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "findings": {}, "baselined": []}',
    '{"schema": 1, "findings": [{"fingerprint": "x", "rule": "a.b"}], "baselined": []}',
    f'{{"schema": 1, "findings": [{{"fingerprint": "{"0" * 32}", "rule": "a b"}}], "baselined": []}}',
    '{"schema": 1, "findings": [7], "baselined": []}', "[" * 200_000,
])
def test_a_report_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ConfigError, match=r"r\.json"):
        earlier.read(tmp_path / "r.json")


def test_a_report_without_a_word_about_coverage_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"schema": 1, "findings": [], "baselined": []}')
    assert earlier.read(tmp_path / "r.json").complete is False
