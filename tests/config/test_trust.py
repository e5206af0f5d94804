"""Who may say what clawsecrets does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clawsecrets.config import find_paths, require_provider_folder
from clawsecrets.config.load import load
from clawsecrets.errors import ConfigError

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "own providers"
    made.mkdir(mode=0o755)
    (made / "acme.toml").write_text("")
    (made / "acme.toml").chmod(0o644)
    (made / "notes.txt").write_text("")
    (made / "notes.txt").chmod(0o666)
    return made


def refused(folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        require_provider_folder(folder)
    return caught.value


def test_a_folder_of_ours_is_read(folder: Path) -> None:
    require_provider_folder(folder)
    require_provider_folder(folder / "absent")


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_folder_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    error = refused(folder)
    assert "others may write to it" in error.message
    assert error.hint == f"chmod go-w '{folder}'"


def test_nobody_is_told_to_close_a_folder_that_is_there_for_others(folder: Path) -> None:
    folder.chmod(0o1777)
    assert "chmod" not in refused(folder).hint


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_provider_file_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    (folder / "acme.toml").chmod(mode)
    assert "acme.toml" in refused(folder).message


@root_only
@pytest.mark.parametrize("name", [".", "acme.toml"])
def test_root_reads_no_provider_of_another_user(folder: Path, name: str) -> None:
    os.chown(folder / name, 65534, -1)
    assert "belongs to another user" in refused(folder).message


@root_only
@pytest.mark.parametrize("name", [".", "c.toml"])
def test_root_reads_no_configuration_of_another_user(tmp_path: Path, name: str) -> None:
    (tmp_path / "c.toml").write_text("")
    load(tmp_path / "c.toml", PATHS)
    os.chown(tmp_path / name, 65534, -1)
    with pytest.raises(ConfigError, match="belongs to another user") as caught:
        load(tmp_path / "c.toml", PATHS)
    assert "chown root" in caught.value.hint
