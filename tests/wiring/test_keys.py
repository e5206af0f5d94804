"""A new key is only put where the configuration would look for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from clawsecrets.config import Config, Paths, find_paths, parse
from clawsecrets.errors import ConfigError, StoreLocked
from clawsecrets.model.audit import AuditEvent
from clawsecrets.model.secret import SecretValue
from clawsecrets.stores.keys import KeySource
from clawsecrets.wiring import stores

EVENT = AuditEvent(0.0, "test", "store.init", "")


def ask() -> SecretValue:
    return SecretValue("correct horse")


class Home:
    """A store whose key is in `root`/a/master.key."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: Paths = find_paths(environ={"CLAWSECRETS_HOME": str(root)}, uid=1000)
        stores.create_store(self.config(""), [self.key("a")], recovery=False, event=EVENT)

    def key(self, folder: str) -> KeySource:
        return stores.key_file(self.root / folder / "master.key")

    def config(self, key: str) -> Config:
        return parse(f"[store]\nkey = {key}\n" if key else "", "c.toml", self.paths)

    def named(self, folder: str = "a") -> Config:
        return self.config(f'{{ source = "key-file", path = "{self.root}/{folder}/master.key" }}')

    def opens(self, config: Config) -> bool:
        stores.open_store(config, self.paths, ask).close()
        return True

    def rekey(self, config: Config, sources: Sequence[KeySource]) -> None:
        stores.rekey(config, self.paths, ask, EVENT, sources)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.mark.parametrize("passphrase", [False, True])
def test_rekey_refuses_a_place_where_the_configuration_does_not_look(home: Home, passphrase: bool) -> None:
    key, source = home.root / "a" / "master.key", stores.passphrase(ask()) if passphrase else home.key("b")
    before, stored = key.read_bytes(), home.config("").store.url.path.read_bytes()
    with pytest.raises(ConfigError, match=r"c.toml: \[store\] key says .*key-file .*/a/master.key") as caught:
        home.rekey(home.named(), [source])
    assert "remove or change `key` under [store]" in caught.value.hint
    assert (key.read_bytes(), home.config("").store.url.path.read_bytes()) == (before, stored)
    assert not (home.root / "b").exists()
    assert home.opens(home.named())


def test_rekey_goes_to_the_place_that_the_configuration_names(home: Home) -> None:
    (home.root / "linked").symlink_to(home.root / "a")
    home.rekey(home.named("linked"), [home.key("a")])
    assert home.opens(home.named("linked"))
    home.rekey(home.named(), [])
    assert home.opens(home.named())


@pytest.mark.parametrize("key", ["", '{ source = "key-file" }'])
def test_rekey_goes_anywhere_when_the_store_itself_says_where(home: Home, key: str) -> None:
    home.rekey(home.config(key), [home.key("b")])
    assert home.opens(home.config(key))


def test_a_credential_of_another_name_is_another_place(home: Home) -> None:
    config = home.config('{ source = "systemd-credential", name = "one" }')
    with pytest.raises(ConfigError, match="systemd-credential one"):
        home.rekey(config, [stores.systemd_credential("two")])


def test_a_new_store_is_not_made_where_it_would_never_open(tmp_path: Path, home: Home) -> None:
    paths = find_paths(environ={"CLAWSECRETS_HOME": str(tmp_path / "new")}, uid=1000)
    config = parse('[store]\nkey = { source = "passphrase" }\n', "c.toml", paths)
    with pytest.raises(ConfigError, match="would not open"):
        stores.create_store(config, [home.key("b")], recovery=False, event=EVENT)
    with pytest.raises(ConfigError, match="would not open"):
        stores.restore(config, tmp_path / "no.backup", ask(), [home.key("b")], EVENT)
    assert not paths.database.exists()


@pytest.mark.parametrize("key", ['{ source = "key-file", path = "/nowhere/master.key" }', '{ source = "keyring" }'])
def test_a_store_that_does_not_open_says_that_the_configuration_chose_the_place(home: Home, key: str) -> None:
    with pytest.raises(StoreLocked) as caught:
        home.opens(home.config(key))
    assert "c.toml: [store] key says to look for the key in " in caught.value.hint
