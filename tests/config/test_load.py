"""The file -> Config: the shipped annotated file, every refusal with its words, and defaults."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawsecrets.config import (
    Config,
    DirectoryTarget,
    StoreUrl,
    VaultUrl,
    find_paths,
    parse,
    parse_store_url,
    read_config,
)
from clawsecrets.config.load import load
from clawsecrets.config.shape import ConsumerConfig, InjectorConfig
from clawsecrets.config.tables import Table
from clawsecrets.data import data_path, read_regular
from clawsecrets.errors import ConfigError
from clawsecrets.model.policy import DAY, parse_duration
from clawsecrets.model.secret import Kind

PATHS = find_paths(environ={"HOME": "/home/ann"}, uid=1000)


def read(text: str) -> Config:
    return parse(text, "c.toml", PATHS)


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


# --- the annotated file ---------------------------------------------------------------------------------------------


def annotated() -> str:
    return (data_path("config") / "clawsecrets.toml").read_text()


def opened(text: str) -> str:
    """Every setting of the annotated file, in use."""
    return re.sub(r"^#(?=[a-z\[])", "", text, flags=re.M)


def test_the_annotated_file_as_shipped_is_all_defaults() -> None:
    assert read(annotated()) == read("")


def test_every_setting_in_it_is_accepted() -> None:
    config = read(opened(annotated()))
    assert {type(target) for target in config.injectors.values()} == set(get_args(InjectorConfig))
    assert {type(target) for target in config.consumers.values()} == set(get_args(ConsumerConfig))
    assert config.providers["gitlab"].options == {"project_id": "42"}
    assert config.store.key.path == Path("/etc/clawsecrets/master.key")


def test_the_defaults_it_shows_are_the_defaults() -> None:
    shown, default = read(opened(annotated())).rotation, read("").rotation
    assert (shown.lease, shown.patience, shown.retention) == (default.lease, default.patience, default.retention)
    assert shown.interval == default.table
    for kind in Kind:
        assert shown.policy(kind) == default.policy(kind)


def test_every_key_that_is_read_stands_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    undocumented: list[str] = []
    done = Table.done

    def watched(table: Table) -> None:
        undocumented.extend(f"{table.place}.{key}" for key in table.asked - set(table.data))
        done(table)

    monkeypatch.setattr(Table, "done", watched)
    read(opened(annotated()))
    assert undocumented == []


@pytest.mark.parametrize("line", re.findall(r"^#   (key = .*)$", annotated(), flags=re.M))
def test_every_key_source_it_names_is_accepted(line: str) -> None:
    assert read(f"[store]\n{line}").store.key.source


# --- defaults and precedence ------------------------------------------------------------------------------------------


def test_an_empty_file() -> None:
    config = read("")
    assert str(config.store.url) == "sqlite:///home/ann/.local/share/clawsecrets/store/store.db"
    assert config.store.anchor == PATHS.anchor
    assert (config.rotation.lease, config.rotation.patience, config.rotation.retention) == (90, 30, 7 * DAY)
    assert config.rotation.policy(Kind.GATEWAY_TOKEN).interval == 30 * DAY
    assert {config.rotation.policy(kind).interval for kind in Kind if kind is not Kind.GATEWAY_TOKEN} == {90 * DAY}
    assert (config.injectors, config.consumers, config.providers, config.providers_dirs) == ({}, {}, {}, ())


def test_the_file_goes_before_the_provider_and_the_provider_before_the_table() -> None:
    rotation = read('[rotation.interval]\napi-key = "10d"\n[rotation.grace]\napi-key = "2h"').rotation
    assert rotation.policy(Kind.API_KEY, 60 * DAY).interval == 10 * DAY
    assert rotation.policy(Kind.API_KEY, 60 * DAY).grace == 7200
    assert rotation.policy(Kind.OTHER, 60 * DAY).interval == 60 * DAY
    assert rotation.policy(Kind.OTHER).interval == 90 * DAY


def test_home_paths_and_octal_modes() -> None:
    config = read('[injectors.a]\nkind = "directory"\npath = "~/x/../y"\nmode = 0o440')
    target = config.injectors["a"]
    assert isinstance(target, DirectoryTarget)
    assert (target.path, target.mode) == (Path("/home/ann/y"), 0o440)


def test_a_missing_default_file_is_no_fault_and_a_named_one_is(tmp_path: Path) -> None:
    env = {"CLAWSECRETS_HOME": str(tmp_path)}
    config = read_config(find_paths(environ=env), "sqlite:///elsewhere/s.db")
    assert config.file is None
    assert config.store.file == Path("/elsewhere/s.db")
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read"):
        read_config(find_paths(str(tmp_path / "gone.toml"), env))


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("")
    file.chmod(0o664)
    with pytest.raises(ConfigError, match="others may write") as caught:
        load(file, PATHS)
    assert caught.value.hint == f"chmod go-w {file}"
    file.chmod(0o644)
    assert load(file, PATHS).file == file


def test_a_folder_and_a_file_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, PATHS)
    file = tmp_path / "c.toml"
    file.write_bytes(b"# fine\n# \xff\n")
    with pytest.raises(ConfigError, match="line 2: is not UTF-8"):
        load(file, PATHS)


# --- refusals ---------------------------------------------------------------------------------------------------------

ENV = '[injectors.env]\nkind = "env-file"\npath = "/e"\ndialect = "docker"\n'
COMMAND = '[consumers.c]\nkind = "command"\n'

REFUSALS = [
    ("[sotre]", "c.toml: line 1: table 'sotre' is not known; did you mean 'store'?", "store"),
    ("lease = 1", "c.toml: line 1: key 'lease' is not known", "rotation"),
    ('[rotation]\nleese = "9s"',
     "c.toml: line 2: [rotation]: key 'leese' is not known; did you mean 'lease'?", "retention"),
    ('# said\n[daemon]\ntick = "1s"\ntakeovr = "4s"',
     "c.toml: line 4: [daemon]: key 'takeovr' is not known; did you mean 'takeover'?", "tick"),
    ('[rotation.interval]\napi-keys = "9d"', "[rotation.interval]: key 'api-keys' is not known; did you mean 'api-key'",
     "gateway-token"),
    ('[rotation.interval]\napi-key = "5m"', "[rotation.interval]: api-key = '5m' is too short", ""),
    ("[rotation]\nlease = 90", "[rotation]: lease must be text, not a whole number", ""),
    ('[rotation]\nlease = "soon"', "[rotation]: lease: 'soon' is not a duration", ""),
    ("store = 3", "c.toml: store must be a table, not a whole number", ""),
    ('[store]\nurl = "postgres://x/y"', "[store]: url: store URL scheme 'postgres' is not known", "sqlite:///"),
    ('[store]\nurl = "vault+https://v:8200/secret"', "needs a prefix", "mount/prefix"),
    ('[store]\nkey = { source = "keyfile" }', "[store.key]: source = 'keyfile' is not known; did you mean 'key-file'?",
     "keyring"),
    ('[store]\nkey = { source = "keyring", path = "/k" }', "[store.key]: key 'path' is not known", "source"),
    ('[store]\nkey = { source = "systemd-credential" }', "[store.key]: name is missing", ""),
    ('[store]\nanchor = "here"', "anchor = 'here' must be an absolute path", "~/"),
    ("[injectors]\nx = 1", "[injectors]: x must be a table", ""),
    ("[injectors.x]", "[injectors.x]: kind is missing", ""),
    ('[injectors.x]\nkind = "envfile"', "[injectors.x]: kind = 'envfile' is not known; did you mean 'env-file'?",
     "resolver-bundle"),
    ('[injectors.Bad]\nkind = "directory"', "the name 'Bad' is not allowed", ""),
    ('[injectors.x]\nkind = "directory"', "[injectors.x]: path is missing", ""),
    (ENV.replace("docker", "dokcer"), "dialect = 'dokcer' is not known; did you mean 'docker'?", "shell"),
    (ENV + 'mode = "0644"', "mode = 0644 is too open", "owner"),
    (ENV + 'mode = "0200"', "too open or not readable", ""),
    (ENV + 'mode = "rw"', 'mode must be permissions like "0600"', ""),
    (ENV + "mode = true", 'mode must be permissions like "0600"', ""),
    (ENV + 'names = { a = "1X" }', "names.a: '1X' is not a variable name", ""),
    (ENV + 'names = { a = "X", b = "X" }', "names: b and a would both be X", ""),
    (ENV + 'names = { "A" = "X" }', "names: 'A' is not a secret's name", ""),
    (ENV + 'owner = ""', "[injectors.env]: owner must not be empty", "leave owner out"),
    (ENV + '[consumers.env]\nkind = "none"', "[consumers.env]: [injectors.env] has the same name", ""),
    (ENV + '[consumers.c]\nkind = "none"\nreads = ["evn"]', "there is no [injectors.evn]; did you mean 'env'?", ""),
    ('[consumers.c]\nkind = "none"\nreads = "env"', "reads must be a list, not text", ""),
    ('[consumers.c]\nkind = "none"\nreads = [1]', "reads must be a list of text", ""),
    (COMMAND, "needs reload, probe or both", "none"),
    (COMMAND + 'reload = ["x"]\nvalidates = true', "validates = true needs a probe", ""),
    (COMMAND + 'reload = ["x"]\nvalidates = "yes"', "validates must be true or false, not text", ""),
    (COMMAND + 'reload = ["x", ""]', "reload must be a list of text, none of it empty", ""),
    ('[consumers.g]\nkind = "openclaw"\nurl = "ws://10.0.0.5:1"', "would send the token unencrypted", "wss://"),
    ('[consumers.g]\nkind = "openclaw"\nurl = "http://127.0.0.1"', "must begin with ws://", ""),
    ('[consumers.g]\nkind = "openclaw"\nurl = "wss://u:p@h"', "must not hold a user", ""),
    ('[consumers.g]\nkind = "openclaw"\nurl = "ws://127.0.0.1:99999"', "is not a URL", ""),
    ('[providers.x]\noptions = { base_url = "https://x.example" }', "base_url is no option", "beside options"),
    ('[providers.x]\nbase_url = "http://x.example"', "[providers.x]: base_url must be https", ""),
    ('[providers.x]\nadmin = "sk-ant-VALUE!"', "is not a secret's name", "never a value"),
    ("[providers.x]\noptions = { a = 1 }", "options.a must be text, not a whole number", ""),
    ('[providers.x]\noptions = { "A-b" = "1" }', "options: 'A-b' is not an option's name", ""),
    ('[consumers.gw]\nkind = "openclaw"\nstate_dir = "/s"', "key 'state_dir' is not known", "allowed"),
    ('[providers.x]\ntimeout = "0"', "timeout = '0' is too short", ""),
    ("a = ", "c.toml: line 1: is not TOML: Invalid value", "quotes"),
    ("[store]\n\nurl = sqlite", "c.toml: line 3: is not TOML", ""),
    ("[store]\n[store]", "c.toml: line 2: is not TOML: Cannot declare", ""),
    ('a = "x', "c.toml: line 1: is not TOML", ""),
]


@pytest.mark.parametrize(("text", "message", "hint"), REFUSALS)
def test_refusals_name_file_table_and_key(text: str, message: str, hint: str) -> None:
    error = refused(text)
    assert message in error.message
    assert error.message.startswith("c.toml: ")
    assert hint in error.hint
    assert error.exit_code == 2


@given(st.text(max_size=60))
def test_any_text_gives_a_configuration_or_a_config_error(text: str) -> None:
    try:
        config = read(text)
    except ConfigError as error:
        assert error.message.startswith("c.toml: ")
    else:
        assert config.rotation.lease == 90


@given(st.sampled_from(opened(annotated()).splitlines()), st.integers(0, 80), st.sampled_from(list('x"=[]{}#\n\0')))
def test_any_one_character_added_to_the_annotated_file_is_clean(line: str, at: int, char: str) -> None:
    whole = opened(annotated()).replace(line, line[:at] + char + line[at:], 1)
    try:
        read(whole)
    except ConfigError as error:
        assert error.message.startswith("c.toml: ")


# --- store URLs -------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8), min_size=1))
def test_store_urls_round_trip(parts: list[str]) -> None:
    path = Path("/", *(part for part in parts if part not in (".", "..")), "s.db")
    assert parse_store_url(str(StoreUrl(path))) == StoreUrl(path)


@pytest.mark.parametrize(("text", "url"), [
    ("vault+https://v.example:8200/secret/claw", VaultUrl("https://v.example:8200", "secret", "claw")),
    ("vault+https://v.example/team%2Fkv/a/b/", VaultUrl("https://v.example", "team/kv", "a/b")),
    ("vault+http://[::1]:8200/secret/claw", VaultUrl("http://[::1]:8200", "secret", "claw")),
])
def test_vault_urls_are_understood_and_written_back(text: str, url: VaultUrl) -> None:
    assert parse_store_url(text) == url
    assert str(url) == text.rstrip("/")
    assert parse_store_url(str(url)) == url


@pytest.mark.parametrize(("url", "fault"), [
    ("/var/s.db", "named by a URL"),
    ("sqlite:relative.db", "absolute"),
    ("sqlite://host/s.db", "absolute path and nothing else"),
    ("sqlite:///s.db?mode=ro", "nothing else"),
    ("sqlite:///folder/", "name a file"),
    ("sqlite:///", "name a file"),
    ("vault+http://vault.example:8200/secret/claw", "loopback only"),
    ("vault+https://user:hvs.TOKEN@v/secret", "never a credential"),
    ("vault+https://v:8200", "needs a host and a mount"),
    ("vault+https://v:8200/secret/", "needs a prefix"),
    ("vault+https://v:8200/secret/a/../b", "letters, digits"),
    ("vault+https://v:8200/secret/.clawsecrets", "letters, digits"),
    ("vault+https://v:8200/secret/a?x=TOKEN", "never a credential"),
    ("http://[", "not a URL"),
    ("", "not known"),
])
def test_other_store_urls_are_refused(url: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as caught:
        parse_store_url(url)
    assert "TOKEN" not in caught.value.message + caught.value.hint
    assert caught.value.hint


# --- files that never end, and files that are made to break the reader ------------------------------------------------


def loading(file: Path) -> str:
    file.parent.chmod(0o700)
    with pytest.raises(ConfigError) as caught:
        load(file, PATHS)
    assert caught.value.message.startswith(str(file))
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_fifo_or_device_as_configuration_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert "not a regular file" in loading(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    assert "not a regular file" in loading(tmp_path / "link")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(Path("/dev/zero"), 10)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate((1 << 20) + 1)
    assert "larger than 1 MiB" in loading(tmp_path / "large")


@pytest.mark.parametrize(("text", "fault"), [
    ("x = " + "[" * 20_000, "nested too deeply"),
    ("lease = " + "1" * 6_000, "a number that is too long"),
])
def test_what_the_toml_reader_breaks_on_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    file.chmod(0o600)
    assert fault in loading(file)


@pytest.mark.parametrize("text", ["36501d", "9" * 6_000 + "d", "1" * 400 + "s", "36500d1s"])
def test_a_duration_is_a_hundred_years_at_most(text: str) -> None:
    with pytest.raises(ValueError, match="a hundred years"):
        parse_duration(text)
    assert "hundred years" in refused(f'[rotation]\nretention = "{text}"\n').message


def test_the_longest_duration() -> None:
    assert parse_duration("36500d") == parse_duration("3153600000s") == 36500 * DAY
    assert parse_duration("0" * 50 + "5s") == 5.0
