"""Where things stand: the documented order, for root and for others, with and without a home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.config import Paths, find_paths
from clawsecrets.errors import ConfigError

NOBODY_KNOWS = 4_000_123
USER = {"HOME": "/home/ann"}


def places(paths: Paths) -> tuple[str, str, str]:
    return str(paths.config), str(paths.data), str(paths.state)


def test_a_users_home() -> None:
    assert places(find_paths(environ=USER, uid=1000)) == (
        "/home/ann/.config/clawsecrets/clawsecrets.toml",
        "/home/ann/.local/share/clawsecrets",
        "/home/ann/.local/state/clawsecrets",
    )


@pytest.mark.parametrize("uid", [0, 1000])
def test_xdg_variables_come_before_home_and_system(uid: int) -> None:
    env = {**USER, "XDG_CONFIG_HOME": "/x/c", "XDG_DATA_HOME": "/x/d", "XDG_STATE_HOME": "/x/s"}
    expected = ("/x/c/clawsecrets/clawsecrets.toml", "/x/d/clawsecrets", "/x/s/clawsecrets")
    assert places(find_paths(environ=env, uid=uid)) == expected


def test_a_relative_xdg_variable_counts_as_unset() -> None:
    env = {**USER, "XDG_DATA_HOME": "share"}
    assert find_paths(environ=env, uid=1000).data == Path("/home/ann/.local/share/clawsecrets")


@pytest.mark.parametrize("env", [{}, USER, {"HOME": "/root"}])
def test_root_uses_the_system_folders_whatever_home_says(env: dict[str, str]) -> None:
    assert places(find_paths(environ=env, uid=0)) == (
        "/etc/clawsecrets/clawsecrets.toml",
        "/var/lib/clawsecrets",
        "/var/lib/clawsecrets/state",
    )


@pytest.mark.parametrize("uid", [0, 1000, NOBODY_KNOWS])
def test_one_folder_for_all(uid: int) -> None:
    env = {"CLAWSECRETS_HOME": "/srv/claw", "XDG_DATA_HOME": "/x/d"}
    paths = find_paths(environ=env, uid=uid)
    assert places(paths) == ("/srv/claw/clawsecrets.toml", "/srv/claw/data", "/srv/claw/state")
    assert not paths.config_given


def test_the_file_is_named_by_the_option_then_by_the_variable() -> None:
    env = {**USER, "CLAWSECRETS_CONFIG": "/a/from-env.toml"}
    by_variable = find_paths(environ=env, uid=1000)
    by_option = find_paths("/b/from-option.toml", env, 1000)
    assert (by_variable.config, by_variable.config_given) == (Path("/a/from-env.toml"), True)
    assert (by_option.config, by_option.config_given) == (Path("/b/from-option.toml"), True)
    assert by_option.data == by_variable.data == Path("/home/ann/.local/share/clawsecrets")
    assert by_option.key_file == Path("/home/ann/.config/clawsecrets/master.key")


def test_a_relative_option_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_paths("own.toml", USER, 1000).config == tmp_path / "own.toml"


def test_without_home_the_password_database_is_asked() -> None:
    paths = find_paths(environ={}, uid=1)  # daemon, on every Linux
    assert paths.home.is_absolute()
    assert paths.config == paths.home / ".config" / "clawsecrets" / "clawsecrets.toml"


def test_no_home_at_all_is_said() -> None:
    with pytest.raises(ConfigError) as caught:
        find_paths(environ={}, uid=NOBODY_KNOWS)
    assert "HOME is not set" in caught.value.message
    assert "CLAWSECRETS_HOME" in caught.value.hint


def test_a_relative_one_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="CLAWSECRETS_HOME must be an absolute path"):
        find_paths(environ={"CLAWSECRETS_HOME": "here"}, uid=1000)


@given(st.dictionaries(
    st.sampled_from(["HOME", "CLAWSECRETS_HOME", "CLAWSECRETS_CONFIG", "XDG_CONFIG_HOME", "XDG_DATA_HOME"]),
    st.sampled_from(["", "/", "/a", "/a/../b", "rel", "./x", "~/y"]),
), st.sampled_from([0, 1, NOBODY_KNOWS]))
def test_places_are_always_absolute_and_the_key_is_not_beside_the_store(env: dict[str, str], uid: int) -> None:
    try:
        paths = find_paths(environ=env, uid=uid)
    except ConfigError as error:
        assert error.hint
        return
    for place in (paths.config, paths.data, paths.state, paths.home):
        assert place.is_absolute()
        assert str(place) == os.path.normpath(place)
    assert paths.key_file.parent != paths.database.parent != paths.anchor.parent
