"""Adding a target keeps everything, or changes nothing."""

from __future__ import annotations

import multiprocessing
import os
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.config import DirectoryTarget, EnvFileTarget, append_table, find_paths, parse
from clawsecrets.config.append import Field, _rendered
from clawsecrets.config.load import load
from clawsecrets.data import data_path
from clawsecrets.errors import ConfigError
from tests.waiting import LONG

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)
FILES: dict[str, Field] = {"kind": "directory", "path": "/srv/s"}


def test_the_annotated_file_keeps_every_byte(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    before = (data_path("config") / "clawsecrets.toml").read_bytes()
    file.write_bytes(before)
    file.chmod(0o644)
    names = {"kind": "env-file", "path": "/e", "dialect": "shell", "names": {"a/b": "A_B"}, "mode": "0640"}
    config = append_table(file, "injectors", "env", names, PATHS)
    assert file.read_bytes().startswith(before)
    assert config == load(file, PATHS)
    target = config.injectors["env"]
    assert isinstance(target, EnvFileTarget)
    assert (target.names, target.mode) == ({"a/b": "A_B"}, 0o640)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["c.toml"]


def test_a_missing_file_is_made_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "c.toml"
    append_table(file, "injectors", "s", FILES, PATHS)
    append_table(file, "consumers", "k", {"kind": "none", "reads": ["s"]}, PATHS)
    config = load(file, PATHS)
    assert isinstance(config.injectors["s"], DirectoryTarget)
    assert config.consumers["k"].reads == ("s",)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", [
    "", "# no newline at the end", "\r\n[store]\r\n# x\r\n", "\ufeff# with a mark\n", '[rotation]\nlease = "60s"',
    '[injectors.o]\nkind = "directory"\npath = "/o"\n', "[injectors]\n",
])
def test_whatever_stands_there_stays(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(text.encode())
    append_table(file, "injectors", "s", FILES, PATHS)
    after = file.read_bytes()
    assert after.startswith(text.encode())
    assert ("\r\n" in text) == (b"path = \"/srv/s\"\r\n" in after)
    assert "s" in load(file, PATHS).injectors


@pytest.mark.parametrize(("text", "section", "name", "fields", "fault"), [
    ('[injectors.s]\nkind = "directory"\npath = "/o"', "injectors", "s", FILES, "is there already"),
    ("", "injectors", "s", {"kind": "directory"}, "path is missing"),
    ("", "injectors", "s", {**FILES, "pth": "x"}, "did you mean 'path'"),
    ("", "injectors", "S X", FILES, "is not allowed"),
    ("", "store", "s", FILES, "cannot be added"),
    ("", "consumers", "c", {"kind": "none", "reads": ["s"]}, "there is no"),
    ("lease = 1", "injectors", "s", FILES, "key 'lease' is not known"),
    ("[store", "injectors", "s", FILES, "is not TOML"),
    ('injectors = { o = { kind = "directory", path = "/o" } }', "injectors", "s", FILES, "is not TOML"),
    ("a = '''", "injectors", "s", FILES, "is not TOML"),
])
def test_a_refusal_changes_nothing(
    tmp_path: Path, text: str, section: str, name: str, fields: dict[str, Field], fault: str
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=fault):
        append_table(file, section, name, fields, PATHS)
    assert file.read_text() == text
    assert os.listdir(tmp_path) == ["c.toml"]


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("# real\n")
    link.symlink_to(real)
    append_table(link, "injectors", "s", FILES, PATHS)
    assert link.is_symlink()
    assert "[injectors.s]" in real.read_text()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        append_table(tmp_path / "file" / "c.toml", "injectors", "s", FILES, PATHS)


def _add(file: Path, number: int) -> None:
    append_table(file, "injectors", f"s{number}", {"kind": "directory", "path": f"/s{number}"}, PATHS)


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    processes = [multiprocessing.get_context("fork").Process(target=_add, args=(file, n)) for n in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LONG)
    assert {process.exitcode for process in processes} == {0}
    assert set(load(file, PATHS).injectors) == {f"s{n}" for n in range(8)}


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)


@given(st.dictionaries(KEYS, TEXT | st.booleans() | st.integers(-9, 9999) | st.lists(TEXT, max_size=3)
                       | st.dictionaries(KEYS, TEXT, max_size=3), max_size=4))
def test_any_field_is_written_so_that_toml_reads_it_back(fields: dict[str, Field]) -> None:
    text = "\n".join(_rendered("injectors", "x", fields))
    assert tomllib.loads(text)["injectors"]["x"] == fields


def test_what_is_rendered_is_what_parse_reads() -> None:
    text = "\n".join(_rendered("injectors", "x", FILES))
    assert parse(text, "c.toml", PATHS).injectors["x"] == DirectoryTarget("x", Path("/srv/s"))


def test_every_folder_that_is_made_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        file = tmp_path / "a" / "b" / "clawsecrets.toml"
        append_table(file, "consumers", "bot", {"kind": "none"}, PATHS)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (file.parent, file.parent.parent)] == [0o700, 0o700]
